"""Trace: the way of each call through the layers, seen from between them.

It asks nothing of the engine: `Trace.around` puts a probe, an ordinary plugin, in front of each layer and one in front
of the transport. What a probe sees pass is when the layer behind it was entered and left, so a trace is as true for
async calls and streams as the engine is for any plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from llmstack._core.call import Call
from llmstack._core.call_info import CallInfo
from llmstack._core.effects import Flow, Next
from llmstack._core.reply import Reply
from llmstack.errors import RefusedError
from llmstack.events import AttemptFinished, CallFinished, CallStarted, Event, RetryScheduled
from llmstack.hookspecs import hookimpl
from llmstack.stack import Stack

Kind = Literal["in", "again", "reply", "answer", "refusal", "error"]
"""What a step is.

``in``: the call enters a layer · ``again``: the layer further out sends it in once more · ``reply``: a reply leaves ·
``answer``: the layer answers without asking further in · ``refusal``: it refuses likewise · ``error``: an error leaves.
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A call enters a layer or leaves it.

    Attributes:
        layer: The layer's name; the transport's for the innermost.
        depth: Its place, 0 outermost.
        kind: What happens.
        at: When, by the stack's clock; only differences mean anything.
        seconds: On leaving: how long it was in this layer and all further in.
        own: On leaving: how much of that was spent in this layer alone.
        error: Name of the error that leaves it.
        by: Who refused, if that was not this layer: one that works next to the transport, at each attempt.
    """

    layer: str
    depth: int
    kind: Kind
    at: float
    seconds: float = 0.0
    own: float = 0.0
    error: str = ""
    by: str = ""

    @property
    def inward(self) -> bool:
        """True if the call enters."""
        return self.kind in ("in", "again")


@dataclass(slots=True)
class Visit:
    """One stay of a call in a layer."""

    depth: int
    since: float
    outer: Visit | None
    attempts: int
    sends: int = 0
    further_in: float = 0.0


@dataclass(slots=True)
class Trail:
    """What is known of one call.

    Attributes:
        call: The call.
        depth: How many layers there are; the depth of the transport.
        steps: Its way, in order.
        attempts: Its requests, in the order they ended.
        retries: The retries that were announced.
        finished: Its end; None while it runs.
    """

    call: CallInfo
    depth: int
    steps: list[Step] = field(default_factory=list)
    attempts: list[AttemptFinished] = field(default_factory=list)
    retries: list[RetryScheduled] = field(default_factory=list)
    finished: CallFinished | None = None
    visits: list[Visit] = field(default_factory=list, repr=False)

    def enter(self, layer: str, depth: int, at: float) -> Visit:
        """The call enters a layer."""
        # Where a layer sends several calls at once the latest open visit may be another branch's; only times differ.
        outer = next((visit for visit in reversed(self.visits) if visit.depth == depth - 1), None)
        again = outer is not None and outer.sends > 0
        if outer is not None:
            outer.sends += 1
        visit = Visit(depth, at, outer, len(self.attempts))
        self.visits.append(visit)
        self.steps.append(Step(layer, depth, "again" if again else "in", at))
        return visit

    def leave(self, layer: str, visit: Visit, at: float, error: BaseException | None) -> None:
        """The call leaves a layer."""
        self.visits.remove(visit)
        seconds = at - visit.since
        if visit.outer is not None:
            visit.outer.further_in += seconds
        own = max(0.0, seconds - visit.further_in)
        name = "" if error is None else type(error).__name__
        kind = _leaving(error, early=visit.sends == 0 and visit.depth < self.depth)
        by = ""
        if isinstance(error, RefusedError) and visit.sends == 0 and visit.attempts == len(self.attempts):
            kind = "refusal"
            by = error.plugin if error.plugin and error.plugin != layer else ""
        self.steps.append(Step(layer, visit.depth, kind, at, seconds, own, name, by))

    def own_times(self) -> dict[str, float]:
        """Seconds spent in each layer alone, outermost first, the transport last."""
        times: dict[str, float] = {}
        for step in self.steps:
            times[step.layer] = times.get(step.layer, 0.0) + step.own
        return times


def _leaving(error: BaseException | None, *, early: bool) -> Kind:
    if error is None:
        return "answer" if early else "reply"
    return "error"


class Trace:
    """Records the way of every call of a stack.

        trace = Trace()
        client = OpenAI(stack=trace.around(stack))

    Attributes:
        trails: The calls so far, by id, in the order they started.
    """

    name = "trace"

    def __init__(self) -> None:
        self.trails: dict[str, Trail] = {}
        self._depth = 0

    def around(self, stack: Stack) -> Stack:
        """The same stack with a probe in front of each layer; a trace serves one stack."""
        clock = stack.engine.clock
        plugins: list[Any] = [self]
        for name, plugin in stack.plugins.items():
            if callable(getattr(plugin, "llmstack_call", None)):
                plugins.append(Probe(self, name, self._depth, clock.monotonic))
                self._depth += 1
            plugins.append(plugin)
        plugins.append(Probe(self, stack.transport.name, self._depth, clock.monotonic))
        return Stack(plugins, transport=stack.transport, clock=clock)

    def trail(self, call: CallInfo) -> Trail:
        """What is known of a call."""
        return self.trails.setdefault(call.id, Trail(call, self._depth))

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Keep what tells of attempts and ends."""
        if isinstance(event, CallStarted):
            self.trail(event.call)
        elif isinstance(event, AttemptFinished):
            self.trail(event.call).attempts.append(event)
        elif isinstance(event, RetryScheduled):
            self.trail(event.call).retries.append(event)
        elif isinstance(event, CallFinished):
            self.trail(event.call).finished = event


class Probe:
    """Stands in front of one layer and notes what passes, without touching it."""

    def __init__(self, trace: Trace, layer: str, depth: int, now: Callable[[], float]) -> None:
        self.name = f"in front of {layer}"
        self._trace = trace
        self._layer = layer
        self._depth = depth
        self._now = now

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Note the call on its way in, and what becomes of it."""
        trail = self._trace.trail(call.info)
        visit = trail.enter(self._layer, self._depth, self._now())
        failure: BaseException | None = None
        try:
            return (yield from next(call))
        except BaseException as error:
            failure = error
            raise
        finally:
            trail.leave(self._layer, visit, self._now(), failure)
            failure = None  # or the error's frames would hold it, and it them
