"""The clients: the SDK's own, with a stack between the program and the wire."""

from __future__ import annotations

import inspect
import os
import warnings
import weakref
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, Unpack, cast

import openai

from llmstack._core.options import EMPTY_OPTIONS, options_from_headers
from llmstack._core.secret import register
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.stream import AsyncStream, Stream
from llmstack._drivers.sync import run
from llmstack._wire import arguments
from llmstack._wire.answer import answer
from llmstack._wire.request import call_of, without_options
from llmstack._wire.resources import hastened
from llmstack._wire.sdk import is_legacy_httpx, own_headers, secrets_of
from llmstack._wire.sdk_hot import know_builder
from llmstack.stack import Stack
from llmstack.transports.connection import LoopClient, ProcessClient
from llmstack.transports.guarding import guarded
from llmstack.transports.sending import AsyncSending, SyncSending

if TYPE_CHECKING:
    import httpx2

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI"]

StackLike: TypeAlias = "Stack | str | PathLike[str] | None"

_shared: dict[str | None, Stack] = {}
_warned: weakref.WeakSet[Any] = weakref.WeakSet()


def _shared_stack(config: str | None) -> Stack:
    """The stack of clients that name none: one for the process, or what ``LLMSTACK_CONFIG`` names."""
    stack = _shared.get(config)
    if stack is None:
        # Two threads may both build one; the first to come here is kept by both.
        stack = _shared.setdefault(config, Stack.from_config(config) if config else Stack.default())
    return stack


def _stack_of(given: Any) -> Stack:
    if isinstance(given, Stack):
        return given
    if given is None:
        return _shared_stack(os.environ.get("LLMSTACK_CONFIG") or None)
    if isinstance(given, (str, os.PathLike)):
        return Stack.from_config(given)
    message = f"stack= takes a Stack, a path to a config file or None, not {type(given).__name__}"
    raise TypeError(message)


def _brings_keys(stack: Stack) -> bool:
    """True if the stack's transport sends elsewhere with keys of its own, so that the client needs none."""
    return stack.engine.place is not None


class _Stacked:
    """What all four clients share."""

    _stack: Stack
    llmstack_default_options: Mapping[str, Any] = EMPTY_OPTIONS
    _written: tuple[httpx2.URL | None, str] = (None, "")

    def _take(self, stack: Stack, http_client: object) -> None:
        self._stack = stack
        self.llmstack_superseded = stack.superseded
        register(*secrets_of(self))
        guarded(self._client)  # type: ignore[attr-defined]
        if http_client is None:
            # As the SDK sets up the one that it makes.
            own: Any = self._client  # type: ignore[attr-defined]
            own.timeout, own.base_url = self.timeout, self.base_url  # type: ignore[attr-defined]
        given = options_from_headers(own_headers(self))
        if given:
            self.llmstack_default_options = EMPTY_OPTIONS.merged(given)
        if is_legacy_httpx(http_client) and http_client not in _warned:
            _warned.add(http_client)  # its copies need not say it again
            warnings.warn(
                "http_client is a client of the old httpx package. openai 3 stands on httpx2: the old one is known to "
                "lock up its connection pool when a request is cancelled, and llmstack's deadlines cannot reach into "
                "it. Pass an httpx2 client (openai.DefaultHttpx2Client) instead.",
                UserWarning,
                stacklevel=3,
            )

    @property
    def stack(self) -> Stack:
        """The stack that this client's calls pass."""
        return self._stack

    @property
    def default_headers(self) -> dict[str, Any]:
        """The headers of every request; without ``x-llmstack-*``, which are read as options."""
        headers: dict[str, Any] = super().default_headers  # type: ignore[misc]
        return without_options(headers) if self.llmstack_default_options else headers

    @property
    def llmstack_base_url(self) -> str:
        """Where the client points, without user name, password and query, which may be a key."""
        url: httpx2.URL = self.base_url  # type: ignore[attr-defined]
        known, written = self._written
        if known is not url:  # each call asks, and writing one out takes long
            bare = url.copy_with(userinfo=b"", query=None) if url.userinfo or url.query else url
            written = str(bare)
            self._written = (url, written)
        return written

    def copy(
        self,
        *,
        stack: StackLike = None,
        _extra_kwargs: Mapping[str, Any] | None = None,
        **changes: Unpack[arguments.CopyOptions],
    ) -> Self:
        """A copy with other options on the same connections; see the SDK's ``copy``.

        Args:
            stack: Another stack (or path to a config file); this client's if not given.
            _extra_kwargs: The SDK's own.
            changes: Options of the SDK's ``copy``.
        """
        extra = {"stack": self._stack if stack is None else stack, **(_extra_kwargs or {})}
        return cast("Self", super().copy(_extra_kwargs=extra, **changes))  # type: ignore[misc]

    # The SDK's `with_options` is bound to its own `copy` in the class body, so it must be bound anew.
    with_options = copy

    if not TYPE_CHECKING:
        # The resources that are asked most: the SDK's own, see `hastened`.

        @cached_property
        def chat(self) -> Any:
            chat = super().chat
            chat.completions = hastened(chat.completions, self)
            return chat

        @cached_property
        def completions(self) -> Any:
            return hastened(super().completions, self)

        @cached_property
        def embeddings(self) -> Any:
            return hastened(super().embeddings, self)

        @cached_property
        def moderations(self) -> Any:
            return hastened(super().moderations, self)

        @cached_property
        def responses(self) -> Any:
            return hastened(super().responses, self)


