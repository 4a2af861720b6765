"""Redaction: the wire sees placeholders only, the program sees its own values."""

import json
from typing import Any

import pydantic
import pytest

from llmstack import Call, OpenAI, Stack
from llmstack.middleware._validation.placeholder import Placeholders
from llmstack.middleware._validation.sensitive import Sensitive
from llmstack.testing import ScriptedTransport
from tests.core.side import texts
from tests.middleware.sensitive_rig import ANSWER, ASK, BOB, JANE, PASSWORD, RESTORED, Redacting, response


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


def test_json_without_escapes_stays_json_as_well():
    """A placeholder in the place of a number is a string; one in a string is as it stands."""
    content = '{"card": 4111111111111111, "list": [4111111111111111, 2], "note": "[1] jane@example.com, 4"}'
    (message,) = redacted(messages=[{"role": "tool", "tool_call_id": "c", "content": content}])["messages"]
    sent = '{"card": "[CARD_1]", "list": ["[CARD_1]", 2], "note": "[1] [EMAIL_1], 4"}'
    assert message["content"] == sent


def test_what_only_looks_like_json_is_left_as_it_is():
    """Prose may begin with a bracket."""
    (message,) = redacted(messages=[{"role": "user", "content": "[sic] charge 4111111111111111"}])["messages"]
    assert message["content"] == "[sic] charge [CARD_1]"


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


def test_placeholders_of_one_value_and_two_kinds_differ():
    """A kind is part of what a value is."""
    placeholders = Placeholders(["has [IP_1] and [SECRET\\_1]"])
    given = [placeholders.of(value, kind) for value, kind in (("a", "ip"), ("a", "password"), ("a", "ip"), ("b", "ip"))]
    assert given == ["[IP_2]", "[SECRET_2]", "[IP_2]", "[IP_3]"]
