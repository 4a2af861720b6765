"""Exchange: one call from start to end, with its one suspended flow.

Law of this file: a flow is resumed exactly once for every effect it yielded, whatever happens around it. While a
stream is read the flow is *parked* at its `Send`; whoever ends the stream takes it out of the parking place (one
atomic step, so two threads cannot both) and resumes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmstack._core.books import Attempt, Books
from llmstack._core.call import Call
from llmstack._core.effects import Effect, Emit, Flow, Now, Parallel, Run, Send
from llmstack._core.filtering import Filters
from llmstack._core.flow import culprit
from llmstack._core.reply import Reply
from llmstack._core.transport import Engine, Incoming, ServerEvent

_MAX_REFUSALS = 8
"""How often a flow may ask for a send that it cannot have before it is taken for one that never ends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read brought: the bytes as they came, and the events they completed (filtered, if anything filters)."""

    data: bytes
    events: Sequence[ServerEvent]
    filtered: bool = False


class Exchange:
    """Drives one call's flow, and gives a streamed reply to the program piece by piece.

    All methods that may need I/O are flows themselves: the sync and async drivers run them.
    """

    __slots__ = (
        "_attempt",
        "_closing",
        "_ended",
        "_filters",
        "_interruption",
        "_parked",
        "_ready",
        "_refusals",
        "_released",
        "_seen",
        "_sent",
        "books",
        "call",
        "engine",
        "incoming",
    )

    def __init__(self, call: Call, engine: Engine) -> None:
        """Take a call; nothing happens until `start`."""
        self.call = call
        self.engine = engine
        self.books = Books(call, engine)
        self.incoming: Incoming | None = None
        self._parked: list[Flow[Reply]] = []
        self._ready: deque[Batch] = deque()
        self._filters: Filters | None = None
        self._sent = call
        self._attempt: Attempt | None = None
        self._seen: Reply | None = None
        self._released = False
        self._ended = False
        self._closing = False
        self._interruption: BaseException | None = None
        self._refusals = 0

    # The flow ---------------------------------------------------------------------------------------------------

    def start(self) -> Flow[Reply | None]:
        """Run the layers until the reply is known, or until a stream is open.

        Returns:
            The reply; or None if there is something to be read piece by piece with `pull`: an open stream, or a
            reply that came early and is replayed as the stream that the program asked for.
        """
        self.books.open()
        reply = yield from self._drive(self.engine.entry(self.call))
        if reply is None or not self.call.stream:
            return reply
        self._deliver(reply)
        self.books.close(reply=reply)
        return None

    def _drive(
        self,
        flow: Flow[Reply],
        value: Any = None,
        error: BaseException | None = None,
        *,
        whole: bool = False,
    ) -> Flow[Reply | None]:
        """Resume a flow and serve its effects, until it returns (its reply) or is parked at an open stream (None)."""
        try:
            while True:
                try:
                    effect = flow.send(value) if error is None else flow.throw(error)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                value = error = None
                try:
                    if type(effect) is Send:
                        value = yield from self._send(effect.call, flow, whole=whole)
                        if value is None:
                            return None
                    else:
                        value = yield from self._serve(effect)
                except BaseException as caught:  # noqa: BLE001 - everything is the flow's to know
                    error = caught
                    # Inside `Parallel` a cancellation may concern this branch alone.
                    if not (whole or isinstance(caught, Exception)):
                        self._interruption = caught
        finally:
            # An error kept in a frame that its own traceback holds would keep connections alive until the next
            # run of the garbage collector.
            error = None

    def _serve(self, effect: Effect) -> Flow[Any]:
        if type(effect) is Emit:
            if self.engine.emit is not None:
                self.engine.emit(effect.event)
            return None
        if type(effect) is Now:
            return self.engine.clock.monotonic()
        if type(effect) is Parallel:
            return (yield Parallel(tuple(self._drive(flow, whole=True) for flow in effect.flows)))
        if not isinstance(effect, Effect):
            message = f"a flow may yield effects only (`yield from sleep(1)`), not {type(effect).__name__}"
            raise TypeError(message)
        return (yield effect)

    def _send(self, call: Call, flow: Flow[Reply], *, whole: bool) -> Flow[Reply | None]:
        self._may_send(call, flow)
        attempt = self.books.attempt(call)
        try:
            answer = yield from self.engine.transport.send(call)
            if type(answer) is not Reply and whole:
                answer = yield from self._read_whole(call, answer)
        except BaseException as error:
            call.progress.foreign.append(error)
            attempt.failed(error)
            raise
        if type(answer) is Reply:
            attempt.answered(answer)
            return answer
        self._sent, self._attempt, self.incoming = call, attempt, answer
        self._filters = Filters(call) if call.filters else None
        self._parked.append(flow)
        if not self.engine.layered:
            # Nobody could send again or hold back, so nothing waits for content.
            self._release()
        return None

    def _may_send(self, call: Call, flow: Flow[Reply]) -> None:
        if self._interruption is not None:
            raise self._interruption
        if not (self._closing or call.committed):
            return
        from llmstack.errors import CommittedError, PluginError

        self._refusals += 1
        if self._refusals > _MAX_REFUSALS:
            name = culprit(flow)
            flow.close()
            message = f"plugin {name!r} does not end: it keeps sending after it was refused"
            raise PluginError(message, plugin=name, call=call.info)
        if self._closing:
            raise CommittedError("the program has stopped reading this stream: nothing more is sent", call=call.info)
        raise CommittedError(
            "content of this stream has reached the program, so it cannot be sent again; "
            "check `call.committed` before calling next a second time",
            call=call.info,
        )

    def _read_whole(self, call: Call, incoming: Incoming) -> Flow[Reply]:
        """Read a stream to its end at once, where nobody reads it piece by piece."""
        watch, filters = incoming.watch, Filters(call) if call.filters else None
        seen: list[ServerEvent] = []
        try:
            data: bytes | None = b""
            while data is not None and not watch.done:
                data = yield Run(incoming.read, incoming.aread)
                events = watch.end() if data is None else watch.feed(data)
                if watch.failure is not None:
                    raise watch.failure
                seen += events if filters is None else (yield from filters.apply(events, last=data is None))
        finally:
            yield Run(incoming.close, incoming.aclose, shield=True)
        reply = watch.reply(ended=True)
        return reply if filters is None else reply.with_events(seen)

    # The stream -------------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """True while a stream is open: its connection is taken, its flow is parked."""
        return bool(self._parked)

    def prime(self) -> Flow[None]:
        """Read until there is something to deliver, retrying as the layers please."""
        while not (self._ended or (self._released and self._ready)):
            yield from self._step()

    def pull(self) -> Flow[Batch | None]:
        """The next piece of the stream; None at its end. Raises what the program shall see raised."""
        yield from self.prime()
        return self._ready.popleft() if self._ready else None

    def close(self) -> Flow[None]:
        """The program has stopped reading, at the end or before. May be called again and from anywhere."""
        self._closing = True
        yield from self._settle(None)
        self._end()

    def _step(self) -> Flow[None]:
        incoming = self.incoming
        if incoming is None or self._closing:
            yield from self.close()
            return
        try:
            data = yield Run(incoming.read, incoming.aread)
        except Exception as error:  # noqa: BLE001 - whatever reading raises, the flow must hear of it
            yield from self._fail(error)
            return
        except BaseException as interruption:
            self._closing, self._interruption = True, interruption
            yield from self._settle(None)
            self._end()
            raise
        if self._closing:
            self._end()
            return
        yield from self._take(incoming, data)

    def _take(self, incoming: Incoming, data: bytes | None) -> Flow[None]:
        watch = incoming.watch
        try:
            events = watch.end() if data is None else watch.feed(data)
            failure = watch.failure
            if failure is not None and not self._released:
                raise failure
            if self._filters is not None:
                events = yield from self._filters.apply(events, last=data is None)
        except Exception as error:  # noqa: BLE001 - broken text, an error event, a filter of a layer's
            yield from self._fail(error)
            return
        if data or events:
            self._ready.append(Batch(data or b"", events, filtered=self._filters is not None))
        if watch.content:
            self.books.first_content()
            if not (self._sent.hold or self._released):
                self._release()
        if failure is not None:
            # The SDK's own loop raises it when it comes to that event; here it is for the books.
            yield from self._settle(failure)
            self._end()
        elif data is None or (watch.done and not self._released):
            yield from self._finish()

    def _finish(self) -> Flow[None]:
        reply = yield from self._settle(None)
        if self._released:
            self._end()
        else:
            self._go_on(reply)

    def _fail(self, error: Exception) -> Flow[None]:
        """Reading failed: before the first content the layers may send again, after it the program must know."""
        self.call.progress.foreign.append(error)
        ours = bool(self._parked)  # else another thread has closed the stream, and reading it just ends
        try:
            reply = yield from self._settle(error)
        except BaseException:
            self._end()
            raise
        if not self._released:
            self._go_on(reply)
            return
        self._end()
        if ours:
            raise error

    def _go_on(self, reply: Reply | None) -> None:
        """Nothing was delivered yet: deliver the layers' reply, or go on with the stream they opened instead."""
        if reply is not None:
            self._deliver(reply)
            return
        self._ready.clear()
        if not self._parked:
            self._end()

    def _settle(self, error: Exception | None) -> Flow[Reply | None]:
        """Give the connection back and resume the parked flow.

        Returns:
            The flow's reply; None if it opened another stream, or if nothing was parked.
        """
        try:
            flow = self._parked.pop()
        except IndexError:
            return None
        incoming, attempt = self.incoming, self._attempt
        assert incoming is not None
        assert attempt is not None
        try:
            yield Run(incoming.close, incoming.aclose, shield=True)
        except BaseException as caught:  # noqa: BLE001 - the driver raises an interruption again at the end
            if not isinstance(caught, Exception):
                self._interruption = caught
        seen = self._seen = incoming.watch.reply(ended=not self._closing)
        attempt.streamed(seen, error, self._interruption)
        try:
            reply = yield from self._drive(flow, seen if error is None else None, error)
        except BaseException as raised:
            from llmstack.errors import CommittedError

            if self._closing and isinstance(raised, CommittedError):
                self.books.close(reply=seen, error=self._interruption)
                return None
            self.books.close(error=self._interruption or raised)
            raise
        if reply is not None:
            self.books.close(reply=reply, error=self._interruption or (error if self._released else None))
        return reply

    def _deliver(self, reply: Reply) -> None:
        """Give the program a complete reply: the events that were held back, or a replay."""
        seen = self._seen
        if seen is None or not self._ready or (reply is not seen and reply.events is not seen.events):
            events = self.engine.replay(self._sent, reply)
            self._ready.clear()
            self._ready.append(Batch(b"", events, filtered=True))
        self._release()
        self._ended = True

    def _release(self) -> None:
        """From here on everything goes to the program as it comes, and nothing can be sent again."""
        self._released = True
        self.call.progress.committed = True

    def _end(self) -> None:
        self._ended = True
        self._released = True
