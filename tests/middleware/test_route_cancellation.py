"""A task may be cancelled at any await: no target keeps a call, whatever the route was about to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmstack.effects import drive
from llmstack.middleware import Budget, CircuitBreaker, Retry, Route
from llmstack.testing import LocalServer
from tests.core.side import Rig, Side, trio_complains
from tests.drivers.strikes import WAYS, Program, Strikes, Way, closed_early, plain, read
from tests.middleware.route_rig import dead_url, to

pytestmark = trio_complains


class Routed:
    """Makes a rig for each strike, and looks at its route when the next is made."""

    def __init__(
        self, side: Side, server: LocalServer, inner: Callable[[], list[Any]] = list[Any], **options: Any
    ) -> None:
        self.side, self.server, self.inner, self.options = side, server, inner, options
        self.routes: list[Route] = []
        self.budgets: list[Budget] = []

    def rig(self) -> Rig:
        self.assert_idle()
        self.server.reset()
        self.server.next(503, times=1)
        self.server.next(times=None, event_delay=0.0005)
        transports = {"dead": to(dead_url())}
        route = Route(["x", "dead/*", "y"], transports=transports, failures=9, **self.options)
        self.routes.append(route)
        self.budgets.append(Budget(["1000 calls/day"], store="memory://"))
        return self.side.local(self.server, [self.budgets[-1], route, *self.inner()])

    def assert_idle(self) -> None:
        for route in self.routes:
            statuses = route.status()
            assert {status.in_flight for status in statuses.values()} == {0}
            assert "probing" not in {status.state for status in statuses.values()}
        for budget in self.budgets:
            assert {limit.reserved for limit in budget.status()} == {0}
            outcomes = {row.outcome for row in drive(budget.ledger.history())}
            assert outcomes <= {"ok", "error", "cancelled", "incomplete"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, read, closed_early], ids=lambda program: program.__name__)
def test_cancelled_at_every_await_of_a_fallback(server: LocalServer, program: Program, way: Way) -> None:
    """On its way from one target to the next, over a real connection."""
    side = Side(way.loop)
    routed = Routed(side, server)
    side.run(lambda: ended(side, routed, program, way))
    routed.assert_idle()
    assert any(status.answered for status in routed.routes[-1].status().values())


@pytest.mark.parametrize("way", WAYS)
def test_cancelled_at_every_await_of_a_hedge(server: LocalServer, way: Way) -> None:
    """Both sides end."""
    side = Side(way.loop)
    routed = Routed(side, server, hedge_after=0.0)
    side.run(lambda: ended(side, routed, plain, way))
    routed.assert_idle()


@pytest.mark.parametrize("way", WAYS)
def test_cancelled_at_every_await_of_retries_at_each_hop(server: LocalServer, way: Way) -> None:
    """Also while it waits between two sends."""
    side = Side(way.loop)
    # A circuit of its own each time, or it would open by what the strikes before have seen.
    routed = Routed(side, server, lambda: [Retry(attempts=2, breaker=CircuitBreaker())], retries=1)
    side.run(lambda: ended(side, routed, plain, way))
    routed.assert_idle()


async def ended(side: Side, routed: Routed, program: Program, way: Way) -> None:
    """Strike everywhere; close what the routes have opened in this loop."""
    await Strikes(side, routed.rig, program, way).everywhere()
    for route in routed.routes:
        await route.aclose()
