"""From the layers' reply to what the program gets: the SDK's own objects, in every mode the SDK has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx2
import openai

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.exchange import Exchange
from llmstack._core.reply import Reply
from llmstack._core.transport import Engine
from llmstack._drivers.stream import AsyncStream, Stream
from llmstack._drivers.tap import stream_base, tap_class
from llmstack._wire.finish import finished, streamed
from llmstack._wire.parse import UNPARSED
from llmstack._wire.replay import replay
from llmstack._wire.request import SDKRequest, bare_request
from llmstack._wire.sdk import own_stream_class, process
from llmstack._wire.sse import ServerSentEvent
from llmstack.errors import ReplayError


def answer(call: Call, engine: Engine) -> Flow[Any]:
    """Take a call through the stack and turn the reply into what the program asked the SDK for.

    Args:
        call: The call; its `request` is the SDK's.
        engine: The stack.

    Returns:
        The parsed model, page, stream, raw response …, as the SDK would have returned.

    Raises:
        openai.OpenAIError: What the upstream or a layer raised.
    """
    call = _under_way(call, engine)
    exchange = Exchange(call, engine)
    try:
        reply = yield from exchange.start()
        if reply is None and engine.layered and call.raw:
            # A raw response shows status and headers, so it must be the last attempt's.
            yield from exchange.prime()
        result = UNPARSED if reply is None else finished(call, reply)
        if result is UNPARSED:
            response = _tapped(call, exchange) if reply is None else _response(call, reply)
            result = UNPARSED if reply is not None else streamed(call, response)
            if result is UNPARSED:
                result = yield from _processed(call, response)
    except BaseException as error:
        yield from exchange.close()
        exchange.books.close(error=error)
        raise
    if reply is not None:
        exchange.books.close(reply=reply)
    return result


def _under_way(call: Call, engine: Engine) -> Call:
    """The call with its time running."""
    now = call.progress.now = engine.clock.monotonic
    call.progress.price = engine.price
    call.progress.transport = engine.transport.name
    call.progress.home = call.base_url
    if engine.place is not None:
        call = call.at(engine.place)
    options = call.options
    if not options:
        return call
    deadline = None if options.deadline is None else now() + options.deadline
    if deadline is None and options.idle_timeout is None and not options.strict:
        return call
    return call.replace(deadline=deadline, idle_timeout=options.idle_timeout, strict=options.strict)


def _processed(call: Call, response: Any) -> Flow[Any]:
    request: SDKRequest = call.request
    asynchronous = isinstance(request.client, openai.AsyncOpenAI)
    ours, theirs = (AsyncStream, openai.AsyncStream) if asynchronous else (Stream, openai.Stream)

    def run() -> Any:
        return process(
            request.client,
            response,
            cast_to=request.cast_to,
            options=request.options,
            stream=call.stream,
            stream_cls=own_stream_class(request.stream_cls, ours, theirs),
            retries_taken=_retries_taken(call, response),
        )

    return (yield Run(run, run))


def _retries_taken(call: Call, response: Any) -> int:
    """Retries as the raw response reports them: the SDK's own, told by its header, or the stack's."""
    counted = response.request.headers.get("x-stainless-retry-count", "0")
    return max(int(counted) if counted.isdigit() else 0, call.progress.attempts - 1)


def _tapped(call: Call, exchange: Exchange) -> Any:
    """The response that a stream is read from."""
    asynchronous = isinstance(call.request.client, openai.AsyncOpenAI)
    native = None if exchange.incoming is None else exchange.incoming.native
    base = stream_base(native, asynchronous=asynchronous)
    tap = tap_class(base)(exchange)
    attached = tap.attach()
    if attached is not None:
        return attached
    # Nothing was sent (a layer answered at once) or it did not come by HTTP.
    early = {} if exchange.early is None else _without_lengths(exchange.early)
    headers = {**early, "content-type": "text/event-stream"}
    return _timed(httpx2.Response(200, headers=headers, stream=tap, request=bare_request(call)))


def _response(call: Call, reply: Reply) -> Any:
    if reply.native is not None:
        if reply.headers is not reply.native.headers:
            # What a layer has added is for the program to see, too.
            added = {name: value for name, value in reply.headers.items() if name not in reply.native.headers}
            reply.native.headers.update(added)
        return reply.native
    headers = {"content-type": "application/json", **_without_lengths(reply)}
    return _timed(
        httpx2.Response(reply.status, headers=headers, content=reply.content or b"", request=bare_request(call))
    )


def _timed(response: httpx2.Response) -> httpx2.Response:
    """A response that did not come by HTTP: it took no time, and asking for that must not raise."""
    response.elapsed = timedelta()
    return response


def _without_lengths(reply: Reply) -> dict[str, str]:
    """The reply's headers without those that told of the bytes they came with."""
    return {name.lower(): value for name, value in reply.headers.items() if name.lower() not in _LENGTHS}


_LENGTHS = frozenset({"content-length", "content-encoding", "transfer-encoding"})


def replayed(call: Call, reply: Reply) -> Sequence[ServerSentEvent]:
    """The events of a stream that says what a complete reply says.

    Raises:
        ReplayError: If the endpoint has no stream of this kind, or the reply has no JSON.
    """
    if reply.events is not None:
        return reply.events
    if not isinstance(reply.body, dict):
        message = "the reply has no JSON object, so it cannot be given as the stream that was asked for"
        raise ReplayError(message, call=call.info)
    try:
        piece = 0 if reply.pace is None else reply.pace.characters
        return replay(call.endpoint, reply.body, call.params, piece=piece)
    except ValueError as error:
        raise ReplayError(str(error), call=call.info) from error
