"""Kinds of failure: what an error says of the target, and whether another one may do better."""

from __future__ import annotations

from typing import Final, Literal, get_args

from openai import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
)

from llmstack.errors import BudgetExceededError, CircuitOpenError
from llmstack.transports import Delivery, delivery

__all__ = ["DEFAULT", "KINDS", "Kind", "is_ambiguous", "kind_of"]

Kind = Literal[
    "rate_limit",
    "quota",
    "server",
    "timeout",
    "connection",
    "content_filter",
    "context_window",
    "not_found",
    "auth",
    "circuit",
    "budget",
]
"""``rate_limit`` (429) · ``quota`` (the account's money or quota is used up) · ``server`` (5xx, 409, an answer that is
none) · ``timeout`` (408, no answer in time) · ``connection`` · ``content_filter`` · ``context_window`` (the prompt is
too long for the model) · ``not_found`` (404: no such model or deployment) · ``auth`` (401, 403) · ``circuit`` (a
circuit breaker is open) · ``budget`` (a budget has no room for this model)."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
DEFAULT: Final[tuple[Kind, ...]] = tuple(kind for kind in KINDS if kind != "budget")

_BY_TYPE: Final[dict[type[BaseException], Kind]] = {
    BudgetExceededError: "budget",
    CircuitOpenError: "circuit",
    APITimeoutError: "timeout",  # before the other connection errors, of which it is one
    APIConnectionError: "connection",
    APIResponseValidationError: "server",
}

_BY_CODE: Final[dict[str, Kind]] = {
    # https://platform.openai.com/docs/guides/error-codes
    "context_length_exceeded": "context_window",
    "rate_limit_exceeded": "rate_limit",
    "rate_limit_error": "rate_limit",
    "insufficient_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "model_not_found": "not_found",
    "invalid_api_key": "auth",
    "content_policy_violation": "content_filter",
    # https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter
    "content_filter": "content_filter",
    "ResponsibleAIPolicyViolation": "content_filter",
    "DeploymentNotFound": "not_found",
    "OperationNotSupported": "not_found",
}

_BY_STATUS: Final[dict[int, Kind]] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",
    429: "rate_limit",
}

_TOO_LONG: Final = ("maximum context length", "context window", "prompt is too long")
"""How servers that give no code say that a prompt does not fit."""

_LOST_STATE: Final = "previous_response_not_found"


def kind_of(error: BaseException) -> Kind | None:
    """What kind of failure an error is.

    Args:
        error: What a hop raised.

    Returns:
        The kind; None for what would fail anywhere, or is no failure of a target.
    """
    kind: Kind | None = next((kind for known, kind in _BY_TYPE.items() if isinstance(error, known)), None)
    if kind is not None or not isinstance(error, APIError):
        return kind
    code = str(error.code)
    if code == _LOST_STATE:
        return None
    if (kind := _BY_CODE.get(code)) is not None:
        return kind
    if isinstance(error, APIStatusError):
        return _by_status(error.status_code, error.message)
    return _told(error, code)


def _by_status(status: int, message: str) -> Kind | None:
    if status >= 500:  # noqa: PLR2004 - server errors
        return "server"
    if status in (400, 413, 422) and any(words in message.lower() for words in _TOO_LONG):
        return "context_window"
    return _BY_STATUS.get(status)


def _told(error: APIError, code: str) -> Kind | None:
    """An error told by an event of a stream, or by the body of a 200. Some servers put the status into its code."""
    if code.isdigit():
        return _by_status(int(code), error.message)
    if error.type in ("invalid_request_error", "permission_error"):
        return _by_status(400, error.message)
    return "auth" if error.type == "authentication_error" else "server"


def is_ambiguous(error: BaseException) -> bool:
    """Whether the request behind a failure may have been executed, and billed, although no usable answer came."""
    kinds = (APIConnectionError, APIResponseValidationError)
    return isinstance(error, kinds) and delivery(error) is Delivery.UNKNOWN
