"""Scrub: what is not to be in a cassette is taken out before anything is written, or compared."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llmstack.secrets import MASKED, mask

__all__ = ["KEPT_HEADERS", "Rule", "Scrubber"]

Rule = str | re.Pattern[str] | Callable[[str], str]
"""A JSON field by its name (``"user"``) or the end of its path (``"metadata.email"``), a pattern, or a function from
text to text."""

KEPT_HEADERS = frozenset({"content-type", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry"})
"""The headers of answers that are kept. No header of a request is."""


_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")
"""Lines as a stream of events has them: other breaks, such as U+2028, may stand inside of one."""


class Scrubber:
    """Takes secrets, chosen fields and chosen texts out.

    Attributes:
        headers: The names of the headers of answers that are kept, in lower case.
    """

    def __init__(self, rules: Iterable[Rule] = (), headers: Iterable[str] = ()) -> None:
        """Take the rules.

        Args:
            rules: Fields, patterns and functions.
            headers: More headers to keep.

        Raises:
            TypeError: If a rule is of another kind.
        """
        self.headers = KEPT_HEADERS | {name.lower() for name in headers}
        self._paths: list[tuple[str, ...]] = []
        self._texts: list[Callable[[str], str]] = [mask]
        for rule in rules:
            if isinstance(rule, str):
                self._paths.append(tuple(rule.split(".")))
            elif isinstance(rule, re.Pattern):
                self._texts.append(_covering(rule))
            elif callable(rule):
                self._texts.append(rule)
            else:
                message = f"scrub takes names of fields, patterns and functions of a text, not a {type(rule).__name__}"
                raise TypeError(message)

    def text(self, text: str) -> str:
        """A text without what the rules and `llmstack.secrets` know."""
        for scrubbed in self._texts:
            text = scrubbed(text)
        return text

    def json(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """A JSON value, scrubbed: a copy."""
        if any(path[-len(name) :] == name for name in self._paths if path):
            return MASKED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(key): self.json(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.json(item, path) for item in value]
        return value

    def kept(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of an answer that are kept, in order of their names."""
        return {name: self.text(headers[name]) for name in sorted(self.headers) if name in headers}

    def content(self, content: bytes, *, stream: bool) -> bytes:
        """A body, or the bytes of a stream; what is neither JSON nor text is left as it is."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return content
        if stream:
            return "".join(self._line(line) for line in _LINES.findall(text)).encode()
        return self._document(text).encode("utf-8", "surrogatepass")

    def _line(self, line: str) -> str:
        """A line of a stream of events."""
        plain = line.rstrip("\r\n")
        name, colon, data = plain.partition(":")
        if name != "data":
            return self.text(plain) + line[len(plain) :]
        space = " " if data.startswith(" ") else ""
        return f"{name}{colon}{space}{self._document(data[len(space) :])}{line[len(plain) :]}"

    def _document(self, text: str) -> str:
        """A JSON text, changed only if it must be; or any other text."""
        try:
            value = json.loads(text)
        except ValueError:
            return self.text(text)
        scrubbed = self.json(value)
        return text if scrubbed == value else json.dumps(scrubbed, separators=(",", ":"))


def _covering(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: pattern.sub(MASKED, text)
