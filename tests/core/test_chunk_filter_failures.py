"""Errors pass by the chunk filters; one that fails is named, and one may refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import sleep
from llmstack.errors import PluginError, RefusedError
from tests.core.filters import Keep, Starting, filtering, text_of
from tests.core.side import PREAMBLE, Side, chunk, event_error, spoken, texts


def test_a_start_that_fails_opens_no_stream(side: Side) -> None:
    """Its error is the call's, and what was opened meanwhile is closed."""

    def start() -> Flow[None]:
        yield from sleep(1)
        yield from sleep(1)
        raise RefusedError("not this one")

    rig = side.rig([filtering(lambda _: Starting(start))], [spoken("Hello")])

    async def program() -> None:
        with pytest.raises(RefusedError):
            await side.do(rig.create(stream=True))

    side.run(program)
    assert rig.finished.outcome == "refused"
    assert rig.transport is not None
    assert rig.transport.open == 0


def test_errors_pass_by_the_filters(side: Side) -> None:
    """An error event is not a chunk: no filter has to know its shape, none can swallow it."""

    class Nothing:
        def feed(self, c: Any) -> list[Any]:
            assert c["choices"]
            return []

        def end(self) -> list[Any]:
            return []

    rig = side.rig([filtering(lambda _: Nothing())], [[PREAMBLE, chunk("x"), event_error()]])

    async def program() -> None:
        with pytest.raises(openai.APIError, match="overloaded"):
            await side.read(await side.do(rig.create(stream=True)))

    side.run(program)


def _broken(where: str) -> Callable[[Call], Any]:
    class Broken:
        def __init__(self) -> None:
            if where == "make":
                raise LookupError

        def feed(self, c: Any) -> Any:
            if where == "feed":
                raise LookupError
            if where == "flow":
                return self._flow()
            if where == "none":
                return None
            return ["text"] if where == "garbage" else [c]

        def _flow(self) -> Flow[list[Any]]:
            yield from sleep(1)
            raise LookupError

        def end(self) -> list[Any]:
            if where == "end":
                raise LookupError
            return []

    return lambda _: Broken()


@pytest.mark.parametrize("where", ["make", "feed", "flow", "end", "none", "garbage"])
def test_a_filter_that_fails_is_named(side: Side, where: str) -> None:
    """The call fails with an error that names the plugin, and its connection is given back."""

    def culprit(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_filter(_broken(where))))

    rig = side.rig([filtering(lambda _: Keep()), culprit, filtering(lambda _: Keep())], [spoken("Hello")])

    async def program() -> PluginError:
        with pytest.raises(PluginError) as caught:
            await side.read(await side.do(rig.create(stream=True)))
        return caught.value

    error = side.run(program)
    assert error.plugin == "culprit"
    assert error.call is not None
    assert isinstance(error.__cause__, TypeError if where in ("none", "garbage") else LookupError)
    assert rig.finished.outcome == "error"


def test_a_filter_may_refuse(side: Side) -> None:
    """A refusal raised by intent passes as it is, with its plugin and call filled in."""

    class Strict:
        def feed(self, c: Any) -> list[Any]:
            if "forbidden" in text_of(c):
                raise RefusedError("not that word")
            return [c]

        def end(self) -> list[Any]:
            return []

    rig = side.rig([filtering(lambda _: Strict())], [spoken("this is ", "forbidden")])

    async def program() -> str:
        stream = await side.do(rig.create(stream=True))
        seen, error = await side.read_until(RefusedError, stream)
        assert error.plugin == "layer"
        assert error.call is not None
        return texts(seen)

    assert side.run(program) == "this is "
    assert rig.finished.outcome == "refused"
