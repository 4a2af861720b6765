"""What a program puts in place of the SDK's methods, or around them, is what its calls go through."""

from __future__ import annotations

from typing import Any
from unittest import mock

import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import ScriptedTransport
from tests.wire.proxy import Proxy

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
MOCKED = {
    "openai.resources.chat.completions.Completions.create": lambda client: client.chat.completions.create(**ASK),
    "openai.resources.chat.completions.Completions.parse": lambda client: client.chat.completions.parse(**ASK),
    "openai.resources.responses.Responses.create": lambda client: client.responses.create(model="m", input="hi"),
    "openai.resources.embeddings.Embeddings.create": lambda client: client.embeddings.create(model="m", input="hi"),
    "openai.resources.moderations.Moderations.create": lambda client: client.moderations.create(input="hi"),
    "openai.resources.completions.Completions.create": lambda client: client.completions.create(model="m", prompt="hi"),
}


@pytest.mark.parametrize("name", MOCKED)
@pytest.mark.parametrize("make", [openai.OpenAI, OpenAI])
def test_a_mock_in_place_of_a_method_is_called(name: str, make: Any) -> None:
    """As the tests of many a program put it there: with what the program said, without the resource."""
    client = make(api_key="sk-test-not-a-key")
    with mock.patch(name, return_value="made up") as mocked:
        assert MOCKED[name](client) == "made up"
    mocked.assert_called_once()
    assert mocked.call_args.args == ()


async def test_a_mock_in_place_of_an_async_method_is_called() -> None:
    """`mock.patch` makes one that is awaited."""
    async with AsyncOpenAI(api_key="sk-test-not-a-key", stack=Stack([])) as client:
        with mock.patch.object(AsyncCompletions, "create", mock.AsyncMock(return_value="made up")):
            assert await client.chat.completions.create(**ASK) == "made up"


@pytest.mark.parametrize("name", ["openai.resources.chat.Chat.completions", "openai.OpenAI.chat"])
@pytest.mark.parametrize("make", [openai.OpenAI, OpenAI])
def test_a_mock_in_place_of_a_resource_is_asked(name: str, make: Any) -> None:
    """The whole of it."""
    with mock.patch(name) as mocked:
        answer = make(api_key="sk-test-not-a-key").chat.completions.create(**ASK)
    assert mocked.mock_calls
    assert isinstance(answer, mock.MagicMock)


async def test_a_proxy_around_a_method_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes for the function that it holds, and must not be taken for it."""
    told: list[str] = []
    stack = Stack([], transport=ScriptedTransport(["a", "b", "c", "d"]))
    with OpenAI(api_key="sk-test-not-a-key", stack=stack) as client:
        client.chat.completions.create(**ASK)
        assert told == []
        monkeypatch.setattr(Completions, "create", Proxy(vars(Completions)["create"], told))
        monkeypatch.setattr(AsyncCompletions, "create", Proxy(vars(AsyncCompletions)["create"], told))
        assert client.chat.completions.create(**ASK).choices[0].message.content == "b"
        assert client.chat.completions.with_raw_response.create(**ASK).parse().choices[0].message.content == "c"
    async with AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack) as aclient:
        assert (await aclient.chat.completions.create(**ASK)).choices[0].message.content == "d"
    assert told == ["create"] * 3
