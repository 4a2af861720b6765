"""Connections that stay where they were opened: in one process and, for async clients, in one event loop.

A pooled connection that crosses a ``fork`` gives one process the answers of the other; one that crosses event loops
fails. The clients here are the SDK's default HTTP clients, except that whoever sends from another process or loop than
the first gets a pool of its own there. They are used where the program passes no ``http_client``.
"""

# ruff: noqa: SLF001 -- it looks behind the HTTP library's clients, as `lean` does

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai

from llmstack._drivers.loop import Loop, current_key, current_loop, on_asyncio
from llmstack.errors import UnsupportedError
from llmstack.transports.direct import leaned
from llmstack.transports.guarding import guarded
from llmstack.transports.homebound import Homebound, homebound

_LIMITS = httpx2.Limits(
    max_connections=openai.DEFAULT_CONNECTION_LIMITS.max_connections,
    max_keepalive_connections=openai.DEFAULT_CONNECTION_LIMITS.max_connections,
    keepalive_expiry=openai.DEFAULT_CONNECTION_LIMITS.keepalive_expiry,
)
"""The SDK's, but that all connections are kept. It keeps 100: with more calls at once than that most would open one."""
_CLOSED = "Cannot send a request, as the client has been closed."


def _like(client: httpx2.Client | httpx2.AsyncClient) -> dict[str, Any]:
    """The arguments for another client that sends as this one does."""
    return {
        "base_url": client.base_url,
        "timeout": client.timeout,
        "trust_env": client.trust_env,
        "max_redirects": client.max_redirects,
        "limits": _LIMITS,
    }


def _follow(pool: Any, client: Any) -> None:
    """Bring a pool up to what the program may have changed on the client since."""
    pool.auth = client.auth
    pool.event_hooks = client.event_hooks
    pool.follow_redirects = client.follow_redirects
    pool.cookies.jar = client.cookies.jar


class ProcessClient(Homebound, openai.DefaultHttpxClient):
    """The SDK's default HTTP client, usable after a fork: each process has connections of its own."""

    _finished = False

    def __init__(self) -> None:
        self._verify = httpx2.create_ssl_context()
        super().__init__(verify=self._verify, limits=_LIMITS)
        self._process = os.getpid()
        self._pools: dict[int, httpx2.Client] = {}
        leaned(self)

    def present(self) -> httpx2.Client | None:
        """The client that would send from here; None if that is still to be made."""
        if self.is_closed:
            return None
        process = os.getpid()
        return self if process == self._process else self._pools.get(process)

    def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """Send a request on a connection of this process; see ``httpx2.Client.send``."""
        process = os.getpid()
        if process == self._process:
            return super().send(request, **how)
        if self.is_closed:
            raise RuntimeError(_CLOSED)
        pool = self._pools.get(process)
        if pool is None:
            # Two threads may both make one; neither has a connection yet, and one is kept.
            fresh = leaned(guarded(homebound(openai.DefaultHttpxClient)(verify=self._verify, **_like(self))))
            pool = self._pools.setdefault(process, fresh)
        _follow(pool, self)
        return pool.send(request, **how)

    @property
    def is_closed(self) -> bool:
        """True once the client was closed, in this process or before the fork that made it."""
        return self._finished or super().is_closed

    def close(self) -> None:
        """Close the connections of this process; those of others are theirs."""
        self._finished = True
        process = os.getpid()
        if process == self._process:
            super().close()
        elif (pool := self._pools.pop(process, None)) is not None:
            pool.close()

    def __del__(self) -> None:
        """Dropped: close, as the SDK's own does."""
        with contextlib.suppress(Exception):
            if not self.is_closed:
                self.close()


@dataclass(frozen=True, slots=True)
class _Pool:
    """The connections of one event loop.

    Attributes:
        process: The process it runs in.
        loop: The loop.
        client: Who sends there; None for the client itself.
        guard: Closes the connections when the loop ends.
    """

    process: int
    loop: Loop
    client: httpx2.AsyncClient | None
    guard: AsyncGenerator[None, None]


_NOWHERE = object()


