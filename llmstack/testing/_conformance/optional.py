"""Options are validated."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, get_args, get_type_hints
from unittest import SkipTest

from llmstack.errors import OptionError
from llmstack.testing._conformance.flaw import ConformanceError

__all__ = ["builder", "check", "options_of"]

__tracebackhide__ = True  # pytest then shows what is wrong, not how it was found out

_UNKNOWN = "no_such_option_of_this_plugin"
_REFUSALS = (TypeError, ValueError, OptionError)


def check(make: Callable[..., Any], given: Sequence[Mapping[str, Any]]) -> None:
    """What is no option, or no value of one, is refused when the plugin is made.

    Args:
        make: Makes the plugin, with options if it takes any.
        given: Bad options, as the author knows them.
    """
    plugin = make()
    if isinstance(plugin, (FunctionType, ModuleType)):
        raise SkipTest("a function or a module takes no options")
    build = builder(make, plugin)
    _refused(build, {_UNKNOWN: 1}, "an option that it does not have")
    for options in given:
        _refused(build, options, "a bad option")
    for name, kind in _numbers(type(plugin)):
        _refused(build, {name: "many"}, f"a text for a {kind}")


def options_of(kind: type) -> dict[str, Any]:
    """The options of a plugin's class with their types, Any where none is given."""
    parameters = inspect.signature(kind).parameters.values()
    try:
        hints = get_type_hints(inspect.getattr_static(kind, "__init__"))
    except (NameError, TypeError):  # a name for type checkers only
        hints = {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: hints.get(p.name, Any) for p in parameters if p.kind in named}


def builder(make: Callable[..., Any], plugin: Any) -> Callable[..., Any]:
    """What makes the plugin with options: the author's function if it takes any, else the class."""
    parameters = inspect.signature(make).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return make
    kind = type(plugin)
    try:
        kind()
    except TypeError as error:
        message = f"let plugin(self, **options) hand its options to {kind.__name__}: it cannot be made without any"
        raise ConformanceError(
            f"The options of {kind.__name__} cannot be tried.",
            "a mistake in a config file must be told when the program starts.",
            message,
        ) from error
    return kind


def _refused(build: Callable[..., Any], options: Mapping[str, Any], what: str) -> None:
    shown = ", ".join(f"{name}={value!r}" for name, value in options.items())
    try:
        build(**options)
    except _REFUSALS:
        return
    except Exception as error:  # noqa: BLE001 - that is the question
        found = f"raises {type(error).__name__}"
    else:
        found = "is accepted"
    raise ConformanceError(
        f"{what[0].upper()}{what[1:]}, {shown}, {found}.",
        "a mistake in a config must be told when the program starts, with the option's name, not by a strange error "
        "in the first call, or never.",
        "check each option in __init__ and raise ValueError (a bad value) or TypeError (a bad kind); take no **kwargs.",
    )


def _numbers(kind: type) -> Iterator[tuple[str, str]]:
    """The options that are numbers and nothing else."""
    for name, hint in options_of(kind).items():
        kinds = {found for found in (get_args(hint) or (hint,)) if found is not type(None)}
        if kinds and kinds <= {int, float}:
            yield name, "number"
