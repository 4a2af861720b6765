"""Route passes the checks that every plugin should."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from llmstack import Call, Flow, Next, Reply, hookimpl
from llmstack._core.effects import Race, Send, Wait
from llmstack.effects import wait
from llmstack.middleware import Route
from llmstack.testing import Conformance

SECOND = "another-model"


class TestRoute(Conformance):
    """One target, at the stack's own transport, with another one behind it."""

    next_is = "many"
    bad_options = ({"strategy": "best"}, {"cooldown": 0}, {"failures": 0}, {"on": ["weather"]}, {"hedge_after": -1})

    def plugin(self, **options: Any) -> Route:
        """The plugin as users make it."""
        return Route(["*", SECOND], **options)


class TestRouteInTurn(TestRoute):
    """The targets take turns."""

    def plugin(self, **options: Any) -> Route:
        """The plugin as users make it."""
        given: dict[str, Any] = {"strategy": "round_robin", **options}
        return Route(["*", SECOND], **given)


class Decided(Route):
    """Hedges at once: the second target has been asked when the first one answers, and is always the slower one.

    On a clock that takes no time both are asked in the same moment. How many requests are sent would then be decided
    by the scheduler of threads or tasks: not by Route, nor by the kind of client.
    """

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Route's own, but for the order in which two that race get on."""
        asked: Future[None] = Future()
        failed: Future[None] = Future()

        def first(effect: Any) -> Flow[Any]:
            if type(effect) is Send:
                yield from wait(asked)
            elif type(effect) is Wait:  # it has failed, and what becomes of the second counts
                done(failed)
            return (yield effect)

        def second(effect: Any) -> Flow[Any]:
            if type(effect) in (Send, Wait):  # it waits for the first one where there is nobody else to ask
                done(asked)
            if type(effect) is Send:
                yield from wait(failed)
            return (yield effect)

        def both(effect: Any) -> Flow[Any]:
            if type(effect) is Race:
                effect = Race(tuple(map(served, effect.flows, (first, second))))
            return (yield effect)

        try:
            return (yield from served(super().llmstack_call(call, next), both))
        finally:
            done(asked)
            done(failed)


def served(flow: Flow[Any], serve: Callable[[Any], Flow[Any]]) -> Flow[Any]:
    """A flow whose effects another one passes on."""
    value: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                effect = flow.send(value) if error is None else flow.throw(error)
            except StopIteration as stop:
                return stop.value
            value = error = None
            try:
                value = yield from serve(effect)
            except BaseException as caught:  # noqa: BLE001 - the flow's to know
                error = caught
    finally:
        error = None  # its traceback holds this frame


def done(future: Future[None]) -> None:
    """Whoever waits for it goes on."""
    if not future.done():
        future.set_result(None)


class TestRouteHedging(TestRoute):
    """Both targets are asked."""

    def plugin(self, **options: Any) -> Route:
        """The plugin as users make it."""
        given: dict[str, Any] = {"hedge_after": 0.0, **options}
        return Decided(["*", SECOND], **given)