class LoopClient(Homebound, openai.DefaultAsyncHttpxClient):
    """The SDK's default async HTTP client, usable in several event loops: each has connections of its own.

    They are closed when their loop ends (``asyncio.run`` and trio finish async generators then, and each pool has one
    waiting for that), so that a program with many ``asyncio.run`` leaves none behind.

    Args:
        kind: The SDK's client whose connections are used: its default one, or the one that stands on aiohttp.

    Raises:
        llmstack.errors.UnsupportedError: When it is to send in an event loop of trio, and stands on aiohttp.
    """

    _finished = False

    def __init__(self, kind: type[httpx2.AsyncClient] = openai.DefaultAsyncHttpxClient) -> None:
        self._verify = httpx2.create_ssl_context()
        self._kind: Any = kind
        super().__init__(verify=self._verify, limits=_LIMITS)
        if kind is not openai.DefaultAsyncHttpxClient:
            made = kind(verify=self._verify, limits=_LIMITS)
            self._transport, self._mounts = made._transport, made._mounts
        self._pools: dict[object, _Pool] = {}
        # The loop whose connections are the client's own: under "home" once there is one.
        self._first: dict[str, object] = {}
        leaned(self)

    def present(self) -> httpx2.AsyncClient | None:
        """The client that would send from here; None if that is still to be made."""
        pool = None if self._finished else self._pools.get(current_key())
        if pool is None or pool.process != os.getpid():
            return None
        return self if pool.client is None else pool.client

    async def settle(self) -> None:
        """Make sure that there is a client that sends from here, unless this one is closed."""
        if not self._finished:
            await self._pool()

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """Send a request on a connection of this event loop; see ``httpx2.AsyncClient.send``."""
        if self._finished:
            raise RuntimeError(_CLOSED)
        pool = await self._pool()
        if pool.client is None:
            return await super().send(request, **how)
        _follow(pool.client, self)
        return await pool.client.send(request, **how)

    async def _pool(self) -> _Pool:
        process = os.getpid()
        pool = self._pools.get(current_key())
        if pool is None or pool.process != process:
            pool = await self._open(current_loop(), process)
        return pool

    async def _open(self, loop: Loop, process: int) -> _Pool:
        if self._kind is not openai.DefaultAsyncHttpxClient and not on_asyncio():
            raise UnsupportedError("connections of aiohttp work on asyncio only: on trio, leave out http='aiohttp'")
        for key in [key for key in list(self._pools) if _has_ended(key)]:
            self._pools.pop(key, None)
        # Two loops in two threads may come here at once: one of them is the first.
        home = loop.key not in self._pools and self._first.setdefault("home", loop.key) is loop.key
        client = None if home else leaned(guarded(homebound(self._kind)(verify=self._verify, **_like(self))))
        guard = _guard(weakref.ref(self), loop.key, client)
        pool = self._pools[loop.key] = _Pool(process, loop, client, guard)
        await anext(guard)
        return pool

    async def leave(self, key: object) -> None:
        """Close the connections of a loop, in that loop."""
        pool = self._pools.pop(key, None)
        if pool is None:
            return
        if pool.client is None:
            self._first["home"] = _NOWHERE
            await super().aclose()
        else:
            await pool.client.aclose()

    @property
    def is_closed(self) -> bool:
        """True once the program has closed the client."""
        return self._finished

    async def aclose(self) -> None:
        """Close the connections of this loop now, and those of other loops that still run as soon as they get to it."""
        self._finished = True
        here, process = current_loop().key, os.getpid()
        for key, pool in list(self._pools.items()):
            if pool.process != process:
                continue  # another process talks on these
            if key is here:
                await pool.guard.aclose()
            else:
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    pool.loop.spawn(pool.guard.aclose)
        if self._first.get("home", here) in (here, _NOWHERE):
            await super().aclose()

    def __del__(self) -> None:
        """Dropped: close, as the SDK's own does."""
        with contextlib.suppress(Exception):
            if self.is_closed:
                return
            try:
                _closing = asyncio.get_running_loop().create_task(self.aclose())
            except RuntimeError:
                current_loop().spawn(self.aclose)


def _has_ended(key: object) -> bool:
    return isinstance(key, asyncio.AbstractEventLoop) and key.is_closed()


async def _guard(
    owner: weakref.ref[LoopClient], key: object, client: httpx2.AsyncClient | None
) -> AsyncGenerator[None, None]:
    """Close the connections of an event loop when that loop ends, or when their owner was dropped."""
    try:
        yield
    finally:
        if (alive := owner()) is not None:
            await alive.leave(key)
        elif client is not None:
            await client.aclose()
