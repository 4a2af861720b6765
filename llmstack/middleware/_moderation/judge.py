"""The judge: asks all sources about a content, each thing once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, TypeVar

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import monotonic, parallel
from llmstack.errors import CommittedError
from llmstack.middleware._moderation.cache import KnownVerdicts, key_of
from llmstack.middleware._moderation.checker import Checker, checked, name_of
from llmstack.middleware._moderation.content import LOST, Content
from llmstack.middleware._moderation.request import batches, chunks, moderation_call, verdicts_of
from llmstack.middleware._moderation.term import Terms
from llmstack.middleware._moderation.verdict import CLEAN, Finding, Verdict, merged, under

__all__ = ["Inquiry", "Judge"]

T = TypeVar("T")

AT_ONCE = 8
"""Requests about one content that are under way at the same time."""


class UnreadableContentError(ValueError):
    """There is content that cannot be judged (files, audio, tokens), and the program wants none such to pass."""


@dataclass(slots=True)
class Inquiry:
    """What is asked about one content, and what has been found so far.

    Attributes:
        content: What is judged.
        findings: What has been found.
        failure: Why a verdict could not be had; None if all could.
        texts: Pieces of text that the endpoint is still to be asked about, with their keys; as are
        images: Images.
        checkers: Checkers that are still to be asked, with the texts and their keys.
        known: What the endpoint said of the other pieces before.
        passed: True once it has been found to be in order, or is let pass.
        failed: True once it was told that a verdict could not be had.
    """

    content: Content
    findings: list[Finding] = field(default_factory=list)
    failure: Exception | None = None
    texts: dict[bytes, str] = field(default_factory=dict, repr=False)
    images: dict[bytes, str] = field(default_factory=dict, repr=False)
    checkers: list[tuple[Checker, dict[bytes, str], list[Verdict]]] = field(default_factory=list, repr=False)
    known: list[Verdict] = field(default_factory=list)
    passed: bool = False
    failed: bool = False

    @property
    def open(self) -> bool:
        """True if somebody is still to be asked."""
        return bool(self.texts or self.images or self.checkers)

    @property
    def flagged(self) -> bool:
        """True if a source has flagged it."""
        return any(finding.verdict.flagged for finding in self.findings)

    @property
    def verdict(self) -> Verdict:
        """All findings in one."""
        return merged(finding.verdict for finding in self.findings)

    def renew(self, other: Inquiry) -> None:
        """Begin anew, as another inquiry about the same content does."""
        for one in fields(self):
            setattr(self, one.name, getattr(other, one.name))

    def settle(self) -> None:
        """Ask nobody any more."""
        self.texts, self.images, self.checkers = {}, {}, []


@dataclass(frozen=True, slots=True)
class Judge:
    """All sources of verdicts.

    Attributes:
        terms: What may not occur.
        thresholds: Least score that flags, by category.
        model: The moderation model; None if the endpoint is not asked.
        checkers: The program's own judges.
        timeout: Seconds for a verdict.
        known: Verdicts from before.
        strict: True if what cannot be judged may not pass.
    """

    terms: Terms
    thresholds: Mapping[str, float]
    model: str | None
    checkers: tuple[Checker, ...]
    timeout: float
    known: KnownVerdicts
    strict: bool

    def begin(self, content: Content, now: float, where: str) -> Inquiry:
        """Judge as far as that can be done here and now: by the terms, and by what is known.

        Args:
            content: What.
            now: Seconds of the stack's clock.
            where: Where the endpoint is: what another one has said is not known of this one.
        """
        inquiry = Inquiry(content)
        if self.terms.count:
            texts = (*content.texts, *content.spaced)
            found = any(self.terms.find(text, goes_on=content.goes_on) is not None for text in texts)
            verdict = Verdict(flagged=True, categories=("blocked_term",)) if found else CLEAN
            inquiry.findings.append(Finding("terms", verdict))
            if found:
                return inquiry
        unreadable = content.unreadable
        if self.model is not None:
            self._begin_endpoint(inquiry, now, key_of("openai", where, self.model).hex())
            if content.images and self._is_blind:
                unreadable = (*unreadable, "image")
        elif content.images:
            unreadable = (*unreadable, "image")
        for checker in self.checkers:
            self._begin_checker(inquiry, checker, now)
        if unreadable and (self.strict or LOST in unreadable):
            kinds = ", ".join(sorted(set(unreadable)))
            inquiry.failure = UnreadableContentError(f'this cannot be judged: {kinds}; unreadable="pass" lets it pass')
        return inquiry

    @property
    def _is_blind(self) -> bool:
        return self.model is not None and self.model.startswith("text-moderation")

    def _begin_endpoint(self, inquiry: Inquiry, now: float, judge: str) -> None:
        for text in inquiry.content.texts:
            for piece in chunks(text) if text.strip() else ():
                self._look_up(key_of(judge, "text", piece), piece, inquiry.texts, inquiry.known, now)
        for url in () if self._is_blind else inquiry.content.images:
            self._look_up(key_of(judge, "image", url), url, inquiry.images, inquiry.known, now)
        if inquiry.known and not (inquiry.texts or inquiry.images):
            inquiry.findings.append(self._finding("openai", inquiry.known, cached=True))

    def _begin_checker(self, inquiry: Inquiry, checker: Checker, now: float) -> None:
        todo: dict[bytes, str] = {}
        known: list[Verdict] = []
        name, place = name_of(checker), str(self.checkers.index(checker))
        for text in inquiry.content.texts:
            key = key_of("checker", place, name, text)
            if getattr(checker, "cached", True):
                self._look_up(key, text, todo, known, now)
            else:
                todo[key] = text
        if todo:
            inquiry.checkers.append((checker, todo, known))
        elif known:
            inquiry.findings.append(self._finding(name, known, cached=True))

    def _look_up(self, key: bytes, what: str, todo: dict[bytes, str], known: list[Verdict], now: float) -> None:
        verdict = self.known.get(key, now)
        if verdict is None:
            todo[key] = what
        else:
            known.append(verdict)

    def _finding(
        self, source: str, verdicts: Sequence[Verdict], duration: float = 0.0, *, cached: bool = False
    ) -> Finding:
        verdict = merged(under(self.thresholds, said) for said in verdicts)
        return Finding(source, verdict, cached, duration)

    # Asking -----------------------------------------------------------------------------------------------------

    def ask(self, inquiry: Inquiry, call: Call, next: Next) -> Flow[None]:
        """Ask whoever is still to be asked, all at once.

        Args:
            inquiry: About what; it is told all that is found.
            call: On whose behalf.
            next: Where requests go.
        """
        if not inquiry.open:
            return
        flows: list[Flow[Finding | None]] = [self._ask_checker(inquiry, *asked, call) for asked in inquiry.checkers]
        if inquiry.texts or inquiry.images:
            flows.insert(0, self._ask_endpoint(inquiry, call, next))
        for outcome in (yield from _at_once([_caught(flow) for flow in flows])):
            if isinstance(outcome, Finding):
                inquiry.findings.append(outcome)
            elif outcome is not None:
                inquiry.failure = inquiry.failure or outcome
        inquiry.settle()

    # What fails is no reason to forget what another request has brought: one bad verdict is enough.

    def _ask_endpoint(self, inquiry: Inquiry, call: Call, next: Next) -> Flow[Finding | None]:
        started = yield from monotonic()
        deadline = started + self.timeout if call.deadline is None else min(call.deadline, started + self.timeout)
        given = batches(list(inquiry.texts.values()), list(inquiry.images.values()))
        calls = [moderation_call(call, str(self.model), one, deadline) for one in given]
        keys = iter([*inquiry.texts, *inquiry.images])
        verdicts = list(inquiry.known)
        for start in range(0, len(calls), AT_ONCE):
            answers = yield from _at_once([_caught(next(one)) for one in calls[start : start + AT_ONCE]])
            now = yield from monotonic()
            for one, answer in zip(given[start:], answers, strict=False):
                # A list of texts has a verdict for each, one of parts has one for all.
                asked = list(islice(keys, len(one) if isinstance(one[0], str) else 1))
                said = verdicts_of(answer, len(asked)) if isinstance(answer, Reply) else answer
                if isinstance(said, Exception):
                    inquiry.failure = inquiry.failure or said
                    continue
                verdicts += said
                for key, verdict in zip(asked, said, strict=True):
                    self.known.put(key, verdict, now)
        return self._finding("openai", verdicts, (yield from monotonic()) - started) if verdicts else None

    def _ask_checker(
        self, inquiry: Inquiry, checker: Checker, todo: Mapping[bytes, str], known: Sequence[Verdict], call: Call
    ) -> Flow[Finding | None]:
        now = started = yield from monotonic()
        ends = started + self.timeout if call.deadline is None else min(call.deadline, started + self.timeout)
        verdicts = list(known)
        for key, text in todo.items():
            verdict = yield from _caught(checked(checker, text, ends - now))
            now = yield from monotonic()
            if not isinstance(verdict, Verdict):
                inquiry.failure = inquiry.failure or verdict
                continue
            verdicts.append(verdict)
            if getattr(checker, "cached", True):
                self.known.put(key, verdict, now)
        return self._finding(name_of(checker), verdicts, now - started) if verdicts else None


def _at_once(flows: list[Flow[T]]) -> Flow[list[T]]:
    """Run flows at once; one alone needs no thread for that."""
    if len(flows) == 1:
        return [(yield from flows[0])]
    return (yield from parallel(*flows))


def _caught(flow: Flow[Any]) -> Flow[Any]:
    """What a flow finds, or why it does not."""
    try:
        return (yield from flow)
    except CommittedError:  # the program has stopped reading: nothing is to be judged any more
        raise
    except Exception as error:  # noqa: BLE001 - what follows from it is for `on_error` to say
        return error
