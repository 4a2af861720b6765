"""Whatever bytes a server answers with, a program sees of them what it sees through the SDK, and sends the same."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Generator, Sequence
from importlib import import_module
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Stack
from tests.clients.differential import KEY, Attempt, Items, Outcome, aplay, assert_same, play
from tests.clients.raw_answers import CHUNKED, EVENTS, JSON, PLAIN, SSE, STREAM, STREAMED, WHOLE, chunks, head, sized
from tests.clients.raw_server import RawServer, Said, raw_server
from tests.clients.stacks import passthrough
from tests.core.side import trio_complains

translates = pytest.mark.skipif(
    not hasattr(import_module("openai._streaming"), "request_exceptions"),
    reason="an older SDK lets its HTTP library's error out of a stream that breaks; we never do",
)
BROKEN = {"cut short", "reset", "too short", "a chunk that is none"}
STREAMS = [pytest.param(name, marks=translates if name in BROKEN else ()) for name in STREAMED]
Program = Callable[[Any], Generator[Any, Any, Any]]


def calls(client: Any) -> Generator[Any, Any, Any]:
    """The same call three times: on a new connection, on the same, on what is left of it."""
    for i in range(3):
        messages = [{"role": "user", "content": f"\u00e9 {i}"}]
        yield Attempt(lambda messages=messages: client.chat.completions.create(model="m", messages=messages))


def streams(client: Any) -> Generator[Any, Any, Any]:
    for i in range(3):
        messages = [{"role": "user", "content": f"\u00e9 {i}"}]
        stream = yield Attempt(
            lambda messages=messages: client.chat.completions.create(model="m", messages=messages, stream=True)
        )
        if not isinstance(stream, Exception):
            yield Attempt(lambda stream=stream: Items(stream))
            yield stream


def seen(server: RawServer) -> Any:
    """The requests, without the port."""
    return [re.sub(rb"127.0.0.1:\d+", b"HOST", request) for request in server.requests]


def played(kind: type, program: Program, answers: Sequence[Said], **given: Any) -> Outcome:
    outcome = Outcome()
    with raw_server(*answers) as server, kind(base_url=server.url, api_key=KEY, timeout=2, **given) as client:
        play(program(client), outcome)
        outcome.received = seen(server)
    return outcome


async def aplayed(kind: type, program: Program, answers: Sequence[Said], **given: Any) -> Outcome:
    outcome = Outcome()
    with raw_server(*answers) as server:
        async with kind(base_url=server.url, api_key=KEY, timeout=2, **given) as client:
            await aplay(program(client), outcome)
        outcome.received = seen(server)
    return outcome


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_what_the_sdk_sees(name: str) -> None:
    """On a new connection and on one that is kept, with a plugin and without."""
    answers = [Said((PLAIN,)), WHOLE[name]]
    theirs = played(openai.OpenAI, calls, answers, max_retries=0)
    for plugins in ([], [passthrough]):
        assert_same(played(llmstack.OpenAI, calls, answers, max_retries=0, stack=Stack(plugins)), theirs)


@trio_complains
@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_is_what_the_async_sdk_sees(name: str) -> None:
    """The same."""
    answers = [Said((PLAIN,)), WHOLE[name]]
    theirs = await aplayed(openai.AsyncOpenAI, calls, answers, max_retries=0)
    ours = await aplayed(llmstack.AsyncOpenAI, calls, answers, max_retries=0, stack=Stack([]))
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_what_the_sdk_sees(name: str) -> None:
    """Chunks, errors and the response."""
    answers = [Said((STREAM,)), STREAMED[name]]
    theirs = played(openai.OpenAI, streams, answers, max_retries=0)
    assert_same(played(llmstack.OpenAI, streams, answers, max_retries=0, stack=Stack([])), theirs)


@trio_complains
@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_what_the_async_sdk_sees(name: str) -> None:
    """The same."""
    answers = [Said((STREAM,)), STREAMED[name]]
    theirs = await aplayed(openai.AsyncOpenAI, streams, answers, max_retries=0)
    assert_same(await aplayed(llmstack.AsyncOpenAI, streams, answers, max_retries=0, stack=Stack([])), theirs)


GZIPPED = Said((head(SSE, CHUNKED, b"content-encoding: gzip\r\n") + chunks(gzip.compress(EVENTS)),))


def test_a_compressed_stream_is_what_the_sdk_sees() -> None:
    """Chunk by chunk. (Its response no longer says that it is compressed: its bytes come as they are.)"""

    def chunked(client: Any) -> Generator[Any, Any, Any]:
        for _ in range(2):
            yield Items(client.chat.completions.create(model="m", messages=[], stream=True))

    theirs = played(openai.OpenAI, chunked, [GZIPPED])
    assert_same(played(llmstack.OpenAI, chunked, [GZIPPED], stack=Stack([])), theirs)


@pytest.mark.parametrize(("program", "answer"), [(calls, PLAIN), (streams, STREAM)])
def test_nothing_that_follows_an_answer_is_taken_for_the_next_one(program: Program, answer: bytes) -> None:
    """The SDK's HTTP client keeps such a connection and reads what is no answer to its next request."""
    answers = [Said((answer + PLAIN.replace(b"hi", b"42"),))]
    with raw_server(*answers) as server, llmstack.OpenAI(base_url=server.url, api_key=KEY, stack=Stack([])) as client:
        outcome = Outcome()
        play(program(client), outcome)
    assert "'42'" not in repr(outcome.steps)


