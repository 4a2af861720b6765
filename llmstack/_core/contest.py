"""Contest: a race that is run, and the signal to those who have lost it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmstack._core.effects import Flow, Race


class Contest:
    """A race: over as soon as one of its flows has ended, or it was itself interrupted.

    A driver cancels the others where it can. Where it cannot, since they run in threads, they see that it is over.

    Attributes:
        over: True once it is.
    """

    __slots__ = ("over",)

    def __init__(self) -> None:
        """Begin."""
        self.over = False

    def run(self, flows: Iterable[Flow[Any]]) -> Flow[Any]:
        """Run flows, and give the outcome of the one that ends first."""
        try:
            return (yield Race(tuple(self._one(flow) for flow in flows)))
        finally:
            self.over = True

    def _one(self, flow: Flow[Any]) -> Flow[Any]:
        try:
            return (yield from flow)
        finally:
            self.over = True
