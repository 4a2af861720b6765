"""Programs written once and run three ways: with a sync client, and with an async one on asyncio and on trio."""

from __future__ import annotations

import gc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import anyio
import httpx2
import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack._drivers.reaper import drain
from llmstack.events import AttemptFinished, AttemptStarted, CallFinished, CallStarted
from llmstack.hookspecs import hookimpl
from llmstack.testing import FakeClock, LocalServer, Recorder, ScriptedTransport

E = TypeVar("E", bound=BaseException)
KEY = "sk-test-not-a-key"
MESSAGES = [{"role": "user", "content": "Say hello"}]

# trio complains of generators of the SDK and its HTTP client where a stream is left in the middle, llmstack or not.
trio_complains = pytest.mark.filterwarnings(
    "ignore:Async generator .*(openai|httpx2|httpcore2):ResourceWarning",
    "ignore:.*Async generator .*(openai|httpx2|httpcore2):pytest.PytestUnraisableExceptionWarning",
)


class JoinedTransport(ScriptedTransport):
    """A scripted transport whose streams come in one piece, as a network may bring them."""

    def _stream(self, call: Call, pieces: Any) -> Any:
        joined: list[Any] = []
        for piece in pieces:
            if joined and isinstance(piece, bytes) and isinstance(joined[-1], bytes):
                joined[-1] += piece
            else:
                joined.append(piece)
        return super()._stream(call, joined)


