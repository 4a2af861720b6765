"""Rules: which calls are cached at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from llmstack import Call

__all__ = ["When", "is_deterministic", "is_served", "wanted"]

When = Literal["deterministic", "always"] | Callable[[Call], bool]

_PATHS: Final[Mapping[str, str]] = {
    "chat.completions": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "moderations": "/moderations",
    "responses": "/responses",
}
"""Where each endpoint that is served is asked. The API's name alone would also fit what is done with one stored answer,
such as ``POST /chat/completions/{id}``."""

_SURE: Final = frozenset({"embeddings", "moderations"})


def is_served(call: Call) -> bool:
    """Whether a call is of the kind that can be answered from a cache.

    One that changes something at the provider beside making an answer cannot: a Response in the background, or one
    that continues a stored conversation.
    """
    path = _PATHS.get(call.endpoint)
    if path is None or call.method != "POST" or not call.params:
        return False
    if call.path != path and not call.path.partition("?")[0].rstrip("/").endswith(path):
        return False
    return not (path == "/responses" and (call.params.get("background") or call.params.get("conversation")))


def is_deterministic(call: Call) -> bool:
    """Whether the same question is meant to get the same answer: ``temperature=0``, a ``seed``, or no sampling."""
    if call.endpoint in _SURE:
        return True
    temperature, seed = call.params.get("temperature"), call.params.get("seed")
    return _is_number(seed) or (_is_number(temperature) and temperature == 0)


def wanted(call: Call, when: When) -> bool:
    """Whether the program wants a call cached."""
    if when == "deterministic":
        return is_deterministic(call)
    return when == "always" or bool(when(call))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
