"""Programs of several calls give what they give with the SDK, and send what the SDK sends."""

from __future__ import annotations

import openai
import pytest

import llmstack
from llmstack.testing import LocalServer
from tests.clients.differential import aobserve, assert_same, observe
from tests.clients.programs import SCRIPTS, Script
from tests.clients.stacks import STACKS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # The SDK leaves its own generators to the garbage collector, which trio points out.
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_program_equals_the_sdks(script: Script) -> None:
    """Results, errors and bytes, with no plugin and with many."""
    with LocalServer() as server:
        theirs = observe(openai.OpenAI, server, script.play, **script.options)
    for stack in STACKS:
        with LocalServer() as server:
            ours = observe(llmstack.OpenAI, server, script.play, stack=stack(), **script.options)
        assert_same(ours, theirs)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
async def test_an_async_program_equals_the_sdks(script: Script) -> None:
    """The same with async clients, on both event loops."""
    with LocalServer() as server:
        theirs = await aobserve(openai.AsyncOpenAI, server, script.play, **script.options)
    for stack in STACKS:
        with LocalServer() as server:
            ours = await aobserve(llmstack.AsyncOpenAI, server, script.play, stack=stack(), **script.options)
        assert_same(ours, theirs)
