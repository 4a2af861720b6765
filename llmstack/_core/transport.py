"""Ports: what the core asks of the world around it. Transports, clocks and wires implement them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from llmstack._core.call import Call
from llmstack._core.call_info import CallInfo
from llmstack._core.effects import Flow, Next
from llmstack._core.events import Event
from llmstack._core.place import Place
from llmstack._core.reply import Reply
from llmstack._core.usage import Usage


class Clock(Protocol):
    """Time, injectable so that no test waits for it."""

    def time(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block this thread for some seconds."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Suspend this task for some seconds, on whatever event loop runs."""
        ...


class ServerEvent(Protocol):
    """One server-sent event of a streamed reply."""

    @property
    def event(self) -> str | None:
        """The event's name, if it has one."""
        ...

    @property
    def data(self) -> str:
        """Its data, mostly JSON text."""
        ...

    def json(self) -> Any:
        """The data as JSON; ValueError if it is none."""
        ...


class Watch(Protocol):
    """Watches the bytes of a reply go by: splits them into events and remembers what the reply was."""

    @property
    def content(self) -> bool:
        """True once something that the user would see as content has gone by."""
        ...

    @property
    def done(self) -> bool:
        """True once the end marker has gone by."""
        ...

    @property
    def failure(self) -> Exception | None:
        """The error that an error event reported, as the SDK would raise it; or what else is wrong with the stream.

        A watch that keeps the exception itself makes a cycle with its traceback: better make a fresh one each time.
        """
        ...

    def feed(self, data: bytes, /) -> Sequence[ServerEvent]:
        """Take bytes as they came, return the events they completed."""
        ...

    def end(self) -> Sequence[ServerEvent]:
        """The bytes have ended: return the events that were still pending."""
        ...

    def reply(self, *, ended: bool) -> Reply:
        """The reply from all that went by; `ended` if the bytes came to their end."""
        ...


class Incoming(Protocol):
    """An answer whose head has arrived and whose body is still arriving."""

    @property
    def native(self) -> Any:
        """The transport's own response object."""
        ...

    @property
    def watch(self) -> Watch:
        """Who watches its bytes."""
        ...

    def read(self) -> bytes | None:
        """The next bytes, decompressed; None at the end. Raises the SDK's connection errors."""
        ...

    async def aread(self) -> bytes | None:
        """The same in an async program."""
        ...

    def close(self) -> None:
        """Give the connection back. Never raises, may be called again."""
        ...

    async def aclose(self) -> None:
        """The same in an async program."""
        ...


class Transport(Protocol):
    """Where the stack ends: takes a call, brings the answer.

    A transport may also have ``place``: the `Place` that it sends to, if it is not where the client points. Calls are
    then known by that place from the start, and the client needs no key. What it opened is closed by its ``close()`` or
    ``async aclose()`` method, if it has one.
    """

    @property
    def name(self) -> str:
        """What the transport is called in `explain()` and events."""
        ...

    def send(self, call: Call, /) -> Flow[Reply | Incoming]:
        """Send one request. A flow like a middleware's: what does I/O leaves it as a `Run` effect.

        Args:
            call: What to send. ``call.request`` is the SDK's own request for what the call does not say.

        Returns:
            The complete reply, or what is arriving if the call is streamed or its body is to be read lazily.

        Raises:
            openai.APIError: What the SDK raises for this answer.
        """
        ...


def place_of(transport: Transport) -> Place | None:
    """Where a transport sends, whatever the client points at; None if it sends where the client points."""
    place = getattr(transport, "place", None)
    return place if isinstance(place, Place) else None


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything a call needs on its way, made once by the stack.

    Attributes:
        entry: The composed layers, ending in `Send`.
        transport: Where sends go.
        clock: The time.
        emit: Tells the observers; None if there are none, so that no event is built.
        price: What a model's usage costs in US dollars, for a call; None if unknown.
        replay: Turns a complete reply into the events of a stream.
        verify: Tells what is wrong with a complete reply, for calls that ask for it by `verify`; a fresh exception.
        layered: True if there is any layer. Without one nothing can retry or hold back, so nothing waits.
        place: Where the transport sends; None for where the client points.
    """

    entry: Next
    transport: Transport
    clock: Clock
    emit: Callable[[Event], None] | None
    price: Callable[[str, Usage, CallInfo], Decimal | None]
    replay: Callable[[Call, Reply], Sequence[ServerEvent]]
    layered: bool
    verify: Callable[[Call, Reply], Exception | None] = lambda _call, _reply: None
    place: Place | None = None


Headers = Mapping[str, str]
