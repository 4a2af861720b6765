"""Retry: send again what failed for a passing reason."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import tenacity
from openai import APIConnectionError, APIError, APIStatusError

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Next
from llmstack._core.order import Stage
from llmstack._core.reply import Reply
from llmstack.effects import emit, monotonic, sleep
from llmstack.events import RetryScheduled
from llmstack.hookspecs import hookimpl

MAX_RETRY_AFTER = 120.0
"""Seconds of a server's Retry-After that are obeyed; a longer one is an error at once, as in the SDK."""

_STATUSES = frozenset({408, 409, 429})
_TERMINAL_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


class Retry:
    """Sends a call again when it failed for a passing reason: connection errors, time-outs, 408, 409, 429, 5xx.

    The SDK's own retries are off for calls that pass here: N attempts are N requests. A stream is sent again until
    its first content has reached the program, never after. A wait that would pass the call's ``deadline`` option is not
    begun: the error is raised then.

    Args:
        attempts: Requests at most, the first included; a ``max_retries`` other than the SDK's default (2), given to
            the client or by ``with_options``, goes before it.
        wait: A tenacity wait, for when the server does not say; the default is 0.5 s doubled each time up to 8 s,
            full jitter.

    Raises:
        ValueError: If attempts is less than 1.
    """

    name = "retry"
    stage = Stage.RETRY

    def __init__(self, attempts: int = 3, wait: Callable[[tenacity.RetryCallState], float] | None = None) -> None:
        if attempts < 1:
            message = f"attempts must be at least 1 (the first request counts), not {attempts}"
            raise ValueError(message)
        self.attempts = attempts
        self.wait = wait or tenacity.wait_random_exponential(multiplier=0.5, max=8)

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass the call on, again and again as long as that makes sense."""
        attempts = self.attempts if call.max_retries is None else call.max_retries + 1
        policy = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(attempts),
            wait=self._delay,
            retry=tenacity.retry_if_exception(lambda error: self._worth_another(error, call)),
            reraise=True,
        )
        inner = call.replace(max_retries=0)
        started = yield from monotonic()
        state = tenacity.RetryCallState(policy, None, (), {})
        while True:
            # tenacity keeps its statistics per thread, and a stream may be read by another one than opened it.
            policy.begin()
            action = policy.iter(state)
            if isinstance(action, tenacity.DoAttempt):
                try:
                    state.set_result((yield from next(inner)))
                except Exception:  # noqa: BLE001 - tenacity judges it and raises it again
                    state.set_exception(sys.exc_info())  # type: ignore[arg-type]
            elif isinstance(action, tenacity.DoSleep):
                error = state.outcome.exception() if state.outcome else None
                spent = (yield from monotonic()) - started
                if error is not None and call.options.deadline is not None and spent + action > call.options.deadline:
                    raise error
                if error is not None:
                    number = state.attempt_number
                    yield from emit(RetryScheduled(call=call.info, number=number, delay=float(action), error=error))
                state.prepare_for_next_attempt()
                yield from sleep(float(action))
            else:
                reply: Reply = action
                return reply

    def _worth_another(self, error: BaseException, call: Call) -> bool:
        if call.committed or not call.replayable or not isinstance(error, APIError):
            return False
        if isinstance(error, APIConnectionError):
            return True
        if isinstance(error, APIStatusError):
            return _status_is_passing(error)
        # An error event in a stream, before any content.
        return error.code not in _TERMINAL_CODES

    def _delay(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        hint = retry_after(error) if isinstance(error, APIStatusError) else None
        return self.wait(state) if hint is None else hint


def _status_is_passing(error: APIStatusError) -> bool:
    if error.code in _TERMINAL_CODES:
        return False
    if (retry_after(error) or 0.0) > MAX_RETRY_AFTER:
        return False
    said = error.response.headers.get("x-should-retry")
    if said in ("true", "false"):
        return bool(said == "true")
    return error.status_code in _STATUSES or error.status_code >= 500  # noqa: PLR2004 - server errors


def retry_after(error: APIStatusError) -> float | None:
    """Seconds that the server asks to wait, by ``retry-after-ms`` or else ``retry-after``; None if not usable."""
    headers: Any = error.response.headers
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / divisor
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds > 0:
            return seconds
    return None
