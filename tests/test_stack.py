"""Stack: composed, explained, changed, closed."""

import logging
import re
from decimal import Decimal
from typing import Any

import pytest

from llmstack import AsyncOpenAI, OpenAI, Stack, hookimpl
from llmstack.effects import monotonic
from llmstack.errors import PluginNotFoundError
from llmstack.middleware import Logging, Retry
from llmstack.testing import Recorder, ScriptedTransport
from llmstack.transports import AzureTransport, OpenAITransport

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def client_of(stack):
    """A client whose calls go through a stack."""
    return OpenAI(api_key="sk-test-not-a-key", stack=stack)


def tracer(name, seen):
    """A layer that notes its passage."""

    def layer(call, next):
        seen.append(f"{name} in")
        reply = yield from next(call)
        seen.append(f"{name} out")
        return reply

    layer.__name__ = name
    return layer


def test_a_list_is_taken_as_written_outer_first():
    """The first plugin sees the call first and the reply last."""
    seen = []
    stack = Stack([tracer("a", seen), tracer("b", seen)], transport=ScriptedTransport(["hi"]))
    client_of(stack).chat.completions.create(**ASK)
    assert seen == ["a in", "b in", "b out", "a out"]


def test_the_default_stack_is_in_its_declared_order():
    """What a client without stack= gets."""
    assert list(Stack.default().plugins) == ["validation", "budget", "retry", "logging", "sentry"]


def test_explain_shows_name_stage_and_class():
    """One line a plugin, then the transport."""
    text = Stack([Retry(), Logging()], transport=ScriptedTransport()).explain()
    assert text.splitlines() == [
        "retry     RETRY      llmstack.middleware.retry.Retry",
        "logging   WIRE       llmstack.middleware.logging.Logging (hears events only)",
        "scripted  TRANSPORT  ScriptedTransport",
    ]


def test_explain_shows_all_transports_and_where_they_send():
    """By the names that plugins know them by; without credentials."""
    one = OpenAITransport(base_url="https://user:hidden@one.example.com:8000/v1", api_key="sk-one-not-a-key")
    azure = AzureTransport(endpoint="https://two.openai.azure.com", api="v1", api_key="two-not-a-key")
    stack = Stack([Retry()], transports={"one": one, "azure": azure, "client": OpenAITransport()})
    assert stack.explain().splitlines() == [
        "retry              RETRY      llmstack.middleware.retry.Retry",
        "openai             TRANSPORT  OpenAITransport",
        "transports.one     TRANSPORT  OpenAITransport to one.example.com:8000",
        "transports.azure   TRANSPORT  AzureTransport to two.openai.azure.com",
        "transports.client  TRANSPORT  OpenAITransport",
    ]
    stack.close()


def test_without_and_with_plugins_give_changed_copies():
    """The stack itself never changes."""
    stack = Stack([Retry(), Logging()])
    assert list(stack.without("retry").plugins) == ["logging"]
    assert list(stack.with_plugins(Recorder()).plugins) == ["retry", "logging", "recorder"]
    assert list(stack.with_plugins(Recorder(), outermost=True).plugins) == ["recorder", "retry", "logging"]
    replaced = stack.with_plugins(Retry(attempts=7))
    assert list(replaced.plugins) == ["retry", "logging"]
    assert replaced.plugins["retry"].attempts == 7  # type: ignore[attr-defined]
    assert list(stack.plugins) == ["retry", "logging"]


def test_without_an_unknown_name_says_what_there_is():
    """A typo must not pass."""
    with pytest.raises(PluginNotFoundError, match="no plugin 'cahce' in this stack; it has: retry"):
        Stack([Retry()]).without("cahce")


def test_a_stack_closes_what_its_plugins_opened():
    """All of them, though one fails; the error is raised after."""
    closed = []

    class Opened(Recorder):
        def __init__(self, name, error=None):
            super().__init__()
            self.name, self.error = name, error

        def close(self):
            closed.append(self.name)
            if self.error:
                raise self.error

    class OpenedAsync(Opened):
        close = None  # type: ignore[assignment]

        async def aclose(self):
            closed.append(self.name)

    with pytest.raises(OSError, match="disk"), Stack([Opened("a", OSError("disk")), OpenedAsync("b"), Opened("c")]):
        pass
    assert closed == ["a", "b", "c"]


