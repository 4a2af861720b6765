"""Streams: chunks that wait for a verdict, about what was asked or about themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmstack import Flow
from llmstack.middleware._moderation.azure import azure_verdicts
from llmstack.middleware._moderation.case import Case
from llmstack.middleware._moderation.content import Content
from llmstack.middleware._moderation.ear import Channel, Chunk, Ear, Speech
from llmstack.middleware._moderation.judge import Inquiry
from llmstack.middleware._moderation.request import OVERLAP
from llmstack.middleware._moderation.speech import said_in
from llmstack.middleware._moderation.term import word_start
from llmstack.middleware._moderation.verdict import Finding, Verdict, merged

__all__ = ["Gate", "Listener", "Window", "WindowFindings"]

_LONG_WORD = 1_000
"""Characters: no word of a term is as long."""


class Gate:
    """A chunk filter that lets a stream through once what was asked has been found to be in order.

    The verdict is asked for while the request is being sent (`start`).
    """

    def __init__(self, case: Case, inquiry: Inquiry) -> None:
        """Wait for the end of an inquiry."""
        self._case = case
        self._inquiry = inquiry

    def start(self) -> Flow[None]:
        """Find out, unless it was found out for an earlier attempt."""
        if not self._inquiry.passed:
            yield from self._case.ask(self._inquiry)
            yield from self._case.conclude("input", self._inquiry)

    def feed(self, chunk: Chunk) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """Let it through, if it may."""
        return [chunk] if self._inquiry.passed else self._first(chunk)

    def _first(self, chunk: Chunk) -> Flow[Sequence[Chunk]]:
        yield from self.start()
        return [chunk]

    def end(self) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """Nothing is kept back; but a stream without a chunk is judged too."""
        return [] if self._inquiry.passed else self._last()

    def _last(self) -> Flow[Sequence[Chunk]]:
        yield from self.start()
        return []


class Listener:
    """A chunk filter that keeps nothing back, and judges the whole at the end: for programs that refuse nothing."""

    def __init__(self, case: Case) -> None:
        """Listen to one stream."""
        self._case = case
        self._ear = Ear()

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        """Let it through."""
        self._ear.take(chunk)
        return [chunk]

    def end(self) -> Flow[Sequence[Chunk]]:
        """Judge all that was said."""
        texts = tuple(said.all for said in self._ear.speeches.values())
        yield from self._case.hear("output", Content(texts, tuple(self._ear.images)))
        return []


@dataclass(slots=True)
class WindowFindings:
    """What the windows of one stream were found to be, for one summary at its end."""

    findings: dict[str, list[Finding]] = field(default_factory=dict)

    def add(self, inquiry: Inquiry) -> None:
        """Another window has been judged."""
        for finding in inquiry.findings:
            self.findings.setdefault(finding.source, []).append(finding)

    def summary(self) -> list[Finding]:
        """One finding for each source: highest scores, time in all."""
        return [
            Finding(
                source,
                merged(one.verdict for one in found),
                cached=all(one.cached for one in found),
                duration=sum(one.duration for one in found),
            )
            for source, found in self.findings.items()
        ]


class Window:
    """A chunk filter that delivers only what has been judged, so many characters at a time.

    Chunks keep their order. What is judged is the new text together with some of the text before it; and the
    beginning of what may become a blocked term is kept back until it is known not to.
    """

    def __init__(self, case: Case, size: int, findings: WindowFindings, severity: str | None) -> None:
        """Judge each time so many characters have come."""
        self._case = case
        self._size = size
        # Whatever the window, what is no longer than this is seen whole before its end is delivered.
        self._context = max(size, OVERLAP)
        self._findings = findings
        self._severity = severity
        self._ear = Ear()
        self._shown = 0
        self._due = size
        self._waiting: deque[tuple[Chunk, dict[Channel, int]]] = deque()

    def feed(self, chunk: Chunk) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """Keep a chunk back, until it has been judged with those around it."""
        ends = self._ear.take(chunk)
        azure = azure_verdicts(chunk, self._severity) if self._severity is not None else {}
        shows = len(self._ear.images) > self._shown
        if not (ends or shows or self._waiting or any(verdict.flagged for verdict in azure.values())):
            return [chunk]  # it says nothing, and nothing is before it
        self._waiting.append((chunk, ends))
        if any(verdict.flagged for verdict in azure.values()):
            return self._refuse(azure)
        return self._judge(last=False) if shows or self._ear.count >= self._due else []

    def other(self, value: Any) -> Flow[None]:
        """Judge what is no chunk, but reaches who reads line by line: JSON that is no object, or an error."""
        value = value.get("choices") if isinstance(value, Mapping) else value
        yield from self._case.hear("output", Content(tuple(text for _, text in said_in(value, inside=True))))

    def end(self) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """Judge what is left."""
        return self._judge(last=True) if self._waiting else []

    # Judging ----------------------------------------------------------------------------------------------------

    def _judge(self, *, last: bool) -> Flow[Sequence[Chunk]]:
        # What ended in what may be a term, or its beginning, is known only now not to go on.
        fresh = [said for said in self._ear.speeches.values() if said.is_open] if last else []
        fresh += [said for said in self._ear.fresh.values() if said not in fresh]
        images = list(self._ear.images)[self._shown :]
        content = Content(tuple(said.kept for said in fresh), tuple(images), goes_on=not last)
        if content:
            inquiry = yield from self._case.begin(content)
            yield from self._case.ask(inquiry)
            yield from self._case.conclude("output", inquiry, quiet=True)
            self._findings.add(inquiry)
        self._shown += len(images)
        self._ear.rest()
        for said in fresh:
            self._judged(said)
        # What is open is looked at again each time, and nothing is delivered meanwhile: the longer it is the more
        # must have come, or the time would grow with the square of its length.
        self._due = max([self._size, *((said.judged - said.open_from) // 4 for said in fresh)])
        released: list[Chunk] = []
        while self._waiting and (last or self._is_safe(self._waiting[0][1])):
            released.append(self._waiting.popleft()[0])
        return released

    def _judged(self, said: Speech) -> None:
        said.judged = said.length
        said.open_from = said.dropped + self._case.judge.terms.open_from(said.kept)
        # What may still become a term stays in view, however long it has become.
        surplus = min(said.length - self._context, said.open_from) - said.dropped
        # Not in the middle of a word: what is left of "class" must not be another. What is left of one so long is not.
        surplus = word_start(said.kept, surplus, _LONG_WORD) if surplus > 0 else 0
        if surplus > 0:
            said.drop(surplus)

    def _is_safe(self, ends: Mapping[Channel, int]) -> bool:
        return all(
            end <= min(self._ear.speeches[channel].judged, self._ear.speeches[channel].open_from)
            for channel, end in ends.items()
        )

    def _refuse(self, azure: Mapping[Any, Verdict]) -> Flow[Sequence[Chunk]]:
        for subject, verdict in azure.items():
            if verdict.flagged:
                findings = [Finding("azure", verdict)]
                yield from self._case.tell(subject, findings, refuse=True)
                raise self._case.refusal(subject, findings)
        return []
