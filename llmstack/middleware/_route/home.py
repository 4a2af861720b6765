"""Homes: where the state lies that a call goes on from.

A provider knows only the responses that it has given itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cachetools import LRUCache

from llmstack import Call, Reply
from llmstack.middleware._route.lock import LOCK
from llmstack.middleware._route.target import Target

__all__ = ["Homes"]

_MOST: Final = 10_000
"""Responses and conversations remembered."""


class Homes:
    """Which transport has given which response. This process only; the oldest are forgotten.

    Attributes:
        several: False if all calls go to one transport, so that there is nothing to remember.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.several = True
        self._homes: LRUCache[str, str | None] = LRUCache(_MOST)

    def bound(self, call: Call, targets: Sequence[Target]) -> tuple[Target, ...]:
        """Those of some targets that can answer a call: all, or for one that goes on those at its transport.

        If that is not known, those at the transport of the first target.
        """
        state = None if _at_one(targets) else _state_of(call)
        if state is None:
            return tuple(targets)
        first = min(targets, key=lambda target: target.priority).transport
        with LOCK:
            home = self._homes.get(state, first)
        return tuple(target for target in targets if target.transport == home) or tuple(targets)

    @staticmethod
    def binds(call: Call) -> bool:
        """Whether a call goes on from something that one transport knows."""
        return _state_of(call) is not None

    def remember(self, call: Call, reply: Reply, transport: str | None) -> None:
        """A transport has answered: what goes on from there belongs to it, whatever targets the next call has."""
        if call.endpoint != "responses" or not self.several:
            return
        body: Any = reply.body
        given = body.get("id") if isinstance(body, Mapping) else None
        with LOCK:
            for state in (given, _state_of(call)):
                if isinstance(state, str):
                    self._homes[state] = transport


def _at_one(targets: Sequence[Target]) -> bool:
    return len({target.transport for target in targets}) <= 1


def _state_of(call: Call) -> str | None:
    """What a call goes on from: a response or a conversation; None if from nothing."""
    if call.endpoint != "responses":
        return None
    conversation = call.params.get("conversation")
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
    state = call.params.get("previous_response_id") or conversation
    return state if isinstance(state, str) else None
