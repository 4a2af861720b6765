"""The way of a call as lines to read: inward on one line up to where it turned, outward on the next.

    → timing → memo → retry → openai  ✗ 429 RateLimitError  2 ms
                  ↻ 100 ms  → openai  ✓ 200  2 ms
    ← timing ← memo ← retry

A layer that sends again does so on a line of its own, which begins where the call goes in once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rich.console import Console
from rich.text import Text

from llmstack.cli.measure import duration
from llmstack.cli.trace import Step, Trail
from llmstack.events import AttemptFinished

_FURTHEST = 44
"""Column at which a line begins at most, so that a deep stack's retries stay within a terminal's width."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The signs, for terminals that know them; `ASCII` for the others."""

    inward: str = "→"
    outward: str = "←"
    again: str = "↻"
    good: str = "✓"
    bad: str = "✗"
    stopped: str = "■"
    dot: str = "·"


ASCII = Marks(inward=">", outward="<", again="again", good="ok", bad="x", stopped="stop", dot="-")


def marks_for(console: Console) -> Marks:
    """The signs that this console's encoding has."""
    try:
        "→←↻✓✗■·".encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return Marks()


def path(trail: Trail, marks: Marks, width: int | None = None) -> list[Text]:
    """The way of a call, line by line.

    Args:
        trail: The way.
        marks: The signs to draw it with.
        width: Columns there are: what became of the call stands on a line of its own where it does not fit; None for
            as many as it takes.
    """
    lines = list(_Drawing(trail, marks, width).lines())
    for line in lines:
        line.rstrip()
    return lines


@dataclass(slots=True)
class _Drawing:
    trail: Trail
    marks: Marks
    width: int | None = None
    columns: dict[int, int] = field(default_factory=dict)
    sent: int = 0

    def lines(self) -> Iterator[Text]:
        """Cut the steps where the call turns: a leg inward, a leg outward, and so on."""
        steps = self.trail.steps
        start = 0
        for i, (before, step) in enumerate(pairwise(steps), start=1):
            if step.inward != before.inward:
                yield from self._leg(steps[start:i], step)
                start = i
        yield from self._leg(steps[start:], None)

    def _leg(self, leg: Sequence[Step], turn: Step | None) -> Iterator[Text]:
        if not leg:
            return
        if leg[0].inward:
            yield from self._inward(leg, turn)
        elif len(leg) > 1:
            # The first leaving stands at the end of the leg inward.
            yield self._outward(leg)

    def _inward(self, leg: Sequence[Step], turn: Step | None) -> Iterator[Text]:
        line = Text(no_wrap=False)
        if leg[0].kind == "again":
            wait = self._wait()
            line.append(" " * max(0, min(self.columns.get(leg[0].depth, 0), _FURTHEST) - len(wait)))
            line.append(wait, "yellow")
        for step in leg:
            self.columns.setdefault(step.depth, len(line))
            line.append(f"{self.marks.inward} ", "dim").append(f"{step.layer} ", "cyan")
        if turn is None:
            yield line
            return
        verdict = self._verdict(turn)
        if self.width is None or len(line) + 1 + len(verdict) <= self.width:
            yield line.append(" ").append(verdict)
            return
        yield line
        column = min(self.columns[leg[-1].depth] + 2, max(0, self.width - len(verdict)))
        yield Text(" " * column).append(verdict)

    def _wait(self) -> str:
        retry = next((retry for retry in self.trail.retries if retry.number == self.sent), None)
        return f"{self.marks.again} {duration(retry.delay)} " if retry is not None else f"{self.marks.again} "

    def _outward(self, leg: Sequence[Step]) -> Text:
        """Leaving the layers, each under the name it was entered by; a mark where an error became a reply."""
        line = Text()
        for inner, step in reversed(list(pairwise(leg))):
            column = min(self.columns.get(step.depth, 0), _FURTHEST)
            line.append(" " * max(0, column - len(line)))
            style = "red" if step.error else "dim"
            line.append(f"{self.marks.outward} ", style).append(f"{step.layer} ", "red" if step.error else "cyan")
            if step.error != inner.error:
                line.append(self._mark(step.error)).append(" ")
        return line

    def _verdict(self, turn: Step) -> Text:
        if turn.kind == "refusal":
            who = f"{turn.by} refuses" if turn.by else "refuses"
            return Text(f"{self.marks.bad} {who}: nothing is sent", "red")
        if turn.depth == self.trail.depth:
            self.sent += 1
            ended = next((attempt for attempt in self.trail.attempts if attempt.number == self.sent), None)
            return self._mark(turn.error) if ended is None else attempt_text(ended, self.marks)
        if turn.kind == "answer":
            return Text(f"{self.marks.good} answers by itself: nothing is sent", "green")
        return self._mark(turn.error)

    def _mark(self, error: str) -> Text:
        return Text(f"{self.marks.bad} {error}", "red") if error else Text(self.marks.good, "green")


def attempt_text(attempt: AttemptFinished, marks: Marks) -> Text:
    """How one request ended: status, error, time."""
    status = "" if attempt.status is None else f" {attempt.status}"
    time = f"  {duration(attempt.duration)}"
    if attempt.outcome == "ok":
        text = Text(f"{marks.good}{status}", "green")
    elif attempt.outcome in ("incomplete", "cancelled"):
        why = "stopped early" if attempt.outcome == "incomplete" else "cancelled"
        text = Text(f"{marks.stopped}{status} {why}", "yellow")
    else:
        # A status of success and an error all the same: the stream broke.
        broken = attempt.status is not None and attempt.status < 400  # noqa: PLR2004 - client and server errors
        text = Text(f"{marks.bad}{status} {'broke off' if broken else type(attempt.error).__name__}", "red")
    return text.append(time, "dim")
