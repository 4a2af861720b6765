"""Superseding: the instrumentation that plugins make superfluous for the calls of their stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmstack.errors import RegistrationError

__all__ = ["superseded_by"]


def superseded_by(plugins: Mapping[str, Any]) -> frozenset[str]:
    """The packages that plugins supersede.

    Args:
        plugins: The plugins by name.

    Raises:
        RegistrationError: If a plugin names what is none.
    """
    found: set[str] = set()
    for name, plugin in plugins.items():
        packages = getattr(plugin, "supersedes", ())
        named: tuple[Any, ...] = (packages,) if isinstance(packages, str) else tuple(packages)
        if not all(isinstance(package, str) and package.isidentifier() for package in named):
            message = f"plugin {name!r}: supersedes must be import names of packages, such as ('sentry_sdk',)"
            raise RegistrationError(message, plugin=name)
        found.update(named)
    return frozenset(found)
