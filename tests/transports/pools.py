"""What there is in the connection pool of a client, and what is asked to fill it."""

# ruff: noqa: SLF001 -- nothing public tells which connections there are

from __future__ import annotations

from typing import Any

KEY = "sk-test-not-a-key"
MESSAGES: Any = [{"role": "user", "content": "Say hello"}]


def pool(client: Any) -> Any:
    return client._client._transport._pool


def ask(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model="m", messages=MESSAGES, **more)


def states(client: Any) -> list[str]:
    """Of each connection in the pool."""
    return [connection._connection._state.name for connection in pool(client).connections]
