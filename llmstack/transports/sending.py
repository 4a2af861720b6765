"""What an SDK client needs to send for a transport: past any stack, within a call's deadline, its keys known.

Mixed into the clients of the program, and into those that a transport makes for a place of its own.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import httpx2

from llmstack._core.secret import register
from llmstack._wire.sdk import NoTimeLeft, last_error, secrets_sent
from llmstack.transports.deadline import time_left
from llmstack.transports.handover import Handover
from llmstack.transports.sent import Sent

__all__ = ["AsyncSending", "SyncSending"]

_NOTHING = nullcontext()


class _Sending:
    def _calculate_retry_timeout(self, remaining_retries: int, options: Any, response_headers: Any = None) -> float:
        seconds: float = super()._calculate_retry_timeout(remaining_retries, options, response_headers)  # type: ignore[misc]
        left = time_left(options.timeout)
        if left is not None and seconds >= left:
            raise NoTimeLeft
        return seconds


class SyncSending(_Sending):
    """For the SDK's sync clients."""

    def llmstack_send(self, options: Any, *, stream: bool, before: Handover | Sent | None = None) -> Any:
        """Send a request past the stack, for the transport; gives the raw HTTP response.

        What was sent `before`, and came to no plain answer, is the first attempt.
        """
        with before or _NOTHING:
            return super().request(httpx2.Response, options, stream=stream, stream_cls=None)  # type: ignore[misc]

    def _sleep_for_retry(self, **about: Any) -> None:
        try:
            super()._sleep_for_retry(**about)  # type: ignore[misc]
        except NoTimeLeft as signal:
            error = last_error(self, signal, about["options"], about["response"])
            raise error from error.__cause__ or signal.__context__

    def _send_request(self, request: httpx2.Request, **how: Any) -> Any:
        sent = Sent.take(request)
        return super()._send_request(request, **how) if sent is None else sent.result()  # type: ignore[misc]

    def _prepare_request(self, request: httpx2.Request) -> None:
        super()._prepare_request(request)  # type: ignore[misc]
        register(*secrets_sent(request))


class AsyncSending(_Sending):
    """For the SDK's async clients."""

    async def llmstack_send(self, options: Any, *, stream: bool, before: Handover | Sent | None = None) -> Any:
        """Send a request past the stack, for the transport; gives the raw HTTP response.

        What was sent `before`, and came to no plain answer, is the first attempt.
        """
        with before or _NOTHING:
            return await super().request(httpx2.Response, options, stream=stream, stream_cls=None)  # type: ignore[misc]

    async def _sleep_for_retry(self, **about: Any) -> None:
        try:
            await super()._sleep_for_retry(**about)  # type: ignore[misc]
        except NoTimeLeft as signal:
            error = last_error(self, signal, about["options"], about["response"])
            raise error from error.__cause__ or signal.__context__

    async def _send_request(self, request: httpx2.Request, **how: Any) -> Any:
        sent = Sent.take(request)
        return await super()._send_request(request, **how) if sent is None else sent.result()  # type: ignore[misc]

    async def _prepare_request(self, request: httpx2.Request) -> None:
        await super()._prepare_request(request)  # type: ignore[misc]
        register(*secrets_sent(request))
