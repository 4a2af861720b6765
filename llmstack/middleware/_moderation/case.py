"""A case: all that is judged about one call, told to whoever listens, and refused if it must be."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from openai import APITimeoutError

from llmstack import Call, Flow, Next
from llmstack.effects import emit, monotonic
from llmstack.errors import ModerationError, ModerationUnavailableError
from llmstack.events import ContentModerated
from llmstack.middleware._moderation.content import Content
from llmstack.middleware._moderation.event import ModerationUnavailable
from llmstack.middleware._moderation.judge import Inquiry, Judge
from llmstack.middleware._moderation.statistics import Tally
from llmstack.middleware._moderation.verdict import Finding, Subject, Verdict, merged

__all__ = ["Case", "Conduct", "Warned"]

_log = logging.getLogger("llmstack")
_PAUSE = 60.0


class Warned:
    """When the log was last warned: once a minute is enough."""

    def __init__(self) -> None:
        """Nobody has been warned yet."""
        self._lock = threading.Lock()
        self._last: float | None = None

    def due(self, now: float) -> bool:
        """Whether to warn; then not again for a minute."""
        with self._lock:
            if self._last is not None and now - self._last < _PAUSE:
                return False
            self._last = now
            return True


@dataclass(frozen=True, slots=True)
class Conduct:
    """What follows from a verdict, or from there being none.

    Attributes:
        name: The plugin's name.
        refuse: True if what is flagged may not pass.
        closed: True if what could not be judged may not pass.
        tally: Counts it all.
        warned: When the log was last warned.
    """

    name: str
    refuse: bool
    closed: bool
    tally: Tally
    warned: Warned


class Case:
    """One call before the judge."""

    def __init__(self, call: Call, next: Next, judge: Judge, conduct: Conduct) -> None:
        """Take the case of a call; requests for verdicts go by `next`."""
        self.call = call
        self.judge = judge
        self._next = next
        self._conduct = conduct
        self._notes: dict[str, Any] = {}

    def begin(self, content: Content) -> Flow[Inquiry]:
        """Judge as far as that can be done without asking anybody."""
        return self.judge.begin(content, (yield from monotonic()), self.call.base_url)

    def ask(self, inquiry: Inquiry) -> Flow[None]:
        """Ask whoever is still to be asked; after an attempt that brought no verdict, once more."""
        if inquiry.failed and not inquiry.passed:
            inquiry.renew((yield from self.begin(inquiry.content)))
        if not (inquiry.flagged and self._conduct.refuse):
            yield from self.judge.ask(inquiry, self.call, self._next)

    def conclude(self, subject: Subject, inquiry: Inquiry, *, quiet: bool = False) -> Flow[None]:
        """Tell what was found, and refuse what may not pass.

        Args:
            subject: What was judged.
            inquiry: With what outcome.
            quiet: True if only what matters is told, since there will be more findings.

        Raises:
            ModerationError: If it is flagged, and so is refused.
            ModerationUnavailableError: If it could not be judged, and so is refused.
            openai.APITimeoutError: If the deadline of the call has passed over it.
        """
        try:
            if not quiet or inquiry.flagged:
                yield from self.tell(subject, inquiry.findings, refuse=self._conduct.refuse)
            if inquiry.flagged and self._conduct.refuse:
                raise self.refusal(subject, inquiry.findings)
            if inquiry.failure is not None:
                inquiry.failed = True
                yield from self._unavailable(subject, inquiry.failure)
            inquiry.passed = True
        finally:
            inquiry.failure = None  # its traceback holds this frame

    def hear(self, subject: Subject, content: Content) -> Flow[None]:
        """Judge, tell and refuse, all in one."""
        if content:
            inquiry = yield from self.begin(content)
            yield from self.ask(inquiry)
            yield from self.conclude(subject, inquiry)

    def tell(self, subject: Subject, findings: Iterable[Finding], *, refuse: bool) -> Flow[None]:
        """Tell the observers, and whoever reads the call's notes."""
        flagged: list[Verdict] = []
        for finding in findings:
            verdict = finding.verdict
            self._conduct.tally.found(finding)
            if verdict.flagged:
                flagged.append(verdict)
            yield from emit(
                ContentModerated(
                    call=self.call.info,
                    subject=subject,
                    flagged=verdict.flagged,
                    blocked=refuse and verdict.flagged,
                    categories=verdict.categories,
                    scores=verdict.scores,
                    source=finding.source,
                    cached=finding.cached,
                    duration=finding.duration,
                )
            )
        if flagged:
            self._note(subject, [*merged(flagged).categories])
            if refuse:
                self._conduct.tally.blocked()

    def refusal(self, subject: Subject, findings: Iterable[Finding]) -> ModerationError:
        """The error for what is flagged."""
        flagged = [finding for finding in findings if finding.verdict.flagged]
        verdict = merged(finding.verdict for finding in flagged)
        source = flagged[0].source
        what = "what was asked" if subject == "input" else "what was answered"
        return ModerationError(
            f"{what} was refused by moderation for {', '.join(verdict.categories)} ({source}); "
            "raise the category's threshold if that is too strict",
            subject=subject,
            categories=verdict.categories,
            scores=verdict.scores,
            source=source,
            call=self.call.info,
            plugin=self._conduct.name,
        )

    def _unavailable(self, subject: Subject, error: Exception) -> Flow[None]:
        passed = not (self._conduct.closed and self._conduct.refuse)
        kind = type(error).__name__
        alert = f"moderation of the {subject} could not be had ({kind}): it was {'let pass' if passed else 'refused'}"
        self._conduct.tally.unavailable()
        self._note(subject, "unavailable")
        yield from emit(
            ModerationUnavailable(call=self.call.info, subject=subject, passed=passed, error=error, alert=alert)
        )
        if self._conduct.warned.due((yield from monotonic())):
            _log.warning("%s; told once a minute at most", alert)
        if passed:
            return
        remaining = self.call.remaining
        if isinstance(error, APITimeoutError) and remaining is not None and remaining <= 0:
            raise error  # it is the call that has no time left
        raise ModerationUnavailableError(
            f"whether the {subject} may pass could not be found out ({kind}), so it may not; "
            'with on_error="open" it would',
            call=self.call.info,
            plugin=self._conduct.name,
        ) from error

    def _note(self, subject: Subject, fact: Any) -> None:
        self._notes[subject] = fact
        self.call.note(moderation=dict(self._notes))
