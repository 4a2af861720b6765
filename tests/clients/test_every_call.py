"""Every endpoint called once in every mode gives what the SDK gives and sends what the SDK sends."""

from __future__ import annotations

import openai
import pytest

import llmstack
from llmstack.testing import LocalServer
from tests.clients.calls import CALLS, Call
from tests.clients.differential import Outcome, aobserve, assert_same, observe
from tests.clients.stacks import STACKS

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


MODES = ("plain", "raw", "streaming")


def by_sdk(kind: type, call: Call, mode: str, *, azure: bool) -> Outcome:
    with LocalServer() as server:
        return observe(kind, server, getattr(call, mode), azure=azure)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_call_equals_the_sdks(call: Call, mode: str) -> None:
    """Results, errors and bytes, with no plugin and with many."""
    theirs = by_sdk(openai.OpenAI, call, mode, azure=False)
    for stack in STACKS:
        with LocalServer() as server:
            assert_same(observe(llmstack.OpenAI, server, getattr(call, mode), stack=stack()), theirs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_an_async_call_equals_the_sdks(call: Call, mode: str) -> None:
    """The same with async clients."""
    with LocalServer() as server:
        theirs = await aobserve(openai.AsyncOpenAI, server, getattr(call, mode))
    for stack in STACKS:
        with LocalServer() as server:
            assert_same(await aobserve(llmstack.AsyncOpenAI, server, getattr(call, mode), stack=stack()), theirs)


AZURE = [call for call in CALLS if call.azure]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", AZURE, ids=lambda call: call.name)
def test_a_call_to_azure_equals_the_sdks(call: Call, mode: str) -> None:
    """The deployment is in the path, the key in a header of its own."""
    theirs = by_sdk(openai.AzureOpenAI, call, mode, azure=True)
    for stack in STACKS:
        with LocalServer() as server:
            ours = observe(llmstack.AzureOpenAI, server, getattr(call, mode), azure=True, stack=stack())
        assert_same(ours, theirs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", AZURE, ids=lambda call: call.name)
async def test_an_async_call_to_azure_equals_the_sdks(call: Call, mode: str) -> None:
    """The same with async clients."""
    with LocalServer() as server:
        theirs = await aobserve(openai.AsyncAzureOpenAI, server, getattr(call, mode), azure=True)
    for stack in STACKS:
        with LocalServer() as server:
            ours = await aobserve(llmstack.AsyncAzureOpenAI, server, getattr(call, mode), azure=True, stack=stack())
        assert_same(ours, theirs)
