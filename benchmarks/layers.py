"""What a layer costs: empty layers, composed and driven as a stack does it, next to plain nested closures."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

from benchmarks.table import Table, interleaved, middle
from llmstack._core.call import Call
from llmstack._core.effects import Flow, Next
from llmstack._core.exchange import Exchange
from llmstack._core.flow import Layer, compose
from llmstack._core.reply import Reply
from llmstack._core.transport import Engine
from llmstack._drivers.clock import SystemClock
from llmstack._drivers.sync import run

COUNTS = (0, 7, 14)
CALLS = 2000
Closure = Callable[[Call], Reply]
REPLY = Reply({"choices": []})


class NoTransport:
    """Answers at once with the same reply."""

    name = "none"

    def send(self, _call: Call) -> Flow[Reply]:
        return REPLY
        yield


def empty(call: Call, next: Next) -> Flow[Reply]:
    return (yield from next(call))


def through_layers(count: int) -> Callable[[], object]:
    """A call through so many empty layers."""
    layers = [Layer(f"layer{i}", empty) for i in range(count)]
    clock = SystemClock()
    engine = Engine(
        entry=compose(layers, (Exception,)),
        transport=NoTransport(),
        clock=clock,
        emit=None,
        price=lambda _model, _usage, _call: None,
        replay=lambda _call, _reply: [],
        layered=bool(layers),
    )
    call = Call(path="/chat/completions", endpoint="chat.completions")
    return lambda: run(Exchange(call, engine).start(), clock)


def through_closures(count: int) -> Callable[[], object]:
    """A call through so many nested functions: the least that a layer can cost in Python."""

    def send(_call: Call) -> Reply:
        return REPLY

    def wrapped(inner: Closure) -> Closure:
        def layer(call: Call) -> Reply:
            return inner(call)

        return layer

    function: Closure = send
    for _ in range(count):
        function = wrapped(function)
    call = Call(path="/chat/completions", endpoint="chat.completions")
    return lambda: function(call)


def microseconds(work: Callable[[], object], calls: int) -> Callable[[], float]:
    """A measurement: µs per call."""

    def once() -> float:
        started = perf_counter_ns()
        for _ in range(calls):
            work()
        return (perf_counter_ns() - started) / calls / 1000

    return once


def measure(scale: float = 1.0) -> Table:
    calls = max(50, int(CALLS * min(1.0, scale)))
    works = {f"{count} layers": microseconds(through_layers(count), calls) for count in COUNTS}
    works |= {f"{count} closures": microseconds(through_closures(count), calls) for count in COUNTS}
    found = interleaved(works, rounds=max(3, int(40 * scale)))
    rows = [[name, middle(values), min(values)] for name, values in found.items()]
    span = COUNTS[-1] - COUNTS[0]
    each = {
        kind: (middle(found[f"{COUNTS[-1]} {kind}"]) - middle(found[f"{COUNTS[0]} {kind}"])) / span
        for kind in ("layers", "closures")
    }
    notes = [
        f"One layer costs {each['layers']:.2f} µs, one plain closure {each['closures']:.2f} µs (from the medians)."
    ]
    return Table("Layers: µs per call, without network", ["through", "median", "min"], rows, notes)
