"""Retry-After: how long the server asks to wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Read the server's wish from the headers of its answer.

    ``retry-after-ms`` goes before ``retry-after``, whose seconds go before its date. A date is counted from the
    server's own ``Date``, so that a clock that is wrong here or there changes nothing.

    Args:
        headers: The answer's headers, looked up by names in lower case.
        now: The time of day, seconds since the epoch, for servers that tell no ``Date``.

    Returns:
        Seconds, more than 0; None if there is no usable wish.

    Source: RFC 9110, section 10.2.3; the SDK's ``_parse_retry_after_header`` for ``retry-after-ms``.
    """
    text = headers.get("retry-after")
    wishes = (
        _number(headers.get("retry-after-ms"), 1000.0),
        _number(text, 1.0),
        _until(text, headers.get("date"), now),
    )
    return next((wish for wish in wishes if wish is not None and math.isfinite(wish) and wish > 0), None)


def _number(text: str | None, per_second: float) -> float | None:
    try:
        return None if text is None else float(text) / per_second
    except ValueError:
        return None


def _until(text: str | None, server_time: str | None, now: float) -> float | None:
    then = _date(text)
    if then is None:
        return None
    clock = _date(server_time)
    return then - (now if clock is None else clock)


def _date(text: str | None) -> float | None:
    """An HTTP date as seconds since the epoch; None if it is none."""
    if text is None or text.strip()[:3].lower() not in _DAYS:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
