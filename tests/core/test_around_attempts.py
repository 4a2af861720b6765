"""Call.around_attempts: layers next to the transport, put there by a plugin further out."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack, Usage
from llmstack.effects import parallel
from llmstack.errors import PluginError, RefusedError
from llmstack.hookspecs import hookimpl
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, LocalServer, ScriptedTransport

ASKED: dict[str, Any] = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}


class Meter:
    """Sees every attempt, wherever it stands."""

    name = "meter"

    def __init__(self, fails: BaseException | None = None) -> None:
        self.seen: list[Any] = []
        self.fails = fails

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.around_attempts(self._attempt)))

    def _attempt(self, call: Call, next: Next) -> Flow[Reply]:
        if self.fails is not None:
            raise self.fails
        try:
            reply = yield from next(call)
        except Exception as error:
            self.seen.append(type(error).__name__)
            raise
        self.seen.append((reply.status, reply.complete, call.model))
        return reply


class Renames:
    """Stands further in and sends to another model."""

    name = "renames"

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.with_params(model="gpt-5-nano")))


class Prices:
    """Knows one price."""

    name = "prices"

    @hookimpl
    def llmstack_price(self, model: str, usage: Usage) -> Decimal | None:
        return Decimal(usage.total_tokens) if model == "gpt-5-nano" else None


def client_of(server: LocalServer, *plugins: Any, kind: Any = llmstack.OpenAI) -> Any:
    return kind(base_url=server.base_url, api_key="k", stack=Stack(plugins, clock=FakeClock()))


def test_it_sees_each_attempt_as_it_leaves(server: LocalServer) -> None:
    """Also the ones of a Retry further in, and what a layer further in made of the call."""
    server.next(status=503, times=2)
    meter = Meter()
    with client_of(server, meter, Retry(), Renames()) as client:
        client.chat.completions.create(**ASKED)
    assert meter.seen == ["InternalServerError", "InternalServerError", (200, True, "gpt-5-nano")]


def test_it_sees_the_end_of_a_stream(server: LocalServer) -> None:
    """Complete, or cut short by the program."""
    meter = Meter()
    with client_of(server, meter, Retry()) as client:
        assert list(client.chat.completions.create(**ASKED, stream=True))
        stream = client.chat.completions.create(**ASKED, stream=True)
        next(iter(stream))
        stream.close()
    assert meter.seen == [(200, True, "gpt-5-mini"), (200, False, "gpt-5-mini")]


def test_in_an_async_program_too(server: LocalServer) -> None:
    """The same layer."""
    server.next(status=503)
    meter = Meter()

    async def program() -> None:
        async with client_of(server, meter, Retry(), kind=llmstack.AsyncOpenAI) as client:
            await client.chat.completions.create(**ASKED)

    asyncio.run(program())
    assert meter.seen == ["InternalServerError", (200, True, "gpt-5-mini")]


def test_its_errors_bear_the_name_of_the_plugin_that_put_it_there(server: LocalServer) -> None:
    """Whether it failed or refused."""
    with client_of(server, Meter(ValueError("bug")), Retry()) as client:
        with pytest.raises(PluginError) as failed:
            client.chat.completions.create(**ASKED)
        assert failed.value.plugin == "meter"
    with client_of(server, Meter(RefusedError("no")), Retry()) as client:
        with pytest.raises(RefusedError) as refused:
            client.chat.completions.create(**ASKED)
        assert refused.value.plugin == "meter"
        assert refused.value.call is not None
    assert server.requests == []


def test_the_outer_plugins_layer_is_the_outer_one(server: LocalServer) -> None:
    """In the order of the plugins that asked for them."""
    order: list[str] = []

    def named(name: str) -> Any:
        def around(call: Call, next: Next) -> Flow[Reply]:
            order.append(name)
            return (yield from next(call))

        def plugin(call: Call, next: Next) -> Flow[Reply]:
            return (yield from next(call.around_attempts(around)))

        return plugin

    with client_of(server, named("outer"), named("inner")) as client:
        client.chat.completions.create(**ASKED)
    assert order == ["outer", "inner"]


def test_a_call_knows_what_the_stacks_plugins_say_of_prices(server: LocalServer) -> None:
    """For its own model or another; None where nobody knows, or the call is not under way."""
    usage = Usage(input_tokens=2, output_tokens=3)
    told: list[Any] = []

    def asks(call: Call, next: Next) -> Flow[Reply]:
        told.extend([call.price(usage), call.price(usage, "gpt-5-nano")])
        aside = call.aside("moderations", "/moderations", {"input": "x", "model": "gpt-5-nano"})
        told.append(aside.price(usage))
        return (yield from next(call))

    with client_of(server, asks, Prices()) as client:
        client.chat.completions.create(**ASKED)
    assert told == [None, Decimal(5), Decimal(5)]
    assert Call(path="/x", endpoint="x").price(usage) is None


@pytest.mark.parametrize("at_once", [False, True])
def test_it_knows_its_own_request_from_others(at_once: bool) -> None:  # noqa: FBT001
    """Also where several are sent at once: the number, and what had arrived when it failed."""
    seen: list[tuple[int, Any]] = []

    def around(call: Call, next: Next) -> Flow[Reply]:
        sent = call.sent
        assert sent is not None
        assert (sent.number, sent.reply) == (0, None)
        try:
            return (yield from next(call))
        finally:
            seen.append((sent.number, None if sent.reply is None else sent.reply.body["id"]))

    def twice(call: Call, next: Next) -> Flow[Reply]:
        assert call.sent is None
        call = call.around_attempts(around)
        if at_once:
            yield from parallel(next(call), next(call))
        return (yield from next(call.replace(verify=True)))

    answers = [{"id": str(number), "choices": []} for number in (1, 2)] if at_once else []
    # A 200 whose body is an error is no answer, but it has arrived.
    transport = ScriptedTransport([*answers, {"id": "odd", "error": {"message": "overloaded"}}])
    stack = Stack([twice], transport=transport)
    client = llmstack.OpenAI(api_key="k", base_url="http://nobody.invalid", stack=stack)
    with client, pytest.raises(openai.APIError):
        client.chat.completions.create(**ASKED)
    assert [number for number, _ in sorted(seen)] == ([1, 2, 3] if at_once else [1])
    assert sorted(name for _, name in seen) == (["1", "2", "odd"] if at_once else ["odd"])
