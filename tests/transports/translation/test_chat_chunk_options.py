"""What the chunks of a translated stream tell if it is asked for, or found."""

from __future__ import annotations

from tests.transports.translation.chat_chunks import CALL, CREATED, chunk, ended, event, opening, told

ROW = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.5}]}
WHOLE_ROW = {
    "token": "a",
    "bytes": None,
    "logprob": -0.5,
    "top_logprobs": [{"token": "b", "bytes": None, "logprob": -1.5}],
}


def test_usage_if_asked_for():
    """In a chunk of its own, and null in the others."""
    chunks = told([CREATED, ended()], stream_options={"include_usage": True})
    assert [one["usage"] for one in chunks] == [
        None,
        None,
        {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    ]
    assert chunks[-1]["choices"] == []
    assert all("usage" not in one for one in told([CREATED, ended()]))


def test_log_probabilities_if_asked_for():
    """The deltas of Responses have them without bytes."""
    events = [CREATED, event("output_text.delta", delta="a", logprobs=[ROW]), ended()]
    assert told(events, logprobs=True)[1] == chunk({"content": "a"}, None, {"content": [WHOLE_ROW], "refusal": None})
    assert told(events)[1] == chunk({"content": "a"})


def test_a_program_that_knows_functions_only():
    """One call, without id."""
    events = [
        CREATED,
        event("output_item.added", item=CALL),
        event("function_call_arguments.delta", delta="{}"),
        event("output_item.added", item=CALL, output_index=1),
        event("function_call_arguments.delta", delta="{}", output_index=1),
        ended(),
    ]
    assert told(events, functions=[{"name": "f"}]) == [
        opening(None),
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    ]


def test_what_moderation_found_is_on_the_last_chunk():
    """As in a plain answer."""
    result = {"type": "moderation_result", "model": "omni"}
    chunks = told([CREATED, ended(moderation={"input": result, "output": result})])
    found = {"type": "moderation_results", "model": "omni", "results": [result]}
    assert chunks[-1]["moderation"] == {"input": found, "output": found}
