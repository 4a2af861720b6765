"""A route counts what is under way: over threads and forks, and whatever becomes of a call."""

from __future__ import annotations

import gc
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import llmstack
from llmstack import Call, Flow, Next, OpenAI, Reply, Stack
from llmstack.effects import run
from llmstack.middleware import Route
from llmstack.testing import FakeClock, ScriptedTransport
from tests.core.side import KEY, MESSAGES, Side, spoken
from tests.middleware.route_rig import ALL, bench, scripted


def test_many_threads_share_a_route() -> None:
    """Turns are exact, and nothing is left in flight."""
    transports = {name: scripted(name, default="ok") for name in "abc"}
    route = Route(ALL, transports=transports, strategy="round_robin")
    client = OpenAI(api_key=KEY, base_url="http://scripted.invalid/v1", stack=Stack([route], clock=FakeClock()))
    messages: Any = MESSAGES

    def ask(_: int) -> object:
        return client.chat.completions.create(model="m", messages=messages)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(600)))
    assert [len(transport.calls) for transport in transports.values()] == [200, 200, 200]
    assert {status.in_flight for status in route.status().values()} == {0}
    client.close()


def _in_child(route: Route, client: OpenAI, queue: Any) -> None:
    messages: Any = MESSAGES
    before = {status.in_flight for status in route.status().values()}
    client.chat.completions.create(model="m", messages=messages)
    gc.collect()
    queue.put((before, {status.in_flight for status in route.status().values()}))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_nothing_in_flight() -> None:
    """What was under way at a fork is the parent's, in both processes."""
    transports = {name: ScriptedTransport([spoken("x")], default="ok") for name in "ab"}
    route = Route(["a/*", "b/*"], transports=transports, strategy="least_busy")
    client = OpenAI(api_key=KEY, base_url="http://scripted.invalid/v1", stack=Stack([route]))
    messages: Any = MESSAGES
    context: Any = multiprocessing.get_context("fork")
    queue = context.Queue()
    with client.chat.completions.create(model="m", messages=messages, stream=True):
        child = context.Process(target=_in_child, args=(route, client, queue))
        child.start()
        assert queue.get(timeout=30) == ({0}, {0})
        child.join(30)
        assert child.exitcode == 0
        assert sorted(status.in_flight for status in route.status().values()) == [0, 1]
    assert {status.in_flight for status in route.status().values()} == {0}
    queue.close()
    queue.join_thread()
    client.close()


def test_a_refusal_further_in_leaves_nothing_in_flight(side: Side) -> None:
    """Nor does an error of another layer's making."""

    def breaks(call: Call, next: Next) -> Flow[Reply]:
        yield from run(lambda: None)
        raise LookupError

    b = bench(side, ALL, inner=[breaks])

    async def program() -> None:
        with pytest.raises(llmstack.StackError):
            await b.ask()

    side.run(program)
    assert {status.in_flight for status in b.route.status().values()} == {0}
    assert b.failed[0].kind is None
