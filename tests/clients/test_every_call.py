"""Every endpoint called once in every mode gives what the SDK gives and sends what the SDK sends."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import llmstack
from llmstack.testing import LocalServer
from tests.clients.calls import CALLS, Call
from tests.clients.differential import aobserve, assert_same, observe
from tests.clients.stacks import STACKS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


MODES = ("plain", "raw", "streaming")


def compare(theirs: type, ours: type, call: Call, mode: str, **options: Any) -> None:
    """With no plugin and with many; each on a server of its own."""
    with LocalServer() as server:
        expected = observe(theirs, server, getattr(call, mode), **options)
    for stack in STACKS:
        with LocalServer() as server:
            assert_same(observe(ours, server, getattr(call, mode), stack=stack(), **options), expected)


async def acompare(theirs: type, ours: type, call: Call, mode: str, **options: Any) -> None:
    """The same with async clients."""
    with LocalServer() as server:
        expected = await aobserve(theirs, server, getattr(call, mode), **options)
    for stack in STACKS:
        with LocalServer() as server:
            assert_same(await aobserve(ours, server, getattr(call, mode), stack=stack(), **options), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_call_equals_the_sdks(call: Call, mode: str) -> None:
    """Results, errors and bytes."""
    compare(openai.OpenAI, llmstack.OpenAI, call, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_an_async_call_equals_the_sdks(call: Call, mode: str) -> None:
    """The same with async clients."""
    await acompare(openai.AsyncOpenAI, llmstack.AsyncOpenAI, call, mode)


AZURE = [call for call in CALLS if call.azure]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", AZURE, ids=lambda call: call.name)
def test_a_call_to_azure_equals_the_sdks(call: Call, mode: str) -> None:
    """The deployment is in the path, the key in a header of its own."""
    compare(openai.AzureOpenAI, llmstack.AzureOpenAI, call, mode, azure=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", AZURE, ids=lambda call: call.name)
async def test_an_async_call_to_azure_equals_the_sdks(call: Call, mode: str) -> None:
    """The same with async clients."""
    await acompare(openai.AsyncAzureOpenAI, llmstack.AsyncAzureOpenAI, call, mode, azure=True)
