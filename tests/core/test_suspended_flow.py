"""However a stream ends, its suspended flow is resumed exactly once and its connection goes back."""

from __future__ import annotations

import gc

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.testing import LocalServer
from tests.core.endings import EARLY, LONG, WHOLE, Ending, broken_out_and_dropped, closed, read_some, to_the_end
from tests.core.side import PREAMBLE, Side, chunk, lost, spoken, trio_complains


@trio_complains
@pytest.mark.parametrize("ending", [*WHOLE, *EARLY], ids=lambda ending: ending.__name__)
def test_flow_is_resumed_once_on_a_scripted_stream(side: Side, ending: Ending) -> None:
    """The layers hear of the end, whatever it is, and know whether the reply is whole."""
    rig = side.rig(script=[spoken("Hel", "lo")] if ending in WHOLE else [LONG])

    async def program() -> None:
        await ending(side, rig)
        assert rig.witness.left == 1

    side.run(program)
    assert rig.witness.reply.complete == (ending in WHOLE)
    assert rig.finished.outcome == ("ok" if ending in WHOLE else "incomplete")


@trio_complains
@pytest.mark.parametrize("bare", [False, True], ids=["layered", "bare"])
@pytest.mark.parametrize("ending", [*WHOLE, *EARLY], ids=lambda ending: ending.__name__)
def test_connection_goes_back_on_a_real_stream(side: Side, server: LocalServer, ending: Ending, bare: bool) -> None:  # noqa: FBT001
    """The same with a real connection, of which nothing is left; with layers and without any."""
    rig = side.local(server, bare=bare)
    gate = server.gate(after=4) if ending not in WHOLE else None

    async def program() -> None:
        await ending(side, rig)
        if gate is not None:
            gate.release()
        rig.assert_clean()
        await side.do(rig.client.close())

    side.run(program)
    assert rig.finished.outcome == ("ok" if ending in WHOLE else "incomplete")
    server.wait_for(lambda server: server.open_connections == 0)


def test_a_dropped_stream_is_released_without_the_garbage_collector(side: Side) -> None:
    """Dropping the last reference is enough, read or never read."""
    rig = side.rig(default=LONG)

    async def program() -> None:
        gc.collect()
        gc.disable()
        try:
            for count in (0, 1, 5):
                stream = await side.do(rig.create(stream=True))
                if count:
                    await read_some(side, stream, count)
                del stream
                await side.settle()
                assert rig.transport is not None
                assert rig.transport.open == 0
        finally:
            gc.enable()

    side.run(program)
    assert rig.witness.left == 3


def test_error_in_mid_stream_resumes_the_flow_with_it(side: Side) -> None:
    """The layers get the very error that the program gets."""
    error = lost()
    rig = side.rig(script=[[PREAMBLE, chunk("Hel"), error]])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        with pytest.raises(openai.APIConnectionError) as caught:
            await side.read(stream)
        assert caught.value is error
        assert await side.read(stream) == []

    side.run(program)
    assert rig.witness.errors == [error]


def test_effects_after_the_end_are_served(side: Side) -> None:
    """What a layer asks for when it is resumed is done, whoever ended the stream and how."""
    from llmstack.effects import monotonic, run, sleep

    done: list[str] = []

    async def aput() -> None:
        done.append("async")

    def settles(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        yield from sleep(3.0)
        yield from run(lambda: done.append("sync"), aput)
        done.append(str((yield from monotonic())))
        return reply

    rig = side.rig([settles], [spoken("Hello"), LONG, LONG])
    what = "async" if side.asynchronous else "sync"

    async def program() -> None:
        await to_the_end(side, rig)
        await closed(side, rig)
        await broken_out_and_dropped(side, rig)

    side.run(program)
    assert done == [what, "1003.0", what, "1006.0", what, "1009.0"]


def test_a_layers_error_at_closing_reaches_who_closes(side: Side) -> None:
    """Closing is where the layer's own failure surfaces; the books have it too."""
    from llmstack.errors import PluginError

    def fails(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call)
        raise LookupError

    rig = side.rig([fails], [LONG])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        await read_some(side, stream)
        with pytest.raises(PluginError, match="fails"):
            await side.close(stream)
        await side.close(stream)

    side.run(program)
    assert isinstance(rig.finished.error, PluginError)


def test_sending_again_at_closing_is_refused(side: Side) -> None:
    """A layer that wants a whole reply cannot have one when nobody reads; closing does not fail for that."""

    def wants_more(call: Call, next: Next) -> Flow[Reply]:
        reply = yield from next(call)
        return reply if reply.complete else (yield from next(call))

    rig = side.rig([wants_more], [LONG, "never sent"])

    async def program() -> None:
        await closed(side, rig)

    side.run(program)
    assert len(rig.sent) == 1
    assert rig.finished.outcome == "incomplete"
