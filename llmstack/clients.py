"""The clients: the SDK's own, with a stack between the program and the wire."""

from __future__ import annotations

import inspect
import os
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self, cast

import httpx2
import openai

from llmstack._core.options import HEADER_PREFIX, options_from_headers
from llmstack._drivers.asynchronous import arun
from llmstack._drivers.stream import AsyncStream, Stream
from llmstack._drivers.sync import run
from llmstack._wire.answer import answer
from llmstack._wire.request import call_of
from llmstack._wire.sdk import is_legacy_httpx
from llmstack.stack import Stack

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI"]

StackLike = "Stack | str | PathLike[str] | None"


@lru_cache(maxsize=8)
def _shared_stack(config: str | None) -> Stack:
    """The stack of clients that name none: one for the process, or what ``LLMSTACK_CONFIG`` names."""
    return Stack.default() if config is None else Stack.from_config(config)


def _stack_of(given: Any) -> Stack:
    if isinstance(given, Stack):
        return given
    if given is None:
        return _shared_stack(os.environ.get("LLMSTACK_CONFIG"))
    if isinstance(given, (str, os.PathLike)):
        return Stack.from_config(given)
    message = f"stack= takes a Stack, a path to a config file or None, not {type(given).__name__}"
    raise TypeError(message)


class _Stacked:
    """What all four clients share."""

    _stack: Stack
    llmstack_default_options: dict[str, Any]
    llmstack_default_headers: tuple[str, ...]

    def _take_stack(self, stack: Any) -> None:
        self._stack = _stack_of(stack)
        given = cast("dict[str, Any]", getattr(self, "_custom_headers", {}))
        self.llmstack_default_headers = tuple(name for name in given if name.lower().startswith(HEADER_PREFIX))
        self.llmstack_default_options = options_from_headers({n: given[n] for n in self.llmstack_default_headers})
        if is_legacy_httpx(getattr(self, "_client", None)):
            warnings.warn(
                "http_client is a client of the old httpx package. openai 3 stands on httpx2: the old one is known to "
                "lock up its connection pool when a request is cancelled, and llmstack's deadlines cannot reach into "
                "it. Pass an httpx2 client (openai.DefaultHttpx2Client) instead.",
                UserWarning,
                stacklevel=4,
            )

    @property
    def stack(self) -> Stack:
        """The stack that this client's calls pass."""
        return self._stack

    @property
    def llmstack_base_url(self) -> str:
        """Where the client points, without user name and password."""
        url: httpx2.URL = self.base_url  # type: ignore[attr-defined]
        return str(url.copy_with(userinfo=b"")) if url.userinfo else str(url)

    def copy(self, *, stack: Any = None, _extra_kwargs: Any = None, **changes: Any) -> Self:
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


class _SyncStacked(_Stacked):
    def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Send a request through the stack; every resource of the SDK ends here."""
        engine = self._stack.engine
        call = call_of(self, cast_to, options, stream=stream or False, stream_cls=stream_cls)
        return run(answer(call, engine), engine.clock)

    def llmstack_send(self, options: Any, *, stream: bool) -> Any:
        """Send a request past the stack, for the transport; gives the raw HTTP response."""
        return super().request(httpx2.Response, options, stream=stream, stream_cls=None)  # type: ignore[misc]


class _AsyncStacked(_Stacked):
    async def request(self, cast_to: Any, options: Any, *, stream: bool = False, stream_cls: Any = None) -> Any:
        """Send a request through the stack; every resource of the SDK ends here."""
        engine = self._stack.engine
        call = call_of(self, cast_to, options, stream=stream or False, stream_cls=stream_cls)
        return await arun(answer(call, engine), engine.clock)

    async def llmstack_send(self, options: Any, *, stream: bool) -> Any:
        """Send a request past the stack, for the transport; gives the raw HTTP response."""
        return await super().request(httpx2.Response, options, stream=stream, stream_cls=None)  # type: ignore[misc]


class OpenAI(_SyncStacked, openai.OpenAI):
    """``openai.OpenAI`` with a stack: every argument and method is the SDK's.

    Args:
        stack: A `Stack`, the path of a config file, or None for `Stack.default()` (one for the whole process; the
            environment variable ``LLMSTACK_CONFIG`` names another).
        options: Everything ``openai.OpenAI`` takes.
    """

    def __init__(self, *, stack: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self._default_stream_cls = Stream
        self._take_stack(stack)


class AsyncOpenAI(_AsyncStacked, openai.AsyncOpenAI):
    """``openai.AsyncOpenAI`` with a stack: every argument and method is the SDK's.

    Args:
        stack: See `OpenAI`.
        options: Everything ``openai.AsyncOpenAI`` takes.
    """

    def __init__(self, *, stack: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self._default_stream_cls = AsyncStream
        self._take_stack(stack)


# Each of the Azure clients is one of the above, as with the SDK: code that asks `isinstance(client, OpenAI)` is right.


class AzureOpenAI(OpenAI, openai.AzureOpenAI):
    """``openai.AzureOpenAI`` with a stack: every argument and method is the SDK's, plus ``stack=``."""


class AsyncAzureOpenAI(AsyncOpenAI, openai.AsyncAzureOpenAI):
    """``openai.AsyncAzureOpenAI`` with a stack: every argument and method is the SDK's, plus ``stack=``."""


def _show_signature(ours: Any, theirs: Any) -> None:
    """Let `help()` and tools see the SDK's arguments, and ours after them."""
    inspected = inspect.signature(theirs.__init__)
    stack = inspect.Parameter("stack", inspect.Parameter.KEYWORD_ONLY, default=None)
    ours.__signature__ = inspected.replace(parameters=[*list(inspected.parameters.values())[1:], stack])


for _ours in (OpenAI, AsyncOpenAI, AzureOpenAI, AsyncAzureOpenAI):
    _show_signature(_ours, getattr(openai, _ours.__name__))
