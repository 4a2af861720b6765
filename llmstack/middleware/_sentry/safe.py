"""Safe: what may be told of an error whose text may quote the prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from openai import APIError, APIStatusError

from llmstack.errors import StackError
from llmstack.secrets import mask

__all__ = ["WITHHELD", "code", "facts", "filter_results", "inner_code", "short", "text"]

_LONGEST = 200
"""Characters of a value that is no content: programs let others choose models, and servers send what they like."""

_GUARD = 4096
"""Characters looked at beyond the cut, so that what straddles it is still known for a secret."""

WITHHELD = "[text withheld]"

_FIXED = ("Connection error.", "Request timed out.")
"""The SDK's own words."""

_NETWORK = {(library, kind) for library in ("httpx2", "httpcore2") for kind in ("NetworkError", "TimeoutException")}

# What providers put into code, type and param, and Azure into categories: words, not sentences.
_WORD = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_MOST = 32


def text(error: BaseException) -> str:
    """A text of the error that holds no content.

    Of a provider's error it is status, code, type and param, of the system's its number and name, of our own its
    message; of any other nothing.
    """
    if isinstance(error, StackError):
        return mask(error.message)
    said = facts(error)
    if said:
        return mask(" ".join(f"{name}={value}" for name, value in said.items()))
    if isinstance(error, OSError) and error.errno is not None:
        return mask(f"[Errno {error.errno}] {error.strerror}")
    shown = str(error)
    return mask(shown) if not shown or shown in _FIXED or _of_network(error) else WITHHELD


def _of_network(error: BaseException) -> bool:
    """Whether the HTTP library repeats what the system told it; its errors of protocol quote the server instead."""
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    return bool(kinds & _NETWORK)


def facts(error: BaseException | None) -> dict[str, Any]:
    """Status, code, type and param of a provider's error; empty for any other."""
    if not isinstance(error, APIError):
        return {}
    found: dict[str, Any] = {"status": error.status_code if isinstance(error, APIStatusError) else None}
    found |= {name: _word(getattr(error, name, None)) for name in ("code", "type", "param")}
    return {name: value for name, value in found.items() if value is not None}


def code(error: BaseException | None) -> str:
    """The provider's error code, else the kind of the error."""
    return facts(error).get("code") or type(error).__name__


def filter_results(error: BaseException | None) -> dict[str, dict[str, Any]]:
    """What Azure's content filter found, by category: filtered, detected and severity only.

    Source: Azure OpenAI's reference, "Content filtering", ``innererror.content_filter_result``.
    """
    inner = _inner(error)
    results = inner.get("content_filter_result") or inner.get("content_filter_results")
    found: dict[str, dict[str, Any]] = {}
    for category, result in list(results.items())[:_MOST] if isinstance(results, Mapping) else ():
        if _word(category) is None or not isinstance(result, Mapping):
            continue
        flags = {name: result[name] for name in ("filtered", "detected") if isinstance(result.get(name), bool)}
        severity = _word(result.get("severity"))
        found[category] = {**flags, **({"severity": severity} if severity else {})}
    return found


def inner_code(error: BaseException | None) -> str | None:
    """Azure's inner error, such as ``ResponsibleAIPolicyViolation``."""
    return _word(_inner(error).get("code"))


def short(value: Any, limit: int = _LONGEST) -> Any:
    """A copy with every text masked and cut."""
    if isinstance(value, str):
        if len(value) <= limit:
            return mask(value)
        head = value[: limit + _GUARD]
        done = mask(head)
        if len(head) < len(value):  # what was cut in two at the end of `head` could not be known for what it is
            done = done[: max(0, len(done) - _GUARD)]
        return done[:limit] + "..."
    if value is None or isinstance(value, (int, float)):  # before the question for a Mapping, which takes long
        return value
    if isinstance(value, Mapping):
        return {short(name, limit): short(item, limit) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(item, limit) for item in value]
    return value


def _inner(error: BaseException | None) -> Mapping[str, Any]:
    # The SDK keeps what is under "error"; a proxy may have wrapped it once more.
    body: Any = getattr(error, "body", None)
    for name in ("error", "innererror"):
        if isinstance(body, Mapping) and isinstance(body.get(name), Mapping):
            body = body[name]
        elif name == "innererror":
            return {}
    return body if isinstance(body, Mapping) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None
