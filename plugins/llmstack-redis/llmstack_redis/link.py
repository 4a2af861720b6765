"""Link: commands to Redis as flows, with a deadline, and sent again once if the connection fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
import redis.exceptions
import sniffio

from llmstack.effects import Flow, adrive, drive, run
from llmstack_redis.clients import Clients
from llmstack_redis.connection import within
from llmstack_redis.conversation import aconverse, converse
from llmstack_redis.fault import explained, is_lost
from llmstack_redis.settings import Settings

__all__ = ["Command", "Link", "whole"]

T = TypeVar("T")

Command = tuple[Any, ...]
"""A command's name and arguments."""

_FIRST = 0.48
"""Which part of an operation's time its first attempt gets; the rest is for the second."""


class Link:
    """The way to one Redis, for all threads and event loops."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet.

        Args:
            settings: Where Redis is, and how it is used.
        """
        self.settings = settings
        self._clients = Clients(settings)

    def ask(self, *commands: Command, until: float | None = None, shard: str = "") -> Flow[list[Any]]:
        """Send commands at once; they are not a transaction.

        If the connection fails they are sent a second time: each must be such that this does no harm.

        Args:
            commands: What to send.
            until: When to give up, on the monotonic clock; None for the settings' time from now on.
            shard: Which node of a cluster is asked, one of `shards`; empty if the commands' keys tell.

        Returns:
            For each its reply, or the error with which Redis answered it.

        Raises:
            llmstack.errors.StoreError: If Redis does not answer in time, or not at all.
        """
        begun = time.monotonic()
        end = begun + self.settings.timeout if until is None else until
        first = begun + (end - begun) * _FIRST
        try:
            return (yield from self._once(commands, first, shard))
        except Exception as error:
            if not is_lost(error) or time.monotonic() >= end:
                raise explained(error) from error
        try:
            return (yield from self._once(commands, end, shard))
        except Exception as error:
            raise explained(error) from error

    def tell(self, *command: Any, until: float | None = None) -> Flow[Any]:
        """Send one command.

        Args:
            command: Its name and arguments.
            until: As for `ask`.

        Returns:
            Its reply.

        Raises:
            llmstack.errors.StoreError: Also if Redis answers with an error.
        """
        (reply,) = yield from self.ask(command, until=until)
        if isinstance(reply, BaseException):
            raise explained(reply) from reply
        return reply

    def shards(self) -> Flow[list[str]]:
        """The names of a cluster's nodes that hold keys; one empty name for what is no cluster.

        Raises:
            llmstack.errors.StoreError: If the cluster cannot be asked.
        """
        if self.settings.kind != "cluster":
            return [""]
        yield from self.tell("EXISTS", self.settings.prefix)  # an asyncio client learns of its nodes when it is used
        return (yield from run(self._shards, self._ashards))

    def _once(self, commands: Sequence[Command], until: float, shard: str) -> Flow[list[Any]]:
        sync_fn, async_fn = partial(self._send, commands, until, shard), partial(self._asend, commands, until, shard)
        replies: list[Any] = yield from run(sync_fn, async_fn)
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(reply, redis.exceptions.ResponseError):
                raise reply  # of a cluster's node; the others have answered
        return replies

    def _send(self, commands: Sequence[Command], until: float, shard: str) -> list[Any]:
        with within(until):
            seat = self._clients.here()
            if not seat.free.acquire(timeout=max(0.0, until - time.monotonic())):
                raise TimeoutError("all connections are in use")
            try:
                client = seat.opened.client
                if self.settings.kind != "cluster":
                    return converse(client.connection_pool, commands)
                if shard:
                    client = client.get_redis_connection(client.get_node(node_name=shard))
                if len(commands) == 1:
                    return [_answered(client.execute_command, commands[0])]
                with client.pipeline(transaction=False) as pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)
                    replies: list[Any] = pipeline.execute(raise_on_error=False)
                    return replies
            finally:
                seat.free.release()

    async def _asend(self, commands: Sequence[Command], until: float, shard: str) -> list[Any]:
        if not _on_asyncio():
            return await anyio.to_thread.run_sync(partial(self._send, commands, until, shard))
        return await _punctual(self._asend_here(commands, shard), until)

    async def _asend_here(self, commands: Sequence[Command], shard: str) -> list[Any]:
        seat = await self._clients.ahere()
        async with seat.free:
            client = seat.opened.client
            if self.settings.kind != "cluster":
                return await aconverse(client.connection_pool, commands)
            if len(commands) == 1:
                if shard:
                    client = client.get_node(node_name=shard)
                try:
                    return [await client.execute_command(*commands[0])]
                except redis.exceptions.ResponseError as error:
                    return [error]
            async with client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
                return replies

    def _shards(self) -> list[str]:
        return [node.name for node in self._clients.here().opened.client.get_primaries()]

    async def _ashards(self) -> list[str]:
        if not _on_asyncio():
            return self._shards()
        return [node.name for node in (await self._clients.ahere()).opened.client.get_primaries()]

    def close(self) -> None:
        """Close what is open; see `llmstack.stores.CacheStore.close`."""
        self._clients.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        await self._clients.aclose()


def whole(make: Callable[[], Flow[T]]) -> Flow[T]:
    """Run a flow to its end, with all its attempts, also for a program that is cancelled meanwhile.

    Args:
        make: Makes the flow.
    """
    return run(lambda: drive(make()), lambda: adrive(make()), shield=True)


def _on_asyncio() -> bool:
    """False under trio: redis-py does not know it."""
    return sniffio.current_async_library() == "asyncio"


def _answered(execute: Any, command: Command) -> Any:
    try:
        return execute(*command)
    except redis.exceptions.ResponseError as error:
        return error


async def _punctual(work: Coroutine[Any, Any, T], until: float) -> T:
    """Do it in a task of its own, which is cancelled once, by nobody but this function, and waited for.

    redis-py gives its connection back on the way out, and loses it if it is cancelled again there: as anyio does.
    """
    task = asyncio.get_running_loop().create_task(work)
    cancellation: asyncio.CancelledError | None = None
    seconds: float | None = max(0.0, until - time.monotonic())
    late = False
    while not task.done():
        try:
            await asyncio.wait((task,), timeout=seconds)
        except asyncio.CancelledError as error:
            cancellation = error
        if seconds is not None and not task.done():
            late = cancellation is None
            seconds = None
            task.cancel()
    try:
        if cancellation is not None:
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not report it as lost
            raise cancellation
        if late and task.cancelled():
            raise TimeoutError("timed out")
        return task.result()
    finally:
        del cancellation  # it holds this frame
