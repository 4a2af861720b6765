"""Any chat stream, cut and ordered in any way, as a stream of a response."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmstack._wire.assembly import assembly
from llmstack._wire.jsontext import write
from llmstack._wire.partial_response import partial
from llmstack._wire.sse import ServerSentEvent
from llmstack.transports._translation.responses_reply import response_body
from tests.transports.translation.responses_checked import events, final
from tests.transports.translation.responses_completions import PARAMS, chunks, completions, deltas

Json = dict[str, Any]


def assembled(stream: list[Json]) -> Json:
    """The chat completion that the chunks make."""
    seen = assembly("chat.completions")
    for chunk in stream:
        seen.note(ServerSentEvent(data=write(chunk)))
    seen.end()
    body = seen.body()
    assert body is not None
    return body


def consistent(found: list[Json]) -> None:
    """What was told in pieces is what the last event tells: item by item, and put together from the deltas alone."""
    output = final(found)["output"]
    done = {e["output_index"]: e["item"] for e in found if e["type"] == "response.output_item.done"}
    assert [done[at] for at in range(len(output))] == output
    rebuilt = partial([e for e in found[:-1] if e["type"] != "response.output_item.done"])
    assert rebuilt is not None
    assert [{**item, "status": ""} for item in rebuilt["output"]] == [{**item, "status": ""} for item in output]


@given(completions(), st.data())
def test_a_stream_says_what_the_plain_answer_says(whole, data):
    """However it is cut: the terminal event's response is that of the completion which the chunks make."""
    stream = chunks(whole, deltas(whole, data))
    found = events(stream)
    assert final(found) == response_body(assembled(stream), PARAMS)
    assert final(found)["output"] == response_body(whole, PARAMS)["output"]
    consistent(found)


@given(completions(), st.data())
def test_a_stream_in_any_order_loses_nothing(whole, data):
    """Thoughts between words, words between pieces of calls: what is said of each kind is the same."""
    kinds: dict[str, list[Json]] = {}
    for choice in deltas(whole, data):
        (kind,) = choice["delta"]
        name = kind if kind != "tool_calls" else f"call {choice['delta'][kind][0]['index']}"
        kinds.setdefault("content" if name == "annotations" else name, []).append(choice)
    order = data.draw(st.permutations([name for name, group in kinds.items() for _ in group]))
    queues = {name: iter(group) for name, group in kinds.items()}
    found = events(chunks(whole, [next(queues[name]) for name in order]))
    consistent(found)

    def said(output: list[Json]) -> dict[str, Any]:
        parts = [part for item in output for part in item.get("content", ())]
        calls = [(i["name"], i.get("arguments"), i.get("input"), i["call_id"]) for i in output if "call_id" in i]
        texts = {kind: "".join(p.get("text", p.get("refusal")) for p in parts if p["type"] == kind)
                 for kind in ("output_text", "refusal", "reasoning_text")}  # fmt: skip
        cited = [cited for part in parts for cited in part.get("annotations", ())]
        return {**texts, "calls": sorted(calls, key=lambda call: call[3]), "cited": cited}

    assert said(final(found)["output"]) == said(response_body(whole, PARAMS)["output"])


@given(completions(), st.data())
def test_a_stream_cut_anywhere_is_never_told_as_ended(whole, data):
    """Without the server's word there is no terminal event, and every event before is as it would have been."""
    stream = chunks(whole, deltas(whole, data))
    at = next(i for i, chunk in enumerate(stream) if any(c["finish_reason"] for c in chunk["choices"]))
    stop = data.draw(st.integers(0, at))
    found = events(stream[:stop])
    assert found == events(stream)[: len(found)]
    assert not any(event["type"].endswith((".completed", ".incomplete", ".failed")) for event in found)
