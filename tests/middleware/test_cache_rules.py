"""Which calls are cached, and what a program says of one."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack import Call, options
from llmstack.errors import CacheMissError, OptionError
from llmstack.middleware.cache import Cache, CacheHit, CacheStored
from llmstack.testing import LocalServer
from tests.core.side import Side
from tests.middleware.cache_rig import ASKED, Desk, call_of


@pytest.mark.parametrize(
    ("endpoint", "params", "cached"),
    [
        ("chat.completions", {}, False),
        ("chat.completions", {"temperature": 0}, True),
        ("chat.completions", {"temperature": 0.0}, True),
        ("chat.completions", {"temperature": 0.1}, False),
        ("chat.completions", {"temperature": False}, False),
        ("chat.completions", {"temperature": None}, False),
        ("chat.completions", {"temperature": 1, "seed": 0}, True),
        ("chat.completions", {"seed": None}, False),
        ("responses", {"temperature": 0}, True),
        ("responses", {"temperature": 1}, False),
        ("responses", {"temperature": 0, "background": True}, False),
        ("responses", {"temperature": 0, "conversation": "conv_1"}, False),
        ("responses", {"temperature": 0, "previous_response_id": "resp_1"}, True),
        ("completions", {"seed": 1}, True),
        ("completions", {}, False),
        ("embeddings", {"input": "a"}, True),
        ("moderations", {"input": "a"}, True),
        ("images.generations", {"prompt": "a", "temperature": 0}, False),
        ("audio.speech", {"input": "a", "temperature": 0}, False),
    ],
)
def test_by_default_what_is_meant_to_have_one_answer(endpoint: str, params: Any, cached: bool) -> None:  # noqa: FBT001
    """Embeddings, moderations, and completions with temperature=0 or a seed."""
    explained = Cache().explain_key(call_of(endpoint, **params))
    assert bool(explained.key) == cached
    assert bool(explained.reason) == (not cached)


def test_always_is_always(side: Side, server: LocalServer) -> None:
    """Whatever the temperature."""
    desk = Desk(side, server, when="always")

    async def program() -> None:
        for _ in range(2):
            await desk.ask(temperature=1)

    desk.run(program)
    assert desk.sent == 1


def test_a_function_decides(side: Side, server: LocalServer) -> None:
    """Call by call."""
    desk = Desk(side, server, when=lambda call: call.model == "kept")

    async def program() -> None:
        for model in ("kept", "other", "kept", "other"):
            await desk.ask(model=model, temperature=1)

    desk.run(program)
    assert desk.sent == 3


@pytest.mark.parametrize(
    "call",
    [
        Call(method="GET", path="/chat/completions", endpoint="chat.completions", params={"temperature": 0}),
        Call(path="/chat/completions/c-1", endpoint="chat.completions", params={"temperature": 0}),
        Call(path="/responses/r-1/cancel", endpoint="responses.cancel", params={"temperature": 0}),
        Call(path="/chat/completions", endpoint="chat.completions"),
    ],
)
def test_what_is_done_with_one_stored_answer_is_no_question(call: Call) -> None:
    """Nor is reading a list of them, nor a body that is no JSON."""
    assert Cache(when="always").explain_key(call).reason == "it is of no kind that is"


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/openai/deployments/m/chat/completions", "/chat/completions/?a=b"]
)
def test_the_address_of_a_question_may_have_a_prefix(path: str) -> None:
    """Azure's, or a gateway's."""
    assert Cache(when="always").explain_key(Call(path=path, endpoint="chat.completions", params={"model": "m"})).key


def test_a_call_can_go_without(side: Side, server: LocalServer) -> None:
    """Neither served nor kept; by the option, or by a header."""
    desk = Desk(side, server)

    async def program() -> None:
        with options(cache="off"):
            await desk.ask()
        with options(cache=False):
            await desk.ask()
        await desk.ask(extra_headers={"x-llmstack-cache": "off"})
        await desk.ask()
        with options(cache="on"):
            await desk.ask()

    desk.run(program)
    assert desk.sent == 4
    assert len(desk.of(CacheHit)) == len(desk.of(CacheStored)) == 1


def test_a_call_can_be_asked_anew(side: Side, server: LocalServer) -> None:
    """What it brings is kept in the place of what was there."""
    desk = Desk(side, server)

    async def program() -> tuple[Any, Any, Any]:
        first = await desk.ask()
        with options(cache="refresh"):
            second = await desk.ask()
        return first, second, await desk.ask()

    first, second, third = desk.run(program)
    assert first.id != second.id == third.id
    assert desk.sent == 2


def test_a_call_can_be_served_from_the_cache_only(side: Side, server: LocalServer) -> None:
    """What is not there, or is never kept, is an error that says so; nothing is sent."""
    desk = Desk(side, server)

    async def program() -> None:
        with options(cache="only"):
            with pytest.raises(CacheMissError, match=r"nothing is kept .*plugin 'cache'"):
                await desk.ask()
            with pytest.raises(CacheMissError, match="when='deterministic'"):
                await desk.ask(temperature=1)
            with pytest.raises(CacheMissError):
                await desk.embed("a")
        await desk.ask()
        await desk.embed("a")
        with options(cache="only"):
            await desk.ask()
            await desk.embed("a", "a")
            with pytest.raises(CacheMissError):
                await desk.embed("a", "b")
            await side.do(desk.client.models.retrieve("m"))

    desk.run(program)
    assert desk.sent == 3


def test_a_call_can_say_how_long(side: Side, server: LocalServer) -> None:
    """How long its answer is kept, and how old one may be that it is served."""
    desk = Desk(side, server, ttl=100)

    async def program() -> None:
        with options(ttl=10):
            await desk.ask()  # kept for 10 s
            desk.clock.advance(9)
            await desk.ask()
            assert desk.sent == 1
            desk.clock.advance(1)
            await desk.ask()
            assert desk.sent == 2
        await desk.ask(seed=1)  # kept for 100 s
        desk.clock.advance(50)
        await desk.ask(seed=1)
        assert desk.sent == 3
        await desk.ask(seed=1, extra_headers={"x-llmstack-ttl": "50"})  # it may not be as old as that
        assert desk.sent == 4

    desk.run(program)


@pytest.mark.parametrize(
    "wrong", [{"cache": "never"}, {"cache": 7}, {"ttl": 0}, {"ttl": -1}, {"ttl": "x"}, {"ttl": True}]
)
def test_a_wrong_wish_is_an_error(wrong: Any) -> None:
    """Before anything is sent."""
    side = Side("sync")
    rig = side.rig([Cache()], default="Hello")
    with options(**wrong), pytest.raises(OptionError, match=next(iter(wrong))):
        rig.create(temperature=0)
    assert rig.sent == []


def test_what_is_too_old_is_asked_anew(side: Side, server: LocalServer) -> None:
    """After `ttl` seconds of the stack's clock."""
    desk = Desk(side, server, ttl=60)

    async def program() -> None:
        await desk.ask()
        desk.clock.advance(59.9)
        await desk.ask()
        assert desk.sent == 1
        desk.clock.advance(0.1)
        await desk.ask()
        assert desk.sent == 2

    desk.run(program)


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": float("nan")},
        {"ttl": float("inf")},
        {"ttl": "3600"},
        {"ttl": True},
        {"stale_if_error": -1},
        {"when": "sometimes"},
        {"when": None},
        {"tenant": 7},
        {"max_bytes": 0},
        {"max_bytes": 1.5},
        {"single_flight": 0},
        {"single_flight": -1.0},
        {"single_flight": "yes"},
        {"pace": 0},
        {"pace": "slow"},
    ],
)
def test_a_wrong_option_is_refused_at_once(wrong: Any) -> None:
    """It is named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Cache(**wrong)


def test_asked_holds_what_is_cached() -> None:
    """What the rig asks is a question that is kept by default."""
    assert Cache().explain_key(call_of("chat.completions", **ASKED)).key
