"""Events: what observers hear. Past tense, frozen, and without content, keys or headers.

An observer implements ``llmstack_event(event)`` and picks what it knows by type; it must ignore what it does not
know, since plugins may publish events of their own (subclasses of `Event`). A `repr` leaves out errors, whose texts may
quote the prompt, and notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from llmstack._core.call_info import CallInfo
from llmstack._core.issue import Issue
from llmstack._core.usage import Usage

Outcome = Literal["ok", "error", "refused", "cancelled", "incomplete"]
"""How something ended: ``ok`` · ``error`` (the provider, the network or a plugin failed) · ``refused`` (a layer said
no) · ``cancelled`` (task cancelled, interrupted) · ``incomplete`` (a stream that stopped early, on either side)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a call.

    Attributes:
        call: The call it happened to.
    """

    call: CallInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Event):
    """A call has entered the stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(Event):
    """A request is about to be sent.

    Attributes:
        number: Which send of this call it is, from 1.
    """

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFinished(Event):
    """A request has ended: answered, failed or abandoned. One for every send.

    Attributes:
        number: Which send of this call it was, from 1.
        outcome: How it ended.
        status: HTTP status, None if there was no answer.
        request_id: The provider's id of the request.
        model: The model that answered.
        usage: Tokens, None if unknown.
        finish_reason: Why the answer ended, as the provider says.
        error: The error, None if there was none. Its text may quote the provider.
        duration: Seconds from sending to the end.
        time_to_first_chunk: Seconds from sending to the first content of a stream, None if there was none.
    """

    number: int
    outcome: Outcome
    status: int | None = None
    request_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    error: BaseException | None = field(default=None, repr=False)
    duration: float = 0.0
    time_to_first_chunk: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(Event):
    """An attempt failed and another will follow.

    Attributes:
        number: Which attempt failed, from 1.
        delay: Seconds until the next one.
        error: Why it failed; None if it brought a reply that was judged not good enough.
    """

    number: int
    delay: float
    error: BaseException | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryStopped(Event):
    """An attempt failed and might have been followed by another, but is not: its error goes to the program.

    Attributes:
        number: Which attempt failed, from 1.
        reason: ``"attempts"`` (there were enough) · ``"budget"`` (the retry budget is spent) · ``"deadline"`` (the
            wait would pass it) · ``"retry_after"`` (the server asks for a longer wait than is obeyed) · ``"circuit"``
            (the circuit breaker has opened).
        error: Why it failed; None if it brought a reply that was judged not good enough.
    """

    number: int
    reason: Literal["attempts", "budget", "deadline", "retry_after", "circuit"]
    error: BaseException | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened(Event):
    """So many calls to a host and model have failed that none is sent there for a while.

    Attributes:
        retry_after: Seconds until one is tried again.
        failures: How many of the last calls failed.
        calls: How many those were.
    """

    retry_after: float
    failures: int
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitClosed(Event):
    """A trial call to a host and model succeeded: calls are sent there again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuesFound(Event):
    """A call has passed although something is wrong with it.

    Attributes:
        issues: What is wrong.
    """

    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentModerated(Event):
    """What was asked, or answered, has been judged.

    Attributes:
        subject: ``"input"`` or ``"output"``.
        flagged: True if a category is over its threshold.
        blocked: True if it was not let pass.
        categories: The categories over their threshold.
        scores: Score by category, 0 to 1, as far as there are any.
        source: Who said so: ``"terms"``, ``"openai"``, ``"azure"`` or the name of a checker.
        cached: True if the verdict was known from before.
        duration: Seconds that it took.
    """

    subject: Literal["input", "output"]
    flagged: bool
    blocked: bool
    categories: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    source: str = ""
    cached: bool = False
    duration: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(Event):
    """A call has ended. Exactly one for every call, whatever its end.

    Attributes:
        outcome: How it ended.
        status: HTTP status of the reply given to the program, None if there was none.
        request_id: The provider's id of the request that answered.
        model: The model that answered.
        usage: Tokens of the reply, None if unknown.
        cost: US dollars, None if no plugin knows the price.
        attempts: Requests sent; 0 for a cache hit or a refused call.
        cached: True if the reply did not come from the provider.
        finish_reason: Why the answer ended, as the provider says.
        error: What was raised to the program, None if nothing was.
        duration: Seconds from entering the stack to the end, including the time the program took to read a stream.
        time_to_first_chunk: Seconds until the first content of a stream, None if it was not streamed.
        notes: Facts that plugins added with `call.note(...)`.
    """

    outcome: Outcome
    status: int | None = None
    request_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    cost: Decimal | None = None
    attempts: int = 0
    cached: bool = False
    finish_reason: str | None = None
    error: BaseException | None = field(default=None, repr=False)
    duration: float = 0.0
    time_to_first_chunk: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict, repr=False)
