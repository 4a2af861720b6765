"""What plugins supersede: wrappers of the packages that they name, and of nobody else."""

from __future__ import annotations

import functools
from types import FunctionType
from typing import Any

import pytest
from openai.resources.chat.completions import Completions

from llmstack import AsyncOpenAI, OpenAI, Stack, hookimpl
from llmstack._wire.superseded import all_of, peeled
from llmstack.errors import RegistrationError
from llmstack.events import Event
from llmstack.testing import LocalServer, ScriptedTransport

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def wrapped(function: Any, package: str, told: list[str], *, says: bool = True) -> Any:
    """A function as instrumentation wraps it: with ``__wrapped__``, or just holding it."""

    def around(*args: Any, **more: Any) -> Any:
        told.append(package)
        return function(*args, **more)

    home = {**around.__globals__, "__name__": f"{package}.patches"}
    made = FunctionType(around.__code__, home, function.__name__, None, around.__closure__)
    return functools.update_wrapper(made, function) if says else made


def plain(value: int) -> int:
    return value


@pytest.mark.parametrize("says", [True, False])
def test_wrappers_of_a_package_are_peeled_off(says: Any) -> None:
    """Whether they say what they wrap or not; all of them, down to the first of somebody else's."""
    told: list[str] = []
    other = wrapped(plain, "other", told, says=says)
    both = wrapped(wrapped(other, "acme", told, says=says), "acme", told, says=says)
    assert peeled(both, {"acme"}) is other
    assert peeled(both, {"acme", "other"}) is plain
    assert peeled(both, ()) is both
    assert peeled(both, {"acm"}) is both
    assert both(1) == 1
    assert told == ["acme", "acme", "other"]


def test_what_cannot_be_peeled_is_left() -> None:
    """Functions of a package that hold nothing, and what is no function."""
    told: list[str] = []
    made = FunctionType(plain.__code__, {"__name__": "acme"}, "plain")
    assert peeled(made, {"acme"}) is made
    assert peeled(len, {"acme"}) is len
    partial = functools.partial(plain)
    assert peeled(partial, {"functools"}) is partial
    assert told == []


def test_listeners_are_a_packages_if_all_of_them_are() -> None:
    """None at all are nobody's, and what is no function is somebody else's."""
    acme, other = (wrapped(plain, package, []) for package in ("acme", "other"))
    assert all_of([acme, acme], {"acme"})
    assert all_of([acme, other], {"acme", "other"})
    assert not all_of([acme, other], {"acme"})
    assert not all_of([acme, len], {"acme"})
    assert not all_of([], {"acme"})


class Tracing:
    """A plugin that tells what instrumentation of acme's would."""

    name = "tracing"
    supersedes = ("acme",)

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Tell of it."""


@pytest.mark.parametrize(("plugin", "called"), [(Tracing(), []), (None, ["acme"])])
def test_a_wrapper_around_a_method_is_passed_by(
    plugin: Any, called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the stack has the plugin; whatever is wrapped while the client is there."""
    told: list[str] = []
    kind = Completions
    stack = Stack([] if plugin is None else [plugin], transport=ScriptedTransport(["a", "b"]))
    with OpenAI(api_key="sk-test-not-a-key", stack=stack) as client:
        client.chat.completions.create(**ASK)
        monkeypatch.setattr(kind, "create", wrapped(kind.create, "acme", told))
        assert client.chat.completions.create(**ASK).choices[0].message.content == "b"
    assert told == called


async def test_wrappers_around_the_http_client_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for calls that name no model, of which the plugin may know nothing."""
    import httpx2

    told: list[str] = []
    with LocalServer() as server:
        stack = Stack([Tracing()])
        for kind in (httpx2.Client, httpx2.AsyncClient):
            inner = peeled(kind.send, {"sentry_sdk"})
            monkeypatch.setattr(kind, "send", wrapped(inner, "acme", told, says=False))
        given: dict[str, Any] = {"api_key": "sk-test-not-a-key", "base_url": server.base_url, "stack": stack}
        with OpenAI(**given) as client:
            client.chat.completions.create(**ASK)
            client.chat.completions.create(**ASK)
            assert told == []
            client.models.list()
            assert told == ["acme"]
        async with AsyncOpenAI(**given) as aclient:
            await aclient.chat.completions.create(**ASK)  # it makes the connections of this event loop
            told.clear()
            await aclient.chat.completions.create(**ASK)
        assert told == []


@pytest.mark.parametrize("wrong", [("sentry_sdk.integrations",), (1,), "no name"])
def test_what_is_no_package_is_refused(wrong: Any) -> None:
    """When the stack is built."""
    plugin: Any = Tracing()
    plugin.supersedes = wrong
    with pytest.raises(RegistrationError, match="plugin 'tracing': supersedes must be import names of packages"):
        Stack([plugin])
