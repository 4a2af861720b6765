"""A whole chat completion as the chunks of a stream (API reference: the chat completion chunk object)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmstack._wire.chunk import chunks, indexed, objects, pieces
from llmstack._wire.sse import ServerSentEvent

__all__ = ["chat_events"]

_Delta = dict[str, Any]


def chat_events(body: Mapping[str, Any], *, usage: bool, piece: int = 0) -> list[ServerSentEvent]:
    """Make the events of a chat completion.

    Parameters:
        body: The whole chat completion.
        usage: Whether the program asked for a usage chunk.
        piece: How many characters of text a chunk carries, 0 for all.

    Returns:
        For each choice a chunk with the role, those of its message and one with the finish_reason; the usage; [DONE].
    """
    found = [choice for index, whole in indexed(body) for choice in _choices(index, whole, piece)]
    return chunks("chat.completion.chunk", body, found, usage=usage)


def _choices(index: int, whole: dict[str, Any], piece: int) -> Iterator[dict[str, Any]]:
    """Yield a choice as the choices of its chunks."""
    message = whole.get("message")
    message = message if isinstance(message, dict) else {}
    logprobs = whole.get("logprobs")

    def chunk(delta: _Delta, logprobs: object = None, finish: object = None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    opening = "" if isinstance(message.get("content"), str) else None
    yield chunk({"role": message.get("role", "assistant"), "content": opening, "refusal": None})
    for delta in _deltas(message, piece):
        if logprobs is not None and ("content" in delta or "refusal" in delta):
            # All at once: tokens need not end where characters do, so they cannot be dealt out to the pieces.
            yield chunk(delta, logprobs)
            logprobs = None
        else:
            yield chunk(delta)
    known = ("index", "message", "delta", "logprobs", "finish_reason")
    extra = {key: value for key, value in whole.items() if key not in known}
    yield {**chunk({}, logprobs, whole.get("finish_reason")), **extra}


def _deltas(message: dict[str, Any], piece: int) -> Iterator[_Delta]:
    """Yield a message as deltas: what is thought before what is said, what is called after it."""
    known = ("role", "content", "refusal", "function_call", "tool_calls", "audio", "annotations")
    for key in (*(key for key in message if key not in known), *known[1:]):
        value = message.get(key)
        if value is None or value == []:
            continue
        if key == "tool_calls" and isinstance(value, list):
            for index, call in enumerate(objects(value)):
                yield from ({"tool_calls": [{**part, "index": index}]} for part in _call(call, piece))
        elif key == "function_call" and isinstance(value, dict):
            yield from ({key: part} for part in _opened(value, "arguments", piece))
        elif key == "audio" and isinstance(value, dict):
            yield from ({key: part} for part in _audio(value, piece))
        elif isinstance(value, str):
            yield from ({key: part} for part in pieces(value, piece))
        else:
            yield {key: value}


def _call(call: dict[str, Any], piece: int) -> Iterator[dict[str, Any]]:
    """Yield a tool call: who is called, then the arguments (of a custom tool: the input)."""
    for kind, field in (("function", "arguments"), ("custom", "input")):
        if isinstance(called := call.get(kind), dict):
            first, *rest = _opened(called, field, piece)
            yield {**call, kind: first}
            yield from ({kind: part} for part in rest)
            return
    yield call


def _opened(whole: dict[str, Any], field: str, piece: int) -> Iterator[dict[str, Any]]:
    """Yield an object with a text empty, then the text in pieces."""
    text = whole.get(field)
    if not isinstance(text, str):
        yield whole
        return
    yield {**whole, field: ""}
    yield from ({field: part} for part in pieces(text, piece))


def _audio(audio: dict[str, Any], piece: int) -> Iterator[dict[str, Any]]:
    """Yield audio as the API does: its id, its transcript and its data, and when it expires."""
    texts = ("transcript", "data")
    yield {key: value for key, value in audio.items() if key not in (*texts, "expires_at")}
    for key in texts:
        if isinstance(text := audio.get(key), str):
            yield from ({key: part} for part in (pieces(text, piece) if text else ("",)))
    if "expires_at" in audio:
        yield {"expires_at": audio["expires_at"]}
