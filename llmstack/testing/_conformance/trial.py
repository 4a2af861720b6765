"""Trial: one call through the plugin, made by a real client on a scripted transport."""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextvars import copy_context
from dataclasses import dataclass, field
from importlib.util import find_spec
from operator import attrgetter
from typing import Any

import anyio
import httpx2

from llmstack._core.call import Call
from llmstack._core.options import options
from llmstack._core.reply import answer_text
from llmstack.clients import AsyncOpenAI, OpenAI
from llmstack.stack import Stack
from llmstack.testing._conformance.around import Inside, Outside
from llmstack.testing._conformance.sample import Sample
from llmstack.testing._conformance.situation import Situation
from llmstack.testing.clock import FakeClock
from llmstack.testing.recorder import Recorder
from llmstack.testing.scripted import ScriptedTransport

__all__ = ["HEADER", "KEY", "WAYS", "Seen", "Trial", "at_once", "play", "text_of"]

WAYS = ("sync", "asyncio", *(("trio",) if find_spec("trio") else ()))
"""How programs run: with a sync client, or with an async one on an event loop."""

KEY = "sk-conformance-not-a-key"
HEADER = "conformance-header-value"
"""What a client's headers hold that nobody else may see."""


def play(way: str, program: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a program to its end, in a context and (if it is async) an event loop of its own."""
    if way != "sync":
        return anyio.run(program, backend=way)
    return copy_context().run(at_once, program())


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a sync client's program, here: it has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
    message = "a sync program has nothing to wait for"
    raise RuntimeError(message)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program saw of a call.

    Attributes:
        text: What was answered, as far as it came.
        error: What was raised, without its traceback; None if nothing was.
    """

    text: str = field(repr=False)
    error: BaseException | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """As a failure tells it: no content."""
        said = f"{len(self.text)} characters"
        return said if self.error is None else f"{said} and {type(self.error).__name__}"


class Trial:
    """A plugin in a stack of its own, for one program.

    Attributes:
        outside: What the plugin was given, and how it ended.
        recorder: The events.
        transport: What was sent.
        stack: The stack.
    """

    def __init__(
        self,
        plugin: Any,
        sample: Sample,
        situation: Situation,
        way: str,
        *,
        stream: bool = False,
        aside: Callable[[Call], Any] | None = None,
        others: Iterable[Any] = (),
    ) -> None:
        """Build the stack and the client.

        Args:
            plugin: The plugin; None for a stack without it.
            sample: What is asked.
            situation: What happens then.
            way: One of `WAYS`.
            stream: True to ask for a stream.
            aside: Answers the requests that the plugin makes by itself.
            others: More plugins, innermost.
        """
        self.sample, self.situation, self.way, self.stream = sample, situation, way, stream
        self._aside = aside
        self.outside, self.recorder = Outside(), Recorder()
        self.transport = ScriptedTransport(default=self._step)
        tried = [] if plugin is None else [plugin]
        plugins = [self.outside, *tried, Inside(self.outside), self.recorder, *others]
        self.stack = Stack(plugins, transport=self.transport, clock=FakeClock())
        self.client = _client(way, self.stack)

    def __str__(self) -> str:
        """As a failure names it."""
        how = "streamed " if self.stream else ""
        return f"{how}{self.sample} with a client of {self.way}, where {self.situation}"

    def _step(self, call: Call) -> Any:
        if self._aside is not None and self.outside.visit(call.progress) is None:
            return self._aside(call)
        return self.situation.step(self.sample, call)

    async def ask(self, sample: Sample | None = None, *, stream: bool | None = None) -> Any:
        """Make the call; gives what the client gives."""
        asked = sample or self.sample
        create = attrgetter(asked.endpoint)(self.client).create
        streamed = {"stream": True} if (self.stream if stream is None else stream) else {}
        with options(**asked.options):
            result = create(**asked.params, **streamed, extra_headers={"x-conformance": HEADER})
            return await result if inspect.isawaitable(result) else result

    async def read(self, stream: Any, pieces: list[Any]) -> None:
        """Read a stream into a list, as far as the program does; it is closed then."""
        try:
            source = aiter(stream) if hasattr(stream, "__aiter__") else _Arriving(stream)
            while True:
                piece = await anext(source, None)
                if piece is None or (self.situation.stops and text_of(pieces)):
                    break
                pieces.append(piece)
        finally:
            closing = stream.close()
            if inspect.isawaitable(closing):
                await closing

    async def see(self) -> Seen:
        """Make the call, and read it to its end."""
        pieces: list[Any] = []
        try:
            result = await self.ask()
            if not self.stream:
                return Seen(text_of([result]))
            await self.read(result, pieces)
        except Exception as error:  # noqa: BLE001 - what the program sees
            return Seen(text_of(pieces), error.with_traceback(None))
        return Seen(text_of(pieces))

    async def close(self) -> None:
        """Close client and stack."""
        for closing in (self.client.close(), None if self.way == "sync" else self.stack.aclose()):
            if inspect.isawaitable(closing):
                await closing
        if self.way == "sync":
            self.stack.close()

    async def seen(self) -> Seen:
        """Make the call, read it to its end, close all."""
        try:
            return await self.see()
        finally:
            await self.close()

    @contextlib.contextmanager
    def closing(self) -> Generator[None]:
        """Close all at the end of a block outside of any event loop."""
        try:
            yield
        finally:
            play(self.way, self.close)


class _Arriving:
    """A sync stream as an async iterator."""

    def __init__(self, stream: Any) -> None:
        self._source = iter(stream)

    def __aiter__(self) -> _Arriving:
        return self

    async def __anext__(self) -> Any:
        for piece in self._source:
            return piece
        raise StopAsyncIteration


def _client(way: str, stack: Stack) -> Any:
    # The HTTP client is never used, and much faster to make than one with certificates.
    unused = httpx2.MockTransport(lambda _: httpx2.Response(500))
    if way == "sync":
        return OpenAI(api_key=KEY, base_url=_URL, stack=stack, http_client=httpx2.Client(transport=unused))
    return AsyncOpenAI(api_key=KEY, base_url=_URL, stack=stack, http_client=httpx2.AsyncClient(transport=unused))


_URL = "http://conformance.invalid/v1"


def text_of(pieces: Iterable[Any]) -> str:
    """What an answer, or the chunks of one, say."""
    return "".join(_said(piece.model_dump() if hasattr(piece, "model_dump") else piece) for piece in pieces)


def _said(piece: Any) -> str:
    if not isinstance(piece, dict):
        return str(piece)
    if piece.get("type") == "response.output_text.delta":
        return str(piece.get("delta"))
    choices = piece.get("choices")
    deltas = [choice.get("delta") for choice in choices] if isinstance(choices, list) else []
    if any(deltas):
        return "".join((delta or {}).get("content") or "" for delta in deltas)
    data = piece.get("data")
    return answer_text(piece) or (json.dumps(data) if data else "")
