"""Catalogue: every plugin there is, active or only installed, with where it comes from."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from llmstack import Stack
from llmstack.config import Available, Checked, Described, check, describe, discover


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A plugin as the catalogue lists it.

    Attributes:
        name: Its name.
        names: All its names: a store has one for each URL scheme.
        order: Its place in the stack, 1 outermost; None if it is not active.
        stage: Its stage; empty if it is not active, since nothing is imported to find it out.
        hooks: The hooks it implements; likewise.
        about: What it says of itself in a line; likewise.
        package: The distribution it comes from; empty for one made in code.
        version: That distribution's version.
        options: Its options other than the defaults, as TOML; of secrets only a hint.
        docs: Where its documentation is: an address, or a command that shows it.
        problem: Why it cannot be used; empty if it can.
    """

    name: str
    names: tuple[str, ...] = ()
    order: int | None = None
    stage: str = ""
    hooks: tuple[str, ...] = ()
    about: str = ""
    package: str = ""
    version: str = ""
    options: tuple[tuple[str, str], ...] = ()
    docs: str = ""
    problem: str = ""

    @property
    def active(self) -> bool:
        """True if the stack has it."""
        return self.order is not None

    @property
    def is_layer(self) -> bool:
        """True if calls pass it; others only hear of events, know prices and the like."""
        return "llmstack_call" in self.hooks

    @property
    def origin(self) -> str:
        """Its package, in words."""
        return f"{self.package} {self.version}".strip() or "made in code"


def checked(file: Path | None) -> Checked:
    """What is to be said of a config file; of the default stack if there is none."""
    return Checked((), (), (), Stack.default()) if file is None else check(file)


def active(stack: Stack) -> list[Listed]:
    """The plugins of a stack, outermost first."""
    plugins = stack.plugins
    return [_active(order, one, plugins[one.name]) for order, one in enumerate(describe(stack), start=1)]


def installed(besides: Iterable[Listed] = (), problems: dict[str, str] | None = None) -> list[Listed]:
    """The plugins that installed packages offer, by name. Nothing is imported.

    Args:
        besides: Plugins that are listed already.
        problems: What is known to be wrong with some, by name.
    """
    known = {listed.name for listed in besides}
    return [_installed(offer, problems or {}) for offer in discover() if known.isdisjoint(offer.names)]


def _active(order: int, one: Described, plugin: object) -> Listed:
    kind = plugin if isinstance(plugin, ModuleType) else type(plugin)
    return Listed(
        name=one.name,
        names=(one.name,),
        order=order,
        stage=one.stage,
        hooks=one.hooks,
        about=next(iter((inspect.getdoc(kind) or "").splitlines()), ""),
        package=one.package,
        version=one.version,
        options=tuple(one.options.items()),
        docs=one.documentation or _pydoc(kind.__name__ if isinstance(kind, ModuleType) else kind.__module__),
    )


def _installed(offer: Available, problems: dict[str, str]) -> Listed:
    twice = f"{', '.join(offer.rivals)} offers the same name" if offer.rivals else ""
    return Listed(
        name=offer.name,
        names=offer.names,
        package=offer.package,
        version=offer.version,
        docs=offer.documentation or _pydoc(offer.target.partition(":")[0]),
        problem=offer.refused or twice or problems.get(offer.name, ""),
    )


def _pydoc(module: str) -> str:
    return f"python -m pydoc {module}"
