"""Identity: what rows and reservations are told apart by."""

from __future__ import annotations

import os
from random import Random

__all__ = ["fresh"]

# Of our own: a program that seeds the one of the module `random` alike in each process must not make two rows one. It
# is no secret, and asking the system for each costs more than the rest of a reservation.
_random = Random()  # noqa: S311 - as above
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


def fresh(kind: str) -> str:
    """An id that nobody has yet: the kind and 96 random bits in hex."""
    return f"{kind}_{_random.getrandbits(96):024x}"
