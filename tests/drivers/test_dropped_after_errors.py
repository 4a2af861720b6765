"""Streams that are dropped by programs that an error has been through, which a layer still keeps."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import run
from llmstack.testing import LocalServer
from tests.core.once_more import once_more
from tests.core.side import MESSAGES, Side, trio_complains


def look() -> None:
    raise LookupError("nothing there")


async def alook() -> None:
    look()


def in_vain(call: Call, next: Next) -> Flow[Reply]:
    """A layer that goes on where it handles an error of something that it has run."""

    try:
        yield from run(look, alook)
    except LookupError:
        return (yield from next(call))
    raise AssertionError("it was found")


class LooksInVain:
    """A chunk filter that does the same for each chunk."""

    def feed(self, chunk: Mapping[str, Any]) -> Flow[Sequence[Mapping[str, Any]]]:
        with contextlib.suppress(LookupError):
            yield from run(look, alook)
        return [chunk]

    def end(self) -> Sequence[Mapping[str, Any]]:
        return []


def filtered(call: Call, next: Next) -> Flow[Reply]:
    """A layer whose chunk filter handles errors while the program reads."""
    return (yield from next(call.with_filter(lambda _: LooksInVain())))


@trio_complains
@pytest.mark.parametrize("layer", [once_more, in_vain, filtered])
def test_the_connection_goes_back(side: Side, server: LocalServer, layer: object) -> None:
    """The traceback of that error leads to the variables of the program, and one of them was the stream."""
    rig = side.local(server, [layer])
    if layer is once_more:
        server.next(500)
    gate = server.gate(after=4)

    async def reads() -> None:
        if layer is filtered:  # a raw response is begun to be read before the program has it
            raw = rig.client.chat.completions.with_raw_response
            stream = (await side.do(raw.create(model="m", messages=MESSAGES, stream=True))).parse()
        else:
            stream = await side.do(rig.create(stream=True))
        async for _ in side.each(stream):
            break

    async def program() -> None:
        await reads()
        await side.settle()
        rig.assert_clean()
        assert rig.finished.outcome == "incomplete"
        await side.close(rig.client)

    try:
        side.run(program)
    finally:
        gate.release()


def test_errors_of_the_programs_own_stay_as_they_are(side: Side, server: LocalServer) -> None:
    """One that it was handling when it asked for the stream keeps its traceback, for whoever shows it."""
    rig = side.local(server, [once_more])
    server.next(500)

    async def program() -> None:
        try:
            {}["its own"]
        except KeyError:
            stream = await side.do(rig.create(stream=True))
            assert await side.read(stream)
            await side.close(rig.client)
            raise

    with pytest.raises(KeyError) as caught:
        side.run(program)
    assert '{}["its own"]' in "".join(traceback.format_exception(caught.value))


def test_what_is_raised_in_the_end_shows_where_it_came_from(side: Side, server: LocalServer) -> None:
    """Errors of a call whose stream was never opened lead to the program, as ever."""
    rig = side.local(server, [once_more])
    server.next(500)
    server.next(500)

    async def program() -> None:
        with pytest.raises(openai.InternalServerError) as caught:
            await side.do(rig.create(stream=True))
        shown = "".join(traceback.format_exception(caught.value))
        assert "in program" in shown
        assert "_make_status_error_from_response" in shown
        await side.close(rig.client)

    side.run(program)
