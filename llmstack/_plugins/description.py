"""Describing: what is in a stack, for people and for programs that show it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llmstack._core.configurable import TellsOptions
from llmstack._core.secret import MASKED
from llmstack._plugins.discovery import Available, discover
from llmstack._plugins.hint import hints_of
from llmstack._plugins.origin import made_of
from llmstack._plugins.registry import HOOKS, FunctionPlugin, placement
from llmstack._plugins.spelling import Options, option_lines
from llmstack.errors import ConfigError

if TYPE_CHECKING:
    from llmstack.stack import Stack

__all__ = ["Described", "describe"]


@dataclass(frozen=True, slots=True)
class Described:
    """A plugin of a stack.

    Attributes:
        name: What it is called there.
        stage: Its stage, such as ``"RETRY"``.
        kind: Its class, module or function, such as ``"llmstack.middleware.retry.Retry"``.
        hooks: The hooks that it implements. One without ``llmstack_call`` is no layer: calls do not pass it.
        package: The distribution that offers it; empty if the program brought it along.
        version: That distribution's version.
        documentation: Where its documentation is, if the distribution tells.
        options: Its options, other than the defaults, as TOML; of a secret, and of what no file can say, only a hint.
    """

    name: str
    stage: str
    kind: str
    hooks: tuple[str, ...]
    package: str = ""
    version: str = ""
    documentation: str | None = None
    options: Mapping[str, str] = field(default_factory=dict[str, str])


def describe(stack: Stack) -> tuple[Described, ...]:
    """The plugins of a stack, outermost first. No secret is told.

    Args:
        stack: Any stack.
    """
    offers = discover()
    return tuple(_described(name, plugin, offers) for name, plugin in stack.plugins.items())


def _described(name: str, plugin: Any, offers: Iterable[Available]) -> Described:
    thing = plugin.function if isinstance(plugin, FunctionPlugin) else plugin
    offer = next((offer for offer in offers if name in offer.names and _is_from(thing, offer)), None)
    return Described(
        name=name,
        stage=placement(name, plugin).stage.name,
        kind=_kind(thing),
        hooks=tuple(hook for hook in HOOKS if getattr(plugin, hook, None) is not None),
        package="" if offer is None else offer.package,
        version="" if offer is None else offer.version,
        documentation=None if offer is None else offer.documentation,
        options=_options(plugin),
    )


def _kind(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return thing.__name__
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def _is_from(thing: Any, offer: Available) -> bool:
    """Whether a package offers this very thing, or its class; nothing is imported to find out."""
    module, _, attributes = offer.target.partition(":")
    found: Any = sys.modules.get(module)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute, None)
    return found is not None and (found is thing or found is type(thing))


def _options(plugin: Any) -> dict[str, str]:
    table = made_of(plugin)
    given = table if table is not None else plugin.given_options() if isinstance(plugin, TellsOptions) else {}
    known = hints_of(type(plugin))
    told: dict[str, str] = {}
    for name, value in given.items():
        if name not in known and table is None:
            continue
        try:
            lines = option_lines("", type(plugin), Options({name: value}, written=table is not None))
        except ConfigError:
            told[name] = f"<{type(value).__name__}>"
            continue
        for line in lines:
            told[name] = MASKED if line.startswith("#") else line.partition(" = ")[2]
    return told
