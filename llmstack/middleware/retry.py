"""Retry: send again what failed for a passing reason."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Literal

import tenacity
from openai import APIStatusError, APITimeoutError

from llmstack import Call, Configurable, Flow, Next, Reply, Seconds, Stage, hookimpl
from llmstack.effects import emit, monotonic, now, sleep
from llmstack.errors import CircuitOpenError
from llmstack.events import CircuitClosed, CircuitOpened, RetryScheduled, RetryStopped
from llmstack.middleware._retry.after import retry_after
from llmstack.middleware._retry.budget import Buckets, RetryBudget
from llmstack.middleware._retry.circuit import Change, CircuitBreaker, Circuits
from llmstack.middleware._retry.policy import is_outage, is_passing
from llmstack.middleware._retry.run import Run, State
from llmstack.transports import Delivery, delivery

__all__ = ["MAX_RETRY_AFTER", "CircuitBreaker", "Retry", "RetryBudget", "is_passing", "retry_after"]

MAX_RETRY_AFTER = 120.0
"""Seconds of a server's Retry-After that are obeyed; a longer one is an error at once, as in the SDK."""

Reason = Literal["attempts", "budget", "deadline", "retry_after", "circuit"]


class Retry(Configurable):
    """Sends a call again when it failed for a passing reason: connection errors, time-outs, 408, 409, 429, 5xx.

    The SDK's own retries are off for calls that pass here: N attempts are N requests. A stream is sent again until
    its first content has reached the program, never after. What is raised in the end is the SDK's own error.

    Args:
        attempts: Requests at most, the first included; a ``max_retries`` other than the SDK's default (2), given to
            the client or by ``with_options``, goes before it.
        wait: A tenacity wait, for when the server does not say; the default is 0.5 s doubled each time up to 8 s,
            full jitter.
        deadline: Seconds that a call, all its attempts and the reading of a stream together, may take. The option
            ``deadline`` of a call goes before it.
        budget: What retries are paid for from; None (in a config file: false) for no such limit.
        retry_ambiguous: Whether to send again also where the request may have been executed, and billed, although no
            answer came. A request lost on a kept connection that had just been closed is sent again in any case, once.
        breaker: When to stop asking for a while; None for never.
        stop: A tenacity stop, in place of `attempts`.
        retry: A tenacity retry predicate, in place of the judgement by status, code and kind of error. It may look at
            replies, too. What cannot be sent again (content has been delivered, the body is used up) it is not asked.
        idle_timeout: Seconds that an open stream may be silent. The option ``idle_timeout`` of a call goes before it.
        strict: True if a stream that ends without saying that it is finished is a lost connection.

    Attributes:
        buckets: The retry budget's buckets, by host and model; None without a budget.
        circuits: The circuit breaker's circuits, by host and model; None without a breaker.

    Raises:
        ValueError: If attempts is less than 1, or a number of seconds not more than 0.
    """

    name = "retry"
    stage = Stage.RETRY

    def __init__(  # noqa: PLR0913 - each is an option of its own, all have defaults
        self,
        attempts: int = 3,
        wait: Callable[[tenacity.RetryCallState], float] | None = None,
        deadline: Seconds | None = None,
        budget: RetryBudget | Literal[False] | None = RetryBudget(),  # noqa: B008 - it is immutable
        retry_ambiguous: bool = True,  # noqa: FBT001, FBT002 - given by name
        breaker: CircuitBreaker | None = None,
        *,
        stop: Callable[[tenacity.RetryCallState], bool] | None = None,
        retry: Callable[[tenacity.RetryCallState], bool] | None = None,
        idle_timeout: Seconds | None = None,
        strict: bool = False,
    ) -> None:
        if attempts < 1:
            message = f"attempts must be at least 1 (the first request counts), not {attempts}"
            raise ValueError(message)
        for name, seconds in (("deadline", deadline), ("idle_timeout", idle_timeout)):
            if seconds is not None and not 0 < seconds < math.inf:
                message = f"{name} must be a number of seconds greater than 0, not {seconds}"
                raise ValueError(message)
        for name, given in (("wait", wait), ("stop", stop), ("retry", retry)):
            _check_callable(name, given)
        self.attempts = attempts
        self.wait = wait or tenacity.wait_random_exponential(multiplier=0.5, max=8)
        self.deadline = deadline
        self.budget = budget or None
        self.retry_ambiguous = retry_ambiguous
        self.breaker = breaker
        self.stop = stop
        self.retry = retry
        self.idle_timeout = idle_timeout
        self.strict = strict
        self.buckets = Buckets(budget) if budget else None
        self.circuits = None if breaker is None else Circuits(breaker)

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass the call on, again and again as long as that makes sense."""
        started = yield from monotonic()
        inner = self._inner(call, started)
        run = Run(call, started, self.attempts, self.stop)
        try:
            while True:
                try:
                    reply = yield from self._attempt(inner, next, run)
                except Exception as error:
                    delay = yield from self._delay(error, inner, run)
                    if delay is None:
                        raise
                    run.failure = error
                else:
                    delay = None if self.retry is None else (yield from self._delay(reply, inner, run))
                    if delay is None:
                        if self.buckets is not None and not run.rejected:
                            self.buckets.give(run.key, run.paid)
                        return reply
                yield from sleep(delay)
                yield from self._look_again(inner, run)
        finally:
            run.forget()

    def _inner(self, call: Call, started: float) -> Call:
        changes: dict[str, Any] = {"max_retries": 0, "verify": True}
        if self.deadline is not None and call.deadline is None:
            changes["deadline"] = started + self.deadline
        if self.idle_timeout is not None and call.idle_timeout is None:
            changes["idle_timeout"] = self.idle_timeout
        if self.strict:
            changes["strict"] = True
        return call.replace(**changes)

    # The circuit ------------------------------------------------------------------------------------------------

    def _attempt(self, inner: Call, next: Next, run: Run) -> Flow[Reply]:
        """Send once, as far as the circuit lets it."""
        if self.circuits is None:
            return (yield from next(inner))
        ticket = object()
        wait = self.circuits.enter(run.key, (yield from monotonic()), ticket)
        if wait:
            host, model = run.key
            where = f"{model or inner.endpoint} at {host or 'its host'}"
            message = f"too many calls to {where} have failed: nothing is sent there for another {wait:.1f} s"
            raise CircuitOpenError(message, retry_after=wait, call=inner.info, plugin=self.name)
        unsent = inner.remaining is not None and inner.remaining <= 0
        try:
            reply = yield from next(inner)
        except GeneratorExit:
            self.circuits.leave(run.key, run.started, ticket, failed=None)
            raise
        except BaseException as error:
            # After a cancellation nobody knows how the request would have ended.
            failed = None if unsent or not isinstance(error, Exception) else is_outage(error)
            yield from self._leave(ticket, inner, run, failed=failed)
            raise
        yield from self._leave(ticket, inner, run, failed=False)
        return reply

    def _leave(self, ticket: object, inner: Call, run: Run, *, failed: bool | None) -> Flow[None]:
        if self.circuits is None:
            return
        change = self.circuits.leave(run.key, (yield from monotonic()), ticket, failed=failed)
        if change is not None:
            yield from emit(self._told(change, inner))

    def _look_again(self, inner: Call, run: Run) -> Flow[None]:
        """After a wait: if others have found the service down meanwhile, this call ends with its own failure."""
        failure, run.failure = run.failure, None
        try:
            if self.circuits is None or failure is None:
                return
            if self.circuits.blocked(run.key, (yield from monotonic())):
                yield from emit(RetryStopped(call=inner.info, number=inner.attempts, reason="circuit", error=failure))
                raise failure
        finally:
            del failure  # it holds this frame

    def _told(self, change: Change, call: Call) -> CircuitOpened | CircuitClosed:
        if not change.opened or self.breaker is None:
            return CircuitClosed(call=call.info)
        wait = self.breaker.open_for
        return CircuitOpened(call=call.info, retry_after=wait, failures=change.failures, calls=change.calls)

    # The decision -----------------------------------------------------------------------------------------------

    def _delay(self, outcome: Reply | Exception, inner: Call, run: Run) -> Flow[float | None]:
        """Seconds until another attempt; None if this one's outcome is the program's."""
        if inner.committed or not inner.replayable:
            return None
        state = run.ended(outcome, (yield from monotonic()))
        if not self._worth_another(outcome, state, run):
            return None
        if isinstance(outcome, APIStatusError):
            run.hint = retry_after(outcome.response.headers, (yield from now()))
        delay = run.delay(state, self.wait)
        reason: Reason | None = "attempts" if delay is None else (yield from self._obstacle(outcome, inner, run, delay))
        error = outcome if isinstance(outcome, Exception) else None
        if delay is None or reason is not None:
            yield from emit(
                RetryStopped(call=inner.info, number=inner.attempts, reason=reason or "attempts", error=error)
            )
            return None
        yield from emit(RetryScheduled(call=inner.info, number=inner.attempts, delay=delay, error=error))
        run.next()
        return delay

    def _worth_another(self, outcome: Reply | Exception, state: State, run: Run) -> bool:
        if self.retry is not None:
            again = self.retry(state)
            run.rejected = bool(again) and isinstance(outcome, Reply)
            return again
        if isinstance(outcome, Reply) or not is_passing(outcome, ambiguous=self.retry_ambiguous):
            return False
        if delivery(outcome) is Delivery.STALE:
            # Another connection will do, now. Should that be stale as well, something else is wrong.
            if run.stale and not self.retry_ambiguous:
                return False
            run.at_once = not run.stale
            run.stale = True
        return True

    def _obstacle(self, outcome: Reply | Exception, inner: Call, run: Run, delay: float) -> Flow[Reason | None]:
        """Why there is no other attempt although it would be worth one; None if there is, and then it is paid for."""
        if run.hint is not None and run.hint > MAX_RETRY_AFTER:
            return "retry_after"
        remaining = inner.remaining
        if remaining is not None and remaining <= delay:
            return "deadline"
        if self.circuits is not None and self.circuits.blocked(run.key, (yield from monotonic())) > delay:
            return "circuit"
        if self.buckets is not None:
            paid = self.buckets.take(run.key, timeout=isinstance(outcome, APITimeoutError))
            if not paid:
                return "budget"
            run.paid = paid
        return None


def _check_callable(name: str, given: object) -> None:
    if given is None:
        return
    if not callable(given):
        message = f"{name} must be a tenacity object or another function of its call state, not {given!r}"
        raise TypeError(message)
    if inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(type(given).__call__):
        message = f"{name} must be a plain function, not async: use {name} objects from tenacity, not tenacity.asyncio"
        raise TypeError(message)
