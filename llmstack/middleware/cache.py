"""Cache: what has been answered need not be asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from llmstack import Bytes, Call, Clock, Configurable, Flow, Next, Reply, Seconds, Stack, Stage, hookimpl
from llmstack.effects import adrive, drive
from llmstack.errors import CacheMissError
from llmstack.middleware._cache.canonical import NotCanonicalError
from llmstack.middleware._cache.embedding import EmbeddingQuestion, inputs
from llmstack.middleware._cache.event import CacheHit, CacheMissed, CacheStored
from llmstack.middleware._cache.explanation import KeyExplanation, explained
from llmstack.middleware._cache.flight import Flights
from llmstack.middleware._cache.key import LEFT_OUT, Partition, batch_key, item_keys, key_of, parts_of
from llmstack.middleware._cache.question import Question, WholeQuestion
from llmstack.middleware._cache.rule import is_served, wanted
from llmstack.middleware._cache.service import serve
from llmstack.middleware._cache.setting import Settings, check, pace_of, patience_of
from llmstack.middleware._cache.shelf import Shelf
from llmstack.middleware._cache.statistics import CacheStatistics, Tally
from llmstack.middleware._cache.visit import Counter, Visit
from llmstack.middleware._cache.wish import wish_of
from llmstack.stores import CacheStore, open_store

__all__ = ["Cache", "CacheHit", "CacheMissed", "CacheStatistics", "CacheStored", "KeyExplanation"]


class Cache(Configurable):
    """Keeps answers and serves them again: chat completions, Responses, embeddings, moderations, legacy completions.

    Args:
        ttl: Seconds for which an answer may be served. The option ``ttl`` of a call goes before it.
        store: Where answers are kept: a URL, such as ``"sqlite:///var/lib/app/llm.db"``, or a
            `llmstack.stores.CacheStore`.
        max_bytes: Bytes that the store may take; None for its own bound.
        when: Which calls are cached. ``"deterministic"``: embeddings, moderations, and completions with
            ``temperature=0`` or a ``seed``; ``"always"``: all; or a function of the `Call`.
        tenant: Whose answers they are: a name, or a function of the `Call` that gives one (None: as if not given). If
            not given, each key that clients send has answers of its own; the option ``tenant`` of a call parts them
            further.
        stale_if_error: Seconds for which an answer that is too old may be served if the provider cannot be asked.
        single_flight: Whether calls that ask the same at the same time make one request. A number: seconds to wait at
            most for such a call if it is streamed, since its program may read it slowly; True is 10.
        tool_calls: Whether answers that call tools are kept.
        pace: Characters a second at which an answer is replayed to a program that asked for a stream; None for at once.
        stream_usage: False if streams must not be asked for their usage (some compatible servers do not know how to
            tell it); a call that is not streamed is then not served what came as a stream.

    Raises:
        ValueError: If an option cannot be.
    """

    name = "cache"
    stage = Stage.CACHE

    def __init__(  # noqa: PLR0913 - each is an option of its own, all have defaults
        self,
        ttl: Seconds = 3600.0,
        *,
        store: str | CacheStore = "memory://",
        max_bytes: Bytes | None = None,
        when: Literal["deterministic", "always"] | Callable[[Call], bool] = "deterministic",
        tenant: str | Callable[[Call], str | None] | None = None,
        stale_if_error: Seconds = 0.0,
        single_flight: bool | Seconds = True,
        tool_calls: bool = False,
        pace: float | None = None,
        stream_usage: bool = True,
    ) -> None:
        check(when=when, tenant=tenant, max_bytes=max_bytes, ttl=ttl, stale_if_error=stale_if_error)
        self._tenant = tenant
        self._url = store if isinstance(store, str) else ""
        self._max_bytes = max_bytes
        self._opened: CacheStore | None = None if isinstance(store, str) else store
        self._clock: Clock | None = None
        self._settings = Settings(
            ttl=ttl,
            when=when,
            stale_if_error=stale_if_error,
            patience=patience_of(single_flight),
            tool_calls=tool_calls,
            pace=pace_of(pace),
            stream_usage=stream_usage,
        )
        self._tally = Tally()
        self._flights = Flights()
        self._counter: Counter | None = None

    # Hooks ------------------------------------------------------------------------------------------------------

    def attach(self, stack: Stack) -> None:
        """Find the store among those that the stack's plugins offer, and the time it goes by."""
        self._clock = stack.clock
        if self._opened is None:
            self._opened = stack.open_store(self._url).cache(max_bytes=self._max_bytes)

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Serve a call, or pass it on and keep its answer."""
        if not is_served(call):
            return (yield from next(call))
        wish = wish_of(call.options)
        if wish.mode == "off":
            return (yield from next(call))
        partition = self._partition(call)
        question, reason = self._question(call, partition)
        if question is None:
            if wish.mode == "only":
                message = f"this call is not cached ({reason}), and it may not be sent (cache='only')"
                raise CacheMissError(message, call=call.info, plugin=self.name)
            return (yield from next(call))
        return (yield from serve(Visit(self._at(), call, next, question, partition.tenant, wish)))

    def _at(self) -> Counter:
        if self._counter is None:
            shelf = Shelf(self.store, self._tally)
            self._counter = Counter(self.name, self._settings, shelf, self._flights, self._tally)
        return self._counter

    def _partition(self, call: Call) -> Partition:
        tenant = self._tenant(call) if callable(self._tenant) else self._tenant
        if callable(self._tenant) and tenant is not None:
            return Partition(tenant, None)
        return Partition(call.options.tenant or tenant or "", call.credential if tenant is None else None)

    def _question(self, call: Call, partition: Partition) -> tuple[Question | None, str]:
        """What a call asks for; None, and why, if it is not cached."""
        if not wanted(call, self._settings.when):
            return None, f"when={self._settings.when!r} leaves it out"
        try:
            if call.endpoint != "embeddings":
                key = key_of(parts_of(call, partition))
                return WholeQuestion(call, key, self._settings.tool_calls), ""
            items = inputs(call.params)
            if items is None:
                return None, "its input is neither text nor tokens"
            keys = item_keys(parts_of(call, partition, without="input"), items)
            return EmbeddingQuestion(batch_key(keys), keys, items), ""
        except NotCanonicalError:
            return None, "it is not all JSON"

    # For the program --------------------------------------------------------------------------------------------

    @property
    def store(self) -> CacheStore:
        """The store; `llmstack.effects.drive` runs what it offers, such as ``drive(cache.store.stats())``."""
        if self._opened is None:
            self._opened = open_store(self._url).cache(max_bytes=self._max_bytes)
        return self._opened

    def explain_key(self, call: Call) -> KeyExplanation:
        """What makes a call's key, to find out why it was not served; it holds no content and no key.

        Args:
            call: The call, as a layer or ``when=`` is given it.
        """
        partition = self._partition(call)
        question, reason = self._question(call, partition) if is_served(call) else (None, "it is of no kind that is")
        key = "" if question is None else question.key
        left_out = [name for name in call.params if name in LEFT_OUT]
        return explained(key, reason, parts_of(call, partition), left_out)

    def purge(self, tenant: str | None = None) -> int:
        """Forget all answers of a tenant, or of everybody (None).

        Returns:
            How many there were.

        Raises:
            llmstack.errors.StoreError: If the store cannot be used.
        """
        return drive(self.store.purge(tenant), clock=self._clock)

    async def apurge(self, tenant: str | None = None) -> int:
        """The same in an async program."""
        return await adrive(self.store.purge(tenant), clock=self._clock)

    def stats(self) -> CacheStatistics:
        """What became of the calls, and what the store holds.

        Raises:
            llmstack.errors.StoreError: If the store cannot be used.
        """
        return self._tally.read(drive(self.store.stats(), clock=self._clock))

    async def astats(self) -> CacheStatistics:
        """The same in an async program."""
        return self._tally.read(await adrive(self.store.stats(), clock=self._clock))

    # Closing ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give the store back."""
        if self._opened is not None:
            self._opened.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        if self._opened is not None:
            await self._opened.aclose()
