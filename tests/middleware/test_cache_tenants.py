"""No tenant is ever served another's answers; and a tenant's can be forgotten."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import llmstack
from llmstack import Call, options
from llmstack.errors import PluginError
from llmstack.middleware.cache import Cache
from llmstack.testing import LocalServer
from tests.core.side import Side
from tests.middleware.cache_rig import ASKED, Desk


def test_by_default_each_key_has_answers_of_its_own(side: Side, server: LocalServer, url: str) -> None:
    """Whether it is the client's or the call's."""
    desk = Desk(side, server, store=url)

    async def program() -> None:
        for _ in range(2):
            await desk.ask()
            await side.do(desk.client.with_options(api_key="sk-test-not-a-key-2").chat.completions.create(**ASKED))
            await desk.ask(extra_headers={"Authorization": "Bearer sk-test-not-a-key-3"})

    desk.run(program)
    assert desk.sent == 3


def test_each_tenant_has_answers_of_its_own(side: Side, server: LocalServer, url: str) -> None:
    """As the option of a call names it."""
    desk = Desk(side, server, store=url)

    async def program() -> None:
        for _ in range(2):
            for tenant in ("acme", "umbrella", None):
                with options(tenant=tenant):
                    await desk.ask()
                    await desk.embed("one", "two")

    desk.run(program)
    assert desk.sent == 6


def test_keys_of_one_tenant_share_answers_if_the_program_says_so(side: Side, server: LocalServer) -> None:
    """By a name, or by a function of the call; what is kept is parted by that alone."""
    for tenant in ("acme", lambda _: "acme"):
        server.reset()
        desk = Desk(side, server, tenant=tenant)

        async def program(desk: Desk = desk) -> None:
            await desk.ask()
            other = desk.client.with_options(api_key="sk-test-not-a-key-2")
            await side.do(other.chat.completions.create(**ASKED))
            await desk.ask(extra_headers={"Authorization": "Bearer sk-test-not-a-key-3"})

        desk.run(program)
        assert desk.sent == 1


def test_a_name_does_not_override_the_tenant_of_a_call(side: Side, server: LocalServer) -> None:
    """It is for calls that name none."""
    desk = Desk(side, server, tenant="acme")

    async def program() -> None:
        await desk.ask()
        with options(tenant="umbrella"):
            await desk.ask()
        with options(tenant="acme"):
            await desk.ask()

    desk.run(program)
    assert desk.sent == 2


def test_a_function_that_knows_no_tenant_falls_back(side: Side, server: LocalServer) -> None:
    """To one for each key."""
    desk = Desk(side, server, tenant=lambda call: call.options.tags.get("customer"))

    async def program() -> None:
        for _ in range(2):
            await desk.ask()
            await side.do(desk.client.with_options(api_key="sk-test-not-a-key-2").chat.completions.create(**ASKED))
            with options(tags={"customer": "acme"}):
                await desk.ask()

    desk.run(program)
    assert desk.sent == 3


def test_a_function_that_fails_fails_the_call(server: LocalServer) -> None:
    """Better no answer than one of somebody else's."""
    side = Side("sync")

    def broken(_: Call) -> str:
        raise LookupError

    desk = Desk(side, server, tenant=broken)

    async def program() -> None:
        with pytest.raises(PluginError, match="'cache' failed with LookupError"):
            await desk.ask()

    desk.run(program)
    assert desk.sent == 0


def test_a_tenants_answers_can_be_forgotten(side: Side, server: LocalServer, url: str) -> None:
    """Those of others stay; without a name all go."""
    desk = Desk(side, server, store=url)

    async def purge(tenant: str | None = None) -> int:
        return await desk.cache.apurge(tenant) if side.asynchronous else desk.cache.purge(tenant)

    async def program() -> None:
        for tenant in ("acme", "umbrella"):
            with options(tenant=tenant):
                await desk.ask()
                await desk.embed("one", "two")
        assert await purge("acme") == 3
        assert await purge("acme") == 0
        with options(tenant="umbrella"):
            await desk.ask()
        assert desk.sent == 4
        with options(tenant="acme"):
            await desk.ask()
        assert desk.sent == 5
        assert await purge() == 4
        with options(tenant="umbrella"):
            await desk.ask()
        assert desk.sent == 6

    desk.run(program)


def test_two_clients_share_a_cache(server: LocalServer) -> None:
    """Sync and async alike, for the same key and address."""
    cache = Cache()
    stack = llmstack.Stack([cache])
    given: dict[str, Any] = {"api_key": "sk-test-not-a-key", "base_url": server.base_url, "stack": stack}

    async def program() -> Any:
        async with llmstack.AsyncOpenAI(**given) as client:
            return await client.chat.completions.create(**ASKED)

    with llmstack.OpenAI(**given) as client:
        first = client.chat.completions.create(**ASKED)
    assert Side("trio").run(program) == Side("asyncio").run(program) == first
    assert server.count() == 1
    with openai.OpenAI(api_key="sk-test-not-a-key", base_url=server.base_url) as bare:
        assert bare.chat.completions.create(**ASKED).choices == first.choices
