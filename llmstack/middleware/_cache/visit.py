"""Visits: one call's way through the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import emit, now
from llmstack.errors import CircuitOpenError
from llmstack.middleware._cache.entry import Answer, Kept
from llmstack.middleware._cache.event import CacheHit, CacheMissed, CacheStored, Reason
from llmstack.middleware._cache.flight import Flights
from llmstack.middleware._cache.question import Answered, Question
from llmstack.middleware._cache.setting import Settings
from llmstack.middleware._cache.shelf import Shelf
from llmstack.middleware._cache.statistics import Tally
from llmstack.middleware._cache.wish import Wish
from llmstack.middleware.retry import is_passing
from llmstack.stores import Entry

__all__ = ["Counter", "Found", "Visit"]

_SKEW: Final = 60.0
"""Seconds by which the clocks of machines that share a store may differ. An answer from later than that is from before
this clock was set back: nobody knows how old it is, and it would be served until the clock has caught up."""


@dataclass(frozen=True, slots=True)
class Counter:
    """What all visits to a cache share.

    Attributes:
        name: The plugin's name.
        settings: How it goes about it.
        shelf: What is kept.
        flights: What is being asked now.
        tally: Counts it all.
    """

    name: str
    settings: Settings
    shelf: Shelf
    flights: Flights
    tally: Tally


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a question.

    Attributes:
        fresh: Of each of its entries what may be served.
        answer: The whole answer, if that may be served.
        stale: The whole answer, if it may be served when the provider fails.
        expired: True if any of it is too old.
        writes: How much had been written when it was looked for; see `Shelf.writes`.
    """

    fresh: Sequence[Kept | None]
    answer: Answer | None = None
    stale: Answer | None = None
    expired: bool = False
    writes: int = -1

    @property
    def reason(self) -> Reason:
        """Why it must be asked."""
        if any(self.fresh):
            return "partial"
        return "expired" if self.expired else "absent"


class Visit:
    """One call at the cache.

    Args:
        counter: What all visits share.
        call: The call.
        next: The layers further in.
        question: What it asks for.
        tenant: On whose behalf, for `purge`.
        wish: What the program says about it.

    Attributes:
        call: The call.
        counter: What all visits share.
        question: What it asks for.
        wish: What the program says about it.
    """

    __slots__ = ("_next", "_tenant", "call", "counter", "question", "wish")

    def __init__(self, counter: Counter, call: Call, next: Next, question: Question, tenant: str, wish: Wish) -> None:
        self.counter = counter
        self.call = call
        self._next = next
        self.question = question
        self._tenant = tenant
        self.wish = wish

    # What is kept -----------------------------------------------------------------------------------------------

    def look(self) -> Flow[Found]:
        """Look what is known; drop what is no answer."""
        question, keys, writes = self.question, self.question.keys, self.counter.shelf.writes
        nothing: list[Kept | None] = [None] * len(keys)
        entries = yield from self.counter.shelf.get(keys)
        if not any(entries):
            return Found(nothing, writes=writes)
        time = yield from now()
        kept, fresh, wrong, age = nothing.copy(), nothing.copy(), list[str](), 0.0
        for i, (key, entry) in enumerate(zip(keys, entries, strict=True)):
            if entry is None or entry.stored_at > time + _SKEW:
                continue
            one = question.read(key, entry.value)
            if one is None:
                wrong.append(key)
            elif question.fits(one):
                kept[i] = one
                age = max(age, time - entry.stored_at)
                if self._is_fresh(entry, time):
                    fresh[i] = one
        if wrong:
            yield from self.counter.shelf.drop(wrong)
        answer = question.answer(fresh, age)
        if answer is not None:
            return Found(fresh, answer)
        stale = question.answer(kept, age, stale=True) if self.counter.settings.stale_if_error else None
        # What is all there and makes no answer does not go together.
        return Found(nothing if all(fresh) else fresh, None, stale, expired=any(kept), writes=writes)

    def look_again(self, found: Found | None) -> Flow[Found]:
        """What is known by now; in the memory of this process that is what was, if nothing was written since.

        Args:
            found: What was, a moment ago; None if it was long ago.
        """
        shelf = self.counter.shelf
        if found is not None and not shelf.shared and found.writes == shelf.writes:
            return found
        return (yield from self.look())

    def _is_fresh(self, entry: Entry, time: float) -> bool:
        ttl = self.wish.ttl
        return time < entry.fresh_until and (ttl is None or time - entry.stored_at < ttl)

    def served(self, answer: Answer, *, shared: bool = False) -> Flow[Reply]:
        """Give the program an answer of its own."""
        how = "shared" if shared else "stale" if answer.stale else "hit"
        self.counter.tally.add("shared" if shared else "stale" if answer.stale else "hits")
        self.call.note(cache=how, cache_key=self.question.key)
        yield from emit(CacheHit(call=self.call.info, age=answer.age, stale=answer.stale, shared=shared))
        headers = {"x-llmstack-cache": how, "age": str(int(answer.age))}
        if answer.request_id:
            headers["x-request-id"] = answer.request_id
        return Reply(
            content=answer.content,
            read=answer.read,
            headers=headers,
            cached=True,
            no_store=answer.stale,
            pace=self.counter.settings.pace,
        )

    # Asking -----------------------------------------------------------------------------------------------------

    def asked(self, found: Found, reason: Reason) -> Flow[Answered]:
        """Ask the provider for what is not known; if it cannot answer, what is too old may do."""
        self.counter.tally.add("misses")
        self.call.note(cache="miss" if reason == "absent" else reason, cache_key=self.question.key)
        known = sum(one is not None for one in found.fresh)
        missed = CacheMissed(call=self.call.info, reason=reason, known=known, asked=len(found.fresh) - known)
        yield from emit(missed)
        try:
            answered = yield from self._sent(found)
        except Exception as error:
            if found.stale is None or self.call.committed or not _is_outage(error):
                raise
            return Answered((yield from self.served(found.stale)), found.stale)
        yield from self._keep(answered)
        return answered

    def _sent(self, found: Found) -> Flow[Answered]:
        call = self.call.with_usage() if self.counter.settings.stream_usage else self.call
        reply = yield from self._next(self.question.rest(call, found.fresh))
        answered = self.question.answered(reply, found.fresh)
        if answered is not None:
            return answered
        # What came does not go together with what is known: another model's, or wrong. So all of it is asked for.
        nothing: list[Kept | None] = [None] * len(found.fresh)
        reply = yield from self._next(self.question.rest(call, nothing))
        return self.question.answered(reply, nothing) or Answered(reply)

    def _keep(self, answered: Answered) -> Flow[None]:
        if not answered.entries:
            return
        settings = self.counter.settings
        ttl = self.wish.ttl or settings.ttl
        time = yield from now()
        until = time + ttl
        entries = {
            key: Entry(value, time, until, until + settings.stale_if_error) for key, value in answered.entries.items()
        }
        if (yield from self.counter.shelf.set(entries, self._tenant)):
            self.counter.tally.add("stored", len(entries))
            size = sum(map(len, answered.entries.values()))
            yield from emit(CacheStored(call=self.call.info, bytes=size, ttl=ttl, entries=len(entries)))


def _is_outage(error: Exception) -> bool:
    """Whether the provider could not be asked, as against: it has said no."""
    return isinstance(error, CircuitOpenError) or is_passing(error)
