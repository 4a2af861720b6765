"""The ways in which a stream comes to its end: read, closed, left or dropped."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Awaitable, Callable
from typing import Any

from tests.core.side import MESSAGES, PREAMBLE, Rig, Side, chunk

LONG = [PREAMBLE, *(chunk(f"{i} ") for i in range(50))]


async def read_some(side: Side, stream: Any, count: int = 2) -> list[Any]:
    """The first chunks of a stream; nobody holds it afterwards for that."""
    seen: list[Any] = []
    async for c in side.each(stream):
        seen.append(c)
        if len(seen) == count:
            break
    return seen


async def to_the_end(side: Side, rig: Rig) -> None:
    await side.read(await side.do(rig.create(stream=True)))


async def to_the_end_and_closed(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await side.read(stream)
    await side.close(stream)


async def closed(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await read_some(side, stream)
    await side.close(stream)


async def closed_twice(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await read_some(side, stream)
    await side.close(stream)
    await side.close(stream)


async def closed_unread(side: Side, rig: Rig) -> None:
    await side.close(await side.do(rig.create(stream=True)))


async def closed_inside_the_loop(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    count = 0
    async for _ in side.each(stream):
        count += 1
        await side.close(stream)
    assert count == 1


async def broken_out_of_with(side: Side, rig: Rig) -> None:
    if side.asynchronous:
        async with await rig.create(stream=True) as stream:
            async for _ in stream:
                break
    else:
        with rig.create(stream=True) as stream:
            for _ in stream:
                break


async def raised_out_of_with(side: Side, rig: Rig) -> None:
    with contextlib.suppress(KeyError):
        if side.asynchronous:
            async with await rig.create(stream=True) as stream:
                async for _ in stream:
                    raise KeyError
        else:
            with rig.create(stream=True) as stream:
                for _ in stream:
                    raise KeyError


async def broken_out_and_dropped(side: Side, rig: Rig) -> None:
    if side.asynchronous:
        async for _ in await rig.create(stream=True):
            break
    else:
        for _ in rig.create(stream=True):
            break
    await side.settle()


async def dropped_unread(side: Side, rig: Rig) -> None:
    await side.do(rig.create(stream=True))
    await side.settle()


async def dropped_in_a_cycle(side: Side, rig: Rig) -> None:
    holder: list[Any] = []
    holder.append((await side.do(rig.create(stream=True)), holder))
    await read_some(side, holder[0][0])
    del holder
    gc.collect()
    await side.settle()


async def response_closed(side: Side, rig: Rig) -> None:
    stream = await side.do(rig.create(stream=True))
    await read_some(side, stream)
    await (stream.response.aclose() if side.asynchronous else side.do(stream.response.close()))


async def left_chat_helper(side: Side, rig: Rig) -> None:
    manager = rig.client.chat.completions.stream(model="m", messages=MESSAGES)
    if side.asynchronous:
        async with manager as stream:
            async for _ in stream:
                break
    else:
        with manager as stream:
            for _ in stream:
                break


async def left_streaming_response(side: Side, rig: Rig) -> None:
    manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
    if side.asynchronous:
        async with manager as response:
            async for _ in response.iter_lines():
                break
    else:
        with manager as response:
            for _ in response.iter_lines():
                break


async def left_streaming_response_unread(side: Side, rig: Rig) -> None:
    manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES, stream=True)
    if side.asynchronous:
        async with manager:
            pass
    else:
        with manager:
            pass


async def dropped_raw_response(side: Side, rig: Rig) -> None:
    await side.do(rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True))
    await side.settle()


async def dropped_parsed_raw_response(side: Side, rig: Rig) -> None:
    raw = await side.do(rig.client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, stream=True))
    stream = raw.parse()
    await read_some(side, stream)
    del raw, stream
    gc.collect()  # the SDK's raw response and what it parsed hold each other
    await side.settle()


Ending = Callable[[Side, Rig], Awaitable[None]]

WHOLE: list[Ending] = [to_the_end, to_the_end_and_closed]
EARLY: list[Ending] = [
    closed,
    closed_twice,
    closed_unread,
    closed_inside_the_loop,
    broken_out_of_with,
    raised_out_of_with,
    broken_out_and_dropped,
    dropped_unread,
    dropped_in_a_cycle,
    response_closed,
    left_chat_helper,
    left_streaming_response,
    left_streaming_response_unread,
    dropped_raw_response,
    dropped_parsed_raw_response,
]
