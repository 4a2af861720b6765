"""What the tests of Cache share: a client with a cache, and questions to it."""

from __future__ import annotations

from typing import Any

from llmstack import Call
from llmstack.middleware import Cache
from llmstack.stores import CacheStore
from llmstack.testing import LocalServer
from tests.core.side import Rig, Side

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}], "temperature": 0}


def call_of(endpoint: str, **params: Any) -> Call:
    """A call to this endpoint."""
    return Call(path="/" + endpoint.replace(".", "/"), endpoint=endpoint, params={"model": "m", **params})


class Desk:
    """A cache, a client that goes through it to a local server, and what can be asked of both."""

    def __init__(self, side: Side, server: LocalServer, *inner: Any, outer: Any = (), **options: Any) -> None:
        self.side = side
        self.server = server
        self.cache = Cache(**options)
        self.rig: Rig = side.local(server, [*outer, self.cache, *inner])
        self.clock = self.rig.clock

    @property
    def client(self) -> Any:
        """The client."""
        return self.rig.client

    async def ask(self, **more: Any) -> Any:
        """A chat completion that is cached."""
        return await self.side.do(self.client.chat.completions.create(**{**ASKED, **more}))

    async def stream(self, **more: Any) -> list[Any]:
        """The chunks of a streamed one."""
        return await self.side.read(await self.ask(stream=True, **more))

    async def respond(self, **more: Any) -> Any:
        """A Response that is cached."""
        given = {"model": "m", "input": "Say hello", "temperature": 0, **more}
        return await self.side.do(self.client.responses.create(**given))

    async def complete(self, **more: Any) -> Any:
        """A legacy completion that is cached."""
        given = {"model": "m", "prompt": "Say hello", "temperature": 0, **more}
        return await self.side.do(self.client.completions.create(**given))

    async def embed(self, *texts: Any, **more: Any) -> Any:
        """Embeddings."""
        given: Any = list(texts)
        return await self.side.do(self.client.embeddings.create(model="text-embedding-3-small", input=given, **more))

    async def moderate(self, text: Any, **more: Any) -> Any:
        """A moderation."""
        return await self.side.do(self.client.moderations.create(input=text, **more))

    def of(self, kind: type[Any]) -> list[Any]:
        """Events of a kind."""
        return self.rig.recorder.of(kind)

    @property
    def sent(self) -> int:
        """How many requests the server has had."""
        return self.server.count()

    def run(self, program: Any) -> Any:
        """Run a program; afterwards nobody may be asking any more, and the store is given back."""

        async def whole() -> Any:
            try:
                return await program()
            finally:
                await self.side.do(self.client.close())
                if self.side.asynchronous:
                    await self.rig.stack.aclose()
                else:
                    self.rig.stack.close()

        result = self.side.run(whole)
        assert len(self.cache._flights) == 0  # noqa: SLF001 - nobody outside needs to know
        return result


def url_of(kind: str, folder: Any) -> str:
    """The URL of a store of this kind."""
    return "memory://" if kind == "memory" else f"sqlite:///{folder}/cache.db"


class BrokenStore:
    """A store of which nothing can be had, in a way of one's choice."""

    def __init__(self, error: Exception, *, only: str = "") -> None:
        self.error = error
        self.only = only
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def flow(*_: Any, **__: Any) -> Any:
            self.asked.append(name)
            raise self.error
            yield

        return flow

    def close(self) -> None:
        """Nothing is open."""

    async def aclose(self) -> None:
        """Nothing is open."""


def broken(error: Exception) -> CacheStore:
    """A store that raises this whatever is asked."""
    store: Any = BrokenStore(error)
    return store
