"""Chat completions served by the Responses API: what becomes of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from llmstack import Stack
from llmstack.testing import LocalServer, ScriptedTransport
from llmstack.transports import OpenAITransport, ResponsesTransport
from tests.core.side import Rig, trio_complains
from tests.drivers.strikes import WAYS, Strikes, Way
from tests.drivers.test_cancellation import PROGRAMS
from tests.transports.responses import ResponsesSide


def test_a_stream_closed_early_gives_its_connection_back(responses_side: ResponsesSide, server: LocalServer) -> None:
    """At once; the server sees it."""
    rig = responses_side.local(server)

    async def program() -> None:
        gate = server.gate(after=6)
        stream = await responses_side.do(rig.create(stream=True))
        async for _ in responses_side.each(stream):
            break
        await responses_side.close(stream)
        gate.release()
        rig.assert_clean()
        await responses_side.close(rig.client)

    responses_side.run(program)
    assert rig.finished.outcome == "incomplete"


@trio_complains
def test_a_stream_that_is_dropped_gives_its_connection_back(responses_side: ResponsesSide, server: LocalServer) -> None:
    """As soon as nobody has it."""
    rig = responses_side.local(server)

    async def program() -> None:
        stream = await responses_side.do(rig.create(stream=True))
        async for _ in responses_side.each(stream):
            break
        del stream
        await responses_side.settle()
        rig.assert_clean()
        await responses_side.close(rig.client)

    responses_side.run(program)


@trio_complains
@pytest.mark.parametrize("bare", [False, True], ids=["layered", "bare"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_cancelled_at_every_await(
    server: LocalServer,
    program: Callable[[Rig], Any],
    way: Way,
    bare: bool,  # noqa: FBT001
) -> None:
    """No connection is left in use, every attempt and every call is in the books."""
    side = ResponsesSide(way.loop)
    server.next(times=None, event_delay=0.0005)
    strikes = Strikes(side, lambda: side.local(server, bare=bare), program, way)
    side.run(strikes.everywhere)


class Closable(ScriptedTransport):
    """A transport that can be closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


class AsyncClosable(ScriptedTransport):
    """One that only an async program can close."""

    closed = 0

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed += 1


@pytest.mark.parametrize("kind", [Closable, AsyncClosable])
def test_closing_closes_the_inner_transport(kind: Any) -> None:
    """In a sync program and in an async one; the built-in one has nothing to close."""
    inner = kind()
    Stack([], transport=ResponsesTransport(inner)).close()
    asyncio.run(Stack([], transport=ResponsesTransport(inner)).aclose())
    assert inner.closed == 2
    Stack([], transport=ResponsesTransport(OpenAITransport())).close()
    asyncio.run(Stack([], transport=ResponsesTransport()).aclose())
