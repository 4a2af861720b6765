"""Passage: a call's way through the layers, whatever happens around it.

Law of this file: a flow is resumed exactly once for every effect it yielded. While a stream is read the flow is
*parked* at its `Send`; whoever ends the stream takes it out of the parking place (one atomic step, so two threads
cannot both) and resumes it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from llmstack._core.books import Attempt, Books
from llmstack._core.call import Call
from llmstack._core.contest import Contest
from llmstack._core.effects import Effect, Emit, Flow, Now, Parallel, Race, RaceLost, Run, Send, Sleep, Wait, no_effect
from llmstack._core.filtering import Filters
from llmstack._core.flow import end_flow
from llmstack._core.loosening import loosen
from llmstack._core.reply import Reply
from llmstack._core.transmission import read_whole, transmit
from llmstack._core.transport import Engine, Incoming

T = TypeVar("T")

_MAX_REFUSALS = 8
"""How often a flow may ask for what it cannot have before it is taken for one that never ends."""

_AT_ONCE = frozenset({Emit, Now})

_suspended: set[Flow[Reply]] = set()
"""All parked flows. A garbage collector that finds a dropped stream in a cycle would close its flow too, before
anybody could resume it; what is held here it leaves alone."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that has been opened, and the flow that waits for its end."""

    call: Call
    incoming: Incoming
    attempt: Attempt
    filters: Filters | None
    flow: Flow[Reply]


