"""Where log lines go: structlog or standard logging, as the program has it, or a stream of our own.

A route is asked twice: in the caller's thread, whether anybody would hear a line; and in the background, to write it.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, Protocol, TextIO

import structlog
from structlog.contextvars import get_contextvars

from llmstack.middleware._logging.text import as_text, shown, tidy

logger = logging.getLogger("llmstack")
# A library stays quiet until the program says where logs go.
logger.addHandler(logging.NullHandler())

CONTENT = "llm.content"
"""The line that has content; it goes to a logger of its own, so that it can be told from all others."""
_content_logger = logger.getChild("content")

Write = Callable[[Mapping[str, Any]], object]
"""Writes a line with these fields; called in the background, in the caller's context."""

_LEVELS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning"}

_RESERVED = frozenset({"event", "level", "timestamp", "exc_info", "exception", "stack", "stack_info"})
"""Names with a meaning of their own in structlog's renderers."""


class Route(Protocol):
    """Somewhere log lines go."""

    def enabled(self, level: int) -> bool:
        """Whether a line of this level would be heard."""
        ...

    def begin(self, level: int, name: str) -> Write:
        """Begin a line, here and now: its time and its thread are those of this moment."""
        ...


class ProgramRoute:
    """structlog if the program configured it, else the standard library's logger ``llmstack``."""

    def enabled(self, level: int) -> bool:
        """Whether a line of this level would be heard."""
        if not structlog.is_configured():
            return logger.isEnabledFor(level)
        bound = _structlog()
        kind = type(bound)  # whatever is asked of some wrappers themselves, they pass on to what they wrap
        # structlog's own filtering loggers and its wrapper of standard ones each name it so; others filter later.
        ask = getattr(kind, "is_enabled_for", None) or getattr(kind, "isEnabledFor", None)
        return True if ask is None else bool(ask(bound, level))

    def begin(self, level: int, name: str) -> Write:
        """Begin a line for whichever of the two it is now."""
        if name == CONTENT:
            _keep_from_sentry()
        return _through_structlog(level, name) if structlog.is_configured() else _through_logging(level, name)


def _through_logging(level: int, name: str) -> Write:
    to = _content_logger if name == CONTENT else logger
    record = to.makeRecord(to.name, level, __file__, 0, name, (), None, "llmstack_event")

    def write(fields: Mapping[str, Any]) -> None:
        line = {**fields, **_bound(fields)}
        record.msg = as_text(name, line)
        record.llmstack = line
        to.handle(record)

    return write


def _keep_from_sentry() -> None:
    """Content for the log is not content for Sentry, whose logging integration makes breadcrumbs of all lines."""
    integration: Any = sys.modules.get("sentry_sdk.integrations.logging")
    for name in ("ignore_logger", "ignore_logger_for_sentry_logs"):
        ignore = getattr(integration, name, None)
        if ignore is not None:
            ignore(_content_logger.name)


def _structlog(name: str = "llmstack") -> Any:
    """The program's structlog logger."""
    kind = structlog.get_config()["wrapper_class"]
    asynchronous = getattr(structlog.stdlib, "AsyncBoundLogger", None)
    if asynchronous is not None and isinstance(kind, type) and issubclass(kind, asynchronous):
        kind = structlog.stdlib.BoundLogger  # its synchronous form: there is no event loop in the background
    return structlog.wrap_logger(None, wrapper_class=kind, logger_factory_args=(name,)).bind()


def _through_structlog(level: int, name: str) -> Write:
    bound = _structlog(_content_logger.name if name == CONTENT else "llmstack")

    def write(fields: Mapping[str, Any]) -> None:
        # What the program bound is its own: only texts are touched, for its processors may know the rest.
        extra = {
            shown(key): shown(value) if isinstance(value, str) else value
            for key, value in sorted(get_contextvars().items())
            if key not in ("self", "event")
        }
        getattr(bound, _LEVELS[level])(name, **{**extra, **fields})

    return write


class StreamRoute:
    """Lines rendered here, as JSON or for a console, to a stream."""

    def __init__(self, style: Literal["json", "console"], level: int, stream: TextIO | str | None) -> None:
        """Write lines of at least `level` to `stream`: a stream, or ``"stdout"`` or ``"stderr"``."""
        self._style = style
        self._level = level
        self._stream = stream

    def enabled(self, level: int) -> bool:
        """Whether a line of this level would be heard."""
        return level >= self._level

    def begin(self, level: int, name: str) -> Write:
        """Begin a line."""
        now = time.time()

        def write(fields: Mapping[str, Any]) -> None:
            stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            line = {"timestamp": stamp, "level": _LEVELS[level], "event": name, **fields, **_bound(fields)}
            self._print(line)

        return write

    def _print(self, line: dict[str, Any]) -> None:
        # Looked up now: a program, or a test, may have put another in its place.
        stream = getattr(sys, self._stream) if isinstance(self._stream, str) else self._stream
        if stream is None:  # a program without a console
            return
        rendered = _renderer(self._style, self._style == "console" and _coloured(stream))(None, line["level"], line)
        try:
            stream.write(f"{rendered}\n")
        except UnicodeEncodeError:
            stream.write(f"{str(rendered).encode('ascii', 'backslashreplace').decode()}\n")
        stream.flush()


def _bound(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the program bound to the context of the call, for a line that has these fields."""
    bound = get_contextvars()
    if not bound:
        return bound
    return {
        shown(key): tidy(value) for key, value in sorted(bound.items()) if key not in fields and key not in _RESERVED
    }


@lru_cache(maxsize=4)
def _renderer(style: str, colours: bool) -> Callable[..., Any]:  # noqa: FBT001 - a key of the cache
    if style == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=colours, sort_keys=False)


def _coloured(stream: TextIO) -> bool:
    # On Windows structlog's colours need a package that is not ours to ask for.
    return sys.platform != "win32" and not os.environ.get("NO_COLOR") and stream.isatty()
