"""Books: the events of one call, each told exactly once."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from types import MappingProxyType

from llmstack._core.call import Call
from llmstack._core.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted, Outcome
from llmstack._core.reply import Reply
from llmstack._core.transport import Engine


class Books:
    """Tells the observers of a call's start, attempts and end. Builds nothing if nobody listens."""

    __slots__ = ("_attempts", "_call", "_closed", "_engine", "_numbers")

    def __init__(self, call: Call, engine: Engine) -> None:
        """Keep the books of `call`."""
        self._call = call
        self._engine = engine
        self._closed = True  # nobody has been told of a beginning
        # Both are right also if the branches of a `Parallel` count at once, each in its thread.
        self._numbers = count(1)
        self._attempts: list[int] = []

    def open(self) -> None:
        """The call has entered the stack."""
        self._call.progress.started_at = self._engine.clock.monotonic()
        event = None if self._engine.emit is None else CallStarted(call=self._call.info)
        self._closed = False
        if event is not None and self._engine.emit is not None:
            self._engine.emit(event)

    def attempt(self, call: Call) -> Attempt:
        """A request is about to be sent."""
        number = next(self._numbers)
        self._attempts.append(number)
        # A request of another kind that a layer makes on the way has a progress of its own, and is no retry.
        call.progress.sends.append(number)
        call.progress.attempts = len(call.progress.sends)
        if call.sent is not None:
            call.sent.number = call.progress.sends.index(number) + 1
        return Attempt(call, self._engine, number)

    def first_content(self) -> None:
        """Content of a stream has been seen; only the first time counts."""
        progress = self._call.progress
        if progress.first_content_at is None:
            progress.first_content_at = self._engine.clock.monotonic()

    def close(self, *, reply: Reply | None = None, error: BaseException | None = None) -> None:
        """The call has ended. Only the first time counts."""
        if self._closed:
            return
        progress = self._call.progress
        # The errors hold frames that hold this call: let go of them.
        progress.foreign.clear()
        progress.reply = None
        if self._engine.emit is None:
            self._closed = True
            return
        first = progress.first_content_at
        event = CallFinished(
            call=self._call.info,
            outcome=_outcome(reply, error),
            status=_status(reply, error),
            request_id=_request_id(reply, error),
            model=None if reply is None else reply.model,
            usage=None if reply is None else reply.usage,
            cost=None if reply is None else self._cost(reply),
            attempts=len(self._attempts),
            cached=reply is not None and reply.cached,
            finish_reason=None if reply is None else reply.finish_reason,
            error=error,
            duration=self._engine.clock.monotonic() - progress.started_at,
            time_to_first_chunk=None if first is None else first - progress.started_at,
            notes=MappingProxyType(dict(progress.notes)),
        )
        self._closed = True
        self._engine.emit(event)

    def _cost(self, reply: Reply) -> Decimal | None:
        if reply.cached:
            return Decimal(0)
        usage = reply.usage
        return None if usage is None else self._call.price(usage, reply.model)


class Attempt:
    """One request, from sending to its end."""

    __slots__ = ("_call", "_closed", "_engine", "_first", "_started", "number")

    def __init__(self, call: Call, engine: Engine, number: int) -> None:
        """The `number`-th request of `call` is about to be sent."""
        self._call = call
        self._engine = engine
        self._started = engine.clock.monotonic()
        self._first: float | None = None
        self._closed = True  # nobody has been told of a beginning
        self.number = number

    def start(self) -> None:
        """It is sent now."""
        if self._engine.emit is not None:
            event = AttemptStarted(call=self._call.info, number=self.number)
            self._closed = False
            self._engine.emit(event)

    def first_content(self) -> None:
        """Content of its stream has arrived; only the first time counts."""
        if self._first is None:
            self._first = self._engine.clock.monotonic()

    def answered(self, reply: Reply) -> None:
        """It brought a complete reply."""
        self._arrived(reply)
        self._tell(reply, None)

    def failed(self, error: BaseException, reply: Reply | None = None) -> None:
        """It brought an error; or a reply that is none, and what is wrong with it."""
        if reply is not None:
            self._arrived(reply)
        self._tell(reply, error)

    def streamed(self, seen: Reply, error: BaseException | None, interruption: BaseException | None) -> None:
        """Its stream has ended, in whatever way; `seen` is what arrived."""
        self._arrived(seen)
        self._tell(seen, interruption or error)

    def _arrived(self, reply: Reply) -> None:
        self._call.progress.reply = reply
        if self._call.sent is not None:
            self._call.sent.reply = reply

    def _tell(self, reply: Reply | None, error: BaseException | None) -> None:
        if self._engine.emit is None or self._closed:
            return
        event = AttemptFinished(
            call=self._call.info,
            number=self.number,
            outcome=_outcome(reply, error),
            status=_status(reply, error),
            request_id=_request_id(reply, error),
            model=None if reply is None else reply.model,
            usage=None if reply is None else reply.usage,
            finish_reason=None if reply is None else reply.finish_reason,
            error=error,
            duration=self._engine.clock.monotonic() - self._started,
            time_to_first_chunk=None if self._first is None else self._first - self._started,
        )
        self._closed = True
        self._engine.emit(event)


def _outcome(reply: Reply | None, error: BaseException | None) -> Outcome:
    if error is None:
        return "ok" if reply is not None and reply.complete else "incomplete"
    if not isinstance(error, Exception):
        return "cancelled"
    from llmstack.errors import RefusedError

    return "refused" if isinstance(error, RefusedError) else "error"


def _status(reply: Reply | None, error: BaseException | None) -> int | None:
    status = getattr(error, "status_code", None) if reply is None else reply.status
    return status if isinstance(status, int) else None


def _request_id(reply: Reply | None, error: BaseException | None) -> str | None:
    request_id = getattr(error, "request_id", None) if reply is None else reply.request_id
    return request_id if isinstance(request_id, str) else None
