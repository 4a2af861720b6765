"""Exchange: one call from start to end, and its streamed reply on the way to the program.

Law of this file: nothing reaches the program before content does, since until then the layers may send again
unnoticed; and what a layer holds back does not reach it before the flow has ended. What the program is given, and in
which order, is decided here; how the layers run is in `passage`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from llmstack._core.books import Books
from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run, Sleep
from llmstack._core.passage import Opened, Passage
from llmstack._core.reply import Reply
from llmstack._core.transport import Engine, Incoming, ServerEvent


@dataclass(frozen=True, slots=True)
class Batch:
    """What one read brought: the bytes as they came, and the events they completed.

    Attributes:
        data: The bytes.
        events: The events.
        filtered: True if the events are not those of the bytes: filtered, or replayed.
        delay: Seconds before it is given to the program.
    """

    data: bytes
    events: Sequence[ServerEvent]
    filtered: bool = False
    delay: float = 0.0


class Exchange:
    """Takes one call through the layers, and gives a streamed reply to the program piece by piece.

    All methods that may need I/O are flows themselves: the sync and async drivers run them.

    Attributes:
        call: The call as the program made it.
        engine: The stack.
        books: The call's events.
        early: What a layer answered in the place of a stream; None if it did not.
    """

    __slots__ = ("_ended", "_passage", "_pending", "_ready", "_released", "books", "call", "early", "engine")

    def __init__(self, call: Call, engine: Engine) -> None:
        """Take a call; nothing happens until `start`."""
        self.call = call
        self.engine = engine
        self.books = Books(call, engine)
        self.early: Reply | None = None
        self._passage = Passage(call, engine, self.books)
        self._ready: deque[Batch] = deque()
        self._pending: Exception | None = None
        self._released = False
        self._ended = False

    @property
    def open(self) -> bool:
        """True while a stream is open: its connection is taken, its flow is parked."""
        return self._passage.parked

    @property
    def incoming(self) -> Incoming | None:
        """The answer that arrives now, or did last; None if none has."""
        opened = self._passage.opened
        return None if opened is None else opened.incoming

    @property
    def unread(self) -> int:
        """Events of the stream that have arrived and that nobody has pulled."""
        return 0 if self.early is not None else sum(len(batch.events) for batch in tuple(self._ready))

    # For the program --------------------------------------------------------------------------------------------

    def start(self) -> Flow[Reply | None]:
        """Run the layers until the reply is known, or until a stream is open.

        Returns:
            The reply; or None if there is something to be read piece by piece with `pull`: an open stream, or a
            reply that came early and is replayed as the stream that the program asked for.
        """
        self.books.open()
        try:
            reply = yield from self._passage.start()
        except BaseException as raised:
            rejected, foreign = self._passage.rejected, self.call.progress.foreign
            if rejected is not None and foreign and raised is foreign[-1]:
                # The call was answered, if badly: status, request id and usage are known.
                self.books.close(reply=rejected, error=raised)
            raise
        if reply is None:
            if not self.engine.layered:
                # Nobody could send again or hold back, so nothing waits for content.
                self._release()
            return None
        if not self.call.stream:
            return reply
        self._deliver(reply)
        self.books.close(reply=reply)
        return None

    def prime(self) -> Flow[None]:
        """Read until there is something to deliver, retrying as the layers please.

        Raises:
            BaseException: What the program shall see raised, if it comes before anything else.
        """
        while not (self._ended or (self._released and self._ready)):
            yield from self._step()
        if self._pending is not None and not self._ready:
            error, self._pending = self._pending, None
            try:
                raise error
            finally:
                del error  # it holds this frame

    def pull(self) -> Flow[Batch | None]:
        """The next piece of the stream; None at its end.

        Raises:
            BaseException: What the program shall see raised, after all that came before it.
        """
        yield from self.prime()
        try:
            if self._ready[0].delay:
                yield Sleep(self._ready[0].delay)
            return self._ready.popleft()
        except IndexError:  # also if another thread has closed the stream just now
            return None

    def close(self) -> Flow[None]:
        """The program has stopped reading, at the end or before. May be called again and from anywhere."""
        self._passage.stopped = True
        self._ended = True
        self._ready.clear()
        self._pending = None  # its traceback leads back here
        self.call.progress.committed = True
        yield from self._settle(None)

    # Reading ----------------------------------------------------------------------------------------------------

    def _step(self) -> Flow[None]:
        """Read once."""
        opened = self._passage.opened
        if opened is None or self._passage.stopped:
            yield from self.close()
            return
        try:
            data = yield Run(opened.incoming.read, opened.incoming.aread)
            failure = yield from self._take(opened, data)
        except Exception as error:  # noqa: BLE001 - broken text, a lost connection, a filter: the flow must hear of it
            yield from self._conclude(opened, error)
            return
        except BaseException as interruption:
            # After the end marker only the connection is still read empty: the reply is whole.
            if not opened.incoming.watch.done:
                self._passage.interruption = interruption
            yield from self.close()
            raise
        if failure is not None:
            try:
                yield from self._conclude(opened, failure)
            finally:
                del failure  # from Python 3.12 on its traceback leads to this frame, too
            if not (self.engine.layered or opened.call.verify or opened.call.strict):
                # The SDK's own loop raises at the events that it takes for errors.
                self._pending = None
        elif data is None or (opened.incoming.watch.done and not self._released):
            yield from self._conclude(opened, None)

    def _take(self, opened: Opened, data: bytes | None) -> Flow[Exception | None]:
        """Put what was read in its place; returns what an error event says."""
        watch = opened.incoming.watch
        events = watch.end() if data is None else watch.feed(data)
        if opened.filters is not None:
            events = yield from self._passage.beside(opened.filters.apply(events, last=data is None))
        if data or events:
            self._ready.append(Batch(data or b"", events, filtered=opened.filters is not None))
        if watch.content:
            self.books.first_content()
            opened.attempt.first_content()
            if watch.failure is None and not opened.call.hold:
                self._release()
        return watch.failure

    def _conclude(self, opened: Opened, error: Exception | None) -> Flow[None]:
        """The stream has come to its end, or broke: let the layers do as they please.

        What is to be raised the program hears after what came before it.
        """
        delivered = self._released
        if error is not None:
            self.call.progress.foreign.append(error)
        try:
            resumed = yield from self._settle(error)
        except Exception as raised:  # noqa: BLE001 - raised by the pull that comes to it
            # What came before the stream's own error is the program's to see, unless a layer held it back.
            if not delivered and (opened.call.hold or raised is not error):
                self._ready.clear()
            self._pending = raised
        else:
            # A layer cannot make whole what broke in the program's hands. (If another thread has closed the stream,
            # and so broke it, it just ends.)
            if delivered and resumed:
                self._pending = error
        finally:
            error = None  # its traceback holds this frame

    def _settle(self, error: Exception | None) -> Flow[bool]:
        """Resume the parked flow, deliver what it answers and close the books; or go on with what it opened.

        Returns:
            False if nothing was parked: the flow has ended before, or another thread is at it.
        """
        passage, delivered = self._passage, self._released
        try:
            reply = yield from passage.resume(error, ended=not passage.stopped)
            while passage.stopped and passage.parked:
                # The program closed the stream while the flow was opening another one.
                reply = yield from passage.resume(None, ended=False)
            if reply is not None and not (delivered or passage.stopped):
                self._deliver(reply)
        except BaseException as raised:
            self._ended = True
            seen = passage.seen if raised is error else None
            self.books.close(reply=seen, error=passage.interruption or raised)
            raise
        else:
            if reply is None and passage.parked:
                self._ready.clear()
                return True
            self._ended = True
            if reply is None:
                return False
            self.books.close(reply=reply, error=passage.interruption or (error if delivered else None))
            if passage.interruption is not None:
                raise passage.interruption
            return True
        finally:
            error = None  # its traceback holds this frame

    # Delivering -------------------------------------------------------------------------------------------------

    def _deliver(self, reply: Reply) -> None:
        """Give the program a complete reply: what was held back if that is what it says, else a replay."""
        seen = self._passage.seen
        if not self.call.stream:
            # Not events but a body that is read lazily.
            if seen is None or reply.content is not seen.content:
                self._ready.clear()
                self._ready.append(Batch(reply.content or b"", ()))
        elif seen is None or not self._ready or reply.events is not seen.events:
            self.early = reply
            events = self.engine.replay(self.call, reply)
            self._ready.clear()
            if reply.pace is None or reply.events is not None:
                self._ready.append(Batch(b"", events, filtered=True))
            else:
                delay = reply.pace.seconds
                self._ready.extend(Batch(b"", [event], filtered=True, delay=delay) for event in events)
            self.books.first_content()
        self._release()
        self._ended = True

    def _release(self) -> None:
        """From here on everything goes to the program as it comes, and nothing can be sent again."""
        self._released = True
        self.call.progress.committed = True
