"""The attempts of one call, as tenacity counts them and times them."""

from __future__ import annotations

import math
from collections.abc import Callable

import tenacity

from llmstack import Call, Reply

State = tenacity.RetryCallState


class Run:
    """One call's attempts. tenacity is asked what to do after each; what it says to do is done elsewhere.

    Attributes:
        key: Host and model: whose budget and circuit.
        started: When it began, seconds of the stack's clock.
        paid: Tokens that the last retry cost.
        hint: Seconds that the server asked to wait after the last attempt.
        at_once: True if nothing is to be waited for.
        stale: True once a request was lost on a connection that had just been closed.
        rejected: True if the last attempt brought a reply that was judged not good enough.
        failure: Why the last attempt failed, while the next one is waited for.
    """

    def __init__(self, call: Call, started: float, attempts: int, stop: Callable[[State], bool] | None) -> None:
        """Begin with the first attempt.

        Args:
            call: The call.
            started: Seconds of the stack's clock.
            attempts: Requests at most; a number that the program gave for this client or call goes before it,
            stop: and a tenacity stop in place of `attempts`.
        """
        if call.max_retries is not None:
            stop = tenacity.stop_after_attempt(call.max_retries + 1)
        self._stop = stop or tenacity.stop_after_attempt(attempts)
        self.started = started
        self._state: State | None = None
        self.key = (call.host, call.model)
        self.paid = 0
        self.hint: float | None = None
        self.at_once = False
        self.stale = False
        self.rejected = False
        self.failure: Exception | None = None

    def ended(self, outcome: Reply | Exception, now: float) -> State:
        """An attempt has ended.

        Args:
            outcome: With what.
            now: Seconds of the stack's clock, in place of tenacity's own.

        Returns:
            tenacity's state, for predicates.
        """
        state = self._state
        if state is None:  # most calls never get here
            state = self._state = State(tenacity.Retrying(), None, (), {})
            state.start_time = self.started
        if isinstance(outcome, Reply):
            state.set_result(outcome)
        else:
            state.set_exception((type(outcome), outcome, None))
        state.outcome_timestamp = now
        return state

    def delay(self, state: State, wait: Callable[[State], float]) -> float | None:
        """Seconds until another attempt; None if there have been enough."""

        def seconds(state: State) -> float:
            if self.hint is not None:
                return self.hint
            return 0.0 if self.at_once else wait(state)

        policy = tenacity.Retrying(
            stop=self._stop, wait=seconds, retry=tenacity.retry_always, retry_error_callback=lambda _: None
        )
        policy.begin()
        action = policy.iter(state)
        # A wait that says inf or nan means never.
        return max(0.0, action) if isinstance(action, tenacity.DoSleep) and math.isfinite(action) else None

    def next(self) -> None:
        """There will be another attempt."""
        self.hint, self.at_once, self.rejected = None, False, False
        if self._state is not None:
            self._state.prepare_for_next_attempt()

    def forget(self) -> None:
        """Let go of the last outcome: an error holds the frames that hold this."""
        self.failure = None
        if self._state is not None:
            self._state.outcome = None
