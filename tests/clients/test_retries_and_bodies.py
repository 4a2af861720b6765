"""How often a call is sent, and what of its body arrives each time."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, LocalServer
from tests.clients.calls import chat

KEY = "sk-test-not-a-key"
SOON = {"retry-after-ms": "1"}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(params=["the SDK's", "Retry"])
def retried(request: pytest.FixtureRequest) -> Callable[[], Stack]:
    """A stack in which the SDK sends again, and one in which `Retry` does."""
    return lambda: Stack([Retry()] if request.param == "Retry" else [], clock=FakeClock())


def counted(server: LocalServer, stack: Stack, **options: Any) -> int:
    """How many requests a call makes that always fails."""
    server.reset()
    server.next(500, headers=SOON, times=None)
    per_call = options.pop("per_call", {})
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=stack, **options) as client:
        with pytest.raises(openai.InternalServerError):
            client.with_options(**per_call).models.retrieve("m")
        return server.count()


def test_attempts_are_those_that_were_asked_for(server: LocalServer, retried: Callable[[], Stack]) -> None:
    """By default three; the client's ``max_retries`` and one more; a call's own goes before it."""
    assert counted(server, retried()) == 3
    assert counted(server, retried(), max_retries=0) == 1
    assert counted(server, retried(), max_retries=4) == 5
    assert counted(server, retried(), max_retries=4, per_call={"max_retries": 1}) == 2
    assert counted(server, retried(), max_retries=0, per_call={"max_retries": 1}) == 2


def test_attempts_of_retry_are_not_multiplied(server: LocalServer) -> None:
    """With `Retry` the SDK's own loop is off: five attempts are five requests."""
    assert counted(server, Stack([Retry(attempts=5)], clock=FakeClock())) == 5
    assert counted(server, Stack([Retry(attempts=1)], clock=FakeClock())) == 1
    assert counted(server, Stack([Retry(attempts=5)], clock=FakeClock()), max_retries=1) == 2


def test_retries_are_told_to_the_server_and_the_program(server: LocalServer, retried: Callable[[], Stack]) -> None:
    """In the SDK's header and in ``retries_taken``."""
    server.next(500, headers=SOON, times=2)
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        response = client.chat.completions.with_raw_response.create(**chat())
    assert response.retries_taken == 2
    assert [request.headers["x-stainless-retry-count"] for request in server.requests] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ({}, ["0", "1"]),
        ({"x-stainless-retry-count": "7"}, ["7", "7"]),
        ({"X-Stainless-Retry-Count": openai.Omit()}, [None, None]),
    ],
)
def test_a_retry_count_of_the_programs_is_left_alone(
    server: LocalServer, retried: Callable[[], Stack], said: dict[str, Any], sent: list[str | None]
) -> None:
    """As with the SDK: what the program says of that header holds for all attempts."""
    server.next(500, headers=SOON)
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        client.models.retrieve("m", extra_headers=said)
    assert [request.headers.get("x-stainless-retry-count") for request in server.requests] == sent


def file_of(content: bytes) -> io.BytesIO:
    opened = io.BytesIO(content)
    opened.seek(3)  # a form holds the whole file, wherever it stood
    return opened


@pytest.mark.parametrize("fault", [{"status": 500, "headers": SOON}, {"fault": "close"}], ids=["500", "closed"])
def test_files_are_sent_again_whole(server: LocalServer, retried: Callable[[], Stack], fault: Any) -> None:
    """To the last byte."""
    server.next(**fault, times=2)
    content = bytes(range(256)) * 1000
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        file = client.files.create(file=("a.bin", file_of(content)), purpose="batch")
        assert client.files.content(file.id).content == content
    bodies = [request.body for request in server.requests[:3]]
    assert [body.count(content) for body in bodies] == [1, 1, 1]
    assert len({len(body) for body in bodies}) == 1


def test_several_files_are_sent_again_whole(server: LocalServer, retried: Callable[[], Stack]) -> None:
    """All of them."""
    server.next(500, headers=SOON)
    pictures: Any = [("a.png", file_of(b"first picture")), ("b.png", b"second picture"), ("c.png", file_of(b"third"))]
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        client.images.edit(image=pictures, prompt="a cat")
    for request in server.requests:
        assert all(text in request.body for text in (b"first picture", b"second picture", b"third"))
    assert len(server.requests) == 2


async def test_async_files_are_sent_again_whole(server: LocalServer, retried: Callable[[], Stack]) -> None:
    """The same with an async client."""
    server.next(500, headers=SOON)
    async with llmstack.AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        await client.files.create(file=("a.bin", file_of(b"content of it")), purpose="batch")
    assert [request.body.count(b"content of it") for request in server.requests] == [1, 1]


class OneShot(io.RawIOBase):
    """A file that cannot be rewound."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def pieces() -> Iterator[bytes]:
    yield b'{"model": "m", '
    yield b'"messages": []}'


@pytest.mark.parametrize(
    "body", [pieces, lambda: iter([b"{}"]), lambda: OneShot(b"{}")], ids=["generator", "iterator", "pipe"]
)
def test_a_one_shot_body_is_sent_once(server: LocalServer, retried: Callable[[], Stack], body: Any) -> None:
    """And the original error surfaces, not one about the body."""
    server.next(500, headers=SOON, times=None)
    with (
        llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client,
        pytest.raises(openai.InternalServerError),
    ):
        client.post("/chat/completions", cast_to=object, content=body())
    assert server.count() == 1


def test_a_one_shot_body_arrives(server: LocalServer) -> None:
    """It is not read before it is sent."""
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([Retry()])) as client:
        answer: Any = client.post("/embeddings", cast_to=object, content=iter([b'{"model": "e", ', b'"input": "x"}']))
    assert answer["object"] == "list"
    assert server.requests[0].json == {"model": "e", "input": "x"}


def test_a_list_of_pieces_is_sent_again(server: LocalServer, retried: Callable[[], Stack]) -> None:
    """It can be read any number of times."""
    server.next(500, headers=SOON)
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        client.post("/embeddings", cast_to=object, content=[b'{"model": "e", ', b'"input": "x"}'])
    assert [request.json for request in server.requests] == [{"model": "e", "input": "x"}] * 2


def test_the_programs_arguments_are_never_changed(server: LocalServer) -> None:
    """Not by us, and not by a layer that changes the call."""

    def change(call: Any, next: Any) -> Any:
        return (yield from next(call.with_params(temperature=1).replace(headers={**call.headers, "x-a": "1"})))

    given: Any = chat(
        extra_headers={"x-b": "2", "x-llmstack-tenant": "acme"}, extra_body={"a": 1}, extra_query={"q": "1"}
    )
    before = repr(given)
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([change])) as client:
        client.chat.completions.create(**given)
    assert repr(given) == before
    assert server.requests[0].json == {**chat(), "a": 1, "temperature": 1}


def test_an_idempotency_key_is_the_same_for_all_attempts(server: LocalServer, retried: Callable[[], Stack]) -> None:
    """Where a program's own client sends one; another call has another."""

    class Mine(llmstack.OpenAI):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._idempotency_header = "Idempotency-Key"

    with Mine(base_url=server.base_url, api_key=KEY, stack=retried()) as client:
        server.next(500, headers=SOON)
        client.chat.completions.create(**chat())
        client.chat.completions.create(**chat())
        client.post("/embeddings", cast_to=object, body={"model": "e", "input": "x"}, options={"idempotency_key": "my"})
    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == "my"
