"""From a model's name to the name of the deployment that serves it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from llmstack.errors import OptionError

__all__ = ["Deployments", "NoDeployment", "deployment_finder", "is_deployment_name"]

Deployments: TypeAlias = Mapping[str, str] | Callable[[str], str | None]
"""Deployments by model, whose names may hold ``*``, ``?`` and ``[...]``; or a function that knows them."""

_PATTERN: Final = re.compile(r"[*?\[]")
_UNSAFE: Final = re.compile(r"[\x00-\x20/\\?#%\x7f]")


class NoDeployment(Exception):  # noqa: N818 - becomes an `UnsupportedError`
    """No deployment is known for a model; says what is."""


def deployment_finder(deployments: Deployments | None, *, strict: bool) -> Callable[[str], str]:
    """A function from models to deployments.

    A name that is in the table goes before patterns, of which the first that fits counts. What is not in it passes as
    the name of a deployment, unless `strict`.

    Args:
        deployments: The table, or the function; None for none.
        strict: True to raise `NoDeployment` for a model that is not known.

    Raises:
        OptionError: If the table holds something else than names.
    """
    if callable(deployments):
        found, known = deployments, None
    else:
        table = _checked(deployments or {})
        found, known = _lookup(table), table

    def deployment(model: str) -> str:
        name = found(model)
        if name is None and strict:
            raise NoDeployment(_unknown(model, known))
        return model if name is None else name

    return deployment


def is_deployment_name(name: str) -> bool:
    """Whether a name can stand in a path.

    Azure's have 2 to 64 letters, digits, ``-``, ``_`` and ``.``.
    """
    return bool(name) and name.strip(".") != "" and not _UNSAFE.search(name)


def _checked(deployments: object) -> dict[str, str]:
    if not isinstance(deployments, Mapping):
        message = (
            f"deployments= takes a table of models and deployments, or a function, not {type(deployments).__name__}"
        )
        raise OptionError(message)
    for model, name in deployments.items():
        if not isinstance(model, str) or not isinstance(name, str) or not is_deployment_name(name):
            raise OptionError(f"deployments=: {name!r}, given for {model!r}, cannot be the name of a deployment")
    return dict(deployments)


def _lookup(table: Mapping[str, str]) -> Callable[[str], str | None]:
    patterns = [(pattern, name) for pattern, name in table.items() if _PATTERN.search(pattern)]

    def found(model: str) -> str | None:
        if model in table:
            return table[model]
        return next((name for pattern, name in patterns if fnmatchcase(model, pattern)), None)

    return found


def _unknown(model: str, known: Mapping[str, str] | None) -> str:
    if known is None:
        return f"deployments= knows no deployment for the model {model[:100]!r}"
    close = difflib.get_close_matches(model, known, 1)
    meant = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(known) or 'nothing'}"
    return f"deployments= has no deployment for the model {model[:100]!r}; {meant}"
