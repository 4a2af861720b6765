"""Discovery: the plugins that installed packages offer under the entry-point group ``llmstack``.

Installed means available, not active: nothing is imported until code or config names it.
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from llmstack.errors import PluginNotFoundError, RegistrationError

GROUP = "llmstack"


def available() -> dict[str, EntryPoint]:
    """The plugins on offer, by name.

    Raises:
        RegistrationError: If two distributions offer the same name; it names both.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.get(point.name)
        if other is not None and other.value != point.value:
            message = (
                f"two packages offer a plugin named {point.name!r}: {_origin(other)} and {_origin(point)}; "
                f"uninstall one of them"
            )
            raise RegistrationError(message)
        found[point.name] = point
    return found


def load(name: str) -> Any:
    """Import the plugin of this name.

    Args:
        name: Its entry point's name.

    Returns:
        What the entry point names: a plugin class, mostly.

    Raises:
        PluginNotFoundError: If no installed package offers it.
        RegistrationError: If it cannot be imported; it names plugin and distribution.
    """
    points = available()
    if name not in points:
        close = difflib.get_close_matches(name, points, 1)
        meant = f"did you mean {close[0]!r}?" if close else f"available: {', '.join(sorted(points)) or 'none'}"
        raise PluginNotFoundError(f"no installed package offers a plugin named {name!r}; {meant}")
    point = points[name]
    try:
        return point.load()
    except Exception as error:
        message = f"plugin {name!r} from {_origin(point)} cannot be imported: {type(error).__name__}: {error}"
        raise RegistrationError(message, plugin=name) from error


def _origin(point: EntryPoint) -> str:
    distribution = point.dist
    return f"{distribution.name} {distribution.version}" if distribution is not None else point.value
