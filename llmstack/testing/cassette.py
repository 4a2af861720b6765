"""Cassettes: calls recorded once, and replayed from then on.

with Cassette("cassettes/greeting.yaml"):
client.chat.completions.create(...)     # sent the first time, replayed ever after
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from llmstack._core.call import Call
from llmstack._core.effects import Flow
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming, Transport
from llmstack.testing._cassette.difference import canonical, nearest
from llmstack.testing._cassette.entry import Answered, Asked, Entry
from llmstack.testing._cassette.error import CassetteError
from llmstack.testing._cassette.playing import played
from llmstack.testing._cassette.recording import asked_of, recorded
from llmstack.testing._cassette.scrub import Rule, Scrubber
from llmstack.testing._cassette.text import read, written
from llmstack.transports.openai import OpenAITransport

__all__ = ["Cassette", "CassetteError", "Mode"]

Mode = Literal["none", "once", "new", "all"]
"""What is recorded: nothing (what is not there is an error), everything if there is no file yet (and else nothing),
what is not there yet, everything anew."""

_MOST_TOLD = 8
"""Differences told in an error."""


class Cassette:
    """A file of recorded calls, to be replayed in tests without network.

    As a context manager it takes all calls that leave the process through llmstack's clients while the block runs; as
    a transport, ``Stack([...], transport=Cassette(file))``, those of one stack. Both sync and async, plain and
    streamed; whatever plugins there are see recorded answers as they see real ones.

    A call is answered by the first recorded one, not played yet, of the same endpoint, path, query and body. Keys and
    headers of requests are never written; see `scrub`.

    Args:
        file: The file, YAML.
        mode: What is recorded: ``"once"``, ``"none"``, ``"new"`` or ``"all"``.
        scrub: What else is taken out of bodies before they are written, or compared: names of JSON fields
            (``"user"``, ``"metadata.email"``), compiled patterns, and functions from text to text, such as
            `llmstack.redaction.redact`.
        headers: More headers of answers to keep, beside ``content-type``, ``x-request-id`` and what retries need.
        inner: Where calls are sent to be recorded, as a transport; None for the connection of the client.

    Raises:
        ValueError: If there is no such mode.
        TypeError: If a rule of `scrub` is none.
    """

    name = "cassette"

    def __init__(
        self,
        file: str | PathLike[str],
        *,
        mode: Mode = "once",
        scrub: Iterable[Rule] = (),
        headers: Iterable[str] = (),
        inner: Transport | None = None,
    ) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"mode must be one of {', '.join(get_args(Mode))}, not {mode!r}")
        if isinstance(scrub, str):
            raise TypeError(f'scrub must be a list, such as ["{scrub}"], not one text')
        self.file = Path(file)
        self.mode = mode
        self._scrubber = Scrubber(scrub, headers)
        self._inner = inner
        self._lock = threading.Lock()
        self._entries: list[Entry | None] = []
        self._waiting: dict[str, list[int]] = {}
        self._loaded = False
        self._changed = False
        self._recording = False

    def __repr__(self) -> str:
        """File and mode."""
        return f"Cassette({str(self.file)!r}, mode={self.mode!r})"

    # What it holds ----------------------------------------------------------------------------------------------

    @property
    def recording(self) -> bool:
        """True if a call that is not there would be sent, and recorded."""
        with self._lock:
            self._load()
        return self._recording

    @property
    def calls(self) -> int:
        """How many calls it holds."""
        with self._lock:
            self._load()
            return len(self._entries)

    @property
    def unplayed(self) -> int:
        """How many recorded calls have not been played."""
        with self._lock:
            self._load()
            return sum(len(numbers) for numbers in self._waiting.values())

    # As a context manager ---------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Take all calls from here on.

        Raises:
            CassetteError: If the file cannot be read.
            ImportError: If PyYAML is not installed.
        """
        with self._lock:
            self._load()
        _insert(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more calls, and write down what was recorded."""
        _eject(self)
        self.close()

    # As a transport ---------------------------------------------------------------------------------------------

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Answer from the file, or send and record; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            CassetteError: If the call is not in the file, and not to be recorded.
            openai.APIError: What the SDK raises for this answer.
        """
        return (yield from self.through(call, self._inner or _DIRECT))

    def close(self) -> None:
        """Write down what was recorded. May be called again.

        Raises:
            OSError: If it cannot be written.
        """
        with self._lock:
            if not self._changed:
                return
            self._changed = False
            text = written(entry for entry in self._entries if entry is not None)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.file.with_name(f".{self.file.name}.{os.getpid()}")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self.file)

    # Inside -----------------------------------------------------------------------------------------------------

    def through(self, call: Call, inner: Any) -> Flow[Reply | Incoming]:
        """Answer from the file, or by what is inside."""
        asked = asked_of(call, self._scrubber)
        with self._lock:
            self._load()
            entry = self._taken(asked)
            number = len(self._entries)
            if entry is None and self._recording:
                self._entries.append(None)  # its place, in the order of the requests
        if entry is not None:
            return (yield from played(call, entry.answered, str(self.file)))
        if not self._recording:
            raise self._missing(call, asked)

        def done(answered: Answered) -> None:
            with self._lock:
                self._entries[number] = Entry(asked, answered)
                self._changed = True

        return (yield from recorded(call, inner.send, done, self._scrubber))

    def _load(self) -> None:
        if self._loaded:
            return
        there = self.file.exists()
        if there and self.mode != "all":
            try:
                entries = read(self.file.read_text(encoding="utf-8"))
            except (ValueError, OSError) as error:
                what = error.strerror if isinstance(error, OSError) else error
                raise CassetteError(f"{self.file} is no cassette: {what}", file=str(self.file)) from error
            for number, entry in enumerate(entries):
                self._waiting.setdefault(canonical(entry.asked), []).append(number)
            self._entries.extend(entries)
        self._recording = self.mode in ("new", "all") or (self.mode == "once" and not there)
        self._loaded = True

    def _taken(self, asked: Asked) -> Entry | None:
        numbers = self._waiting.get(canonical(asked))
        return self._entries[numbers.pop(0)] if numbers else None

    def _missing(self, call: Call, asked: Asked) -> CassetteError:
        entries = [entry for entry in self._entries if entry is not None]
        found = nearest(asked, entries)
        different: list[str] = []
        if not entries:
            what = "is empty" if self.file.exists() else "does not exist"
            message = f"{self.file} {what}, and mode {self.mode!r} records nothing"
        elif found is None:
            known = ", ".join(sorted({entry.asked.endpoint for entry in entries}))
            message = f"{self.file} has no call of this endpoint, only of: {known}"
        elif not found[1]:
            count = sum(canonical(entry.asked) == canonical(asked) for entry in entries)
            message = f"{self.file} has this call {count} time(s), and each has been played: this is one more"
        else:
            number, different = found
            more = len(different) - _MOST_TOLD
            listed = "".join(f"\n  - {line}" for line in different[:_MOST_TOLD])
            rest = f"\n  - and {more} more" if more > 0 else ""
            message = f"{self.file} does not have this call; the nearest, number {number}, differs in{listed}{rest}\n"
        message += "; " if not message.endswith("\n") else ""
        message += 'to record it, use mode "new" (pytest --llm-cassette=new)'
        return CassetteError(message, file=str(self.file), differences=different, call=call.info)


# Where calls leave the process ----------------------------------------------------------------------------------------

_original = OpenAITransport.send
_inserted: list[Cassette] = []
_change = threading.Lock()


class _Direct:
    """The client's own connection, past any cassette."""

    def __init__(self, transport: OpenAITransport) -> None:
        self._transport = transport

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        return _original(self._transport, call)


_DIRECT = _Direct(OpenAITransport())


def _taken_in(transport: OpenAITransport, call: Call) -> Flow[Reply | Incoming]:
    """In the place of `OpenAITransport.send` while a cassette is in."""
    direct = _Direct(transport)
    cassette = _inserted[-1] if _inserted else None
    return (yield from direct.send(call) if cassette is None else cassette.through(call, direct))


def _insert(cassette: Cassette) -> None:
    with _change:
        _inserted.append(cassette)
        OpenAITransport.send = _taken_in  # type: ignore[method-assign, assignment]


def _eject(cassette: Cassette) -> None:
    with _change:
        _inserted.remove(cassette)
        if not _inserted:
            OpenAITransport.send = _original  # type: ignore[method-assign]
