"""Transmission: one send and its answer, with the chunk filters at work beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Parallel, Run
from llmstack._core.filtering import Filters
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming, ServerEvent, Transport

Beside = Callable[[Flow[Any]], Flow[Any]]
"""Serves a flow of the filters', which may ask for whatever a layer may."""


def transmit(
    call: Call, transport: Transport, filters: Filters | None, beside: Beside, close: Callable[[Incoming], Flow[None]]
) -> Flow[Reply | Incoming]:
    """Send, while the filters start that want to.

    Args:
        call: What to send.
        transport: Where to.
        filters: What the answer's chunks will pass; None if nothing filters.
        beside: Serves the filters' flows.
        close: Gives the connection back of an answer that is not wanted, since a filter could not start.

    Returns:
        The transport's answer.
    """
    starting = filters.start() if filters is not None and call.stream else None
    if starting is None:
        return (yield from transport.send(call))
    answers: list[Reply | Incoming] = []

    def send() -> Flow[None]:
        answers.append((yield from transport.send(call)))

    try:
        yield Parallel((send(), beside(starting)))
    except BaseException:
        for answer in answers:
            if not isinstance(answer, Reply):
                yield from close(answer)
        raise
    return answers[0]


def read_whole(call: Call, incoming: Incoming, filters: Filters | None, beside: Beside) -> Flow[Reply]:
    """Read what is arriving to its end at once, where nobody reads it piece by piece.

    Args:
        call: The call that was sent.
        incoming: Its answer.
        filters: What its chunks pass; None if nothing filters.
        beside: Serves the filters' flows.

    Returns:
        The whole reply; its events as the filters left them.
    """
    watch = incoming.watch
    pieces: list[bytes] = []
    passed: list[ServerEvent] = []
    try:
        data: bytes | None = b""
        while data is not None and not watch.done:
            data = yield Run(incoming.read, incoming.aread)
            events = watch.end() if data is None else watch.feed(data)
            if watch.failure is not None:
                raise watch.failure
            if filters is not None:
                passed += yield from beside(filters.apply(events, last=data is None))
            elif not call.stream:
                pieces.append(data or b"")
    finally:
        yield Run(incoming.close, incoming.aclose, shield=True)
    reply = watch.reply(ended=True)
    if not call.stream:
        return Reply(content=b"".join(pieces), status=reply.status, headers=reply.headers, complete=reply.complete)
    return reply if filters is None else reply.with_events(passed)
