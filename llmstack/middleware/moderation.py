"""Moderation: what may be asked, and what may be answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

import httpx2
import openai

from llmstack import Call, Configurable, Flow, Next, Reply, Seconds, Stage, hookimpl
from llmstack.effects import parallel
from llmstack.errors import StackError
from llmstack.middleware._moderation.answer import answered, events_of, has_answer
from llmstack.middleware._moderation.azure import azure_error, azure_verdicts
from llmstack.middleware._moderation.cache import KnownVerdicts
from llmstack.middleware._moderation.case import Case, Conduct, Warned
from llmstack.middleware._moderation.checker import Checker
from llmstack.middleware._moderation.event import ModerationUnavailable
from llmstack.middleware._moderation.judge import Inquiry, Judge
from llmstack.middleware._moderation.question import asked, can_ask
from llmstack.middleware._moderation.setting import check_choices, check_numbers, check_thresholds, checkers_of
from llmstack.middleware._moderation.statistics import ModerationStatistics, Tally
from llmstack.middleware._moderation.stream import Gate, Listener, Window, WindowFindings
from llmstack.middleware._moderation.term import Terms
from llmstack.middleware._moderation.verdict import Finding, Subject, Verdict, merged

__all__ = ["Checker", "Moderation", "ModerationStatistics", "ModerationUnavailable", "Verdict"]


class Moderation(Configurable):
    """Refuses calls and answers that blocked terms, the moderation endpoint or checkers of the program's own object to.

    Args:
        input: Whether what is asked is judged.
        output: Whether what is answered is judged. A stream is then held back, as `window` says.
        thresholds: Score, 0 to 1, from which on a category is flagged, such as ``{"violence": 0.8}``; for categories
            not named the endpoint's own decision holds.
        blocked_terms: Words and phrases that may not occur.
        model: The moderation model.
        mode: ``"before"``: the verdict first, then the call. ``"parallel"``: both at once; the answer is withheld until
            the verdict, and dropped (though paid for) if that is bad.
        on_error: ``"closed"``: what could not be judged is refused; ``"open"``: it passes.
        action: ``"block"`` refuses what is flagged; ``"flag"`` only tells of it, and refuses nothing.
        window: Characters of a streamed answer that are judged and delivered together; None holds back all of it.
        checkers: Judges of the program's own; see `Checker`.
        scope: ``"new"``: what is new since the last answer, without the program's own instructions; ``"all"``: the
            whole conversation.
        endpoint: False if the moderation endpoint is not asked.
        timeout: Seconds for a verdict.
        azure: The least severity (``"low"``, ``"medium"``, ``"high"``) told by Azure's content filter that is refused;
            None if what it tells is only passed on to the observers.
        unreadable: ``"pass"`` or ``"refuse"``: what to do with content that nobody can look into (files, audio,
            tokens).
        cache_size: Verdicts kept; 0 for none.
        cache_ttl: Seconds for which they are kept.

    Raises:
        ValueError: If an option cannot be.
    """

    name = "moderation"
    stage = Stage.MODERATE

    def __init__(  # noqa: PLR0913 - each is an option of its own, all have defaults
        self,
        *,
        input: bool = True,  # noqa: A002 - the word users look for
        output: bool = False,
        thresholds: Mapping[str, float] | None = None,
        blocked_terms: Sequence[str] = (),
        model: str = "omni-moderation-latest",
        mode: Literal["before", "parallel"] = "before",
        on_error: Literal["closed", "open"] = "closed",
        action: Literal["block", "flag"] = "block",
        window: int | None = None,
        checkers: Sequence[Checker] = (),
        scope: Literal["new", "all"] = "new",
        endpoint: bool = True,
        timeout: Seconds = 10.0,
        azure: Literal["low", "medium", "high"] | None = None,
        unreadable: Literal["pass", "refuse"] = "pass",
        cache_size: int = 10_000,
        cache_ttl: Seconds = 3600.0,
    ) -> None:
        check_choices(
            mode=(mode, ("before", "parallel")),
            on_error=(on_error, ("closed", "open")),
            action=(action, ("block", "flag")),
            scope=(scope, ("new", "all")),
            azure=(azure, (None, "low", "medium", "high")),
            unreadable=(unreadable, ("pass", "refuse")),
        )
        check_numbers(window=window, timeout=timeout, cache_size=cache_size, cache_ttl=cache_ttl, output=output)
        judges = checkers_of(checkers)
        limits = check_thresholds(thresholds or {}, model if endpoint else None, judges)
        if isinstance(blocked_terms, str):
            raise ValueError(f'blocked_terms must be a list, such as ["{blocked_terms}"], not one text')  # noqa: TRY004
        self._input = input
        self._output = output
        self._parallel = mode == "parallel"
        self._refuses = action == "block"
        self._window = window
        self._scope: Literal["new", "all"] = scope
        self._azure = azure
        self._tally = Tally()
        self._conduct = Conduct(self.name, self._refuses, on_error == "closed", self._tally, Warned())
        known = KnownVerdicts(cache_size, cache_ttl)
        strict = unreadable == "refuse"
        terms = Terms(blocked_terms)
        self._judge = Judge(terms, limits, model if endpoint else None, judges, timeout, known, strict)

    def statistics(self) -> ModerationStatistics:
        """How often what was judged so far, over all calls."""
        return self._tally.read()

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Judge what is asked, pass it on, judge what is answered."""
        if call.options.get("moderation") in ("off", False) or not (can_ask(call) or has_answer(call)):
            return (yield from next(call))
        try:
            return (yield from self._moderated(call, next))
        except Exception as error:
            if self._refuses and (self._output or self._parallel or self._azure is not None):
                call.progress.reply = None
                _withhold(error)
            raise

    def _moderated(self, call: Call, next: Next) -> Flow[Reply]:
        case = Case(call, next, self._judge, self._conduct)
        content = asked(call, self._scope) if self._input else None
        if not content:
            return (yield from self._answer(case, call, next))
        inquiry = yield from case.begin(content)
        if self._parallel and inquiry.open and not (self._refuses and (inquiry.flagged or inquiry.failure)):
            return (yield from self._beside(case, inquiry, call, next))
        yield from case.ask(inquiry)
        yield from case.conclude("input", inquiry)
        return (yield from self._answer(case, call, next))

    def _beside(self, case: Case, inquiry: Inquiry, call: Call, next: Next) -> Flow[Reply]:
        """Ask for the verdict and the answer at once."""

        def verdict() -> Flow[Any]:
            yield from case.ask(inquiry)
            yield from case.conclude("input", inquiry)

        def gated(call: Call) -> Flow[Reply]:
            reply = yield from next(call.with_filter(lambda _: Gate(case, inquiry)))
            if not inquiry.passed:  # a layer further in has answered without sending, and so without a gate
                yield from verdict()
            return reply

        if call.stream:
            return (yield from self._answer(case, call, gated))
        if self._withholds(call):
            call = call.replace(verify=True)
        outcomes: list[Any] = yield from parallel(verdict(), self._sent(case, call, next))
        reply: Reply = outcomes[1]
        yield from self._judged(case, call, reply)
        return reply

    # The answer -------------------------------------------------------------------------------------------------

    def _answer(self, case: Case, call: Call, next: Next) -> Flow[Reply]:
        """Pass the call on, and judge its answer."""
        if self._withholds(call):
            if self._window is not None and call.stream and call.endpoint in _WINDOWED:
                return (yield from self._through_window(case, call, next, self._window))
            # What is no event, such as broken JSON, nobody could judge: it is an error, and not delivered.
            call = call.replace(hold=True, verify=True)
        elif self._output and call.stream and call.endpoint in _WINDOWED:
            # At its end, and no later: when a stream has been closed nothing more can be asked.
            reply = yield from self._sent(case, call.with_filter(lambda _: Listener(case)), next)
            yield from self._judged(case, call, reply, heard=call.committed)
            return reply
        reply = yield from self._sent(case, call, next)
        yield from self._judged(case, call, reply)
        return reply

    def _withholds(self, call: Call) -> bool:
        """Whether the answer to a call may be refused."""
        return self._refuses and (self._output or self._azure is not None) and has_answer(call)

    def _through_window(self, case: Case, call: Call, next: Next, size: int) -> Flow[Reply]:
        """Deliver a stream as far as it has been judged."""
        findings = WindowFindings()
        severity = self._azure
        call = call.with_filter(lambda _: Window(case, size, findings, severity)).replace(verify=True)
        reply = yield from self._sent(case, call, next)
        if call.committed:
            yield from case.tell("output", findings.summary(), refuse=False)
        # Else nothing was delivered through the window: a layer further in may have answered without sending.
        yield from self._judged(case, call, reply, heard=call.committed)
        return reply

    def _sent(self, case: Case, call: Call, next: Next) -> Flow[Reply]:
        """Send; Azure's refusal of a prompt is told, and raised as it is."""
        try:
            return (yield from next(call))
        except Exception as error:
            verdict = azure_error(error)
            if verdict is not None:
                yield from case.tell("input", [Finding("azure", verdict)], refuse=True)
            raise

    def _judged(self, case: Case, call: Call, reply: Reply, *, heard: bool = False) -> Flow[None]:
        yield from self._azure_told(case, call, reply)
        if self._output and has_answer(call) and not heard:
            yield from case.hear("output", answered(call, reply))

    def _azure_told(self, case: Case, call: Call, reply: Reply) -> Flow[None]:
        told: dict[Subject, list[Verdict]] = {}
        # Of a stream each event tells of its own piece; the body made of them has the last word only.
        for body in (reply.body, *(events_of(reply, "content_filter") if call.stream else ())):
            for subject, verdict in azure_verdicts(body, self._azure).items():
                told.setdefault(subject, []).append(verdict)
        for subject, verdicts in told.items():
            verdict = merged(verdicts)
            refuse = self._refuses and self._azure is not None
            findings = [Finding("azure", verdict)]
            yield from case.tell(subject, findings, refuse=refuse)
            if refuse and verdict.flagged:
                raise case.refusal(subject, findings)


def _withhold(error: BaseException | None) -> None:
    """Let no error, of whatever layer, carry out what was withheld, nor one of those that led to it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        if isinstance(error, StackError):
            error.reply = None
        elif isinstance(error, openai.APIResponseValidationError):
            error.body = None
            error.response = httpx2.Response(error.status_code, request=error.response.request)
            error.response.elapsed = timedelta()  # else asking for it raises
        elif isinstance(error, json.JSONDecodeError):
            error.doc = ""
        elif isinstance(error, UnicodeDecodeError):
            error.object = b""
        waiting += [error.__cause__, error.__context__]


_WINDOWED = frozenset({"chat.completions", "completions", "responses"})
"""Endpoints whose streams say text, piece by piece."""
