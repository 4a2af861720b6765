"""Chat completions for the tests, made by hand and by Hypothesis; and the ways a server may stream them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

USAGE: Json = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
TOOL: Json = {"type": "function", "name": "weather"}
PARAMS: Json = {"model": "gpt-5-mini", "input": "Hello", "tools": [TOOL], "temperature": 1, "instructions": "Be brief"}


def completion(message: Json | None = None, *, finish: str | None = "stop", **more: Any) -> Json:
    """A chat completion of one choice."""
    said = {"role": "assistant", "content": None, "refusal": None, **(message or {})}
    choice = {"index": 0, "message": said, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    head = {"id": "chatcmpl-7", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-5-mini-2026"}
    return {**head, "choices": [choice], "usage": USAGE, **more}


def function(name: str = "weather", own: str = "call_1", arguments: str = "{}") -> Json:
    """A call of a function."""
    return {"id": own, "type": "function", "function": {"name": name, "arguments": arguments}}


def custom(name: str = "shell", own: str = "call_2", given: str = "ls") -> Json:
    """A call of a custom tool."""
    return {"id": own, "type": "custom", "custom": {"name": name, "input": given}}


def citation(url: str = "https://example.com") -> Json:
    """A citation."""
    return {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 2, "title": "t", "url": url}}


def logprob(token: str) -> Json:
    """What a token was worth."""
    row = {"token": token, "bytes": list(token.encode()), "logprob": -0.5}
    return {**row, "top_logprobs": [row]}


# Any completion -----------------------------------------------------------------------------------------------------

texts = st.text(min_size=1, max_size=12)
names = st.text("abcdef", min_size=1, max_size=6)
FINISHES = ["stop", "length", "content_filter", "tool_calls", "error", "eos"]


@st.composite
def completions(draw: st.DrawFn) -> Json:
    """A whole chat completion, as servers may answer one; what is in it is told in the usual order."""
    message: Json = {"role": "assistant", "content": draw(st.none() | texts), "refusal": None}
    if draw(st.booleans()):
        message[draw(st.sampled_from(["reasoning", "reasoning_content"]))] = draw(texts)
    if draw(st.integers(0, 4)) == 0:
        message["refusal"] = draw(texts)
    if message["content"] and draw(st.integers(0, 4)) == 0:
        message["annotations"] = [citation() for _ in range(draw(st.integers(1, 2)))]
    calls = draw(st.lists(st.tuples(st.booleans(), names, st.text(max_size=12)), max_size=3))
    if calls:
        message["tool_calls"] = [
            custom(name, f"call_{at}", given) if is_custom else function(name, f"call_{at}", given)
            for at, (is_custom, name, given) in enumerate(calls)
        ]
    logprobs = None
    if message["content"] and draw(st.booleans()):
        logprobs = {"content": [logprob(letter) for letter in message["content"]], "refusal": None}
    more: Json = {"system_fingerprint": "fp"} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        more["service_tier"] = draw(st.sampled_from(["default", "flex", "priority"]))
    usage = draw(st.sampled_from([USAGE, None]))
    finish = draw(st.sampled_from(FINISHES))
    return completion(message, finish=finish, logprobs=logprobs, usage=usage, **more)


def cut(text: str, data: st.DataObject) -> list[str]:
    """A text in pieces, of which some may be empty."""
    places = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def deltas(whole: Json, data: st.DataObject) -> list[Json]:
    """The choices of the chunks that stream a completion, in the usual order: thoughts, text, refusal, calls."""
    choice = whole["choices"][0]
    message = choice["message"]
    found: list[Json] = []
    for field in ("reasoning", "reasoning_content", "content", "refusal"):
        tokens = list((choice["logprobs"] or {}).get("content") or ()) if field == "content" else []
        for piece in cut(message[field], data) if message.get(field) else ():
            own, tokens = tokens[: len(piece)], tokens[len(piece) :]
            told = {"logprobs": {"content": own, "refusal": None}} if own else {}
            found.append({"delta": {field: piece}, **told})
        if field == "content" and message.get("annotations"):
            found.append({"delta": {"annotations": message["annotations"]}})
    for at, call in enumerate(message.get("tool_calls", ())):
        kind, field = (call["type"], "input" if call["type"] == "custom" else "arguments")
        first, *rest = cut(call[kind][field], data)
        found.append({"delta": {"tool_calls": [{"index": at, **call, kind: {**call[kind], field: first}}]}})
        found += [{"delta": {"tool_calls": [{"index": at, kind: {field: piece}}]}} for piece in rest]
    return found


def chunks(whole: Json, choices: list[Json]) -> list[Json]:
    """The chunks around these choices, with the usage at the end."""
    head = {name: value for name, value in whole.items() if name not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    told = [{"delta": {"role": "assistant", "content": ""}}, *choices]
    told.append({"delta": {}, "finish_reason": whole["choices"][0]["finish_reason"]})
    stream: list[Json] = [{**head, "choices": [{"index": 0, "finish_reason": None, **choice}]} for choice in told]
    return stream if whole["usage"] is None else [*stream, {**head, "choices": [], "usage": whole["usage"]}]
