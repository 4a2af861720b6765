"""Conversations: commands sent, and replies read, on a connection of redis-py's pool, past its clients.

A client does much around each command that is of no use here (retries, metrics, a form for each reply), and takes as
long for that as Redis takes to answer. What instruments programs wraps the clients' methods, too, to tell of each
command with its key: to it, an answer from a cache would be the work of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

__all__ = ["aconverse", "converse"]


def converse(pool: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Send commands at once.

    Args:
        pool: redis-py's, for threads.
        commands: Their names and arguments.

    Returns:
        For each its reply as Redis sends it, or the error with which Redis answered it.

    Raises:
        redis.exceptions.RedisError: If the connection failed.
    """
    connection = pool.get_connection()
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_reply(connection) for _ in commands]
    except BaseException:
        connection.disconnect()  # replies may be still to come: whoever is next would take them for his
        raise
    finally:
        pool.release(connection)


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


async def aconverse(pool: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The same on asyncio, with a pool of that."""
    connection = await pool.get_connection()
    try:
        await connection.send_packed_command(connection.pack_commands(commands))
        return [await _areply(connection) for _ in commands]
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)


async def _areply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
