"""Registration on pluggy: every mistake in a plugin's hooks is found here, before any call."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import pluggy

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Next
from llmstack._core.flow import Layer
from llmstack._core.order import Placement, Stage
from llmstack._core.reply import Reply
from llmstack.errors import RegistrationError
from llmstack.hookspecs import HookSpecs, hookimpl

HOOKS = tuple(name for name in vars(HookSpecs) if name.startswith("llmstack_"))


class FunctionPlugin:
    """A single generator function ``(call, next)`` as a plugin."""

    def __init__(self, function: Callable[[Call, Next], Flow[Reply]]) -> None:
        """Take the function; its name is the plugin's."""
        self.name = function.__name__
        self.function = function

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Run the function as a layer."""
        return (yield from self.function(call, next))


def as_plugin(given: object) -> object:
    """Make a plugin of what a program lists: an instance, a module, a class without arguments, or a function.

    Raises:
        RegistrationError: If it is none of these.
    """
    if inspect.isclass(given):
        try:
            return given()
        except TypeError as error:
            message = f"plugin class {given.__name__} cannot be made without arguments: list an instance ({error})"
            raise RegistrationError(message) from error
    if inspect.isfunction(given):
        _check_generator(given.__name__, given)
        return FunctionPlugin(given)
    if isinstance(given, (str, bytes, int, float, list, tuple, dict, set)) or given is None:
        message = f"{given!r} is no plugin: list instances, such as Stack([Retry()])"
        raise RegistrationError(message)
    return given


def plugin_name(plugin: object) -> str:
    """What a plugin calls itself, else its class or module in lower case."""
    name = getattr(plugin, "name", None)
    if isinstance(name, str) and name:
        return name
    if isinstance(plugin, ModuleType):
        return plugin.__name__.rpartition(".")[2]
    return type(plugin).__name__.lower()


def placement(name: str, plugin: object) -> Placement:
    """What a plugin declares about its place.

    Raises:
        RegistrationError: If its stage is none, or before/after are no names.
    """
    stage = getattr(plugin, "stage", Stage.OBSERVE)
    if isinstance(stage, str) and stage.upper() in Stage.__members__:
        stage = Stage[stage.upper()]
    if not isinstance(stage, Stage):
        stages = ", ".join(Stage.__members__)
        message = f"plugin {name!r}: stage is {stage!r}, but must be one of {stages}"
        raise RegistrationError(message)
    wishes: dict[str, tuple[Any, ...]] = {}
    for word in ("before", "after"):
        wish = getattr(plugin, word, ())
        names: tuple[Any, ...] = (wish,) if isinstance(wish, str) else tuple(wish)
        if not all(isinstance(other, str) for other in names):
            message = f"plugin {name!r}: {word} must be names of plugins, such as ('cache',)"
            raise RegistrationError(message)
        wishes[word] = names
    return Placement(name, stage, wishes["before"], wishes["after"])


def _check_once(plugins: Mapping[str, object]) -> None:
    names: dict[int, str] = {}
    for name, plugin in plugins.items():
        first = names.setdefault(id(plugin), name)
        if first != name:
            message = f"plugin {first!r} is listed twice, the same object both times: list it once, or make another one"
            raise RegistrationError(message)


class _Manager(pluggy.PluginManager):
    """pluggy's manager, looking only at what can be a hook: a plugin's properties are none of its business."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        return super().parse_hookimpl_opts(plugin, name) if name.startswith("llmstack_") else None


class Registry:
    """The plugins of one stack, registered with pluggy in their order."""

    def __init__(self, plugins: Iterable[tuple[str, object]]) -> None:
        """Register plugins, outermost first.

        Raises:
            RegistrationError: If a hook is wrong; it names plugin, hook and argument. If a plugin is there twice.
        """
        self._manager = _Manager("llmstack")
        self._manager.add_hookspecs(HookSpecs)
        self.plugins: dict[str, Any] = dict(plugins)
        _check_once(self.plugins)
        # pluggy calls last registered first.
        for name, plugin in reversed(self.plugins.items()):
            _check_hooks(name, plugin)
            try:
                self._manager.register(plugin, name)
            except pluggy.PluginValidationError as error:
                raise RegistrationError(_explained(name, error)) from error
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            name = self._manager.get_name(error.plugin) or "?"
            raise RegistrationError(_explained(name, error)) from error

    @property
    def hook(self) -> Any:
        """Pluggy's caller of hooks."""
        return self._manager.hook

    def layers(self) -> list[Layer]:
        """The plugins that implement ``llmstack_call``, outermost first."""
        impls = self.hook.llmstack_call.get_hookimpls()
        return [Layer(impl.plugin_name, impl.function) for impl in reversed(impls)]

    def observers(self) -> list[tuple[str, Callable[..., Any]]]:
        """The plugins that implement ``llmstack_event``, with their functions."""
        impls = self.hook.llmstack_event.get_hookimpls()
        return [(impl.plugin_name, impl.function) for impl in reversed(impls)]


def _check_hooks(name: str, plugin: object) -> None:
    found = False
    for attribute in dir(plugin):
        if not attribute.startswith("llmstack_"):
            continue
        method = inspect.getattr_static(plugin, attribute, None)
        method = getattr(method, "__func__", method)
        options = getattr(method, "llmstack_impl", None)
        if options is None:
            if attribute in HOOKS or callable(method):
                message = f"plugin {name!r}: {attribute} is not marked; put @hookimpl above it"
                raise RegistrationError(message)
            continue
        found = True
        _check_hook(name, attribute, getattr(plugin, attribute), options)
    if not found:
        hooks = ", ".join(HOOKS)
        message = f"plugin {name!r} ({type(plugin).__name__}) implements no hook; it needs at least one of {hooks}"
        raise RegistrationError(message)


def _check_hook(name: str, hook: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    where = f"plugin {name!r}, hook {hook}"
    if hook not in HOOKS:
        close = difflib.get_close_matches(hook, HOOKS, 1)
        meant = f"; did you mean {close[0]}?" if close else f"; the hooks are {', '.join(HOOKS)}"
        raise RegistrationError(f"{where}: there is no such hook{meant}")
    plain = inspect.unwrap(function)
    if inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain):
        what = "a generator (def, `yield from next(call)`)" if hook == "llmstack_call" else "a plain function (def)"
        raise RegistrationError(f"{where}: it is async, but must be {what}, which serves sync and async alike")
    if options.get("hookwrapper") or options.get("wrapper") or options.get("tryfirst") or options.get("trylast"):
        raise RegistrationError(f"{where}: takes @hookimpl without options; order comes from stage, before and after")
    if hook != "llmstack_call":
        return
    _check_generator(where, plain)
    names = list(inspect.signature(function).parameters)
    unknown = [argument for argument in names if argument not in ("call", "next")]
    if unknown:
        raise RegistrationError(f"{where}: unknown argument {unknown[0]!r}; it takes (call, next)")
    if names != ["call", "next"]:
        raise RegistrationError(f"{where}: it takes exactly (call, next), in this order, not ({', '.join(names)})")


def _check_generator(where: str, function: Callable[..., Any]) -> None:
    if not inspect.isgeneratorfunction(inspect.unwrap(function)):
        message = f"{where}: it is no generator; pass on with `reply = yield from next(call)` and return the reply"
        raise RegistrationError(message)


def _explained(name: str, error: pluggy.PluginValidationError) -> str:
    return f"plugin {name!r}: {' '.join(str(error).split())}"
