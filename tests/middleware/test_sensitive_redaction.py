"""Redaction: the wire sees placeholders only, the program sees its own values."""

import json
from itertools import pairwise
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import Call, OpenAI, Reply, Stack, hookimpl
from llmstack._wire.replay_responses import response_events
from llmstack.middleware._validation.placeholder import Placeholders
from llmstack.middleware._validation.placeholder_text import Restorer, restored_text
from llmstack.middleware._validation.sensitive import Sensitive
from llmstack.testing import ScriptedTransport
from tests.core.side import DONE, chunk, spoken, texts

JANE, BOB = "jane@example.com", "bob@example.com"
ASK: Any = [{"role": "user", "content": f"write to {JANE} and {BOB}"}]
ANSWER = "to [EMAIL_1], not [EMAIL_2] or [EMAIL_3] [x]"
RESTORED = f"to {JANE}, not {BOB} or [EMAIL_3] [x]"
PASSWORD = 'q"7\\x9Kd#2'


class Redacting:
    """A layer that redacts."""

    name = "redacting"

    def __init__(self):
        self.sensitive = Sensitive("redact", "redact")

    @hookimpl
    def llmstack_call(self, call, next):
        """Redact and restore."""
        inner, vault = self.sensitive.redacted(call)
        reply = yield from next(inner)
        return reply if vault is None else vault.restored(reply)


def redacted(**params):
    """The body that would be sent."""
    call = Call(path="/x", endpoint="chat.completions", params=params)
    return Sensitive("redact", "redact").redacted(call)[0].params


def test_the_same_value_has_the_same_placeholder_in_all_messages():
    """In the order in which values first appear, over the whole conversation."""
    first = [{"role": "user", "content": f"{JANE} {BOB} {JANE}"}]
    later = [*first, {"role": "assistant", "content": f"ok {BOB}"}, {"role": "user", "content": "eve@example.com"}]
    assert redacted(messages=first)["messages"] == [{"role": "user", "content": "[EMAIL_1] [EMAIL_2] [EMAIL_1]"}]
    again = redacted(messages=later)["messages"]
    assert again[:1] == redacted(messages=first)["messages"]
    assert [message["content"] for message in again[1:]] == ["ok [EMAIL_2]", "[EMAIL_3]"]


def test_a_placeholder_that_a_text_has_already_is_not_used():
    """It stays what it is, and comes back as it is."""
    transport = ScriptedTransport(default="[EMAIL_1] [EMAIL_2]")
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=Stack([Redacting()], transport=transport))
    messages = [{"role": "user", "content": f"what is [EMAIL_1] for {JANE}?"}]
    answer = client.chat.completions.create(model="m", messages=messages)
    assert transport.calls[0].params["messages"][0]["content"] == "what is [EMAIL_1] for [EMAIL_2]?"
    assert answer.choices[0].message.content == f"[EMAIL_1] {JANE}"


def test_where_the_provider_keeps_the_conversation_no_placeholder_has_two_meanings():
    """What [EMAIL_1] was in a former turn nobody here knows."""
    turn = {"previous_response_id": "resp_1"}
    one, two = redacted(input=f"{JANE} {BOB}", **turn)["input"], redacted(input=f"{BOB}", **turn)["input"]
    assert one.split()[1] == two
    assert len({*one.split(), "[EMAIL_1]"}) == 3


def test_arguments_stay_json_to_the_letter():
    """Values are found and replaced as they read, whatever their escapes."""
    arguments = (
        '{ "text": "hi\\njane@example.com\\u0020x",  "n": 1.50, "password": "q\\"7\\\\x9Kd#2", "c": 4111111111111111}'
    )
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    (message,) = redacted(messages=[{"role": "assistant", "tool_calls": [call]}])["messages"]
    sent = message["tool_calls"][0]["function"]["arguments"]
    assert sent == '{ "text": "hi\\n[EMAIL_1] x",  "n": 1.50, "password": "[SECRET_1]", "c": "[CARD_1]"}'


def test_what_has_nothing_to_redact_is_the_same_call():
    """Nothing is copied, no filter added, nothing held."""
    call = Call(
        path="/x", endpoint="chat.completions", stream=True, params={"messages": [{"role": "user", "content": "hi"}]}
    )
    assert Sensitive("redact", "redact").redacted(call) == (call, None)