class _SyncStacked(_Stacked, SyncSending):
    def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Send a request through the stack; every resource of the SDK ends here."""
        engine = self._stack.engine
        call = call_of(self, cast_to, options, stream=stream or False, stream_cls=stream_cls)
        return run(answer(call, engine), engine.clock)


class _AsyncStacked(_Stacked, AsyncSending):
    async def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Send a request through the stack; every resource of the SDK ends here."""
        engine = self._stack.engine
        call = call_of(self, cast_to, options, stream=stream or False, stream_cls=stream_cls)
        return await arun(answer(call, engine), engine.clock)


class OpenAI(_SyncStacked, openai.OpenAI):
    """``openai.OpenAI`` with a stack: every argument and method is the SDK's.

    Args:
        stack: A `Stack`, the path of a config file, or None for `Stack.default()` (one for the whole process; the
            environment variable ``LLMSTACK_CONFIG`` names another).
        options: Everything ``openai.OpenAI`` takes.
    """

    def __init__(self, *, stack: StackLike = None, **options: Unpack[arguments.SyncOptions]) -> None:
        stack = _stack_of(stack)
        if _brings_keys(stack):
            options["_enforce_credentials"] = False
        given = options.get("http_client")
        if given is None:
            options["http_client"] = ProcessClient()
        super().__init__(**options)
        self._default_stream_cls = Stream
        self._take(stack, given)


class AsyncOpenAI(_AsyncStacked, openai.AsyncOpenAI):
    """``openai.AsyncOpenAI`` with a stack: every argument and method is the SDK's.

    Args:
        stack: See `OpenAI`.
        http: ``"aiohttp"`` for connections of aiohttp, which cost less where many calls are in flight; on asyncio only.
            It takes the extra ``llmstack-openai[aiohttp]``.
        options: Everything ``openai.AsyncOpenAI`` takes.

    Raises:
        ImportError: If aiohttp is asked for and not installed.
        TypeError: If both `http` and ``http_client`` are given.
    """

    def __init__(
        self,
        *,
        stack: StackLike = None,
        http: Literal["aiohttp"] | None = None,
        **options: Unpack[arguments.AsyncOptions],
    ) -> None:
        stack = _stack_of(stack)
        if _brings_keys(stack):
            options["_enforce_credentials"] = False
        given = options.get("http_client")
        if given is None:
            options["http_client"] = _connections(http)
        elif http is not None:
            message = "http= chooses among the connections that llmstack opens: give either it or http_client"
            raise TypeError(message)
        super().__init__(**options)
        self._default_stream_cls = AsyncStream
        self._take(stack, given)


def _connections(http: str | None) -> LoopClient:
    """The HTTP client of an async client that was given none."""
    if http is None:
        return LoopClient()
    if http != "aiohttp":
        message = f"http= takes 'aiohttp' or None, not {http!r}"
        raise TypeError(message)
    if find_spec("aiohttp") is None:
        message = "http='aiohttp' needs aiohttp: install 'llmstack-openai[aiohttp]'"
        raise ImportError(message)
    return LoopClient(openai.DefaultAioHttpClient)


# Each of the Azure clients is one of the above, as with the SDK: code that asks `isinstance(client, OpenAI)` is right.


class AzureOpenAI(OpenAI, openai.AzureOpenAI):
    """``openai.AzureOpenAI`` with a stack: every argument and method is the SDK's, plus ``stack=``."""

    if TYPE_CHECKING:

        def __init__(self, *, stack: StackLike = None, **options: Unpack[arguments.SyncAzureOptions]) -> None: ...


class AsyncAzureOpenAI(AsyncOpenAI, openai.AsyncAzureOpenAI):
    """``openai.AsyncAzureOpenAI`` with a stack: every argument and method is the SDK's, plus ``stack=``, ``http=``."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            stack: StackLike = None,
            http: Literal["aiohttp"] | None = None,
            **options: Unpack[arguments.AsyncAzureOptions],
        ) -> None: ...


def _show_signature(ours: Any, theirs: Any) -> None:
    """Let `help()` and tools see the SDK's arguments, and ours after them."""
    inspected = inspect.signature(theirs.__init__)
    names = ("stack", "http") if "Async" in ours.__name__ else ("stack",)
    own = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in names]
    ours.__signature__ = inspected.replace(parameters=[*list(inspected.parameters.values())[1:], *own])


know_builder(OpenAI)
know_builder(AsyncOpenAI)
for _ours in (OpenAI, AsyncOpenAI, AzureOpenAI, AsyncAzureOpenAI):
    _show_signature(_ours, getattr(openai, _ours.__name__))
