"""Configurable: a plugin or transport that remembers its options, so that its stack can be printed as a config."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable


@runtime_checkable
class TellsOptions(Protocol):
    """Whatever can tell the options it was made with. `Configurable` does; a plugin may do it in its own way."""

    def given_options(self) -> Mapping[str, Any]:
        """The arguments of its constructor, by name; those that were left to their defaults may be missing."""
        ...


class Configurable:
    """Inherit it, and the object remembers the arguments of its constructor.

        class Acme(Configurable):
            def __init__(self, *, retries: int = 3) -> None: ...

        Acme(retries=5).given_options()     # {"retries": 5}

    They are kept as given and shown nowhere: `llmstack.config.to_toml` reads them, and leaves out secrets.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Make the object; its own constructor runs afterwards."""
        made = super().__new__(cls)
        object.__setattr__(made, "_configurable_given", _Given(_bound(cls, args, options)))
        return made

    def given_options(self) -> Mapping[str, Any]:
        """The arguments of its constructor, by name, without those that were left to their defaults."""
        given: _Given = getattr(self, "_configurable_given", _NOTHING)
        return dict(given.options)


class _Given:
    """A table that no `repr` shows: there may be keys in it."""

    __slots__ = ("options",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options


_NOTHING = _Given({})


def _bound(cls: type, args: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    signature = inspect.signature(cls)
    try:
        found = dict(signature.bind(*args, **options).arguments)
    except TypeError:
        return {}  # its constructor says what is wrong; a copy is made without any
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found |= found.pop(name, {})
    return found