class Passage:
    """Runs one call's flow: serves its effects, parks it at an open stream, resumes it at the stream's end.

    Attributes:
        opened: The last stream that was opened; None before the first.
        seen: What had arrived of that stream when it ended.
        rejected: What the last send brought, if it was no answer; see `Call.verify`.
        stopped: Set when the program has stopped reading: nothing more is sent.
        interruption: The cancellation or KeyboardInterrupt that struck this call. The flow may still settle its
            accounts, but sends, sleeps and waits no more.
    """

    __slots__ = ("_books", "_call", "_engine", "_parked", "_refusal", "_refusals", "_thrown", "interruption", "opened",
                 "rejected", "seen", "stopped")  # fmt: skip

    def __init__(self, call: Call, engine: Engine, books: Books) -> None:
        """Take a call; nothing happens until `start`."""
        self._call = call
        self._engine = engine
        self._books = books
        self._parked: list[Opened] = []
        self._thrown: list[BaseException] = []  # what the flow was told of instead of a value
        self._refusal: BaseException | None = None
        self._refusals = 0
        self.opened: Opened | None = None
        self.seen: Reply | None = None
        self.rejected: Reply | None = None
        self.stopped = False
        self.interruption: BaseException | None = None

    @property
    def parked(self) -> bool:
        """True while the flow waits for the end of an open stream, whose connection is taken."""
        return bool(self._parked)

    def start(self) -> Flow[Reply | None]:
        """Run the layers until they have a reply, or until a stream is open (None)."""
        try:
            reply = yield from self._drive(self._engine.entry(self._call))
        finally:
            self._thrown.clear()
        if self.interruption is not None:
            # A layer swallowed it; that the call ends so is not for a layer to decide.
            raise self.interruption
        return reply

    def resume(self, error: Exception | None, *, ended: bool) -> Flow[Reply | None]:
        """Give the open stream's connection back and resume the parked flow.

        Args:
            error: What broke the stream, to be thrown into the flow; else it is given the reply as far as it came.
            ended: True if the stream came to its end by itself.

        Returns:
            The flow's reply; None if it opened another stream, or if nothing was parked.
        """
        try:
            opened = self._parked.pop()
        except IndexError:
            return None
        _suspended.discard(opened.flow)
        thrown: BaseException | None = error
        try:
            yield from self._close(opened.incoming)
            self.seen = opened.incoming.watch.reply(ended=ended)
            opened.attempt.streamed(self.seen, error, self.interruption)
        except BaseException as caught:  # noqa: BLE001 - whatever went wrong here, the flow must be resumed
            thrown = error or self._noted(caught)
        if thrown is not None:
            self._thrown.append(thrown)
        try:
            return (yield from self._drive(opened.flow, self.seen if thrown is None else None, thrown))
        except BaseException as raised:
            # A layer that wanted to send again, and was refused, ends a broken or abandoned stream as any other does.
            if raised is not self._refusal or (error is None and ended):
                raise
            if error is not None:
                raise error from None
            return self.seen
        finally:
            error = thrown = None  # see `_drive`
            self._thrown.clear()

    def _close(self, incoming: Incoming) -> Flow[None]:
        try:
            yield Run(incoming.close, incoming.aclose, shield=True)
        except Exception:  # noqa: BLE001, S110 - a connection that cannot be closed is gone
            pass
        except BaseException as caught:  # noqa: BLE001 - raised again when the flow has ended
            self._noted(caught)

    def _noted(self, caught: BaseException) -> BaseException:
        if not isinstance(caught, Exception):
            self.interruption = caught
        return caught

    def beside(self, flow: Flow[T]) -> Flow[T]:
        """Serve a flow that runs beside the layers, such as a chunk filter's: it may ask for whatever a layer may.

        Streams that it sends are read to their end at once.
        """
        try:
            return (yield from cast("Flow[T]", self._drive(cast("Flow[Reply]", flow), whole=True)))
        finally:
            if self._parked:  # what a filter has seen fail while its stream is read nobody else keeps
                self._thrown.clear()

    # Running a flow ---------------------------------------------------------------------------------------------

    def _drive(
        self,
        flow: Flow[Reply],
        value: Any = None,
        error: BaseException | None = None,
        *,
        whole: bool = False,
        contest: Contest | None = None,
    ) -> Flow[Reply | None]:
        """Resume a flow and serve its effects, until it returns (its reply) or is parked at an open stream (None).

        With `whole` (inside `Parallel` and `Race`) a stream is read to its end at once. Of a `contest` that others have
        won the flow only settles its accounts.
        """
        interruption: BaseException | None = None
        effect: Effect | None = None
        try:
            while True:
                try:
                    effect = flow.send(value) if error is None else flow.throw(error)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                if contest is not None and contest.over:
                    interruption = interruption or RaceLost()
                value, error = None, self._refused(effect, interruption or self.interruption)
                if error is not None:
                    self._count_refusal(flow)
                    continue
                try:
                    if type(effect) in _AT_ONCE:
                        value = self._do(effect)
                    elif type(effect) is Send:
                        value = yield from self._send(effect.call, flow, whole=whole)
                        if value is None:
                            return None
                    else:
                        value = yield from self._serve(effect)
                except BaseException as caught:  # noqa: BLE001 - everything is the flow's to know
                    error = caught
                    self._thrown.append(caught)
                    interruption = interruption if isinstance(caught, Exception) else caught
                    if not whole:  # inside `Parallel` a cancellation may concern this branch alone
                        self._noted(caught)
        finally:
            # An error kept in a frame that its own traceback holds would keep connections alive until the next
            # run of the garbage collector. The last effect may be an event that tells of that error.
            error = interruption = effect = None

    def _do(self, effect: Any) -> float | None:
        """Do what is done at once, and by no driver: most of what layers ask for."""
        if type(effect) is Now:
            clock = self._engine.clock
            return clock.time() if effect.wall else clock.monotonic()
        if self._engine.emit is not None:
            self._engine.emit(effect.event)
        return None

    def _serve(self, effect: Any) -> Flow[Any]:
        if type(effect) in (Parallel, Race):
            for flow in cast("tuple[object, ...]", effect.flows):
                if not isinstance(flow, Generator):
                    name = type(effect).__name__.lower()
                    message = f"{name}() takes flows, such as next(call), not {type(flow).__name__}"
                    raise TypeError(message)
            if type(effect) is Race:
                return (yield from self._race(effect))
            return (yield Parallel(tuple(self._drive(flow, whole=True) for flow in effect.flows)))
        if not isinstance(effect, Effect):
            raise no_effect(effect)
        return (yield effect)

    def _race(self, effect: Race) -> Flow[Any]:
        contest = Contest()
        runs = (self._drive(flow, whole=True, contest=contest) for flow in effect.flows)
        return (yield from contest.run(runs))

    def _send(self, call: Call, flow: Flow[Reply], *, whole: bool) -> Flow[Reply | None]:
        filters = Filters(call) if call.filters else None
        attempt = self._books.attempt(call)
        self.rejected = None
        try:
            attempt.start()
            answer = yield from transmit(call, call.via or self._engine.transport, filters, self.beside, self._close)
            if whole and not isinstance(answer, Reply):
                answer = yield from read_whole(call, answer, filters, self.beside)
            if call.verify and isinstance(answer, Reply):
                self._verify(call, answer, attempt, whole=whole)
        except BaseException as error:
            call.progress.foreign.append(error)
            attempt.failed(error)
            raise
        if isinstance(answer, Reply):
            attempt.answered(answer)
            return answer
        # What the layers have seen fail, and may keep, must not keep the stream that they are parked at.
        loosen(self._thrown)
        self.opened = Opened(call, answer, attempt, filters, flow)
        _suspended.add(flow)
        self._parked.append(self.opened)
        return None

    def _verify(self, call: Call, answer: Reply, attempt: Attempt, *, whole: bool) -> None:
        error = self._engine.verify(call, answer)
        if error is None:
            return
        attempt.failed(error, answer)
        if not whole:  # one of several branches does not speak for the call
            self.rejected = answer
        try:
            raise error
        finally:
            del error  # it holds this frame

    # Refusing ---------------------------------------------------------------------------------------------------

    def _refused(self, effect: Effect, interruption: BaseException | None) -> BaseException | None:
        """Why an effect cannot be had; None if it can."""
        if interruption is not None and (
            type(effect) in (Send, Sleep) or (type(effect) is Wait and not effect.future.done())
        ):
            return interruption
        if type(effect) is not Send or not (self.stopped or effect.call.committed):
            return None
        from llmstack.errors import CommittedError

        why = (
            "the program has stopped reading this stream: nothing more is sent"
            if self.stopped
            else "content of this stream has reached the program, so it cannot be sent again; "
            "check `call.committed` before calling next a second time"
        )
        self._refusal = CommittedError(why, call=effect.call.info)
        return self._refusal

    def _count_refusal(self, flow: Flow[Any]) -> None:
        self._refusals += 1
        if self._refusals <= _MAX_REFUSALS:
            return
        from llmstack.errors import PluginError

        name = end_flow(flow)
        message = f"plugin {name!r} does not end: it goes on after it was refused {_MAX_REFUSALS} times"
        raise PluginError(message, plugin=name, call=self._call.info)
