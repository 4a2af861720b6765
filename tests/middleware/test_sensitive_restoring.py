"""Placeholders in what is streamed become the program's values again, wherever they were cut."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import OpenAI, Reply, Stack
from llmstack._wire.replay_responses import response_events
from llmstack.middleware._validation.placeholder_text import Restorer, restored_text
from llmstack.testing import ScriptedTransport
from tests.core.side import DONE, chunk, spoken, texts
from tests.middleware.sensitive_rig import ANSWER, ASK, BOB, JANE, PASSWORD, RESTORED, Redacting, response


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


def test_a_response_is_restored_although_its_item_has_another_id_in_each_event():
    """As some servers write them: where an item stands tells which it is."""
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    body = response({"id": "m_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]})
    events = [json.loads(event.data) for event in response_events(body, piece=3)]
    events = [{**event, "item_id": f"m_{n}"} if "item_id" in event else event for n, event in enumerate(events)]
    stack = Stack([Redacting()], transport=ScriptedTransport([events]))
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=stack)
    read = list(client.responses.create(model="m", input=ASK, stream=True))
    assert "".join(e.delta for e in read if e.type == "response.output_text.delta") == RESTORED


def test_a_held_stream_is_replayed_restored():
    """A layer further out that wants all of it before the program sees any gets the same."""

    def holding(call, next):
        return (yield from next(call.replace(hold=True)))

    stack = Stack([holding, Redacting()], transport=ScriptedTransport([spoken("to [EMA", "IL_1]")]))
    client: Any = OpenAI(api_key="sk-test-not-a-key", stack=stack)
    assert texts(client.chat.completions.create(model="m", messages=ASK, stream=True)) == f"to {JANE}"
