"""What a transport of one's own over HTTP needs: a request for a call, and a reply, or a stream, for its response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import httpx2
from openai import APITimeoutError

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.incoming import HttpIncoming
from llmstack._wire.request import RAW_VALUES, bare_request
from llmstack._wire.sdk import RAW_RESPONSE_HEADER, api_error, status_error, translated
from llmstack._wire.watch import BodyWatch, EventWatch
from llmstack.errors import UnsupportedError
from llmstack.transports._own.portable import portable
from llmstack.transports.deadline import limited

__all__ = ["outgoing", "round_trip"]


def outgoing(call: Call, base_url: str, *, headers: Mapping[str, str] | None = None) -> httpx2.Request:
    """The HTTP request that asks for what a call asks for, at a place of one's own.

    It has the call's method, path, query, JSON body and headers, except keys, cookies, organization and project, which
    were meant for the client's own host; and the call's time-outs, which end at its deadline if the HTTP client is
    `guarded`.

    Args:
        call: The call.
        base_url: The address that its path is put under.
        headers: More headers, such as a key.

    Returns:
        A request to be sent by any ``httpx2`` client.

    Raises:
        llmstack.errors.UnsupportedError: If the body is no JSON (an upload), or the call names an address of its own.
        openai.APITimeoutError: If the call's deadline has passed.
    """
    if call.request is not None and call.request.replay is not None:
        raise UnsupportedError("this transport sends JSON only, and the call uploads something else", call=call.info)
    if "://" in call.path:
        raise UnsupportedError("the call names an address, but this transport sends to its own", call=call.info)
    url = httpx2.URL(base_url)
    url = url.copy_with(raw_path=url.raw_path.rstrip(b"/") + b"/" + call.path.lstrip("/").encode("ascii", "replace"))
    named = {name: value for name, value in portable(call.headers).items() if isinstance(value, str)}
    if call.raw:
        named[RAW_RESPONSE_HEADER] = RAW_VALUES[call.raw]  # how the SDK knows what the program wants
    request = httpx2.Request(
        call.method,
        url,
        params=_query(call, url),
        headers={**named, **(headers or {})},
        json=dict(call.params) if call.params else None,
        extensions={"timeout": _timeout(call).as_dict()},
    )
    if "content-type" not in named and call.params:
        request.headers["content-type"] = "application/json"
    return request


def round_trip(
    call: Call, send: Callable[[], httpx2.Response], asend: Callable[[], Awaitable[httpx2.Response]]
) -> Flow[Reply | Incoming]:
    """Send a request, and make of the response what a transport returns.

    Args:
        call: The call.
        send: Sends in a sync program; gives a response whose body is not read (``stream=True``).
        asend: The same in an async program.

    Returns:
        A reply; or, for a streamed call and for one whose body the program reads itself, what is arriving.

    Raises:
        openai.APIStatusError: The SDK's error for a status that is no success.
        openai.APIConnectionError: If no answer came, or it broke off; ``APITimeoutError`` if time ran out.
    """
    try:
        response = yield Run(send, asend)
        lazy = response.is_success and (call.stream or call.raw == "stream")
        if not lazy:
            yield Run(response.read, response.aread)
    except Exception as error:  # noqa: BLE001 - raised again, or its translation
        ours = translated(error, bare_request(call))
        try:
            if ours is error:
                raise
            raise ours from error
        finally:
            del ours, error  # they hold this frame
    if not response.is_success:
        raise status_error(response)
    status, headers = response.status_code, response.headers
    if not lazy:
        return Reply(content=response.content, status=status, headers=headers, native=response)
    if call.stream:
        return HttpIncoming(response, EventWatch(call, status, headers, partial(api_error, request=response.request)))
    return HttpIncoming(response, BodyWatch(status, headers))


def _query(call: Call, url: httpx2.URL) -> httpx2.QueryParams | None:
    query = portable(call.query)
    if not query:
        return None
    # The SDK writes lists and tables in a way of its own.
    client = getattr(call.request, "client", None)
    written = httpx2.QueryParams(dict(query) if client is None else client.qs.stringify(query))
    return url.params.merge(written)


def _timeout(call: Call) -> httpx2.Timeout:
    deadline, now = call.deadline, call.progress.now
    timeout = httpx2.Timeout(call.timeout)
    if call.idle_timeout is not None:
        timeout.read = call.idle_timeout
    if deadline is None or now is None:
        return timeout
    if deadline <= now():
        raise APITimeoutError(request=bare_request(call))
    # Not a method of the call: what the connection holds on to must not hold the call.
    return limited(timeout, lambda: deadline - now())
