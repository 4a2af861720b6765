"""Speech: every string of an answer, or of a piece of one, that a model has said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Said", "said_in"]

Said = tuple[tuple[str | int, ...], str]
"""Where in the JSON it is, and the text."""

# What an answer has beside its words: names, kinds, states, data. Unknown keys count as speech: better too much.
# fmt: off
_NOT_SPEECH = frozenset({
    "approval_request_id", "audio_url", "b64_json", "background", "cache_control", "call_id", "container_id",
    "content_filter_offsets", "content_filter_raw", "content_filter_results", "content_filters", "conversation",
    "created", "created_at", "data", "detail", "encrypted_content", "expires_at", "file_data", "file_id", "file_url",
    "finish_reason", "format", "id", "image_url", "instructions", "item_id", "logprobs", "metadata", "model", "name",
    "obfuscation", "object", "parallel_tool_calls", "partial_image_b64", "phase", "previous_response_id",
    "prompt_cache_key", "prompt_filter_results", "role", "safety_identifier", "sequence_number", "server_label",
    "service_tier", "status", "system_fingerprint", "text_offset", "tool_call_id", "tool_choice", "tools",
    "truncation", "type", "url", "usage", "user", "verbosity", "video_url",
})
# fmt: on
_DEPTH = 40


def said_in(value: Any, path: tuple[str | int, ...] = (), *, inside: bool = False) -> Iterator[Said]:
    """Find what was said.

    Args:
        value: JSON: a whole answer, a message, a chunk's delta, an event.
        path: Where it is.
        inside: True if a string here is speech.

    Yields:
        Each text that is not empty. Entries of a list are told apart by their ``index``, if they have one.
    """
    if isinstance(value, str):
        if inside and value:
            yield path, value
    elif len(path) > _DEPTH:
        if inside and isinstance(value, (Mapping, list)):
            yield path, _as_text(value)  # nested as no answer is: whoever wants may read it all the same
    elif isinstance(value, Mapping):
        for key, item in value.items():
            drawn = key == "result" and value.get("type") == "image_generation_call"  # base64
            if key not in _NOT_SPEECH and not drawn:
                yield from said_in(item, (*path, key), inside=True)
    elif isinstance(value, (list, tuple)):
        for at, item in enumerate(value):
            index = item.get("index") if isinstance(item, Mapping) else None
            yield from said_in(item, (*path, index if isinstance(index, int) else at), inside=inside)


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except RecursionError:
        return type(value).__name__
