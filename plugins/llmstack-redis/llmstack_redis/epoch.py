"""Epochs: which ledger this process knows, so that one that Redis has forgotten is not taken for an empty one.

A ledger has a random epoch, which stands beside its sums. A process remembers the epoch that it saw first, for all its
stores, and hands it to its children. From then on another epoch, or none, means that what was spent is not known.
"""

from __future__ import annotations

import secrets

__all__ = ["forget", "known", "new", "seen"]

_known: dict[tuple[object, ...], str] = {}


def new() -> str:
    """One for a ledger that begins."""
    return secrets.token_hex(8)


def known(place: tuple[object, ...]) -> str:
    """The epoch that this process knows; empty if it has seen none.

    Args:
        place: Which ledger.
    """
    return _known.get(place, "")


def seen(place: tuple[object, ...], epoch: str) -> bool:
    """Remember an epoch, if none is known; False if another one is.

    Args:
        place: Which ledger.
        epoch: What it says.
    """
    return _known.setdefault(place, epoch) == epoch  # one step, also among threads


def forget(place: tuple[object, ...]) -> None:
    """Trust the next epoch that is seen.

    Args:
        place: Which ledger.
    """
    _known.pop(place, None)
