"""Journey: one call's way from target to target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from openai import APIStatusError

from llmstack import Call, Flow, Next, Reply, Transport
from llmstack.effects import emit, monotonic, now
from llmstack.errors import CircuitOpenError
from llmstack.middleware._route.board import Board
from llmstack.middleware._route.event import HopAnswered, HopFailed
from llmstack.middleware._route.health import Ticket
from llmstack.middleware._route.hedge import Duel, Side
from llmstack.middleware._route.home import Homes
from llmstack.middleware._route.hop import Hop
from llmstack.middleware._route.kind import Kind, is_ambiguous, kind_of
from llmstack.middleware._route.lock import LOCK
from llmstack.middleware._route.target import Target
from llmstack.middleware.retry import retry_after

__all__ = ["HEADER", "Journey", "Setting"]

HEADER: Final = "x-llmstack-route"
"""The header of a reply that names the target."""

_LONGEST: Final = 3600.0
"""Seconds of a server's wish to be left alone that are obeyed: a target is asked again some time."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How Route was set up; see there."""

    on: frozenset[str]
    retry_ambiguous: bool
    hedge_after: float | None
    larger: Mapping[str, Target]
    retries: int | None
    timeout: float | None
    transports: Mapping[str, Transport]


class Journey:
    """A call that is under way.

    Attributes:
        hops: What has been tried, in order, for notes.
    """

    def __init__(self, call: Call, next: Next, board: Board, homes: Homes, setting: Setting) -> None:
        """Begin."""
        self._call = call
        self._next = next
        self._board = board
        self._homes = homes
        self._setting = setting
        self._numbers = count(1)
        self._targets: Sequence[Target] = ()
        self._rest: list[Target] = []
        self.hops: list[dict[str, Any]] = []

    def run(self, targets: Sequence[Target], session: str | None) -> Flow[Reply]:
        """Ask one target after the other, until one answers or none is left that may.

        Args:
            targets: As they were written.
            session: What the call belongs to; None if to nothing.
        """
        self._targets = self._homes.bound(self._call, targets)
        at = yield from monotonic()
        self._rest = self._board.line_up(self._targets, at, session)
        while True:
            ticket = self._taken(self._board.enter(self._rest, at))
            try:
                return (yield from self._asked(ticket))
            except Exception as error:
                if not self._goes_on(error):
                    self._tell(error)
                    raise
            except BaseException:
                self._note()
                raise
            at = yield from monotonic()

    def enter_open(self, at: float) -> Ticket | None:
        """Give the call to the next target that is not left alone; None if there is none."""
        with LOCK:  # the other side of a duel may fail at this moment, which leaves fewer
            ticket = self._board.enter(self._rest, at) if self._board.has_open(self._rest, at) else None
            return None if ticket is None else self._taken(ticket)

    def _taken(self, ticket: Ticket) -> Ticket:
        self._rest = [target for target in self._rest if target.name != ticket.target.name]
        return ticket

    def _asked(self, ticket: Ticket) -> Flow[Reply]:
        # What is streamed is not hedged: in a race it would be read to its end before the program sees any of it.
        if self._setting.hedge_after is None or self._call.stream or not self._rest or not self._call.replayable:
            return (yield from self.hop(ticket))
        return (yield from Duel(self, self._setting.hedge_after).fight(ticket))

    # One target -------------------------------------------------------------------------------------------------

    def hop(self, ticket: Ticket, side: Side | None = None) -> Flow[Reply]:
        """Ask one target.

        Args:
            ticket: Which.
            side: Its side of a duel; None if no other is asked at the same time.
        """
        try:
            hop = self._begun(ticket, side)
            try:
                reply = yield from self._next(hop.call)
            except Exception as error:
                yield from self._failed(hop, error)
                raise
            return (yield from self._answered(hop, reply, side))
        finally:
            self._board.dropped(ticket)

    def _begun(self, ticket: Ticket, side: Side | None) -> Hop:
        target = ticket.target
        hop = Hop(ticket, self._aimed(target), next(self._numbers), {"target": target.name, "outcome": "abandoned"})
        self.hops.append(hop.told)
        if side is not None:
            side.hop = hop
        return hop

    def _aimed(self, target: Target) -> Call:
        call, setting = self._call, self._setting
        changes: dict[str, Any] = {"verify": True}
        retries = setting.retries if target.retries is None else target.retries
        if retries is not None:
            changes["max_retries"] = retries
        timeout = setting.timeout if target.timeout is None else target.timeout
        if timeout is not None:
            changes["timeout"] = timeout
        params = dict(target.params)
        if target.model is not None and target.model != call.model:
            params["model"] = target.model
        if params or target.without:
            call = call.with_params(params, without=target.without)
        if target.transport is None:
            return call.replace(**changes)
        return call.through(setting.transports[target.transport], **changes)

    def _answered(self, hop: Hop, reply: Reply, side: Side | None) -> Flow[Reply]:
        at, ticket, call = (yield from monotonic()), hop.ticket, hop.call
        first = call.progress.first_content_at if call.stream else None
        latency = (at if first is None or first < ticket.at else first) - ticket.at
        recovered = False
        if reply.complete or first is not None:  # a program that stopped reading before content came says nothing
            recovered = self._board.answered(ticket, at, latency, reply.headers)
        target = ticket.target
        if side is None or side.won():
            if side is not None and side.other.hop is not None:
                yield from self._outpaced(side.other.hop, at)
            hop.told["outcome"] = "ok"
            self._note()
            self._homes.remember(call, reply, target.transport)
            yield from emit(
                HopAnswered(
                    call=call.info,
                    target=target.name,
                    number=hop.number,
                    latency=latency,
                    hedged=side is not None and side.duel.both,
                    recovered=recovered,
                )
            )
        other_model = target.model is not None and target.model != self._call.model
        return reply.replace(
            headers={**reply.headers, HEADER: target.name}, no_store=True if other_model else reply.no_store
        )

    def _failed(self, hop: Hop, error: Exception) -> Flow[None]:
        at, ticket, kind = (yield from monotonic()), hop.ticket, kind_of(error)
        headers = error.response.headers if isinstance(error, APIStatusError) else {}
        hint = yield from _hint(error, kind, headers)
        target = ticket.target
        # Where a target takes any model, one that it does not have says nothing of the others.
        blamed = None if kind == "not_found" and target.model is None else kind
        cooldown = self._board.failed(ticket, at, blamed, hint, headers)
        hop.told["outcome"] = kind or "error"
        with LOCK:
            self._rest = self._narrowed(kind, target)
        yield from emit(self._told(hop, kind, error, at, cooldown))

    def _outpaced(self, hop: Hop, at: float) -> Flow[None]:
        """A target was asked as well, and was slower."""
        cooldown = self._board.outpaced(hop.ticket, at)
        if cooldown:
            yield from emit(self._told(hop, "timeout", None, at, cooldown))

    @staticmethod
    def _told(hop: Hop, kind: Kind | None, error: Exception | None, at: float, cooldown: float) -> HopFailed:
        target = hop.ticket.target.name
        return HopFailed(
            call=hop.call.info,
            target=target,
            number=hop.number,
            kind=kind,
            error=error,
            duration=at - hop.ticket.at,
            cooldown=cooldown,
            alert=f"the target {target} is left alone for {cooldown:.0f} s ({kind})" if cooldown else "",
        )

    def _narrowed(self, kind: Kind | None, failed: Target) -> list[Target]:
        """The targets that may do better."""
        rest = self._rest
        if kind in ("auth", "quota"):
            return [target for target in rest if target.transport != failed.transport]
        if kind == "connection":
            return sorted(rest, key=lambda target: target.transport == failed.transport)
        if kind != "context_window":
            return rest
        model = failed.model or self._call.model
        rest = [target for target in rest if (target.model or self._call.model) != model]
        larger = self._setting.larger.get(model or "")
        if larger is None:
            return rest
        if larger.transport is None:
            larger = replace(larger, transport=failed.transport)
        # Elsewhere nobody knows what a call goes on from.
        unknown = larger.transport != failed.transport and self._homes.binds(self._call)
        if unknown or any(hop["target"] == larger.name for hop in self.hops):
            return rest
        return [larger, *(target for target in rest if target.name != larger.name)]

    # The end ----------------------------------------------------------------------------------------------------

    def leave(self, ticket: Ticket) -> None:
        """Take the call from a target that it has not been sent to."""
        self._board.dropped(ticket)

    def is_final(self, error: Exception) -> bool:
        """Whether a failure is the program's, whoever else could be asked."""
        return kind_of(error) not in self._setting.on

    def _goes_on(self, error: Exception) -> bool:
        """Whether another target is asked after a failure."""
        call, setting = self._call, self._setting
        if not self._rest or self.is_final(error):
            return False
        if call.committed or not call.replayable or (call.remaining is not None and call.remaining <= 0):
            return False
        return setting.retry_ambiguous or not is_ambiguous(error)

    def _tell(self, error: Exception) -> None:
        """Say with the error what has been tried."""
        self._note()
        if len(self.hops) > 1:
            error.add_note("route: " + ", ".join(f"{hop['target']} ({hop['outcome']})" for hop in self.hops))

    def _note(self) -> None:
        self._call.note(route=[dict(hop) for hop in self.hops])


def _hint(error: Exception, kind: Kind | None, headers: Mapping[str, str]) -> Flow[float | None]:
    """Seconds for which a target says that it is to be left alone; None if it does not."""
    if isinstance(error, CircuitOpenError):
        return error.retry_after
    if kind != "rate_limit":
        return None
    wish = retry_after(headers, (yield from now()))
    return None if wish is None else min(wish, _LONGEST)
