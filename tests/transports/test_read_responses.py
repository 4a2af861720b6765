"""HTTP clients of the program's own that have read an answer before the SDK sees it: hooks, authentication, mocks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import Any

import httpx2
import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.middleware import Retry
from llmstack.testing import LocalServer, Recorder
from tests.clients.calls import chat
from tests.clients.differential import Attempt, Items, Outcome, Within, aobserve, assert_same, observe

BODIES: list[bytes] = []


def reads(response: httpx2.Response) -> None:
    BODIES.append(response.read())


async def areads(response: httpx2.Response) -> None:
    BODIES.append(await response.aread())


def drains(response: httpx2.Response) -> None:
    for _ in response.iter_raw():
        pass


async def adrains(response: httpx2.Response) -> None:
    async for _ in response.aiter_raw():
        pass


def closes(response: httpx2.Response) -> None:
    response.close()


async def acloses(response: httpx2.Response) -> None:
    await response.aclose()


class Signed(httpx2.Auth):
    """Reads every answer, to see whether it must sign anew."""

    requires_response_body = True

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        response = yield request
        BODIES.append(response.content)


def hooked(hook: Callable[..., Any]) -> Callable[[], Any]:
    kind = httpx2.AsyncClient if inspect.iscoroutinefunction(hook) else httpx2.Client
    return lambda: kind(event_hooks={"request": [], "response": [hook]}, timeout=5)


def streams(client: Any) -> Generator[Any, Any, Any]:
    """Every way in which a body is read late."""
    stream = yield client.chat.completions.create(**chat(stream=True))
    yield Items(stream)
    yield stream

    def as_bytes(response: Any) -> Generator[Any, Any, Any]:
        pieces = yield Items(response.iter_bytes())
        yield b"".join(pieces)
        yield response

    def as_lines(response: Any) -> Generator[Any, Any, Any]:
        yield Items(response.iter_lines())

    def left(response: Any) -> Generator[Any, Any, Any]:
        yield response.status_code

    for read in (as_bytes, as_lines, left):
        yield Within(client.chat.completions.with_streaming_response.create(**chat()), read)
    yield Within(client.chat.completions.stream(**chat()), lambda stream: (yield Items(stream)))
    raw = yield client.chat.completions.with_raw_response.create(**chat(stream=True))
    yield Items(raw.parse())
    yield client.chat.completions.create(**chat())


def spoilt(client: Any) -> Generator[Any, Any, Any]:
    """The same where nothing is left to be read."""
    stream = yield client.chat.completions.create(**chat(stream=True))
    following = stream.__anext__ if isinstance(client, openai.AsyncOpenAI) else stream.__next__
    yield Attempt(following)

    def read(response: Any) -> Generator[Any, Any, Any]:
        yield Attempt(response.read)

    yield Within(client.chat.completions.with_streaming_response.create(**chat()), read)


STACKS = {"empty": lambda: Stack([]), "retry": lambda: Stack([Retry()])}
EACH = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def at_once(seen: Any) -> Any:
    """Without what tells that a body is at hand before it is asked for: with a stack it is given when it is."""
    if isinstance(seen, dict):
        return {name: at_once(value) for name, value in seen.items() if name not in AT_HAND}
    return [at_once(value) for value in seen] if isinstance(seen, list) else seen


AT_HAND = {"closed", "is_closed", "content", "elapsed"}


def both(http_client: Callable[[], Any], program: Any, stack: Any) -> list[Outcome]:
    with LocalServer() as server:
        theirs = observe(openai.OpenAI, server, program, http_client=http_client())
    with LocalServer() as server:
        ours = observe(llmstack.OpenAI, server, program, http_client=http_client(), stack=stack())
    return [ours, theirs]


async def aboth(http_client: Callable[[], Any], program: Any, stack: Any) -> list[Outcome]:
    with LocalServer() as server:
        theirs = await aobserve(openai.AsyncOpenAI, server, program, http_client=http_client())
    with LocalServer() as server:
        ours = await aobserve(llmstack.AsyncOpenAI, server, program, http_client=http_client(), stack=stack())
    return [ours, theirs]


def assert_read(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        outcome.steps = at_once(outcome.steps)
    assert_same(*outcomes)
    assert len(BODIES) == 2 * 7


def assert_gone(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        _, of_stream, of_body = outcome.values
        assert isinstance(of_stream, httpx2.StreamError)
        assert isinstance(of_body, (httpx2.StreamError, openai.OpenAIError))
    assert type(outcomes[0].values[1]) is type(outcomes[1].values[1])


@EACH
@pytest.mark.parametrize(
    "http_client", [hooked(reads), lambda: httpx2.Client(auth=Signed(), timeout=5)], ids=["a hook", "authentication"]
)
def test_an_answer_that_was_read_is_what_the_sdk_makes_of_it(http_client: Any, stack: Any) -> None:
    """It is not waited for once more on a connection that has nothing to say."""
    BODIES.clear()
    assert_read(both(http_client, streams, stack))


@EACH
@pytest.mark.parametrize(
    "http_client",
    [hooked(areads), lambda: httpx2.AsyncClient(auth=Signed(), timeout=5)],
    ids=["a hook", "authentication"],
)
async def test_an_async_answer_that_was_read_is_what_the_sdk_makes_of_it(http_client: Any, stack: Any) -> None:
    """The same with async clients."""
    BODIES.clear()
    assert_read(await aboth(http_client, streams, stack))


@EACH
@pytest.mark.parametrize("hook", [drains, closes])
def test_an_answer_that_is_gone_is_an_error(hook: Any, stack: Any) -> None:
    """Taken without being kept, or closed: the HTTP library's, as with the SDK."""
    assert_gone(both(hooked(hook), spoilt, stack))


@EACH
@pytest.mark.parametrize("hook", [adrains, acloses])
async def test_an_async_answer_that_is_gone_is_an_error(hook: Any, stack: Any) -> None:
    """The same with async clients."""
    assert_gone(await aboth(hooked(hook), spoilt, stack))


MOCKED = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def mocked(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, json=MOCKED)


def assert_whole(recorder: Recorder) -> None:
    finished = recorder.finished
    assert (finished.outcome, finished.usage and finished.usage.total_tokens) == ("ok", 3)


def test_the_layers_see_the_whole_of_a_mocked_answer() -> None:
    """However the program reads it: the books are closed when it has."""
    recorder = Recorder()
    http_client = httpx2.Client(transport=httpx2.MockTransport(mocked))
    with llmstack.OpenAI(api_key="sk-test-not-a-key", stack=Stack([recorder]), http_client=http_client) as client:
        with client.chat.completions.with_streaming_response.create(**chat()) as response:
            assert response.json() == MOCKED
        assert_whole(recorder)


async def test_the_layers_see_the_whole_of_an_async_mocked_answer() -> None:
    """The same with async clients."""
    recorder = Recorder()
    http_client = httpx2.AsyncClient(transport=httpx2.MockTransport(mocked))
    options: Any = {"api_key": "sk-test-not-a-key", "stack": Stack([recorder]), "http_client": http_client}
    async with llmstack.AsyncOpenAI(**options) as client:
        async with client.chat.completions.with_streaming_response.create(**chat()) as response:
            assert b"".join([piece async for piece in response.iter_bytes()])
        assert_whole(recorder)
