"""Hop: one target of a call's journey."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llmstack import Call
from llmstack.middleware._route.health import Ticket

__all__ = ["Hop"]


@dataclass(frozen=True, slots=True)
class Hop:
    """A target that is asked.

    Attributes:
        ticket: The target's.
        call: The call as it is sent there.
        number: Which target of this call, from 1.
        told: Target and outcome, for notes: a kind of failure, ``"error"``, ``"ok"``, or ``"abandoned"`` until then.
    """

    ticket: Ticket
    call: Call
    number: int
    told: dict[str, Any]
