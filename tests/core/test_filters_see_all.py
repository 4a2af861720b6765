"""A chunk filter may see what is no chunk, and passes as it is: errors, and JSON that is no object."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import sleep
from llmstack.errors import PluginError, RefusedError
from tests.core.side import DONE, PREAMBLE, Side, chunk, event_error, texts


class Sees:
    """Passes all on, and notes what is no chunk."""

    def __init__(self, seen: list[Any], error: Exception | None, *, flow: bool) -> None:
        self.seen, self.error = seen, error
        if flow:
            self.other = self._later

    def feed(self, chunk: Any) -> list[Any]:
        return [chunk]

    def end(self) -> list[Any]:
        return []

    def other(self, value: Any) -> Any:
        self.seen.append(value)
        if self.error is not None:
            raise self.error

    def _later(self, value: Any) -> Flow[None]:
        yield from sleep(1)
        Sees.other(self, value)


def layer(seen: list[Any], error: Exception | None = None, *, flow: bool = False) -> Any:
    def sees(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_filter(lambda _: Sees(seen, error, flow=flow))))

    return sees


@pytest.mark.parametrize("flow", [False, True])
def test_it_sees_what_is_no_chunk(side: Side, flow: bool) -> None:  # noqa: FBT001
    """The value; the text where that is no JSON. It may take its time."""
    seen: list[Any] = []
    script = [PREAMBLE, chunk("a"), b'data: ["odd"]\n\n', b"data: null\n\n", chunk("b"), event_error("lost"), DONE]
    rig = side.rig([layer(seen, flow=flow)], [script])

    async def program() -> Any:
        return await side.read_until(openai.APIError, await side.do(rig.create(stream=True)))

    given, _ = side.run(program)
    assert texts([one for one in given if hasattr(one, "choices")]) == "ab"
    assert [value if isinstance(value, list | str) else value["error"]["message"] for value in seen] == [
        ["odd"],
        "null",
        "lost",
    ]


@pytest.mark.parametrize(("error", "kind"), [(RefusedError("no"), RefusedError), (KeyError("x"), PluginError)])
def test_it_may_refuse_it(side: Side, error: Exception, kind: type[RefusedError | PluginError]) -> None:
    """Then it is not delivered, and the error says whose it is."""
    rig = side.rig([layer([], error)], [[PREAMBLE, chunk("a"), b'data: "odd"\n\n', chunk("b"), DONE]])

    async def program() -> Any:
        return await side.read_until(kind, await side.do(rig.create(stream=True)))

    given, raised = side.run(program)
    assert texts(given) == "a"
    assert raised.plugin == "sees"