async def test_an_async_stack_closes_both_kinds():
    """In the program's own event loop."""
    closed = []

    class Sync(Recorder):
        def close(self):
            closed.append("sync")

    class Async(Recorder):
        async def aclose(self):
            closed.append("async")

    async with Stack([Sync(), Async()]):
        pass
    assert closed == ["sync", "async"]


def test_an_observer_that_raises_does_not_touch_the_call(caplog):
    """It is counted, and logged once."""

    class Broken:
        @hookimpl
        def llmstack_event(self, event):
            raise RuntimeError("broken sink")

    recorder = Recorder()
    stack = Stack([Broken(), recorder], transport=ScriptedTransport(default="hi"))
    with caplog.at_level(logging.WARNING, "llmstack"):
        for _ in range(2):
            assert client_of(stack).chat.completions.create(**ASK).choices[0].message.content == "hi"
    assert len(recorder.events) == 8
    assert stack.observer_failures == {"broken": 8}
    (record,) = caplog.records
    assert re.fullmatch(
        r"observer 'broken' failed with RuntimeError at .*test_stack\.py:\d+; "
        "calls go on, further failures are only counted",
        record.message,
    )


def test_a_price_comes_from_the_first_plugin_that_knows():
    """And is in the call's last event."""

    class Ignorant:
        @hookimpl
        def llmstack_price(self, model, usage, call):
            return None

    class Dear:
        @hookimpl
        def llmstack_price(self, model, usage, call):
            return Decimal("0.5") * usage.output_tokens

    recorder = Recorder()
    stack = Stack([Ignorant(), Dear(), recorder], transport=ScriptedTransport(["two words"]))
    client_of(stack).chat.completions.create(**ASK)
    assert recorder.finished.cost == Decimal("1.0")


def test_a_price_hook_that_raises_leaves_the_cost_unknown():
    """Money questions do not break calls."""

    class Broken:
        @hookimpl
        def llmstack_price(self, model, usage, call):
            raise ZeroDivisionError

    recorder = Recorder()
    stack = Stack([Broken(), recorder], transport=ScriptedTransport(["hi"]))
    client_of(stack).chat.completions.create(**ASK)
    assert recorder.finished.cost is None
    assert stack.observer_failures == {"llmstack_price": 1}


def test_one_stack_serves_many_clients():
    """It holds nothing of any of them."""
    transport = ScriptedTransport(default="hi")
    stack = Stack([Retry()], transport=transport)
    for _ in range(3):
        client_of(stack).chat.completions.create(**ASK)
    assert len(transport.calls) == 3


class Polite:
    """A third party's plugin of ten lines: rewrites a parameter, times the call, sees the usage."""

    def __init__(self):
        self.seen = []

    @hookimpl
    def llmstack_call(self, call, next):
        started = yield from monotonic()
        reply = yield from next(call.with_params(temperature=0).with_usage())
        self.seen.append(((yield from monotonic()) - started, reply.usage.output_tokens))
        return reply


def test_a_ten_line_plugin_works_in_sync_and_streaming():
    """Written once."""
    polite, transport = Polite(), ScriptedTransport(default="two words")
    client = client_of(Stack([polite], transport=transport))
    client.chat.completions.create(**ASK)
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks), "the program did not ask for the usage"
    assert [call.params["temperature"] for call in transport.calls] == [0, 0]
    assert [tokens for _, tokens in polite.seen] == [2, 2]


async def test_the_same_plugin_works_in_async():
    """Not a line of it is async."""
    polite, transport = Polite(), ScriptedTransport(default="two words")
    client = AsyncOpenAI(api_key="sk-test-not-a-key", stack=Stack([polite], transport=transport))
    await client.chat.completions.create(**ASK)
    async for _ in await client.chat.completions.create(**ASK, stream=True):
        pass
    assert [call.params["temperature"] for call in transport.calls] == [0, 0]
    assert [tokens for _, tokens in polite.seen] == [2, 2]
