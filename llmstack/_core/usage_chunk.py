"""The usage of a streamed completion: asked for by us, hidden from a program that did not ask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

STREAMS_USAGE_ON_REQUEST = frozenset({"chat.completions", "completions"})
"""Endpoints whose streams tell the usage only if ``stream_options.include_usage`` asks for it; Responses always do."""


def asks_for_usage(params: Mapping[str, Any]) -> bool:
    """True if the program itself wants the usage chunk."""
    options = params.get("stream_options")
    return isinstance(options, Mapping) and bool(options.get("include_usage"))


def asking_for_usage(params: Mapping[str, Any]) -> dict[str, Any]:
    """The ``stream_options`` that ask for it, other options kept."""
    options = params.get("stream_options")
    return {**(options if isinstance(options, Mapping) else {}), "include_usage": True}


_NAME: Final = '"usage"'
_nothing: Final = re.compile(
    r'"usage"\s*:\s*null(?=(?:\s*,\s*"\w+"\s*:\s*(?:"[^"\\]*"|null|true|false|-?[0-9.]+))*\s*\}\s*$)'
).match
"""A usage that says nothing, as each chunk but the last has it. What follows it closes one object and opens none, so it
is the chunk's own."""


class HideUsage:
    """A chunk filter that makes a stream look as if the usage had not been asked for.

    Source: the API reference of ``stream_options``: an extra last chunk with no choices carries the usage, and every
    other chunk has ``usage: null``.
    """

    __slots__ = ()

    def feed(self, chunk: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        """Drop the usage chunk, and the field from all others."""
        if "usage" not in chunk:
            return [chunk]
        if chunk["usage"] is not None and not chunk.get("choices"):
            return []
        return [{name: value for name, value in chunk.items() if name != "usage"}]

    def skim(self, data: str) -> str | None:
        """The text without a usage that says nothing; None if that cannot be told from the text."""
        if "\\" in data and "\\u00" in data:  # a letter of the name may be written so
            return None
        at = data.find(_NAME)
        if at < 0:
            return data
        before = data[:at].rstrip()
        found = _nothing(data, at)
        if found is None or not before.endswith(",") or data.rfind(_NAME) != at:
            return None
        return before[:-1] + data[found.end() :]

    def end(self) -> Sequence[Mapping[str, Any]]:
        """Nothing is kept back."""
        return []
