"""Discovery: the plugins that installed packages offer under the entry-point group ``llmstack``.

Installed means available, not active: nothing is imported until code or config names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Final

from llmstack._plugins.admission import admitted_by
from llmstack._plugins.guess import meant
from llmstack.errors import ConfigError, PluginNotFoundError, RegistrationError

__all__ = ["GROUP", "Available", "discover", "load"]

GROUP: Final = "llmstack"


@dataclass(frozen=True, slots=True)
class Available:
    """A plugin that an installed package offers. Nothing of it has been imported.

    Attributes:
        name: Its name.
        names: All its names, this one included: a store has one for each URL scheme.
        target: What is imported, such as ``"acme_llmstack:Acme"``.
        package: The distribution it is from, such as ``"acme-llmstack"``; empty if that cannot be told.
        version: That distribution's version; empty if that cannot be told.
        documentation: Where its documentation is, as the distribution tells; None if it does not.
        refused: Why it may not be loaded, such as ``"is blocked by LLMSTACK_BLOCK"``; None if it may.
        rivals: Others that offer one of its names: none of them can be loaded by that name.
    """

    name: str
    names: tuple[str, ...]
    target: str
    package: str = ""
    version: str = ""
    documentation: str | None = None
    refused: str | None = None
    rivals: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Distribution and version; what is imported if these cannot be told."""
        return f"{self.package} {self.version}".strip() or self.target

    def load(self) -> Any:
        """Import it.

        Raises:
            ConfigError: If it may not be loaded.
            RegistrationError: If it cannot be imported, or another distribution offers the same name.
        """
        if self.refused is not None:
            raise ConfigError(f"plugin {self.name!r} from {self.origin} {self.refused}", plugin=self.name)
        if self.rivals:
            message = (
                f"two packages offer a plugin named {self.name!r}: {self.origin} and {', '.join(self.rivals)}; "
                f"uninstall one of them, or block {self.name!r}"
            )
            raise RegistrationError(message)
        try:
            return EntryPoint(self.name, self.target, GROUP).load()
        except (Exception, SystemExit) as error:  # a module that is a script ends the program, if one lets it
            what = f"{type(error).__name__}: {error}"
            message = f"plugin {self.name!r} from {self.origin} cannot be imported: {what}"
            raise RegistrationError(message, plugin=self.name) from error


def discover() -> tuple[Available, ...]:
    """The plugins that installed packages offer, by name. Nothing is imported.

    Names of one distribution that mean the same object are one plugin, called by the shortest of them.
    """
    grouped: dict[tuple[str, str], list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        # Distributions of one name are one: the first on the path is what Python imports.
        package = "" if point.dist is None else point.dist.name
        grouped.setdefault((package, point.value), []).append(point)
    offers = {key: tuple(sorted({p.name for p in points}, key=_short)) for key, points in grouped.items()}
    admission = admitted_by()
    found: list[Available] = []
    for key, points in grouped.items():
        names, distribution = offers[key], points[0].dist
        others = [other for other in offers if other != key and not set(offers[other]).isdisjoint(names)]
        plugin = Available(
            name=names[0],
            names=names,
            target=key[1],
            package=key[0],
            version="" if distribution is None else distribution.version,
            documentation=_documentation(distribution),
            refused=admission.refusal(names),
            rivals=tuple(_origin(grouped[other][0]) for other in others),
        )
        found.append(plugin)
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.origin)))


def find(name: str, among: Iterable[Available]) -> Available:
    """The plugin of a name.

    Raises:
        PluginNotFoundError: If no installed package offers it.
    """
    plugins = tuple(among)
    for plugin in plugins:
        if name in plugin.names:
            return plugin
    known = sorted(other for plugin in plugins for other in plugin.names)
    guess = meant(name, known, "available", "none is installed")
    raise PluginNotFoundError(f"no installed package offers a plugin named {name!r}; {guess}")


def available() -> dict[str, Available]:
    """The plugins on offer, by each of their names."""
    return {name: plugin for plugin in discover() for name in plugin.names}


def load(name: str) -> Any:
    """Import the plugin of this name.

    Args:
        name: Its entry point's name.

    Returns:
        What the entry point names: a plugin class, mostly.

    Raises:
        PluginNotFoundError: If no installed package offers it.
        ConfigError: If it may not be loaded.
        RegistrationError: If it cannot be imported, or two distributions offer the name; it names plugin and
            distribution.
    """
    return find(name, discover()).load()


def _short(name: str) -> tuple[int, str]:
    return len(name), name


def _origin(point: EntryPoint) -> str:
    return point.value if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _documentation(distribution: Distribution | None) -> str | None:
    """The address of the documentation, else of the homepage."""
    if distribution is None:
        return None
    lines = distribution.metadata.get_all("Project-URL") or []
    links = {label.strip().lower(): url.strip() for label, _, url in (str(line).partition(",") for line in lines)}
    return links.get("documentation") or links.get("docs") or links.get("homepage")
