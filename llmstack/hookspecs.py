"""The contract between llmstack and its plugins: six hooks. This page is all of it.

A plugin is any object with methods (or a module with functions) marked `@hookimpl`; it implements the hooks it needs.
Its place in the stack is declared by attributes, all optional:

    name = "acme"                 how others speak of it; the class name in lower case if not given
    stage = Stage.OBSERVE         outermost first: OBSERVE VALIDATE MODERATE CACHE BUDGET ROUTE RETRY LIMIT WIRE
    before = ("cache",)           within its stage: further out than these
    after = ("audit",)            within its stage: further in than these

A method ``attach(stack)``, if it has one, is called with each stack that is built with it: there it may open its stores
(``stack.open_store(url)``). What it opened is closed by its ``close()`` or ``async aclose()`` method, if it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pluggy

from llmstack._core.call import Call
from llmstack._core.call_info import CallInfo
from llmstack._core.effects import Flow, Next
from llmstack._core.events import Event
from llmstack._core.order import Stage
from llmstack._core.reply import Reply
from llmstack._core.transport import Transport
from llmstack._core.usage import Usage

__all__ = ["Stage", "hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("llmstack")
hookimpl = pluggy.HookimplMarker("llmstack")


class HookSpecs:
    """The hooks."""

    @hookspec
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:  # type: ignore[empty-body]
        """Change or watch a call: a generator that gets the call and the rest of the stack.

        ``reply = yield from next(call)`` passes on the call, or a changed copy, and gives the complete reply, also
        for a streamed call. It may be used never (the layer answers itself), once, or several times (retry); after
        ``call.committed`` it is refused. The upstream's errors come out of it as the SDK raises them. What needs I/O
        is asked for with `llmstack.effects`. Hold no lock, span or context variable across it: the rest may run in
        another thread or task.

        Args:
            call: The call.
            next: The layers further in and the transport; call it with a Call and ``yield from`` it.

        Returns:
            The reply, this one or another.

        Raises:
            llmstack.errors.RefusedError: (a subclass) to refuse the call.
        """

    @hookspec
    def llmstack_event(self, event: Event) -> None:
        """Hear of whatever happened. A plain function, called where it happened: be quick, never block.

        An error in it is counted and logged once; the call does not feel it.

        Args:
            event: What happened; pass over the kinds you do not know.
        """

    @hookspec
    def llmstack_transports(self) -> Mapping[str, Callable[..., Transport]]:  # type: ignore[empty-body]
        """Offer transports by name, such as ``{"acme": AcmeTransport}``, for ``transport.use`` in a config."""

    @hookspec
    def llmstack_stores(self) -> Mapping[str, Callable[[str], Any]]:  # type: ignore[empty-body]
        """Offer stores by URL scheme, such as ``{"redis": open_redis}``.

        The function gets the whole URL and returns a `llmstack.stores.Store`. A package whose entry point has the
        scheme's name is found by the URL alone.
        """

    @hookspec(firstresult=True)
    def llmstack_price(self, model: str, usage: Usage, call: CallInfo | None) -> Decimal | None:
        """Tell what a usage costs.

        Args:
            model: The model's name as the provider gave it.
            usage: The tokens.
            call: The call that it was of; None if that is not known.

        Returns:
            US dollars; None if this plugin does not know, so that the next is asked.
        """

    @hookspec
    def llmstack_commands(self, cli: Any) -> None:
        """Add commands to the command line.

        Args:
            cli: A ``typer.Typer`` of the plugin's own; its commands are offered beside ours.
        """
