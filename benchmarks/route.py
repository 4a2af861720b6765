"""What Route costs where the first target answers, and where the first is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import httpx2
import openai

from benchmarks.call import KEY, chat, cpu, server
from benchmarks.layers import microseconds
from benchmarks.table import Table, interleaved, middle
from llmstack import Call, Flow, Reply, Stack, hookimpl
from llmstack._core.exchange import Exchange
from llmstack._drivers.clock import SystemClock
from llmstack._drivers.sync import run
from llmstack.events import Event
from llmstack.middleware.route import Route, Strategy, Target

CALLS = 1000
ANSWER = Reply({"choices": []})


class Service:
    """Answers at once, or fails at once."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self._error = error

    def send(self, _call: Call) -> Flow[Reply]:
        if self._error is not None:
            raise self._error
        return ANSWER
        yield


class Listener:
    """Somebody who hears events, so that they are made."""

    name = "listener"

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        del event


def through(route: Route | None, *, heard: bool = False) -> Callable[[], object]:
    """A call through this plugin alone, without a network."""
    clock = SystemClock()
    plugins: list[Any] = [*([] if route is None else [route]), *([Listener()] if heard else [])]
    stack = Stack(plugins, transport=Service("stack"))
    call = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m", "messages": []})
    call.progress.now = clock.monotonic
    return lambda: run(Exchange(call, stack.engine).start(), clock)


def route(strategy: Strategy, **options: Any) -> Route:
    transports: Any = {name: Service(name) for name in "abc"}
    return Route([Target("m", name) for name in "abc"], transports=transports, strategy=strategy, **options)


def failing() -> Route:
    """Two of three targets are left alone, once each has failed."""
    request = httpx2.Request("POST", "http://nobody.invalid/")
    down = openai.APIConnectionError(request=request)
    transports: Any = {"a": Service("a", down), "b": Service("b", down), "c": Service("c")}
    targets = [Target("m", name) for name in "abc"]
    return Route(targets, transports=transports, failures=1, cooldown=3600)


def measure(scale: float = 1.0) -> Table:
    rounds = max(3, int(15 * scale))
    calls = max(100, int(CALLS * scale))
    with server() as url, openai.OpenAI(base_url=url, api_key=KEY) as client:
        works: dict[str, Callable[[], float]] = {
            "the bare SDK's call": cpu(lambda: chat(client), 20),
            "without": microseconds(through(None), calls),
        }
        works |= {f"{name}, 3 targets": microseconds(through(route(name)), calls) for name in get_args(Strategy)}
        works["fallback, two left alone"] = microseconds(through(failing()), calls)
        works["fallback, somebody listens"] = microseconds(through(route("fallback"), heard=True), calls)
        found = {name: middle(values) for name, values in interleaved(works, rounds).items()}
    whole, nothing = found.pop("the bare SDK's call"), found.pop("without")
    rows: list[list[Any]] = [["the bare SDK's call", whole, 100.0]]
    rows += [[name, took - nothing, 100 * (took - nothing) / whole] for name, took in found.items()]
    notes = ["Beyond a stack without plugins; the share is of the CPU of the bare SDK's call."]
    return Table("Route: µs per call", ["what", "median", "% of the call"], rows, notes)
