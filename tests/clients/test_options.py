"""What the program says to the plugins: by headers, by ``llmstack.options``, by the client's defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.testing import LocalServer
from tests.clients.calls import FILE, chat

# The SDK leaves its own generators to the garbage collector, which trio points out.
pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")

KEY = "sk-test-not-a-key"


class Watch:
    """Remembers the calls that pass."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, call: Call, next: Next) -> Flow[Reply]:
        self.calls.append(call)
        return (yield from next(call))

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.calls[-1].options)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def watch() -> Watch:
    return Watch()


def stack_of(watch: Watch) -> Stack:
    def watching(call: Call, next: Next) -> Flow[Reply]:
        return (yield from watch(call, next))

    return Stack([watching])


@pytest.fixture
def client(server: LocalServer, watch: Watch) -> Iterator[llmstack.OpenAI]:
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=stack_of(watch)) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_of_ours_on_the_wire(server: LocalServer) -> Iterator[None]:
    yield
    assert server.requests
    sent = [name for request in server.requests for name in request.headers if "llmstack" in name]
    assert sent == []


OURS = {"x-llmstack-tenant": "acme", "X-LLMStack-Tags": "team=search, env=prod", "x-llmstack-deadline": "20"}
MEANT: dict[str, Any] = {"tenant": "acme", "tags": {"team": "search", "env": "prod"}, "deadline": 20.0}


def test_headers_of_a_call_are_options(client: llmstack.OpenAI, watch: Watch, server: LocalServer) -> None:
    """In any case; they are taken off, others stay."""
    client.chat.completions.create(**chat(), extra_headers={**OURS, "x-mine": "1"})
    assert watch.options == MEANT
    assert dict(watch.calls[0].headers) == {"x-mine": "1"}
    assert server.requests[0].headers["x-mine"] == "1"


def test_headers_of_the_client_are_options(server: LocalServer, watch: Watch) -> None:
    """Of copies too; a call's own go before them, label by label."""
    with llmstack.OpenAI(
        base_url=server.base_url, api_key=KEY, default_headers={**OURS, "x-mine": "1"}, stack=stack_of(watch)
    ) as client:
        client.models.retrieve("m")
        assert watch.options == MEANT
        client.with_options(timeout=5).models.retrieve(
            "m", extra_headers={"x-llmstack-tags": "env=test", "X-LLMSTACK-tenant": "b"}
        )
        assert watch.options == {"tenant": "b", "tags": {"team": "search", "env": "test"}, "deadline": 20.0}
        client.copy(default_headers={"x-llmstack-tenant": "c"}).models.retrieve("m")
        assert watch.options["tenant"] == "c"
        client.copy(set_default_headers={"x-other": "1"}).models.retrieve("m")
        assert watch.options == {}
        assert "x-llmstack-tenant" not in client.default_headers
    assert [request.headers.get("x-mine") for request in server.requests] == ["1", "1", "1", None]


def test_headers_of_the_environment_are_options(
    server: LocalServer, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``OPENAI_CUSTOM_HEADERS`` of the SDK may carry them."""
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-llmstack-tenant: acme\nx-mine: 1")
    with llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=stack_of(watch)) as client:
        client.models.retrieve("m")
    if "x-mine" not in server.requests[0].headers:
        pytest.skip("this SDK does not read OPENAI_CUSTOM_HEADERS")
    assert watch.options == {"tenant": "acme"}


def test_blocks_nest(client: llmstack.OpenAI, watch: Watch) -> None:
    """The inner one wins, tags are merged, and it ends with the block."""
    with llmstack.options(tenant="acme", tags={"team": "search"}, mine=1):
        with llmstack.options(tags={"env": "prod"}, mine=2):
            client.chat.completions.create(**chat())
            assert watch.options == {"tenant": "acme", "tags": {"team": "search", "env": "prod"}, "mine": 2}
        client.chat.completions.create(**chat())
        assert watch.options == {"tenant": "acme", "tags": {"team": "search"}, "mine": 1}
    client.chat.completions.create(**chat())
    assert watch.options == {}


def test_the_nearest_word_holds(server: LocalServer, watch: Watch) -> None:
    """A call's header before the block around it, that before the client's default."""
    with (
        llmstack.OpenAI(
            base_url=server.base_url,
            api_key=KEY,
            default_headers={"x-llmstack-a": "client", "x-llmstack-b": "client", "x-llmstack-c": "client"},
            stack=stack_of(watch),
        ) as client,
        llmstack.options(b="block", c="block"),
    ):
        client.models.retrieve("m", extra_headers={"x-llmstack-c": "call"})
    assert watch.options == {"a": "client", "b": "block", "c": "call"}


def test_options_arrive_in_every_mode(client: llmstack.OpenAI, watch: Watch) -> None:
    """Raw, streaming, streams, helpers, and each page of a list."""
    ours: Any = {"extra_headers": OURS}
    completions = client.chat.completions
    completions.with_raw_response.create(**chat(), **ours)
    with completions.with_streaming_response.create(**chat(), **ours) as response:
        response.read()
    list(completions.create(**chat(stream=True), **ours))
    with completions.stream(**chat(), **ours) as stream:
        list(stream)
    completions.parse(**chat(), **ours)
    with client.responses.stream(model="m", input="Hi", **ours) as events:
        list(events)
    for _ in range(3):
        client.files.create(**FILE[1](), **ours)
    list(client.files.list(limit=1, **ours))
    assert len(watch.calls) == 12
    assert [dict(call.options) for call in watch.calls] == [MEANT] * 12


async def test_options_arrive_in_async_modes(server: LocalServer, watch: Watch) -> None:
    """The same with an async client; a block is bound to its task."""
    ours: Any = {"extra_headers": OURS}
    async with llmstack.AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=stack_of(watch)) as client:
        await client.chat.completions.with_raw_response.create(**chat(), **ours)
        async with client.chat.completions.with_streaming_response.create(**chat(), **ours) as response:
            await response.read()
        async with client.chat.completions.stream(**chat(), **ours) as stream:
            async for _ in stream:
                pass
        with llmstack.options(**MEANT):
            page = await client.models.list()
            assert [model async for model in page]
    assert [dict(call.options) for call in watch.calls] == [MEANT] * 4


def test_an_unreadable_header_is_an_error_before_the_wire(client: llmstack.OpenAI, server: LocalServer) -> None:
    """It names the header and what it should be."""
    with pytest.raises(ValueError, match="x-llmstack-tags"):
        client.models.retrieve("m", extra_headers={"x-llmstack-tags": "no label"})
    with pytest.raises(ValueError, match="deadline"):
        client.models.retrieve("m", extra_headers={"x-llmstack-deadline": "soon"})
    assert server.count() == 0
    client.models.retrieve("m")
