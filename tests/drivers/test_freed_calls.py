"""However a stream ends, nothing keeps its call."""

from __future__ import annotations

import contextlib
import gc
import sys
import weakref
from typing import Any

import anyio
import openai
import pytest

from llmstack import Call, Flow, Next, Reply, Stack
from tests.core.side import MESSAGES, Side, trio_complains

# From Python 3.12 on the HTTP client's errors are in a cycle of their own, llmstack or not. On trio there is one in
# every stream that is left early: its generators are ended by reading from the closed connection.
ERRORS_ARE_CYCLES = sys.version_info >= (3, 12)
not_if_errors_are_cycles = pytest.mark.skipif(ERRORS_ARE_CYCLES, reason="the HTTP client's errors are in cycles")


@trio_complains
@pytest.mark.parametrize(
    "order",
    [
        pytest.param({}, id="whole"),
        pytest.param({"fault": "cut", "after": 3}, id="broken", marks=not_if_errors_are_cycles),
        pytest.param({"fault": "cut", "after": 1}, id="broken-early", marks=not_if_errors_are_cycles),
        pytest.param({"fault": "no_finish"}, id="incomplete"),
        pytest.param({"fault": "stall", "after": 6}, id="left"),
    ],
)
def test_a_finished_call_is_freed_without_the_garbage_collector(side: Side, server: Any, order: dict[str, Any]) -> None:
    """No cycle keeps a call, with all its chunks, once the program has let go of stream and error."""
    if ERRORS_ARE_CYCLES and side.name == "trio":
        pytest.skip("the HTTP client's errors are in cycles")
    alive: list[weakref.ref[Any]] = []
    left: list[Any] = []

    class Probe:
        pass

    def layer(call: Call, next: Next) -> Flow[Reply]:
        probe = Probe()
        alive.append(weakref.ref(probe))
        call.note(probe=probe)
        return (yield from next(call))

    rig = side.local(server)
    client = rig.client.with_options(stack=Stack([layer]))
    gate = server.next(**order)

    async def program() -> None:
        with contextlib.suppress(openai.OpenAIError):
            stream = await side.do(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
            count = 0
            async for _ in side.each(stream):
                count += 1
                if count == 5:
                    break
        stream = None
        await side.settle()
        if side.asynchronous:
            await anyio.wait_all_tasks_blocked()
        gate.release()
        left.extend(ref() for ref in alive if ref() is not None)
        await side.do(rig.client.close())

    gc.collect()
    gc.disable()
    try:
        side.run(program)
    finally:
        gc.enable()
    assert len(alive) == 1
    assert left == []
