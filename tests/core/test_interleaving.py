"""Reading and closing at once, in every order in which two threads can take turns: driven by hand, without threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply, Stack
from llmstack._core.effects import Run, Sleep
from llmstack._core.exchange import Exchange
from llmstack.effects import run, sleep
from llmstack.events import AttemptFinished, AttemptStarted
from llmstack.testing import Recorder, ScriptedTransport
from tests.core.side import PREAMBLE, Witness, chunk, event_error, lost, spoken


class Thread:
    """A flow that is run one effect at a time."""

    def __init__(self, flow: Flow[Any]) -> None:
        self._flow = flow
        self._effect: Any = None
        self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None

    def step(self) -> None:
        """Perform what the flow waits for, and run it to the next effect."""
        if self.ended:
            return
        value, error = None, None
        try:
            if isinstance(self._effect, Run):
                value = self._effect.sync_fn()
            else:
                assert self._effect is None or isinstance(self._effect, Sleep)
        except Exception as caught:  # noqa: BLE001 - it belongs to the flow
            error = caught
        try:
            self._effect = self._flow.send(value) if error is None else self._flow.throw(error)
        except StopIteration as stop:
            self.ended, self.result = True, stop.value
        except Exception as raised:  # noqa: BLE001 - looked at by the test
            self.ended, self.error = True, raised

    def finish(self) -> None:
        """Run to the end."""
        while not self.ended:
            self.step()


def reading(exchange: Exchange) -> Flow[list[str]]:
    """Read to the end."""
    seen: list[str] = []
    while (batch := (yield from exchange.pull())) is not None:
        seen += (event.data for event in batch.events)
    return seen


def settles(call: Call, next: Next) -> Flow[Reply]:
    """A layer that retries, and takes two effects to settle."""
    try:
        try:
            return (yield from next(call))
        except openai.APIError:
            yield from sleep(1)
            return (yield from next(call))
    finally:
        yield from run(lambda: None, shield=True)


def holds(call: Call, next: Next) -> Flow[Reply]:
    """A layer that holds back."""
    return (yield from next(call.replace(hold=True)))


SCRIPTS: dict[str, Callable[[], list[Any]]] = {
    "whole": lambda: [spoken("Hel", "lo")],
    "retried": lambda: [[PREAMBLE, lost()], spoken("Hello")],
    "retried-event": lambda: [[PREAMBLE, event_error()], spoken("Hello")],
    "broken": lambda: [[PREAMBLE, chunk("Hel"), lost()]],
    "not-opened-again": lambda: [[PREAMBLE, lost()], lost()],
}


def orders(length: int) -> Iterator[tuple[int, ...]]:
    """All orders in which two threads take `length` turns."""
    return product((0, 1), repeat=length)


@pytest.mark.parametrize("layer", [settles, holds], ids=lambda layer: layer.__name__)
@pytest.mark.parametrize("script", SCRIPTS)
def test_closing_while_reading_in_every_order(script: str, layer: Callable[..., Any]) -> None:
    """The flow is resumed once, every stream that was opened is closed, the books are closed once and balanced."""
    for order in orders(9):
        transport, recorder, witness = ScriptedTransport(SCRIPTS[script]()), Recorder(), Witness()
        engine = Stack([witness, layer, recorder], transport=transport).engine
        exchange = Exchange(Call(path="/chat/completions", endpoint="chat.completions", stream=True), engine)
        Thread(exchange.start()).finish()
        reader, closer = Thread(reading(exchange)), Thread(exchange.close())
        for turn in order:
            (reader, closer)[turn].step()
        closer.finish()
        reader.finish()
        assert closer.error is None, order
        assert reader.error is None or isinstance(reader.error, openai.APIError), order
        assert not exchange.open, order
        assert transport.open == 0, order
        assert witness.left == 1, order
        assert len(witness.replies) + len(witness.errors) == 1, order
        assert recorder.finished, order
        assert len(recorder.of(AttemptStarted)) == len(recorder.of(AttemptFinished)), order


@pytest.mark.parametrize("script", SCRIPTS)
def test_two_that_close_in_every_order(script: str) -> None:
    """After some reading, two threads close: one of them does it."""
    for read, order in product(range(4), orders(5)):
        transport, recorder, witness = ScriptedTransport(SCRIPTS[script]()), Recorder(), Witness()
        engine = Stack([witness, settles, recorder], transport=transport).engine
        exchange = Exchange(Call(path="/chat/completions", endpoint="chat.completions", stream=True), engine)
        Thread(exchange.start()).finish()
        reader = Thread(reading(exchange))
        for _ in range(read):
            reader.step()
        closers = Thread(exchange.close()), Thread(exchange.close())
        for turn in order:
            closers[turn].step()
        for thread in (*closers, reader):
            thread.finish()
        assert [closer.error for closer in closers] == [None, None]
        assert transport.open == 0
        assert witness.left == 1
        assert recorder.finished
