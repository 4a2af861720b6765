"""Settings: what Budget's options may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def check(
    on_exceed: Any,
    degrade: Mapping[str, str] | None,
    alerts: Sequence[Any],
    unknown_price: Any,
    on_error: Any,
    max_output_tokens: Any,
    lease: Any,
) -> None:
    """Check the options of Budget.

    Raises:
        ValueError: If one cannot be; the message says which.
    """
    for option, value, known in (
        ("on_exceed", on_exceed, ("block", "warn", "degrade")),
        ("unknown_price", unknown_price, ("deny", "estimate")),
        ("on_error", on_error, ("closed", "open")),
    ):
        if value not in known:
            raise ValueError(f"{option} must be one of {', '.join(map(repr, known))}, not {value!r}")
    if bool(degrade) != (on_exceed == "degrade"):
        raise ValueError("degrade={model: cheaper model} and on_exceed='degrade' go together")
    for share in alerts:
        if not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise ValueError(f"alerts must be shares of a limit above 0 and up to 1, such as 0.8, not {share!r}")
    if max_output_tokens is not None and (type(max_output_tokens) is not int or max_output_tokens < 1):
        raise ValueError(
            f"max_output_tokens must be a number of tokens, at least 1, or None, not {max_output_tokens!r}"
        )
    if not isinstance(lease, (int, float)) or not isfinite(lease) or lease <= 0:
        raise ValueError(f"lease must be a number of seconds greater than 0, not {lease!r}")
