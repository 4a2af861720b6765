"""Logging: one line for every call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TextIO
from zlib import crc32

import anyio.to_thread

from llmstack import Call, CallInfo, Configurable, Flow, Next, Reply, Stage, hookimpl
from llmstack.background import Background
from llmstack.events import Event
from llmstack.middleware._logging.content import Capture, cleaned
from llmstack.middleware._logging.fields import about, attempt_fields, call_fields, failure, kind_of
from llmstack.middleware._logging.route import CONTENT, ProgramRoute, Route, StreamRoute, Write
from llmstack.middleware._logging.text import told
from llmstack.redaction import redact as redact_common
from llmstack.secrets import mask

__all__ = ["Logging", "attempt_fields", "call_fields"]

_LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARNING": logging.WARNING}


class Logging(Configurable):
    """Logs each finished call at INFO (WARNING if it failed or was refused), its attempts and retries at DEBUG.

    Lines go through structlog if the program configured it, else to the standard library's logger ``llmstack``, which
    is silent until the program configures logging; with `format` they are written here. They are written in the
    background: a log that blocks, fails or is slow is not felt by any call. No content, no header and no key is logged.

    Args:
        format: ``"json"`` or ``"console"`` writes lines in this form to `stream`, whatever logging the program has;
            None leaves them to structlog or `logging`.
        level: With `format`: the least level written, ``"DEBUG"``, ``"INFO"`` (the default) or ``"WARNING"``. Without,
            the program's logging decides.
        stream: With `format`: where lines go; ``"stderr"`` (the default) or ``"stdout"``, looked up at each line, or
            an open text stream.
        sample: Share of the calls logged that went well at the first attempt, 0 to 1; all others are logged always.
        content: ``"redacted"`` or ``"full"`` logs what was sent and answered too, in a line for each attempt; None, the
            default, logs no content. Secrets are masked all the same.
        content_limit: With `content`: characters of text logged at most of each request, and of each answer.
        redact: With `content`: a function that takes private things out of a text; called before the common ones are
            taken out (``"redacted"``), or alone (``"full"``).

    Raises:
        ValueError: If an option is none of these, or goes only with another that was not given.
    """

    name = "logging"
    stage = Stage.WIRE

    def __init__(
        self,
        *,
        format: Literal["json", "console"] | None = None,  # noqa: A002 - the word users look for
        level: str | None = None,
        stream: Literal["stderr", "stdout"] | TextIO | None = None,
        sample: float = 1.0,
        content: Literal["redacted", "full"] | None = None,
        content_limit: int = 10_000,
        redact: Callable[[str], str] | None = None,
    ) -> None:
        self._route = _route(format, level, stream)
        if not 0.0 <= sample <= 1.0:
            raise ValueError(f"sample must be a share from 0 to 1, such as 0.1 for every tenth call, not {sample!r}")
        if content not in (None, "redacted", "full"):
            raise ValueError(f'content must be "redacted" or "full", or be left out, not {content!r}')
        if content_limit < 1:
            raise ValueError(f"content_limit must be at least 1 character, not {content_limit!r}")
        self._sample = sample
        self._limit = content_limit
        self._cleaners = _cleaners(content, redact)
        self._background = Background("llmstack-logging")
        if content is not None:
            # An attribute of this object, not a method of the class: where no content is wanted, there is no layer.
            self.llmstack_call = self._with_content

    @property
    def dropped(self) -> int:
        """Lines lost because more than 10,000 waited to be written."""
        return self._background.dropped

    @property
    def failures(self) -> int:
        """Lines lost because writing them raised; the first time is told to the standard logger ``llmstack``."""
        return self._background.failures

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until all lines so far are written.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            False if they are not written in time.
        """
        return self._background.flush(timeout)

    def close(self) -> None:
        """Wait two seconds at most for the lines so far. The plugin can go on: a stack may be shared."""
        self.flush()

    async def aclose(self) -> None:
        """The same, without holding up the event loop."""
        if not self._background.idle:
            await anyio.to_thread.run_sync(self.flush)

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Log what happened."""
        kind = kind_of(event)
        if kind is None:
            return
        level = kind.level(event)
        if self._route.enabled(level) and (kind.telling(event) or self._sampled(event.call)):
            self._write(self._route.begin(level, kind.name), kind.fields(event))

    def _sampled(self, call: CallInfo) -> bool:
        """Whether a call is in the sample: all lines of a call are, or none."""
        return self._sample >= 1.0 or crc32(call.id.encode()) < self._sample * 2**32

    def _write(self, write: Write, fields: Mapping[str, Any]) -> None:
        self._background.submit(lambda: write(told(fields)))

    # Content ----------------------------------------------------------------------------------------------------

    @hookimpl
    def _with_content(self, call: Call, next: Next) -> Flow[Reply]:
        if not self._route.enabled(logging.INFO):
            return (yield from next(call))
        request = self._captured(lambda capture: capture.request(call.params))
        try:
            reply = yield from next(call)
        except BaseException as error:
            self._tell(call, request, None, failure(error), telling=isinstance(error, Exception))
            raise
        self._tell(call, request, self._captured(lambda capture: capture.answer(reply)), {}, telling=not reply.complete)
        return reply

    def _captured(self, take: Callable[[Capture], Any]) -> Any:
        try:
            return take(Capture(self._limit))
        except Exception as error:  # noqa: BLE001 - whatever the program sends, logging it is not what fails the call
            return f"[cannot be logged: {type(error).__name__}]"

    def _tell(self, call: Call, request: Any, answer: Any, more: Mapping[str, Any], *, telling: bool) -> None:
        if not (telling or self._sampled(call.info)):
            return
        write = self._route.begin(logging.INFO, CONTENT)
        fields = {**about(call.info), "attempt": call.attempts, **more}
        self._background.submit(partial(self._write_content, write, fields, request, answer))

    def _write_content(self, write: Write, fields: Mapping[str, Any], request: Any, answer: Any) -> None:
        line = told(fields)
        line["content.request"] = cleaned(request, self._clean)
        if answer is not None:
            line["content.answer"] = cleaned(answer, self._clean)
        write(line)

    def _clean(self, text: str) -> str:
        for cleaner in self._cleaners:
            text = cleaner(text)
        return text


def _route(
    style: Literal["json", "console"] | None, level: str | None, stream: Literal["stderr", "stdout"] | TextIO | None
) -> Route:
    if style not in (None, "json", "console"):
        raise ValueError(f'format must be "json" or "console", or be left out, not {style!r}')
    if style is None:
        for option, value in (("level", level), ("stream", stream)):
            if value is not None:
                raise ValueError(
                    f'{option} goes with format="json" or "console"; without a format the program\'s own logging '
                    'decides: set it there, such as logging.getLogger("llmstack").setLevel("DEBUG")'
                )
        return ProgramRoute()
    wanted = "INFO" if level is None else level.upper()
    if wanted not in _LEVELS:
        raise ValueError(f"level must be one of {', '.join(_LEVELS)}, not {level!r}")
    if isinstance(stream, str) and stream not in ("stderr", "stdout"):
        raise ValueError(f'stream must be "stderr", "stdout" or an open text stream, not {stream!r}')
    return StreamRoute(style, _LEVELS[wanted], stream or "stderr")


def _cleaners(
    content: Literal["redacted", "full"] | None, redact: Callable[[str], str] | None
) -> tuple[Callable[[str], str], ...]:
    """What each text of content passes. Secrets go first: a redactor may be sent them nowhere."""
    own = () if redact is None else (_Own(redact),)
    return (mask, *own, redact_common) if content == "redacted" else (mask, *own)


class _RedactorError(RuntimeError):
    """The program's redactor failed."""


class _Own:
    """The program's redactor; its errors may quote the text, so only their kind is told."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact

    def __call__(self, text: str) -> str:
        try:
            redacted = self._redact(text)
        except Exception as error:  # noqa: BLE001 - told by its kind
            kind = type(error).__name__
        else:
            if isinstance(redacted, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                return redacted
            kind = f"a {type(redacted).__name__} instead of a text"
        raise _RedactorError(f"the function given as redact= failed ({kind}): the line is not written")
