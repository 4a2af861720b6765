"""What counts as a plugin, for type checkers: the hooks as protocols. `hookspecs.py` says what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any, Protocol, TypeAlias

from llmstack._core.call import Call
from llmstack._core.call_info import CallInfo
from llmstack._core.effects import Flow, Next
from llmstack._core.events import Event
from llmstack._core.reply import Reply
from llmstack._core.transport import Transport
from llmstack._core.usage import Usage


class Middleware(Protocol):
    """A plugin that changes or watches calls."""

    def llmstack_call(self, call: Call, next: Next, /) -> Flow[Reply]:
        """See `llmstack.hookspecs`."""
        ...


class Observer(Protocol):
    """A plugin that hears events."""

    def llmstack_event(self, event: Event, /) -> None:
        """See `llmstack.hookspecs`."""
        ...


class Pricing(Protocol):
    """A plugin that knows prices."""

    def llmstack_price(self, model: str, usage: Usage, call: CallInfo | None) -> Decimal | None:
        """See `llmstack.hookspecs`."""
        ...


class TransportProvider(Protocol):
    """A plugin that offers transports."""

    def llmstack_transports(self) -> Mapping[str, Callable[..., Transport]]:
        """See `llmstack.hookspecs`."""
        ...


class StoreProvider(Protocol):
    """A plugin that offers stores."""

    def llmstack_stores(self) -> Mapping[str, Callable[[str], Any]]:
        """See `llmstack.hookspecs`."""
        ...


class CommandProvider(Protocol):
    """A plugin that adds commands."""

    def llmstack_commands(self, cli: Any, /) -> None:
        """See `llmstack.hookspecs`."""
        ...


MiddlewareFunction: TypeAlias = Callable[[Call, Next], Flow[Reply]]
"""A layer as a single generator function."""

Plugin: TypeAlias = (
    Middleware
    | Observer
    | Pricing
    | TransportProvider
    | StoreProvider
    | CommandProvider
    | MiddlewareFunction
    | type[Any]
    | ModuleType
)
"""Whatever may stand in ``Stack([...])``."""
