"""Attachment: plugins open what they need of a stack; what goes wrong with that bears their name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from llmstack.errors import RegistrationError, StackError

__all__ = ["attach", "mapping_of"]


def attach(plugins: Mapping[str, object], stack: object) -> None:
    """Call each plugin's ``attach(stack)``, if it has one.

    Args:
        plugins: The plugins of the stack, by name.
        stack: The stack, built but for this.

    Raises:
        StackError: What a plugin raised; it names the plugin.
        RegistrationError: If it raised anything else, or is async.
    """
    for name, plugin in plugins.items():
        method = getattr(plugin, "attach", None)
        if not callable(method):
            continue
        if inspect.iscoroutinefunction(method):
            message = f"plugin {name!r}: attach(stack) is async, but must be a plain function (def)"
            raise RegistrationError(message, plugin=name)
        try:
            method(stack)
        except StackError as error:
            error.plugin = error.plugin or name
            raise
        except Exception as error:
            message = f"plugin {name!r}: attach(stack) failed with {type(error).__name__}: {error}"
            raise RegistrationError(message, plugin=name) from error


def mapping_of(name: str, hook: str, given: object) -> Mapping[str, Any]:
    """What a hook that registers things has returned.

    Args:
        name: The plugin.
        hook: The hook.
        given: What it returned.

    Raises:
        RegistrationError: If it is no mapping; None is an empty one, as pluggy has it.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        message = f"plugin {name!r}, hook {hook}: it must return a mapping by name, not {type(given).__name__}"
        raise RegistrationError(message, plugin=name)
    return given