def test_the_program_s_own_messages_are_not_changed():
    """What it sent it may send again."""
    messages = json.loads(json.dumps(ASK))
    redacted(messages=messages)
    assert messages == ASK


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_restored_in_every_mode(side, stream):
    """Sync, async, streamed; outer layers see it restored, the wire redacted."""
    rig = side.rig([Redacting()], default=ANSWER)

    async def program():
        answer = await side.do(rig.client.chat.completions.create(model="m", messages=ASK, stream=stream))
        return texts(await side.read(answer)) if stream else answer.choices[0].message.content

    assert side.run(program) == RESTORED
    assert rig.witness.reply.text == RESTORED
    assert JANE not in json.dumps(dict(rig.sent[0].params))
    assert JANE not in repr(rig.recorder.events) + repr(rig.sent)


@pytest.mark.parametrize("raw", ["with_raw_response", "with_streaming_response"])
def test_raw_responses_are_restored(raw):
    """Also where the body is read lazily."""
    client: Any = OpenAI(
        api_key="sk-test-not-a-key", stack=Stack([Redacting()], transport=ScriptedTransport(default=ANSWER))
    )
    create = getattr(client.chat.completions, raw).create
    if raw == "with_raw_response":
        assert create(model="m", messages=ASK).parse().choices[0].message.content == RESTORED
    else:
        with create(model="m", messages=ASK) as response:
            assert response.parse().choices[0].message.content == RESTORED


@pytest.mark.parametrize("raw", ["", "with_raw_response", "with_streaming_response"])
@pytest.mark.parametrize("stream", [False, True])
def test_over_a_real_connection(side, server, raw, stream):
    """The server echoes what it was sent, which is placeholders only."""
    rig = side.local(server, [Redacting()])

    async def program():
        completions = rig.client.chat.completions
        create = (getattr(completions, raw) if raw else completions).create
        result = create(model="gpt-5-mini", messages=ASK, stream=stream)
        if raw != "with_streaming_response":
            result = await side.do(result)
            answer = (await side.do(result.parse())) if raw else result
            return texts(await side.read(answer)) if stream else answer.choices[0].message.content
        manager = result.__aenter__ if side.asynchronous else result.__enter__
        response = await side.do(manager())
        lines = await side.read(response.iter_lines())
        leave = result.__aexit__ if side.asynchronous else result.__exit__
        await side.do(leave(None, None, None))
        return "\n".join(lines)

    async def closing():
        try:
            return await program()
        finally:
            await side.close(rig.client)

    said = side.run(closing)
    if raw == "with_streaming_response" and stream:
        pieces = [json.loads(line[6:]) for line in said.split("\n") if line.startswith("data: {")]
        said = "".join(c["delta"].get("content") or "" for piece in pieces for c in piece["choices"])
    assert f"write to {JANE} and {BOB}" in said
    assert "[EMAIL_" not in said
    sent = server.requests[0].body.decode()
    assert "write to [EMAIL_1] and [EMAIL_2]" in sent
    assert "example.com" not in sent


def cut(text: str, places: list[int]) -> list[str]:
    """A text cut at these places."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


@given(st.text(alphabet="[]EMAIL_12\\x", max_size=40), st.lists(st.integers(0, 40), max_size=12), st.booleans())
def test_pieces_are_restored_as_the_whole(text, places, in_json):
    """Wherever it is cut, whatever looks like a placeholder."""
    values = {"[EMAIL_1]": JANE, "[EMAIL_12]": PASSWORD, "[IP_1]": "192.0.2.1"}
    restorer = Restorer(values, in_json=in_json)
    out = "".join(map(restorer.feed, cut(text, places))) + restorer.end()
    assert out == restored_text(text, values, in_json=in_json)


def test_only_what_may_become_a_placeholder_waits():
    """Everything else is delivered at once."""
    restorer = Restorer({"[EMAIL_1]": JANE}, in_json=False)
    fed = [restorer.feed(piece) for piece in ("a [", "EM", "A!", " [EMAIL_2", "]", "[IP", "[EMAIL\\_1", "]", "[E")]
    assert fed == ["a ", "", "[EMA!", " [EMAIL_2", "]", "[IP", "", JANE, ""]
    assert restorer.end() == "[E"


def stream_of(chunks, **params):
    """What a program reads of a stream, and the outermost reply's body."""
    replies: list[Reply] = []

    def witness(call, next):
        reply = yield from next(call)
        replies.append(reply)
        return reply

    stack = Stack([witness, Redacting()], transport=ScriptedTransport([chunks]))
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=stack)
    read = list(client.chat.completions.create(model="m", messages=params.pop("messages", ASK), stream=True, **params))
    return read, replies[0]


