"""A layer driven by hand: no event loop, no client, no mock.

flow = step(Retry().llmstack_call(call, send))
...
flow.throw(error)               # the request failed
assert flow.sleeping == 0.5     # so it wants to wait
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from llmstack._core.call import Call
from llmstack._core.effects import Effect, Emit, Flow, Now, Parallel, Run, Send, Sleep, Wait
from llmstack._core.events import Event
from llmstack._core.reply import Reply
from llmstack._core.transport import Clock

__all__ = ["Emit", "Now", "Parallel", "Run", "Send", "Sleep", "Step", "Wait", "send", "step"]

T = TypeVar("T")
E = TypeVar("E", bound=Effect)


def send(call: Call) -> Flow[Reply]:
    """The rest of the stack, for a layer that is driven by hand: it asks that the call be sent."""
    reply: Reply = yield Send(call)
    return reply


def step(flow: Flow[T], *, clock: Clock | None = None, events: list[Event] | None = None) -> Step[T]:
    """Drive a flow by hand, from effect to effect.

    Args:
        flow: The flow, such as ``plugin.llmstack_call(call, send)``; it runs to its first effect at once.
        clock: Answers questions for the time, so that they are not shown. None to show them.
        events: Takes the events that the flow tells, so that they are not shown. None to show them.

    Returns:
        The flow, stopped at its first effect, or ended.

    Raises:
        BaseException: What the flow raises before its first effect.
    """
    return Step(flow, clock=clock, events=events)


class Step(Generic[T]):
    """A flow that stands still at an effect until it is answered. Made by `step`.

    Attributes:
        effect: What it asks for now: a `Send`, `Sleep`, `Run`, `Wait`, `Parallel`, `Emit` or `Now`; None once it has
            ended.
    """

    def __init__(self, flow: Flow[T], *, clock: Clock | None = None, events: list[Event] | None = None) -> None:
        """See `step`."""
        self._flow = flow
        self._clock = clock
        self._events = events
        self._result: list[T] = []
        self.effect: Effect | None = None
        self._resume(None)

    def __repr__(self) -> str:
        """Where it stands, without content."""
        return f"<Step {self._stand()}>"

    # What it asks for -------------------------------------------------------------------------------------------

    @property
    def sending(self) -> Call:
        """The call that it wants to have sent; AssertionError if it asks for something else."""
        return self._now(Send).call

    @property
    def sleeping(self) -> float:
        """The seconds that it wants to wait; AssertionError if it asks for something else."""
        return self._now(Sleep).seconds

    @property
    def running(self) -> Run:
        """What it wants to have run (`run` does it); AssertionError if it asks for something else."""
        return self._now(Run)

    @property
    def waiting(self) -> Future[Any]:
        """The future that it waits for; AssertionError if it asks for something else."""
        return self._now(Wait).future

    @property
    def telling(self) -> Event:
        """The event that it tells; AssertionError if it asks for something else."""
        return self._now(Emit).event

    @property
    def branches(self) -> Iterator[Step[Any]]:
        """The flows that it wants to have run at once, each to be driven by hand; AssertionError if none."""
        flows = self._now(Parallel).flows
        return (Step(flow, clock=self._clock, events=self._events) for flow in flows)

    @property
    def done(self) -> bool:
        """True once it has returned; `result` tells what."""
        return bool(self._result)

    @property
    def result(self) -> T:
        """What it has returned; AssertionError if it has not."""
        if not self._result:
            message = f"the flow has not returned: it {self._stand()}"
            raise AssertionError(message)
        return self._result[0]

    # Answering --------------------------------------------------------------------------------------------------

    def answer(self, value: Any = None) -> Step[T]:
        """Give it what it asked for, and let it run to its next effect.

        Args:
            value: The reply for a `Send`, the results for a `Parallel`, seconds for a `Now`, what the function would
                return for a `Run`; nothing for a `Sleep` or an `Emit`.

        Returns:
            This object, at the next effect or at its end.

        Raises:
            AssertionError: If it has ended.
            BaseException: What the flow raises.
        """
        self._pending()
        return self._resume(value)

    def throw(self, error: BaseException) -> Step[T]:
        """Let what it asked for fail, and let it run to its next effect.

        Args:
            error: Such as an ``openai.APIStatusError``, or ``asyncio.CancelledError()`` for a cancelled task.

        Returns:
            This object, at the next effect or at its end.

        Raises:
            AssertionError: If it has ended.
            BaseException: What the flow raises: mostly this error.
        """
        self._pending()
        return self._resume(None, error)

    def run(self) -> Step[T]:
        """Do what a `Run` asks for, as a sync program does, and answer with the outcome."""
        function = self.running.sync_fn
        try:
            value = function()
        except Exception as error:  # noqa: BLE001 - the flow's to know
            return self.throw(error)
        return self.answer(value)

    def close(self) -> None:
        """Leave it where it stands, as a program does that drops a call in the middle."""
        self.effect = None
        self._flow.close()

    def _resume(self, value: Any, error: BaseException | None = None) -> Step[T]:
        self.effect = None
        try:
            effect = self._flow.send(value) if error is None else self._flow.throw(error)
            while (answer := self._answered(effect)) is not None:
                effect = self._flow.send(answer[0])
        except StopIteration as stop:
            self._result.append(stop.value)
        else:
            self.effect = effect
        finally:
            error = None  # its traceback holds this frame
        return self

    def _answered(self, effect: Effect) -> tuple[Any] | None:
        """The answer to an effect that is not to be shown, in a tuple; None if it is to be."""
        if type(effect) is Now and self._clock is not None:
            return (self._clock.time() if effect.wall else self._clock.monotonic(),)
        if type(effect) is Emit and self._events is not None:
            self._events.append(effect.event)
            return (None,)
        return None

    def _pending(self) -> None:
        if self.effect is None:
            message = f"the flow asks for nothing: it {self._stand()}"
            raise AssertionError(message)

    def _now(self, kind: type[E]) -> E:
        if not isinstance(self.effect, kind):
            message = f"the flow asks for no {kind.__name__}: it {self._stand()}"
            raise AssertionError(message)  # noqa: TRY004 - it is a test that fails
        return self.effect

    def _stand(self) -> str:
        if self.effect is not None:
            return f"stands at a {type(self.effect).__name__}"
        return f"has returned a {type(self._result[0]).__name__}" if self._result else "has ended without a result"
