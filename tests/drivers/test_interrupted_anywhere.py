"""Ctrl-C may strike anywhere in the stores and the cache: nothing stays locked, reserved or waiting."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from llmstack import OpenAI, Stack
from llmstack._core import passage
from llmstack._drivers.reaper import drain
from llmstack.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted
from llmstack.middleware import Budget, Cache, CircuitBreaker, Logging, Moderation, Retry, Sentry, Validation
from llmstack.testing import LocalServer, Recorder
from tests.drivers.ctrl_c import Struck, Watched

CACHE = ("_cache/company.py", "_cache/flight.py")
STORE = ("_sqlite/gate.py", "_sqlite/access.py")
BOOKS = ("_memory/ledger.py", "_memory/account.py", "_memory/reservations.py")


@dataclass
class Rig:
    """A client with all plugins on, and what there is to be asked about it."""

    client: OpenAI
    recorder: Recorder
    budget: Budget
    words: Iterator[int]
    last: str = ""

    def ask(self, word: str, *, stream: bool = False) -> str:
        """The answer, which is that of the question."""
        made: Any = self.client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": word}], stream=stream
        )
        if not stream:
            return str(made.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in made if chunk.choices)

    def new(self, *, stream: bool = False) -> None:
        """Ask what was never asked."""
        word = self.last = f"word{next(self.words)}"
        assert self.ask(word, stream=stream) == f"You said: {word}"

    def elsewhere(self, program: Callable[[], Any]) -> None:
        """Do it in another thread, which waits for nobody for ever."""
        done: list[bool] = []
        thread = threading.Thread(target=lambda: done.append(program() is None), daemon=True)
        thread.start()
        thread.join(20.0)
        assert done == [True]

    def told(self) -> set[tuple[type, str, int]]:
        """What the books say since this was asked last. The events go: their errors keep alive what was dropped."""
        told = {
            (type(event), event.call.id, getattr(event, "number", 0)) for event in self.recorder.events if event.call
        }
        self.recorder.events.clear()
        return told

    def assert_clean(self) -> None:
        """Whatever has struck: nobody notices later."""
        told = self.told()
        gc.collect()
        drain()
        told |= self.told()
        pool: Any = self.client._client._transport._pool  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public tells
        assert pool._requests == []  # noqa: SLF001
        assert [one for one in pool.connections if not (one.is_idle() or one.is_closed())] == []
        assert not passage._suspended  # noqa: SLF001
        for begun, ended in ((CallStarted, CallFinished), (AttemptStarted, AttemptFinished)):
            assert {what[1:] for what in told if what[0] is begun} <= {what[1:] for what in told if what[0] is ended}
        self.elsewhere(lambda: None if self.ask(self.last) else "")  # nobody is waited for who has gone
        self.elsewhere(self.new)
        self.new(stream=True)
        assert [status.reserved for status in self.budget.status()] == [0]
        self.told()


@pytest.fixture(params=["memory://", "sqlite"])
def rig(request: pytest.FixtureRequest, server: LocalServer, tmp_path: Path) -> Iterator[Rig]:
    """All plugins, on stores of one kind."""
    url = request.param if request.param != "sqlite" else f"sqlite:///{tmp_path}/store.db"
    recorder, budget = Recorder(), Budget(["1000000 calls/day"], store=url)
    plugins = [
        Validation(),
        Moderation(blocked_terms=["blocked"], endpoint=False),
        Cache(store=url, when="always"),
        budget,
        Retry(breaker=CircuitBreaker()),
        Logging(),
        Sentry(),
        recorder,
    ]
    stack = Stack.ordered(plugins)
    with OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", stack=stack) as client:
        yield Rig(client, recorder, budget, count())
    stack.close()


PROGRAMS: dict[str, Callable[[Rig], None]] = {
    "whole": lambda rig: rig.new(),
    "streamed": lambda rig: rig.new(stream=True),
}


# A connection that is struck as it comes into being is dropped, which closes it; since Python 3.13 that is told.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
@pytest.mark.parametrize("files", [CACHE, STORE, BOOKS], ids=["cache", "store", "books"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_interrupted_anywhere(rig: Rig, name: str, files: tuple[str, ...]) -> None:
    """At every step at which CPython lets a signal strike in these files, once when it is come by first, once last."""

    def program() -> None:
        PROGRAMS[name](rig)

    watched = Watched(*files)
    program()
    program()
    steps = watched.steps_of(program)
    rig.assert_clean()
    struck = 0
    gc.freeze()  # what there is already need not be looked through each time
    try:
        for step in steps:
            error = watched.struck(step, program)
            struck += error is Struck
            assert error in (None, Struck), step
            try:
                rig.assert_clean()
            except AssertionError as fault:
                fault.add_note(f"struck at {step}")
                raise
    finally:
        gc.unfreeze()
    assert struck * 2 >= len(steps)  # now and then a step is not come by again
