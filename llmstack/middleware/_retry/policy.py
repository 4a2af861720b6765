"""The judgement whether a failed request is worth another."""

from __future__ import annotations

import ssl

import httpx2
from openai import APIConnectionError, APIError, APIResponseValidationError, APIStatusError

from llmstack.transports.delivery import Delivery, chain, delivery

_STATUSES = frozenset({408, 409, 429})
_TERMINAL_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_TERMINAL_TYPES = frozenset({"insufficient_quota", "invalid_request_error", "authentication_error", "permission_error"})

_TOO_OFTEN = frozenset({"rate_limit_exceeded", "rate_limit_error"})

_LASTING = (
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.TooManyRedirects,
    ssl.SSLCertVerificationError,
)
"""Connection errors that come again every time: a wrong address or certificate, not a bad moment."""


def is_passing(error: BaseException, *, ambiguous: bool = True) -> bool:
    """Tell whether a request failed for a reason that may have passed by the next time.

    Args:
        error: What the request raised.
        ambiguous: Whether to say yes also where the request may have been executed (and billed) although no usable
            answer came.

    Returns:
        True for 408, 409, 429 and 5xx, connection errors, time-outs, unreadable answers and errors inside a stream;
        False for other statuses, exhausted quotas, rejected certificates and everything that is no error of the API.
    """
    if isinstance(error, APIConnectionError):
        if any(isinstance(cause, _LASTING) for cause in chain(error)):
            return False
        return ambiguous or delivery(error) is not Delivery.UNKNOWN
    if isinstance(error, APIResponseValidationError):
        return ambiguous
    if isinstance(error, APIStatusError):
        return _status_is_passing(error)
    return isinstance(error, APIError) and _told_error_is_passing(error)


def _status_is_passing(error: APIStatusError) -> bool:
    if error.code in _TERMINAL_CODES:
        return False
    said = error.response.headers.get("x-should-retry")
    if said in ("true", "false"):
        return bool(said == "true")
    return _is_passing_status(error.status_code)


def _told_error_is_passing(error: APIError) -> bool:
    """An error told by an event, or by the body of a 200. Some servers put the HTTP status into its code."""
    code = str(error.code)
    if code.isdigit():
        return _is_passing_status(int(code))
    return code not in _TERMINAL_CODES and error.type not in _TERMINAL_TYPES


def _is_passing_status(status: int) -> bool:
    return status in _STATUSES or status >= 500  # noqa: PLR2004 - server errors


def is_outage(error: BaseException) -> bool | None:
    """Tell whether a failure says that the service is down, for a circuit breaker.

    Args:
        error: What the request raised.

    Returns:
        True for connection errors, time-outs, 5xx, unreadable answers and server errors inside a stream; False for
        what the caller did wrong or did too often (4xx); None for what says nothing of the service, such as the
        refusal of another layer.
    """
    if isinstance(error, (APIResponseValidationError, APIConnectionError)):
        return True
    if isinstance(error, APIStatusError):
        return error.status_code >= 500  # noqa: PLR2004 - server errors
    return _is_told_outage(error) if isinstance(error, APIError) else None


def _is_told_outage(error: APIError) -> bool:
    code = str(error.code)
    if code.isdigit():
        return int(code) >= 500  # noqa: PLR2004 - server errors
    return _told_error_is_passing(error) and not {code, error.type} & _TOO_OFTEN