@given(st.lists(st.integers(0, 60), max_size=20))
def test_a_stream_is_restored_wherever_its_placeholders_are_cut(places):
    """Nothing is lost, nothing comes twice, the reply says the same."""
    read, reply = stream_of(spoken(*cut(ANSWER, places)))
    assert texts(read) == RESTORED == reply.text


def several(index: int, **delta: Any) -> dict[str, Any]:
    """A chunk of one of several choices."""
    return {**chunk(), "choices": [{"index": index, "delta": delta, "finish_reason": None}]}


def finished(index: int) -> dict[str, Any]:
    """The last chunk of a choice."""
    return {**chunk(), "choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]}


def test_choices_and_tool_calls_are_restored_apart():
    """Their chunks come in any order; arguments stay JSON."""

    def arguments(index, tool, text):
        return several(index, tool_calls=[{"index": tool, "function": {"arguments": text}}])

    chunks = [
        several(0, role="assistant", content="a [EMA"), several(1, content="b [EMAIL"), several(0, content="IL_1]"),
        arguments(0, 0, '{"p": "[SEC'), arguments(0, 1, '{"p": "[EMAIL_'), several(1, content="_2]"),
        arguments(0, 0, 'RET_1]"}'), arguments(0, 1, '1]"}'), finished(0), finished(1), DONE,
    ]  # fmt: skip
    tool = {"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"password": PASSWORD})}}
    messages = [{"role": "user", "content": f"{JANE} {BOB}"}, {"role": "assistant", "tool_calls": [tool]}]
    read, reply = stream_of(chunks, messages=messages, n=2)
    choices = [choice for one in read for choice in one.choices]
    said = ["".join(c.delta.content or "" for c in choices if c.index == index) for index in (0, 1)]
    assert said == [f"a {JANE}", f"b {BOB}"]
    calls = [tool for choice in choices for tool in choice.delta.tool_calls or ()]
    assert json.loads("".join(c.function.arguments for c in calls if c.index == 0)) == {"p": PASSWORD}
    assert json.loads("".join(c.function.arguments for c in calls if c.index == 1)) == {"p": JANE}
    whole = [tool["function"]["arguments"] for tool in reply.body["choices"][0]["message"]["tool_calls"]]
    assert [json.loads(text) for text in whole] == [{"p": PASSWORD}, {"p": JANE}]


@pytest.mark.parametrize("end", [[chunk(finish="stop"), DONE], [DONE], []])
def test_what_waits_at_the_end_is_delivered(end):
    """With the finish reason, at the end marker, or when the stream just stops."""
    read, _ = stream_of([chunk("x [EMAIL"), *end])
    assert texts(read) == "x [EMAIL"
    if len(end) == 2:
        assert read[-1].choices[0].finish_reason == "stop"


def test_arguments_that_wait_at_the_end_are_delivered():
    """In the tool call that they belong to."""
    tool = {"tool_calls": [{"index": 1, "function": {"arguments": '{"a": "[EM'}}]}
    read, _ = stream_of([several(0, **tool), finished(0), DONE])
    assert [c.function.arguments for one in read for c in one.choices[0].delta.tool_calls or ()] == ['{"a": "', "[EM"]


def test_a_legacy_completion_is_restored(side):
    """Streamed or not."""
    rig = side.rig([Redacting()], default=ANSWER)

    async def program():
        whole = await side.do(rig.client.completions.create(model="m", prompt=ASK[0]["content"]))
        stream = await side.do(rig.client.completions.create(model="m", prompt=ASK[0]["content"], stream=True))
        return [whole.choices[0].text, "".join(one.choices[0].text for one in await side.read(stream))]

    assert side.run(program) == [RESTORED, RESTORED]


def response(*output: dict[str, Any]) -> dict[str, Any]:
    """A Responses body."""
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    return {**head, "output": list(output), "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_responses_are_restored_in_every_event(size):
    """Deltas, done events, finished items and the completed response agree, and the numbers of the events go up."""
    text = {"type": "output_text", "text": ANSWER + " [", "annotations": []}
    body = response(
        {"id": "m_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]},
        {
            "id": "f_1",
            "type": "function_call",
            "call_id": "c",
            "name": "f",
            "arguments": '{"p":"[SECRET_1]"}',
            "status": "completed",
        },
    )
    events = [json.loads(event.data) for event in response_events(body, piece=size)]
    arguments = json.dumps({"password": PASSWORD})
    ask = [{"role": "user", "content": f"{JANE} {BOB}"},
           {"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments}]  # fmt: skip
    client: Any = OpenAI(
        api_key="sk-test-not-a-key", stack=Stack([Redacting()], transport=ScriptedTransport([events, body]))
    )
    read = list(client.responses.create(model="m", input=ask, stream=True))
    assert "".join(e.delta for e in read if e.type == "response.output_text.delta") == RESTORED + " ["
    assert [e.text for e in read if e.type == "response.output_text.done"] == [RESTORED + " ["]
    arguments = "".join(e.delta for e in read if e.type == "response.function_call_arguments.delta")
    assert json.loads(arguments) == {"p": PASSWORD}
    assert [json.loads(e.arguments) for e in read if e.type == "response.function_call_arguments.done"] == [
        {"p": PASSWORD}
    ]
    assert read[-1].response.output_text == RESTORED + " ["
    numbers = [e.sequence_number for e in read]
    assert numbers == sorted(set(numbers))
    whole = client.responses.create(model="m", input=ask)
    assert whole.output_text == RESTORED + " ["
    assert json.loads(whole.output[1].arguments) == {"p": PASSWORD}


class Login(pydantic.BaseModel):
    """What is asked for."""

    user: str
    word: str


@pytest.mark.parametrize("stream", [False, True])
def test_a_parsed_answer_has_the_values(stream):
    """The answer is JSON, so a value with quotes is escaped in it."""
    answer = '{"user": "[EMAIL_1]", "word": "[SECRET_1]"}'
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=Stack([Redacting()], transport=ScriptedTransport([answer])))
    messages: Any = [
        {"role": "user", "content": JANE},
        {"role": "tool", "tool_call_id": "c", "content": json.dumps({"password": PASSWORD, "a": "\n"})},
    ]
    if stream:
        with client.chat.completions.stream(model="m", messages=messages, response_format=Login) as events:
            parsed = events.get_final_completion().choices[0].message.parsed
    else:
        parsed = (
            client.chat.completions.parse(model="m", messages=messages, response_format=Login).choices[0].message.parsed
        )
    assert parsed == Login(user=JANE, word=PASSWORD)


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_is_prose_although_the_answer_is_json(stream):
    """Values are escaped in the answer only."""
    body = response(
        {"id": "r_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "It is [SECRET_1]."}]},
        {"id": "m_1", "type": "message", "role": "assistant", "status": "completed",
         "content": [{"type": "output_text", "text": '{"word": "[SECRET_1]"}', "annotations": []}]},
    )  # fmt: skip
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=Stack([Redacting()], transport=ScriptedTransport([body])))
    ask = [{"type": "function_call_output", "call_id": "c", "output": json.dumps({"password": PASSWORD, "a": "\n"})}]
    answer = client.responses.create(model="m", input=ask, text={"format": {"type": "json_object"}}, stream=stream)
    if stream:
        read = list(answer)
        thought = "".join(e.delta for e in read if e.type == "response.reasoning_summary_text.delta")
        assert thought == f"It is {PASSWORD}."
        assert [e.text for e in read if e.type == "response.reasoning_summary_text.done"] == [thought]
        text = "".join(e.delta for e in read if e.type == "response.output_text.delta")
        assert json.loads(text) == {"word": PASSWORD}
        answer = read[-1].response
    assert answer.output[0].summary[0].text == f"It is {PASSWORD}."
    assert json.loads(answer.output_text) == {"word": PASSWORD}


def test_a_held_stream_is_replayed_restored():
    """A layer further out that wants all of it before the program sees any gets the same."""

    def holding(call, next):
        return (yield from next(call.replace(hold=True)))

    stack = Stack([holding, Redacting()], transport=ScriptedTransport([spoken("to [EMA", "IL_1]")]))
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=stack)
    assert texts(client.chat.completions.create(model="m", messages=ASK, stream=True)) == f"to {JANE}"


def test_placeholders_of_one_value_and_two_kinds_differ():
    """A kind is part of what a value is."""
    placeholders = Placeholders(["has [IP_1] and [SECRET\\_1]"])
    given = [placeholders.of(value, kind) for value, kind in (("a", "ip"), ("a", "password"), ("a", "ip"), ("b", "ip"))]
    assert given == ["[IP_2]", "[SECRET_2]", "[IP_2]", "[IP_3]"]
