"""Route passes the checks that every plugin should."""

from __future__ import annotations

from typing import Any

from llmstack.middleware import Route
from llmstack.testing import Conformance


class TestRoute(Conformance):
    """One target, at the stack's own transport, with another one behind it."""

    next_is = "many"
    bad_options = ({"strategy": "best"}, {"cooldown": 0}, {"failures": 0}, {"on": ["weather"]}, {"hedge_after": -1})

    def plugin(self, **options: Any) -> Route:
        """The plugin as users make it."""
        return Route(["*", "gpt-5-mini"], **options)


class TestRouteInTurn(TestRoute):
    """The targets take turns."""

    def plugin(self, **options: Any) -> Route:
        """The plugin as users make it."""
        return Route(["*", "gpt-5-mini"], **{"strategy": "round_robin", **options})


class TestRouteHedging(TestRoute):
    """Both targets are asked."""

    def plugin(self, **options: Any) -> Route:
        """The plugin as users make it."""
        return Route(["*", "gpt-5-mini"], **{"hedge_after": 0.0, **options})