class Witness:
    """The outermost layer: it remembers how the flow was resumed, and that it was left."""

    name = "witness"

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0
        self.calls: list[Call] = []
        self.replies: list[Reply] = []
        self.errors: list[BaseException] = []

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass on, and remember."""
        self.entered += 1
        self.calls.append(call)
        try:
            reply = yield from next(call)
        except BaseException as error:
            self.errors.append(error)
            raise
        else:
            self.replies.append(reply)
            return reply
        finally:
            self.left += 1

    @property
    def reply(self) -> Reply:
        """The reply of the only call."""
        (reply,) = self.replies
        return reply


@dataclass
class Rig:
    """A client, and all that there is to be asked about its calls."""

    client: Any
    stack: Stack
    recorder: Recorder
    clock: FakeClock
    witness: Witness
    transport: ScriptedTransport | None
    http: Any = None

    @property
    def sent(self) -> list[Call]:
        """The calls that reached the scripted transport."""
        assert self.transport is not None
        return self.transport.calls

    @property
    def finished(self) -> CallFinished:
        """The end of the only call."""
        return self.recorder.finished

    @property
    def attempts(self) -> list[AttemptFinished]:
        """The ends of all sends."""
        return self.recorder.of(AttemptFinished)

    def create(self, **more: Any) -> Any:
        """A chat completion."""
        return self.client.chat.completions.create(model="m", messages=MESSAGES, **more)

    def respond(self, **more: Any) -> Any:
        """A response."""
        return self.client.responses.create(model="m", input="Say hello", **more)

    def complete(self, **more: Any) -> Any:
        """A legacy completion."""
        return self.client.completions.create(model="m", prompt="Say hello", **more)

    def assert_clean(self) -> None:
        """Whatever happened: every book is closed, every flow left, every connection given back."""
        events = self.recorder.events
        started = sorted(event.call.id for event in events if isinstance(event, CallStarted))
        assert sorted(event.call.id for event in events if isinstance(event, CallFinished)) == started
        began = sorted((event.call.id, event.number) for event in events if isinstance(event, AttemptStarted))
        ended = sorted((event.call.id, event.number) for event in events if isinstance(event, AttemptFinished))
        assert ended == began
        assert self.witness.left == self.witness.entered
        assert len(self.witness.replies) + len(self.witness.errors) == self.witness.entered
        assert self.stack.observer_failures == {}
        if self.transport is not None:
            assert self.transport.open == 0
        if self.http is not None:
            pool = self.http._transport._pool  # noqa: SLF001 - nothing public tells what is in use
            assert [request for request in pool._requests if not request.is_queued()] == []  # noqa: SLF001
            assert [c for c in pool.connections if not (c.is_idle() or c.is_closed() or c.has_expired())] == []


class Each:
    """Anything iterable, sync or async, as an async iterator that is no generator."""

    def __init__(self, source: Any) -> None:
        self._async = hasattr(source, "__aiter__")
        self._source: Any = aiter(source) if self._async else iter(source)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._async:
            return await anext(self._source)
        for item in self._source:
            return item
        raise StopAsyncIteration


@dataclass
class Side:
    """One of the three ways."""

    name: str
    rigs: list[Rig] = field(default_factory=list)

    @property
    def asynchronous(self) -> bool:
        """Whether it is one of the two with an event loop."""
        return self.name != "sync"

    def run(self, program: Callable[[], Awaitable[Any]]) -> Any:
        """Run a program to its end, in a fresh event loop if it needs one."""
        if self.asynchronous:
            return anyio.run(program, backend=self.name)
        coroutine: Any = program()
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("a sync program has nothing to wait for")

    async def do(self, result: Any) -> Any:
        """The result of a call to a client of this side."""
        return await result if inspect.isawaitable(result) else result

    def each(self, source: Any) -> AsyncIterator[Any]:
        """What a stream of this side gives."""
        return Each(source)

    async def read(self, source: Any) -> list[Any]:
        """All that a stream of this side gives."""
        return [item async for item in self.each(source)]

    async def read_bytes(self, manager: Any) -> bytes:
        """All the bytes of a lazily read response of this side, which is closed then."""
        if self.asynchronous:
            async with manager as response:
                return b"".join(await self.read(response.iter_bytes()))
        with manager as response:
            return b"".join(response.iter_bytes())

    async def read_until(self, kind: type[E], source: Any) -> tuple[list[Any], E]:
        """What a stream of this side gives before it fails, and the error."""
        given: list[Any] = []
        try:
            async for item in self.each(source):
                given.append(item)  # noqa: PERF401 - what came before the error counts
        except kind as error:
            return given, error
        raise AssertionError("the stream did not fail")

    async def close(self, stream: Any) -> None:
        """Close a stream of this side."""
        await self.do(stream.close())

    async def settle(self) -> None:
        """Wait until what was dropped is closed."""
        if not self.asynchronous:
            drain()
            return
        await anyio.wait_all_tasks_blocked()

    def _stack(
        self, layers: Iterable[object], *, bare: bool, **more: Any
    ) -> tuple[Stack, Recorder, FakeClock, Witness]:
        recorder, clock, witness = Recorder(), FakeClock(), Witness()
        plugins: list[Any] = [*([] if bare else [witness]), *layers, recorder]
        return Stack(plugins, clock=clock, **more), recorder, clock, witness

    def rig(
        self,
        layers: Iterable[object] = (),
        script: Iterable[Any] = (),
        *,
        bare: bool = False,
        joined: bool = False,
        default: Any = None,
    ) -> Rig:
        """A client on a scripted transport; `bare` without any layer but these, `joined` if it sends in big pieces."""
        transport = (JoinedTransport if joined else ScriptedTransport)(script, default=default)
        stack, recorder, clock, witness = self._stack(layers, bare=bare, transport=transport)
        kind: Any = llmstack.AsyncOpenAI if self.asynchronous else llmstack.OpenAI
        # Never used, and much faster to make than one with certificates.
        unused = httpx2.MockTransport(lambda _: httpx2.Response(500))
        http: Any = httpx2.AsyncClient(transport=unused) if self.asynchronous else httpx2.Client(transport=unused)
        client = kind(api_key=KEY, base_url="http://scripted.invalid/v1", stack=stack, http_client=http)
        rig = Rig(client, stack, recorder, clock, witness, transport)
        self.rigs.append(rig)
        return rig

    def local(self, server: LocalServer, layers: Iterable[object] = (), *, bare: bool = False, **more: Any) -> Rig:
        """A client on a real connection to a local server. An async one belongs to one event loop."""
        stack, recorder, clock, witness = self._stack(layers, bare=bare)
        http: Any = httpx2.AsyncClient(verify=False) if self.asynchronous else httpx2.Client(verify=False)
        kind: Any = llmstack.AsyncOpenAI if self.asynchronous else llmstack.OpenAI
        more = {"max_retries": 0, **more}
        client = kind(api_key=KEY, base_url=server.base_url, stack=stack, http_client=http, **more)
        rig = Rig(client, stack, recorder, clock, witness, None, http)
        self.rigs.append(rig)
        return rig

    def assert_clean(self) -> None:
        """Nothing is left of any call, without the help of the garbage collector."""
        drain()
        for rig in self.rigs:
            rig.assert_clean()
        gc.collect(1)


def texts(chunks: Iterable[Any]) -> str:
    """The text of chat chunks."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def chunk(content: str | None = None, *, role: str | None = None, finish: str | None = None) -> dict[str, Any]:
    """A chat chunk."""
    delta = {key: value for key, value in (("role", role), ("content", content)) if value is not None}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


PREAMBLE = chunk("", role="assistant")
DONE = "[DONE]"


def spoken(*words: str) -> list[Any]:
    """The chunks of a whole chat stream that says these words."""
    return [PREAMBLE, *(chunk(word) for word in words), chunk(finish="stop"), DONE]


def lost() -> openai.APIConnectionError:
    """The error of a connection that broke."""
    return openai.APIConnectionError(request=httpx2.Request("POST", "http://scripted.invalid/v1/chat/completions"))


def event_error(message: str = "overloaded") -> dict[str, Any]:
    """An error event."""
    return {"error": {"message": message, "type": "server_error", "code": "server_error"}}
