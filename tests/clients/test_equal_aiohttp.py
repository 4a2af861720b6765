"""Over a session of aiohttp that is asked directly, a program sees what it sees through the SDK's adapter."""

from __future__ import annotations

import re
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Stack
from tests.clients.differential import Outcome, assert_same
from tests.clients.raw_server import Said
from tests.clients.test_equal_connections import (
    PLAIN,
    STREAM,
    STREAMED,
    STREAMS,
    WHOLE,
    Program,
    aplayed,
    calls,
    streams,
)

pytest.importorskip("aiohttp")
OURS: dict[str, Any] = {"http": "aiohttp", "stack": Stack([])}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def played(kind: type, program: Program, said: Said, first: bytes, **given: Any) -> Outcome:
    """What a program sees, without the server's port, which is in some of aiohttp's messages."""
    outcome = await aplayed(kind, program, [Said((first,)), said], max_retries=0, **given)
    for step in outcome.steps:
        if step and "message" in step:
            step["message"] = re.sub(r"127.0.0.1:\d+", "HOST", step["message"])
    return outcome


@pytest.mark.parametrize("name", WHOLE)
async def test_an_answer_is_what_the_sdk_sees(name: str) -> None:
    """Results, errors, the response and the bytes that were sent."""
    http_client = openai.DefaultAioHttpClient()
    theirs = await played(openai.AsyncOpenAI, calls, WHOLE[name], PLAIN, http_client=http_client)
    assert_same(await played(llmstack.AsyncOpenAI, calls, WHOLE[name], PLAIN, **OURS), theirs)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_what_the_sdk_sees(name: str) -> None:
    """Chunks, errors and the response."""
    http_client = openai.DefaultAioHttpClient()
    theirs = await played(openai.AsyncOpenAI, streams, STREAMED[name], STREAM, http_client=http_client)
    assert_same(await played(llmstack.AsyncOpenAI, streams, STREAMED[name], STREAM, **OURS), theirs)
