"""One call, and what comes of it: its answer, its stream read to the end, or its error."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from tests.core.side import Side

E = TypeVar("E", bound=BaseException)


async def once(side: Side, rig: Any, **more: Any) -> Any:
    """Its answer, or the stream of it."""
    return await side.do(rig.create(**more))


async def whole(side: Side, rig: Any, *, stream: bool) -> None:
    """A call, its stream read to the end if it is streamed."""
    got = await once(side, rig, stream=stream)
    if stream:
        await side.read(got)


def error_of(side: Side, rig: Any, kind: type[E], *, stream: bool = False) -> E:
    """The error that the program gets, at the latest from the stream."""

    async def program() -> E:
        with pytest.raises(kind) as caught:
            await whole(side, rig, stream=stream)
        return caught.value

    return side.run(program)
