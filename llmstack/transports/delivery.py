"""Delivery: what is known of a request that failed. Did the provider get it, and may it be billed?

OpenAI takes no idempotency key, so a request that is sent again after an unclear failure may be executed, and billed,
twice. Whoever sends again, or keeps accounts, asks here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum

import httpx2
from openai import APIConnectionError, APIError, APIResponseValidationError

from llmstack.transports.deadline import Stale

__all__ = ["Delivery", "delivery"]


class Delivery(Enum):
    """What became of a request."""

    NOT_SENT = "not_sent"
    """It never left: no connection, no free slot in the pool, a malformed address."""

    STALE = "stale"
    """It went onto a kept connection that the server had just closed for being idle: all but certainly not seen."""

    UNKNOWN = "unknown"
    """It was sent, and no answer came (or none that can be read): it may have been executed."""

    ANSWERED = "answered"
    """The server answered with an error."""


_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


def delivery(error: BaseException) -> Delivery:
    """Tell what is known of the request behind an error.

    Args:
        error: What a call raised: an error of the SDK's, with the HTTP library's as its cause.

    Returns:
        What became of the request; UNKNOWN wherever it cannot be told.
    """
    if isinstance(error, APIResponseValidationError):
        return Delivery.UNKNOWN
    if isinstance(error, APIError) and not isinstance(error, APIConnectionError):
        return Delivery.ANSWERED
    causes = list(chain(error))
    if any(isinstance(cause, Stale) for cause in causes):
        return Delivery.STALE
    if any(map(_is_lost, causes)) or not any(isinstance(cause, _NOT_SENT) for cause in causes):
        return Delivery.UNKNOWN
    return Delivery.NOT_SENT


def _is_lost(error: BaseException) -> bool:
    """Whether it is aiohttp's for a connection that was open, which the SDK's adapter takes for one that never was."""
    aiohttp = sys.modules.get("aiohttp")
    if aiohttp is None or not isinstance(error, aiohttp.ClientConnectionError):
        return False
    never_open = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ServerFingerprintMismatch)
    return not isinstance(error, never_open)


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what caused it, outermost first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        # Not its context: that may be an error of another request, in whose handling this one was made.
        current = current.__cause__ or _wrapped(current)


def _wrapped(error: BaseException) -> BaseException | None:
    """The HTTP library sometimes hides the cause, but keeps it as its error's argument."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, BaseException) else None
