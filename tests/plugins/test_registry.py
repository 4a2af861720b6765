"""Registration: every mistake in a plugin's hooks is found before any call."""

# pyright: reportArgumentType=false
# (the plugins here are wrong on purpose, or made at run time)

import functools
import types
from typing import Any

import pytest

from llmstack import Stack, Stage, hookimpl
from llmstack.errors import OrderError, RegistrationError
from llmstack.testing import Recorder


def plugin(**methods):
    """A plugin named acme with these methods."""
    return type("Acme", (), methods)()


def layer():
    """A correct layer, fresh: the marker is set on the function itself."""

    def llmstack_call(self, call, next):
        return (yield from next(call))

    return llmstack_call


def test_an_async_layer_is_refused():
    """One body serves sync and async."""

    async def llmstack_call(self, call, next):
        pass

    with pytest.raises(
        RegistrationError, match=r"plugin 'acme', hook llmstack_call: it is async, but must be a generator"
    ):
        Stack([plugin(llmstack_call=hookimpl(llmstack_call))])


def test_an_async_observer_is_refused():
    """Its coroutine would never run."""

    async def llmstack_event(self, event):
        pass

    with pytest.raises(RegistrationError, match=r"hook llmstack_event: it is async, but must be a plain function"):
        Stack([plugin(llmstack_event=hookimpl(llmstack_event))])


def test_a_plugin_that_is_listed_twice_is_refused():
    """Two objects of one class are two layers; one object cannot be both."""
    acme = plugin(llmstack_call=hookimpl(layer()))
    with pytest.raises(RegistrationError, match="plugin 'acme' is listed twice, the same object both times"):
        Stack([acme, Recorder(), acme])
    assert len(Stack([acme, plugin(llmstack_call=hookimpl(layer()))]).plugins) == 2


def test_a_misspelt_hook_is_refused_with_a_guess():
    """It would be silent for ever."""
    with pytest.raises(
        RegistrationError,
        match=r"plugin 'acme', hook llmstack_cal: there is no such hook; did you mean llmstack_call\?",
    ):
        Stack([plugin(llmstack_cal=hookimpl(layer()))])


def test_a_forgotten_marker_is_refused():
    """A method with a hook's name but no @hookimpl does nothing."""
    with pytest.raises(RegistrationError, match="llmstack_call is not marked; put @hookimpl above it"):
        Stack([plugin(llmstack_call=layer())])


def test_an_unknown_argument_is_named():
    """Plugin, hook and argument."""

    def llmstack_call(self, call, request, next):
        yield

    def llmstack_event(self, event, extra):
        pass

    with pytest.raises(RegistrationError, match=r"plugin 'acme', hook llmstack_call: unknown argument 'request'"):
        Stack([plugin(llmstack_call=hookimpl(llmstack_call))])
    with pytest.raises(RegistrationError, match=r"plugin 'acme'.*llmstack_event.*extra"):
        Stack([plugin(llmstack_event=hookimpl(llmstack_event))])


def test_arguments_in_another_order_are_refused():
    """They are passed by position."""

    def llmstack_call(self, next, call):
        yield

    with pytest.raises(RegistrationError, match=r"exactly \(call, next\), in this order"):
        Stack([plugin(llmstack_call=hookimpl(llmstack_call))])


def test_a_layer_that_is_no_generator_is_refused():
    """Such as one that forgot `yield from`."""

    def llmstack_call(self, call, next):
        return next(call)

    with pytest.raises(RegistrationError, match="it is no generator; pass on with `reply = yield from next"):
        Stack([plugin(llmstack_call=hookimpl(llmstack_call))])


def test_a_function_that_is_no_generator_is_refused():
    """The short form has the same rule."""

    def not_one(call, next):
        return next(call)

    with pytest.raises(RegistrationError, match="not_one: it is no generator"):
        Stack([not_one])


def test_a_decorated_generator_is_one():
    """`functools.wraps` tells."""

    def noop(function):
        @functools.wraps(function)
        def wrapped(*args):
            return function(*args)

        return wrapped

    assert list(Stack([plugin(llmstack_call=hookimpl(noop(layer())))]).plugins) == ["acme"]


def test_a_plugin_without_hooks_is_refused():
    """It does nothing."""
    with pytest.raises(RegistrationError, match=r"plugin 'acme' \(Acme\) implements no hook"):
        Stack([plugin()])


@pytest.mark.parametrize("option", ["tryfirst", "trylast", "wrapper", "hookwrapper"])
def test_pluggys_own_ordering_is_refused(option):
    """Order has one home: stage, before, after."""
    options: dict[str, Any] = {option: True}
    marked = hookimpl(layer(), **options)
    with pytest.raises(RegistrationError, match="takes @hookimpl without options; order comes from stage"):
        Stack([plugin(llmstack_call=marked)])


def test_what_is_no_plugin_is_refused():
    """A name belongs into a config."""
    with pytest.raises(RegistrationError, match="'retry' is no plugin: list instances"):
        Stack(["retry"])


def test_a_class_is_made_if_it_needs_no_arguments():
    """And named if it does."""
    assert list(Stack([Recorder]).plugins) == ["recorder"]

    class Needy:
        def __init__(self, token):
            pass

    with pytest.raises(RegistrationError, match="plugin class Needy cannot be made without arguments"):
        Stack([Needy])


def test_a_function_and_a_module_are_plugins():
    """The shortest forms."""

    def timing(call, next):
        return (yield from next(call))

    module = types.ModuleType("acme_plugins.audit")
    exec("from llmstack import hookimpl\n@hookimpl\ndef llmstack_event(event): pass", module.__dict__)
    assert list(Stack([timing, module]).plugins) == ["timing", "audit"]


def test_two_of_one_name_are_both_kept():
    """A list in code is taken as written."""
    assert list(Stack([Recorder(), Recorder()]).plugins) == ["recorder", "recorder#2"]


def test_a_stage_may_be_given_by_name_and_a_wrong_one_is_an_error():
    """For plugins that import nothing of ours but the marker."""
    good = type("Good", (), {"stage": "cache", "llmstack_call": hookimpl(layer())})()
    assert "CACHE" in Stack([good]).explain()
    bad = type("Bad", (), {"stage": "middle", "llmstack_call": hookimpl(layer())})()
    with pytest.raises(RegistrationError, match="stage is 'middle', but must be one of OBSERVE, VALIDATE"):
        Stack.ordered([bad])


def test_ordered_puts_plugins_where_they_declare():
    """And a contradiction is an error when the stack is built."""
    inner = type("Inner", (), {"stage": Stage.WIRE, "llmstack_call": hookimpl(layer())})
    outer = type("Outer", (), {"stage": Stage.CACHE, "llmstack_call": hookimpl(layer())})
    assert list(Stack.ordered([inner(), outer()]).plugins) == ["outer", "inner"]
    one = type("One", (), {"before": ("two",), "llmstack_call": hookimpl(layer())})
    two = type("Two", (), {"before": ("one",), "llmstack_call": hookimpl(layer())})
    with pytest.raises(OrderError, match="contradict"):
        Stack.ordered([one(), two()])


def test_a_plugins_properties_are_not_touched():
    """They may not be ready yet, or do something."""

    class Shy(Recorder):
        @property
        def connection(self):
            raise OSError("not connected yet")

    assert list(Stack([Shy()]).plugins) == ["recorder"]
