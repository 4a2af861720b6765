"""Chunks of a chat completion as events of a response."""

from typing import Any

import pytest

from llmstack.transports._translation.responses_events import ResponseEvents
from tests.transports.translation.responses_checked import events, final
from tests.transports.translation.responses_completions import PARAMS, citation, logprob

Json = dict[str, Any]

HEAD: Json = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def told(*choices: Json, finish: str | None = "stop") -> list[Json]:
    """The chunks of these deltas."""
    ends: list[Json] = [] if finish is None else [{"delta": {}, "finish_reason": finish}]
    found = [{"delta": delta} for delta in choices] + ends
    return [{**HEAD, "choices": [{"index": 0, "finish_reason": None, **choice}]} for choice in found]


def brief(found: list[Json]) -> list[str]:
    """The events' kinds and deltas, in short."""
    return [event["type"].removeprefix("response.") + f" {event.get('delta', '')}".rstrip() for event in found]


def test_a_text():
    """From the first event to the last."""
    found = events(told({"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}))
    assert brief(found) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta Hel",
        "output_text.delta lo", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    begun = found[0]["response"]
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    place = {"item_id": "msg_7_0", "output_index": 0, "content_index": 0}
    assert found[4] == {
        "type": "response.output_text.delta", "sequence_number": 4, **place, "delta": "Hel", "logprobs": [],
    }  # fmt: skip
    assert found[6]["text"] == "Hello"


def test_thoughts_text_and_a_refusal():
    """Thoughts end when the text begins; a refusal is one more part of the message."""
    found = events(told({"reasoning": "Hm"}, {"content": "Hi"}, {"refusal": "No"}))
    assert brief(found)[2:-1] == [
        "output_item.added", "content_part.added", "reasoning_text.delta Hm",
        "reasoning_text.done", "content_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta Hi",
        "content_part.added", "refusal.delta No",
        "output_text.done", "content_part.done", "refusal.done", "content_part.done", "output_item.done",
    ]  # fmt: skip
    assert [event["content_index"] for event in found if event["type"] == "response.content_part.added"] == [0, 0, 1]


def entry(index: int | None = None, own: str | None = None, name: str | None = None, arguments: Any = None) -> Json:
    """A delta that is a piece of a call."""
    said = {"name": name, "arguments": arguments}
    call: Json = {"function": {key: value for key, value in said.items() if value is not None}}
    call |= {key: value for key, value in (("index", index), ("id", own)) if value is not None}
    return {"tool_calls": [call]}


def called(found: list[Json]) -> list[tuple[str, str, str]]:
    """The calls of the final response."""
    return [(item["call_id"], item["name"], item["arguments"]) for item in final(found)["output"]]


def test_calls_at_once():
    """Each in its item; all end at the end, since their pieces may come in turns."""
    found = events(
        told(
            entry(0, "call_1", "a", ""),
            entry(0, arguments='{"x"'),
            entry(1, "call_2", "b", ""),
            entry(1, arguments="{}"),
            entry(0, arguments=":1}"),
            finish="tool_calls",
        )
    )
    assert brief(found)[2:] == [
        "output_item.added", 'function_call_arguments.delta {"x"', "output_item.added",
        "function_call_arguments.delta {}", "function_call_arguments.delta :1}",
        "function_call_arguments.done", "output_item.done", "function_call_arguments.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    places = [event["output_index"] for event in found if event["type"] == "response.function_call_arguments.delta"]
    assert places == [0, 1, 0]
    assert called(found) == [("call_1", "a", '{"x":1}'), ("call_2", "b", "{}")]


BOTH = [("call_1", "a", "{}"), ("call_2", "b", "{}")]
SERVERS: list[tuple[str, list[Json], list[tuple[str, str, str]]]] = [
    ("whole calls, an index each", [entry(0, "call_1", "a", "{}"), entry(1, "call_2", "b", "{}")], BOTH),
    ("whole calls, the same index", [entry(0, "call_1", "a", "{}"), entry(0, "call_2", "b", "{}")], BOTH),
    ("whole calls, no index", [entry(None, "call_1", "a", "{}"), entry(None, "call_2", "b", "{}")], BOTH),
    (
        "whole calls in one chunk",
        [
            {
                "tool_calls": [
                    *entry(None, "call_1", "a", "{}")["tool_calls"],
                    *entry(None, "call_2", "b", "{}")["tool_calls"],
                ]
            }
        ],
        BOTH,
    ),
    (
        "whole calls, neither index nor id",
        [entry(None, None, "a", "{}"), entry(None, None, "b", "{}")],
        [("call_7_0", "a", "{}"), ("call_7_1", "b", "{}")],
    ),
    (
        "pieces without an index",
        [
            entry(None, "call_1", "a", "{"),
            entry(arguments="}"),
            entry(None, "call_2", "b", "{"),
            entry(arguments="}"),
        ],
        BOTH,
    ),
    (
        "id and name in each piece",
        [entry(0, "call_1", "a", "{"), entry(0, "call_1", "a", "}"), entry(1, "call_2", "b", "{}")],
        BOTH,
    ),
    (
        "a name that comes late",
        [entry(0, "call_1", arguments="{"), entry(0, name="a", arguments="}"), entry(1, "call_2", "b", "{}")],
        BOTH,
    ),
    ("a name that never comes", [entry(0, "call_1", arguments="{}")], [("call_1", "", "{}")]),
    ("arguments as an object", [entry(0, "call_1", "a", {"x": 1})], [("call_1", "a", '{"x":1}')]),
    ("no arguments", [entry(0, "call_1", "a")], [("call_1", "a", "")]),
]


@pytest.mark.parametrize(("pieces", "expected"), [row[1:] for row in SERVERS], ids=[row[0] for row in SERVERS])
def test_calls_as_servers_send_them(pieces, expected):
    """Row by row."""
    assert called(events(told(*pieces, finish="tool_calls"))) == expected


def test_a_custom_tool():
    """Its input is text, in events of its own."""
    pieces = [
        {"index": 0, "id": "call_1", "custom": {"name": "sh", "input": "l"}},
        {"index": 0, "custom": {"input": "s"}},
    ]
    found = events(told(*({"tool_calls": [piece]} for piece in pieces), finish="tool_calls"))
    assert brief(found)[2:-1] == [
        "output_item.added", "custom_tool_call_input.delta l", "custom_tool_call_input.delta s",
        "custom_tool_call_input.done", "output_item.done",
    ]  # fmt: skip
    assert found[-3]["input"] == "ls"


def test_text_and_calls():
    """The text ends when a call begins."""
    found = events(told({"content": "Hi"}, entry(0, "call_1", "a", "{}"), finish="tool_calls"))
    assert brief(found)[5:9] == ["output_text.done", "content_part.done", "output_item.done", "output_item.added"]
    assert [item["type"] for item in final(found)["output"]] == ["message", "function_call"]


def test_text_after_a_call_is_a_message_of_its_own():
    """What was told as ended is not taken up again."""
    found = events(told({"content": "Hi"}, entry(0, "call_1", "a", "{"), {"content": "Ho"}, entry(0, arguments="}")))
    output = final(found)["output"]
    assert [(item["id"], item["type"]) for item in output] == [
        ("msg_7_0", "message"), ("fc_7_1", "function_call"), ("msg_7_2", "message"),
    ]  # fmt: skip
    assert output[1]["arguments"] == "{}"


def test_log_probabilities_and_citations():
    """Those of a token without text of its own, which is half a character, go with the next."""
    stream = told({"content": ""}, {"content": "Hi"}, {"annotations": [citation()]})
    stream[0]["choices"][0]["logprobs"] = {"content": [logprob("a")]}
    stream[1]["choices"][0]["logprobs"] = {"content": [logprob("b")]}
    found = events(stream)
    (delta,) = [event for event in found if event["type"] == "response.output_text.delta"]
    assert [row["token"] for row in delta["logprobs"]] == ["a", "b"]
    (cited,) = [event for event in found if event["type"] == "response.output_text.annotation.added"]
    assert (cited["annotation_index"], cited["annotation"]["url"]) == (0, "https://example.com")
    (part,) = final(found)["output"][0]["content"]
    assert (part["logprobs"], part["annotations"]) == (delta["logprobs"], [cited["annotation"]])


OTHER_ENDS = [("length", "incomplete"), ("content_filter", "incomplete"), ("error", "failed")]


@pytest.mark.parametrize(("finish", "kind"), OTHER_ENDS)
def test_other_ends(finish, kind):
    """The last event says how it ended."""
    assert brief(events(told({"content": "Hi"}, finish=finish)))[-1] == kind


def test_a_stream_that_was_cut_short_is_not_told_as_complete():
    """It ends as a response's own would: without a terminal event."""
    found = events(told({"content": "Hi"}, finish=None))
    assert brief(found)[-1] == "output_text.delta Hi"
    assert events([]) == []


def test_who_answers_may_come_late():
    """Azure's first chunk has nobody; nothing is told before somebody is known."""
    blank: Json = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []}
    translator = ResponseEvents(PARAMS)
    assert translator.feed(blank) == []
    (created, _) = translator.feed(told({"role": "assistant"}, finish=None)[0])
    assert (created["response"]["id"], created["response"]["model"]) == ("resp_7", "m")
    assert final(events([blank, *told({"content": "Hi"})]))["prompt_filter_results"] == []


def test_who_answers_stays_the_same():
    """A server may name another id in each chunk, or one only later: a response has one."""
    stream = told({"content": "Hel"}, {"content": "lo"})
    for first in ("chatcmpl-7", ""):
        for at, chunk in enumerate(stream):
            chunk["id"] = f"chatcmpl-{at}" if at else first
        found = events(stream)
        ids = {event["response"]["id"] for event in found if "response" in event}
        assert ids == {"resp_7" if first else "resp_0"}


def test_usage_comes_last():
    """In a chunk without choices, after the end."""
    found = events([*told({"content": "Hi"}), {**HEAD, "choices": [], "usage": {"prompt_tokens": 1}}])
    assert final(found)["usage"]["input_tokens"] == 1


def test_odd_chunks_do_no_harm():
    """Nor do choices that were not asked for."""
    other = {"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}
    odd: list[Json] = [{"choices": None}, {"choices": [None, other]}, {"choices": [{"delta": None}]}, {"choices": "x"}]
    found = events([*odd, *told({"content": "Hi", "tool_calls": [None, {}]})])
    assert final(found)["output"][0]["content"][0]["text"] == "Hi"
