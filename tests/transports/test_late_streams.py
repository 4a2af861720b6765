"""The HTTP response of a stream is made when somebody looks at it, and is then what it would have been."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack._wire.late import LateResponse
from llmstack.testing import LocalServer
from tests.transports.pools import KEY, MESSAGES
from tests.transports.test_lean import plain_library

__all__ = ["plain_library"]

_OWN = ("date", "x-request-id", "openai-processing-ms")
"""Headers that each answer has its own of, as those of rate limits."""
ASK: dict[str, Any] = {"model": "gpt-5-mini", "messages": MESSAGES, "stream": True}


def told(response: httpx2.Response) -> Any:
    """What a program may see of a response, but for the time."""
    fields = response.headers.multi_items()
    headers = [(name, value) for name, value in fields if name not in _OWN and not name.startswith("x-ratelimit")]
    sent = response.request
    return (
        response.status_code, headers, response.reason_phrase, response.http_version, response.is_closed,
        response.elapsed.total_seconds() > 0, sent.method, sent.url, sent.read(), sent.headers["authorization"],
        sent.extensions["timeout"],
    )  # fmt: skip


def test_nobody_looks_at_it_when_a_stream_is_read(client: OpenAI, server: LocalServer) -> None:
    """Then it is closed, and tells of the stream what the SDK's does."""
    stream = client.chat.completions.create(**ASK)
    assert [*stream]
    assert type(stream.response) is LateResponse
    with openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as bare:
        theirs = bare.chat.completions.create(**ASK)
        assert [*theirs]
        assert told(stream.response) == told(theirs.response)
    assert type(stream.response) is httpx2.Response
    assert stream.response.request is stream.response.request


def test_who_looks_in_the_middle_sees_it_open(client: OpenAI) -> None:
    """And reads on, or closes it."""
    with client.chat.completions.create(**ASK) as stream:
        next(iter(stream))
        assert not stream.response.is_closed
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert type(stream.response) is httpx2.Response
        stream.response.close()
        assert stream.response.is_closed


@pytest.mark.parametrize("http", [None, "aiohttp"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_same_in_async_programs(server: LocalServer, http: Any, anyio_backend: str) -> None:
    """Over both kinds of connections."""
    async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), max_retries=0, http=http) as client:
        await client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES)  # type: ignore[arg-type]
        stream = await client.chat.completions.create(**ASK)
        assert [chunk async for chunk in stream]
        assert type(stream.response) is LateResponse
        assert stream.response.is_closed
        assert stream.response.request.url.path.endswith("/chat/completions")
        assert type(stream.response) is httpx2.Response


class Breaking(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Cannot be closed without an error."""

    def close(self) -> None:
        raise httpx2.ReadError("lost")

    async def aclose(self) -> None:
        raise httpx2.ReadError("lost")


def late() -> tuple[LateResponse, httpx2.Request]:
    request = httpx2.Request("POST", "http://example.com/v1")
    stream = Breaking()
    return LateResponse(
        lambda: httpx2.Response(200, stream=stream, request=request), stream=stream, is_closed=False
    ), request


async def test_what_strikes_while_it_is_closed_knows_its_request() -> None:
    """As an error of the HTTP library does."""
    response, request = late()
    with pytest.raises(httpx2.ReadError) as raised:
        response.close()
    assert (raised.value.request, response.is_closed) == (request, True)
    response, request = late()
    with pytest.raises(httpx2.ReadError) as raised:
        await response.aclose()
    assert (raised.value.request, response.is_closed) == (request, True)


async def test_one_that_has_been_looked_at_is_closed_as_any_other() -> None:
    """Once."""
    response, _ = late()
    assert response.status_code == 200
    with pytest.raises(httpx2.ReadError):
        response.close()
    response.close()
    whole = LateResponse(lambda: httpx2.Response(200, content=b"{}"))
    whole.close()
    await LateResponse(lambda: httpx2.Response(200, content=b"{}")).aclose()
    assert whole.is_closed
