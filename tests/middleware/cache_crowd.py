"""Many calls at once that ask the same, and a layer behind the cache that holds them where a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from itertools import count
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc

from llmstack import Call, Flow, Next, Reply, hookimpl
from llmstack.effects import wait
from llmstack.middleware import Cache
from tests.core.side import Rig, Side


class Hold:
    """A layer that lets each call go on only when it is told to, or fail."""

    name = "hold"

    def __init__(self, held: int = 1) -> None:
        self.gates: list[Future[None]] = [Future() for _ in range(held)]
        self.arrived: list[Call] = []
        self._numbers = count()

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Wait at the gate of its number; those beyond the last one pass."""
        number = self._numbers.__next__()
        self.arrived.append(call)
        if number < len(self.gates):
            yield from wait(self.gates[number])
        return (yield from next(call))

    def release(self, number: int = 0) -> None:
        """Let one go on."""
        self.gates[number].set_result(None)

    def fail(self, error: BaseException, number: int = 0) -> None:
        """Let one fail."""
        self.gates[number].set_exception(error)


class Crowd:
    """Calls at once: threads in a sync program, tasks in an async one."""

    def __init__(
        self,
        side: Side,
        *,
        held: int = 1,
        script: Any = (),
        default: Any = "Hello",
        outer: Sequence[Any] = (),
        **options: Any,
    ) -> None:
        self.side = side
        self.hold = Hold(held)
        self.cache = Cache(**options)
        self.rig: Rig = side.rig([*outer, self.cache, self.hold], script, default=default)
        self.answers: list[Any] = []
        self.errors: list[BaseException] = []
        self.scopes: list[anyio.CancelScope] = []
        self._threads: list[threading.Thread] = []
        self._exit = AsyncExitStack()
        self._group: anyio.abc.TaskGroup | None = None

    async def __aenter__(self) -> Self:
        if self.side.asynchronous:
            self._group = await self._exit.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.side.asynchronous:
            await self._exit.__aexit__(kind, error, trace)
        for thread in self._threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self._threads)
        if kind is None:
            assert len(self.cache._flights) == 0  # noqa: SLF001 - nobody outside needs to know

    def start(self, number: int = 1, **more: Any) -> None:
        """Let so many calls be made."""
        given = {"temperature": 0, **more}
        for _ in range(number):
            if self._group is None:
                thread = threading.Thread(target=self._ask, args=(given,))
                self._threads.append(thread)
                thread.start()
            else:
                scope = anyio.CancelScope()
                self.scopes.append(scope)
                self._group.start_soon(self._aask, given, scope)

    def _ask(self, given: dict[str, Any]) -> None:
        try:
            answer = self.rig.create(**given)
            self.answers.append("".join(map(said, answer)) if given.get("stream") else said(answer))
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.errors.append(error)

    async def _aask(self, given: dict[str, Any], scope: anyio.CancelScope) -> None:
        with scope:
            try:
                answer = await self.rig.create(**given)
                texts = [said(one) async for one in answer] if given.get("stream") else [said(answer)]
                self.answers.append("".join(texts))
            except Exception as error:  # noqa: BLE001 - looked at by the test
                self.errors.append(error)

    @property
    def waiting(self) -> int:
        """How many wait for another."""
        return sum(len(flight.waiting) for flight in list(self.cache._flights._table.values()))  # noqa: SLF001

    async def until(
        self, *, arrived: int | None = None, waiting: int | None = None, answers: int | None = None
    ) -> None:
        """Wait until so many have come behind the cache, wait for another, or have been answered."""
        wanted: list[tuple[int | None, Callable[[], int]]] = [
            (arrived, lambda: len(self.hold.arrived)),
            (waiting, lambda: self.waiting),
            (answers, lambda: len(self.answers)),
        ]
        give_up = time.monotonic() + 10
        while any(number is not None and number != found() for number, found in wanted):
            assert time.monotonic() < give_up, (len(self.hold.arrived), self.waiting, len(self.answers), self.errors)
            await self.pause()

    async def pause(self, seconds: float = 0.001) -> None:
        """Let the others go on for a moment."""
        if self.side.asynchronous:
            await anyio.sleep(seconds)
        else:
            time.sleep(seconds)  # noqa: ASYNC251 - a sync program's way


def said(answer: Any) -> str:
    """The text of an answer or a chunk."""
    return "".join(
        (choice.delta if hasattr(choice, "delta") else choice.message).content or "" for choice in answer.choices
    )
