"""Stack: the plugins and the transport of a client, composed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
from openai import OpenAIError

from llmstack._core.call_info import CallInfo
from llmstack._core.flow import compose
from llmstack._core.plugin import Plugin
from llmstack._core.transport import Clock, Engine, Transport, place_of
from llmstack._core.usage import Usage
from llmstack._drivers.clock import SystemClock
from llmstack._plugins.attachment import attach, mapping_of
from llmstack._plugins.explanation import explained
from llmstack._plugins.observers import Observers
from llmstack._plugins.registry import Registry, as_plugin, placement, plugin_name
from llmstack._plugins.superseding import superseded_by
from llmstack._wire.answer import replayed
from llmstack._wire.verify import verify
from llmstack.errors import PluginNotFoundError
from llmstack.transports.openai import OpenAITransport

if TYPE_CHECKING:
    from llmstack.stores import Store

__all__ = ["Stack"]


class Stack:
    """An ordered set of plugins around a transport. Immutable; share it among clients, threads and event loops.

        client = OpenAI(stack=Stack([Cache(ttl=3600), Retry()]))

    Args:
        plugins: Plugins, outermost first, taken as written: instances, modules, classes without arguments, or
            generator functions ``(call, next)``. `Stack.ordered` puts them in the order they declare instead.
        transport: Where calls go; None for the connection of the client that makes the call.
        clock: Time for sleeps, durations and deadlines; for tests.
        transports: Other transports by name, for plugins that send elsewhere, such as `Route`.

    Raises:
        llmstack.errors.RegistrationError: If a plugin's hooks are wrong.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin] = (),
        *,
        transport: Transport | None = None,
        clock: Clock | None = None,
        transports: Mapping[str, Transport] | None = None,
    ) -> None:
        self._registry = Registry(_named(as_plugin(plugin) for plugin in plugins))
        self._transport = transport or OpenAITransport()
        self._transports = dict(transports or {})
        self._clock = clock or SystemClock()
        self._observers = Observers(self._registry.observers())
        self._superseded = superseded_by(self._registry.plugins)
        layers = self._registry.layers()
        self.engine = Engine(
            entry=compose(layers, (OpenAIError,)),
            transport=self._transport,
            clock=self._clock,
            emit=self._observers.tell if self._observers else None,
            price=self._price,
            replay=replayed,
            layered=bool(layers),
            verify=verify,
            place=place_of(self._transport),
        )
        attach(self.plugins, self)

    @classmethod
    def ordered(cls, plugins: Iterable[Plugin], **more: Any) -> Self:
        """A stack of these plugins in the order that their stages, `before` and `after` declare.

        Args:
            plugins: Plugins in any order.
            more: As for `Stack`.

        Raises:
            llmstack.errors.OrderError: If their wishes contradict each other.
        """
        from llmstack._core.order import resolve

        named = dict(_named(as_plugin(plugin) for plugin in plugins))
        order = resolve(placement(name, plugin) for name, plugin in named.items())
        return cls([named[name] for name in order], **more)

    @classmethod
    def default(cls) -> Self:
        """The stack of a client that names none, safe for any program: Validation, Budget, Retry, Logging and Sentry.

        Validation refuses only what OpenAI itself would refuse, Budget has no limit and only keeps the books of this
        process, Logging is quiet until the program configures logging, Sentry asleep until it initialises sentry-sdk.
        """
        from llmstack.middleware import Budget, Logging, Retry, Sentry, Validation

        return cls.ordered([Validation(), Budget(), Retry(), Logging(), Sentry()])

    @classmethod
    def from_config(cls, path: str | PathLike[str], *, profile: str | None = None) -> Self:
        """The stack that a TOML file describes.

        Args:
            path: The file; of one called ``pyproject.toml`` the table ``[tool.llmstack]``.
            profile: The profile of it; that of ``LLMSTACK_PROFILE`` if not given.

        Raises:
            llmstack.errors.ConfigError: If it cannot be read or says something wrong; it names file, line and key.
        """
        from llmstack._plugins.config import read_config

        return read_config(path, profile).build(cls)

    # What it holds ----------------------------------------------------------------------------------------------

    @property
    def plugins(self) -> dict[str, Any]:
        """The plugins by name, outermost first."""
        return dict(self._registry.plugins)

    @property
    def transport(self) -> Transport:
        """Where calls go."""
        return self._transport

    @property
    def transports(self) -> dict[str, Transport]:
        """Other transports, by name."""
        return dict(self._transports)

    @property
    def clock(self) -> Clock:
        """The time it goes by."""
        return self._clock

    @property
    def superseded(self) -> frozenset[str]:
        """Packages whose instrumentation of the SDK has no part in calls of this stack: plugins say the same."""
        return self._superseded

    @property
    def observer_failures(self) -> dict[str, int]:
        """How often each observer has raised; the calls did not feel it."""
        return dict(self._observers.failures)

    def open_store(self, url: str) -> Store:
        """The store that a URL names, among those that the plugins of this stack offer and the built-in ones.

        Args:
            url: Such as ``"memory://"``, ``"sqlite:///path/to/file.db"``, ``"redis://localhost/0"``.

        Raises:
            llmstack.errors.OptionError: If nobody knows its scheme, or it is wrong.
        """
        from llmstack.stores import open_store

        offered: dict[str, Any] = {}
        # The outermost plugin's word counts.
        for impl in self._registry.hook.llmstack_stores.get_hookimpls():
            offered.update(mapping_of(impl.plugin_name, "llmstack_stores", impl.function()))
        return open_store(url, offered)

    def explain(self) -> str:
        """The resolved order as text: one line a plugin, outermost first, then the transports and where they send."""
        layers = {layer.name for layer in self._registry.layers()}
        return explained(self.plugins, layers, self._transport, self._transports)

    def __repr__(self) -> str:
        """Names only."""
        return f"Stack([{', '.join(self.plugins)}], transport={self._transport.name})"

    # Changed copies ---------------------------------------------------------------------------------------------

    def with_plugins(self, *plugins: Plugin, outermost: bool = False) -> Stack:
        """A copy with plugins added.

        Args:
            plugins: Plugins to add, in the order written; one with the name of a present one replaces it in place.
            outermost: True to add them around all others, False (the default) next to the transport.
        """
        present = self.plugins
        added = _named(as_plugin(plugin) for plugin in plugins)
        fresh = [plugin for name, plugin in added if name not in present]
        replaced = [dict(added).get(name, plugin) for name, plugin in present.items()]
        return self._copy([*fresh, *replaced] if outermost else [*replaced, *fresh])

    def without(self, *names: str) -> Stack:
        """A copy without the named plugins.

        Raises:
            llmstack.errors.PluginNotFoundError: If there is none of that name.
        """
        for name in names:
            if name not in self.plugins:
                present = ", ".join(self.plugins) or "none"
                raise PluginNotFoundError(f"no plugin {name!r} in this stack; it has: {present}")
        return self._copy([plugin for name, plugin in self.plugins.items() if name not in names])

    def with_transport(self, transport: Transport | None) -> Stack:
        """A copy that sends elsewhere."""
        return Stack(self.plugins.values(), transport=transport, clock=self._clock, transports=self._transports)

    def _copy(self, plugins: Sequence[Any]) -> Stack:
        return Stack(plugins, transport=self._transport, clock=self._clock, transports=self._transports)

    # Closing ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close what the plugins and the transport opened. Call it once, when no call is under way.

        Raises:
            Exception: The first error of a plugin's close; all others are closed all the same.
        """
        errors: list[Exception] = []
        for opened in (*self.plugins.values(), self._transport, *self._transports.values()):
            try:
                close, aclose = _closers(opened)
                if close is not None:
                    close()
                elif aclose is not None:
                    anyio.run(aclose)
            except Exception as error:  # noqa: BLE001 - the others must be closed too
                errors.append(error)
        if errors:
            raise errors[0]

    async def aclose(self) -> None:
        """Close what the plugins and the transport opened, in an async program."""
        errors: list[Exception] = []
        for opened in (*self.plugins.values(), self._transport, *self._transports.values()):
            try:
                close, aclose = _closers(opened)
                if aclose is not None:
                    await aclose()
                elif close is not None:
                    close()
            except Exception as error:  # noqa: BLE001 - the others must be closed too
                errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> Self:
        """Use the stack for a while; it is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    async def __aenter__(self) -> Self:
        """Use the stack for a while; it is closed at the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.aclose()

    # For the engine ---------------------------------------------------------------------------------------------

    def _price(self, model: str, usage: Usage, call: CallInfo) -> Decimal | None:
        try:
            price: Decimal | None = self._registry.hook.llmstack_price(model=model, usage=usage, call=call)
        except Exception as error:  # noqa: BLE001 - an unknown price is no reason to lose a reply
            self._observers.failed("llmstack_price", error)
            return None
        return price


def _named(plugins: Iterable[object]) -> list[tuple[str, Any]]:
    """Plugins with their names; the second of a name is called ``name#2``."""
    named: dict[str, Any] = {}
    for plugin in plugins:
        name = wanted = plugin_name(plugin)
        count = 1
        while name in named:
            count += 1
            name = f"{wanted}#{count}"
        named[name] = plugin
    return list(named.items())


def _closers(opened: object) -> tuple[Callable[[], Any] | None, Callable[[], Awaitable[Any]] | None]:
    """How a plugin or transport wants to be closed."""
    return getattr(opened, "close", None), getattr(opened, "aclose", None)