AGAIN = sized(b'{"error":{"message":"later"}}', JSON, b"retry-after-ms: 1\r\n", status=b"503 Busy")
CLOSING = AGAIN.replace(JSON, JSON + b"connection: close\r\n")


@pytest.mark.parametrize(
    "fault", [Said((AGAIN,)), Said((CLOSING,), "close"), Said((), "reset"), Said((PLAIN[:-5],), "close")]
)
def test_what_fails_is_sent_again_as_often_as_the_sdk_does(fault: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same headers, among them how often it was."""
    monkeypatch.setattr("openai._base_client.time.sleep", lambda _seconds: None)
    answers = [Said((PLAIN,)), fault, fault, Said((PLAIN,)), fault]
    theirs = played(openai.OpenAI, calls, answers, max_retries=2)
    assert_same(played(llmstack.OpenAI, calls, answers, max_retries=2, stack=Stack([])), theirs)


def changes(client: Any) -> Generator[Any, Any, Any]:
    """Whatever shows in a request is changed between two of them."""

    def ask(**more: Any) -> Any:
        return client.chat.completions.create(model="m", messages=[], **more)

    yield ask()
    client.api_key = "sk-another"
    yield ask()
    client.organization, client.project = "org", "proj"
    yield ask()
    client._custom_headers["x-new"] = "1"  # noqa: SLF001 - a dictionary that a program may hold
    yield ask()
    client._client.headers["x-http"] = "2"  # noqa: SLF001 - the HTTP client is the program's to change
    yield ask()
    client.timeout = 7
    yield ask()
    client.timeout = httpx2.Timeout(8, read=9)
    yield ask()
    yield ask(timeout=3)
    yield ask(timeout=httpx2.Timeout(4, connect=5))
    yield ask(extra_headers={"X-A": "b", "Authorization": "Bearer other"})
    yield ask(extra_headers={"User-Agent": openai.omit})
    yield ask(extra_headers={"connection": "close"})
    yield Attempt(lambda: ask(extra_headers={"Content-Length": "1"}))
    yield ask(extra_headers={"x-stainless-raw-response": "1"})
    yield ask(extra_body={"more": [1, None, {"\u00e9": 1.5}], "model": "n"})
    yield ask(extra_query={"q": "1"})
    client.base_url = str(client.base_url).replace("/v1/", "/v2/")
    yield ask()
    client._client.cookies.set("a", "b")  # noqa: SLF001 - as above
    yield ask()
    yield client.with_options(default_headers={"x-copy": "1"}, default_query={"v": "2"}).embeddings.create(
        model="m", input="x"
    )


EMBEDDING = sized(b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"m"}', JSON)


def test_what_is_changed_on_a_client_shows_in_its_next_request() -> None:
    """Nothing that was prepared outlives that of which it was made."""
    answers = [*[Said((PLAIN,))] * 17, Said((EMBEDDING,))]
    theirs = played(openai.OpenAI, changes, answers)
    assert len(theirs.received) == 18
    assert_same(played(llmstack.OpenAI, changes, answers, stack=Stack([])), theirs)
