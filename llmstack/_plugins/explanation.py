"""Explanation: a stack as text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llmstack._core.call_info import host_of
from llmstack._core.order import Placement
from llmstack._core.transport import Transport, place_of
from llmstack._plugins.registry import placement

__all__ = ["explained"]


def explained(
    plugins: Mapping[str, Any], layers: Collection[str], transport: Transport, named: Mapping[str, Transport]
) -> str:
    """The resolved order as text: one line a plugin, outermost first, then the transports.

    Args:
        plugins: The plugins by name, outermost first.
        layers: Names of those that change or watch calls.
        transport: Where calls go.
        named: Other transports, by name.
    """
    placements = [placement(name, plugin) for name, plugin in plugins.items()]
    rows = [(p.name, p.stage.name, _role(p, plugins[p.name], layers)) for p in placements]
    rows.append((transport.name, "TRANSPORT", _sender(transport)))
    rows += [(f"transports.{name}", "TRANSPORT", _sender(other)) for name, other in named.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    lines = [f"{name:<{widths[0]}}  {stage:<{widths[1]}}  {what}" for name, stage, what in rows]
    return "\n".join(line.rstrip() for line in lines)


def _sender(transport: Transport) -> str:
    place = place_of(transport)
    kind = type(transport).__name__
    return kind if place is None else f"{kind} to {host_of(place.base_url)}"


def _role(place: Placement, plugin: object, layers: Collection[str]) -> str:
    kind = f"{type(plugin).__module__}.{type(plugin).__qualname__}"
    return kind if place.name in layers else f"{kind} (hears events only)"
