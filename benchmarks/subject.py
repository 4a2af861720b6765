"""Who is measured: the bare SDK and llmstack's clients, each in a process of its own (see `worker`)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import openai

KEY = "sk-test-not-a-key"
BARE = "openai"
BARE_AIOHTTP = "openai on aiohttp"
EMPTY = "Stack([])"
FULL = "all plugins"
ALONE = "all plugins, no integration of Sentry's"
SQLITE = "all plugins, cache in SQLite"
REDIS = "all plugins, cache in Redis"
SMALL = "all plugins, a cache of 1 MB"
"""Only asked what its memory grows by: what it keeps is soon full."""
SUBJECTS = (BARE, BARE_AIOHTTP, EMPTY, ALONE, FULL, SQLITE, REDIS, SMALL)
STORES = {SQLITE: "BENCHMARK_SQLITE", REDIS: "BENCHMARK_REDIS"}
"""Where these find the address of their store: a variable of the environment."""
PLUGINS = ("Validation", "Moderation", "Cache", "Budget", "Retry", "Logging", "Sentry")
TERMS = [f"blocked{i} phrase{i % 9}" if i % 2 else f"blocked{i}" for i in range(100)]


class Subject:
    """Makes a subject's clients, each once."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._url = url
        self._made: dict[str, Any] = {}
        self._stack = None if name in (BARE, BARE_AIOHTTP) else _stack(name)

    def sync(self, path: str = "/v1") -> openai.OpenAI:
        client: openai.OpenAI = self._client(f"sync {path}", lambda: self._sync(path))
        return client

    def aio(self, http: str = "default", path: str = "/v1") -> openai.AsyncOpenAI:
        client: openai.AsyncOpenAI = self._client(f"async {http} {path}", lambda: self._async(http, path))
        return client

    async def close(self) -> None:
        """Close the async clients, in their event loop."""
        for client in self._made.values():
            if isinstance(client, openai.AsyncOpenAI):
                await client.close()

    def _client(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _sync(self, path: str) -> openai.OpenAI:
        given: dict[str, Any] = {"base_url": self._url + path, "api_key": KEY}
        if self._stack is None:
            return openai.OpenAI(**given)
        import llmstack

        return llmstack.OpenAI(stack=self._stack, **given)

    def _async(self, http: str, path: str) -> openai.AsyncOpenAI:
        given: dict[str, Any] = {"base_url": self._url + path, "api_key": KEY}
        if self.name == BARE:
            return openai.AsyncOpenAI(**given)
        if self.name == BARE_AIOHTTP:
            return openai.AsyncOpenAI(http_client=openai.DefaultAioHttpClient(), **given)
        import llmstack

        if http == "aiohttp":
            given["http"] = http
        return llmstack.AsyncOpenAI(stack=self._stack, **given)


def _stack(name: str) -> Any:
    from llmstack import Stack

    if name == EMPTY:
        return Stack([])
    cache: dict[str, Any] = {"store": os.environ[STORES[name]]} if name in STORES else {}
    if name == SMALL:
        cache["max_bytes"] = 1_000_000
    return Stack.ordered(plugins(cache, integrations=name != ALONE))


def plugins(cache: dict[str, Any] | None = None, *, integrations: bool = True) -> list[Any]:
    """Every plugin there is, with default options; the sinks of logs and of Sentry take what comes and drop it.

    Args:
        cache: Options of the cache.
        integrations: False to leave out what Sentry patches by itself: the SDK, its HTTP client, logging and more.
    """
    from llmstack import middleware

    _discard_logs()
    _silent_sentry(integrations=integrations)
    given: dict[str, dict[str, Any]] = {
        "Moderation": {"blocked_terms": TERMS, "endpoint": False},
        "Cache": cache or {},
    }
    return [getattr(middleware, name)(**given.get(name, {})) for name in PLUGINS]


def _discard_logs() -> None:
    """What the logging plugin writes is rendered and thrown away."""

    class Discarding(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            record.getMessage()

    logger = logging.getLogger("llmstack")
    logger.addHandler(Discarding())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _silent_sentry(*, integrations: bool) -> None:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Dropping(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            json.dumps(envelope.headers, default=str)

    # In a process of its own: what Sentry patches by itself does not touch the bare SDK that this is compared with.
    sentry_sdk.init(
        dsn="https://key@sentry.example.com/1",
        transport=Dropping,
        default_integrations=integrations,
        auto_enabling_integrations=integrations,
    )
