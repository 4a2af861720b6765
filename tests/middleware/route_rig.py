"""What the tests of Route share: targets that follow scripts, and servers that are dead, rate-limited or well."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from llmstack.middleware import Route
from llmstack.middleware.route import HopAnswered, HopFailed
from llmstack.testing import LocalServer, ScriptedTransport, Status
from llmstack.transports import OpenAITransport, Place
from tests.core.side import KEY, Rig, Side

ALL = ["a/*", "b/*", "c/*"]
"""Any model, by each of a bench's transports."""


def refused(status: int, code: str | None = None, message: str = "no", **more: Any) -> Status:
    """An error answer."""
    return Status(status, message, code=code, **more)


def scripted(name: str, script: Iterable[Any] = (), *, default: Any = None) -> Any:
    """A transport of its own place that follows a script."""
    transport: Any = ScriptedTransport(script, default=default)
    transport.name = name
    transport.place = Place(f"https://{name}.example.com/v1/")
    return transport


@dataclass
class Bench:
    """A client whose calls a route sends to scripted transports."""

    side: Side
    rig: Rig
    route: Route
    transports: Mapping[str, Any]

    async def ask(self, **more: Any) -> Any:
        """One chat call; its text."""
        given = {"model": "m", "messages": [{"role": "user", "content": "Say hello"}], **more}
        got = await self.side.do(self.rig.client.chat.completions.create(**given))
        if not more.get("stream"):
            return got.choices[0].message.content
        chunks = await self.side.read(got)
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    def go(self, times: int = 1, **more: Any) -> list[Any]:
        """Some calls, one after the other."""

        async def program() -> list[Any]:
            return [await self.ask(**more) for _ in range(times)]

        answers: list[Any] = self.side.run(program)
        return answers

    def sent(self, name: str) -> int:
        """How many requests a transport got."""
        return len(self.transports[name].calls)

    def models(self, name: str) -> list[str | None]:
        """The models that a transport was asked for."""
        return [call.model for call in self.transports[name].calls]

    def state(self, target: str) -> str:
        """The state of a target."""
        return self.route.status()[target].state

    @property
    def failed(self) -> list[HopFailed]:
        """What failed."""
        return self.rig.recorder.of(HopFailed)

    @property
    def answered(self) -> list[str]:
        """Who answered, in order."""
        return [event.target for event in self.rig.recorder.of(HopAnswered)]

    @property
    def notes(self) -> list[Any]:
        """The route of the only call."""
        route: list[Any] = self.rig.finished.notes["route"]
        return [(hop["target"], hop["outcome"]) for hop in route]


def bench(
    side: Side,
    targets: Any = ALL,
    scripts: Mapping[str, Iterable[Any]] | None = None,
    *,
    inner: Iterable[Any] = (),
    outer: Iterable[Any] = (),
    script: Iterable[Any] = (),
    **options: Any,
) -> Bench:
    """A route over the transports ``a``, ``b`` and ``c``; one that has no script answers with its name."""
    scripts = scripts or {}
    transports = {name: scripted(name, scripts.get(name, ()), default=f"from {name}") for name in "abc"}
    options = {"random": Random(7), **options}
    route = Route(targets, transports=transports, **options)
    rig = side.rig([*outer, route, *inner], script, default="from the stack's")
    return Bench(side, rig, route, transports)


def dead_url() -> str:
    """An address that refuses connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/v1"


@contextmanager
def servers(count: int) -> Iterator[list[LocalServer]]:
    """Several servers that run."""
    running = [LocalServer() for _ in range(count)]
    try:
        for server in running:
            server.start()
        yield running
    finally:
        for server in running:
            server.stop()


def to(url: str) -> OpenAITransport:
    """A transport to a place of its own."""
    return OpenAITransport(api_key=KEY, base_url=url)
