"""A transport of a place of its own: any client gives what the SDK would give there, and sends what the SDK would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Stack
from llmstack.testing import LocalServer
from tests.clients.calls import CALLS, Call
from tests.clients.differential import KEY, Outcome, aobserve, assert_same, observe
from tests.clients.faults import FAULTS, STREAM_FAULTS, STREAMS, WHOLE, WRAPS_ERRORS_OF_STREAMS
from tests.clients.programs import SCRIPTS
from tests.transports.own_rig import AZURE_VERSION, OUTER, to_azure, to_azure_v1, to_openai

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def assert_equal(ours: Outcome, theirs: Outcome) -> None:
    """What went over the wire is what the server got: the outer client sent nothing."""
    assert ours.requests == []
    ours.requests = theirs.requests
    assert_same(ours, theirs)


def compare(program: Any, way: Any, order: Callable[[LocalServer], Any] | None = None, **there: Any) -> None:
    """Play a program with the SDK's client, and with ours that points elsewhere."""
    with LocalServer() as server:
        if order:
            order(server)
        kind: Any = openai.AzureOpenAI if there.get("azure") else openai.OpenAI
        expected = observe(kind, server, program, **placed(server, there))
    with LocalServer() as server:
        if order:
            order(server)
        with Stack([], transport=way(server)) as stack:
            assert_equal(observe(llmstack.OpenAI, server, program, stack=stack, **OUTER | reading(there)), expected)


async def acompare(program: Any, way: Any, order: Callable[[LocalServer], Any] | None = None, **there: Any) -> None:
    """The same with async clients."""
    with LocalServer() as server:
        if order:
            order(server)
        kind: Any = openai.AsyncAzureOpenAI if there.get("azure") else openai.AsyncOpenAI
        expected = await aobserve(kind, server, program, **placed(server, there))
    with LocalServer() as server:
        if order:
            order(server)
        async with Stack([], transport=way(server)) as stack:
            outcome = await aobserve(llmstack.AsyncOpenAI, server, program, stack=stack, **OUTER | reading(there))
            assert_equal(outcome, expected)


def reading(there: dict[str, Any]) -> dict[str, Any]:
    """The arguments that say how answers are read, which is the program's client's business."""
    return {name: value for name, value in there.items() if name.startswith("_")}


def placed(server: LocalServer, there: dict[str, Any]) -> dict[str, Any]:
    """The SDK's client's arguments; the surface v1 is reached by its plain client."""
    return {"base_url": f"{server.azure_endpoint}/openai/v1"} if there.get("v1") else there


@pytest.mark.parametrize("mode", ["plain", "raw", "streaming"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_call_equals_the_sdks(call: Call, mode: str) -> None:
    """On every endpoint, in every mode: results, errors and bytes."""
    compare(getattr(call, mode), to_openai)


@pytest.mark.parametrize("mode", ["plain", "raw", "streaming"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_an_async_call_equals_the_sdks(call: Call, mode: str) -> None:
    """The same with async clients."""
    await acompare(getattr(call, mode), to_openai)


# What these say of keys and of the client itself is for the client's own host; see test_openai_own_keys.
OF_THE_CLIENT = {"what is said per call", "what is said to copies", "defaults of the client"}
PROGRAMS = [script for script in SCRIPTS if script.name not in OF_THE_CLIENT]


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda script: script.name)
def test_a_program_equals_the_sdks(script: Any) -> None:
    """Pages, uploads, polling, parsing, streams: what a program does with several requests."""
    compare(script.play, to_openai, **script.options)


@pytest.mark.parametrize("script", PROGRAMS, ids=lambda script: script.name)
async def test_an_async_program_equals_the_sdks(script: Any) -> None:
    """The same with async clients."""
    await acompare(script.play, to_openai, **script.options)


AZURE = [call for call in CALLS if call.azure]
SURFACES = pytest.mark.parametrize(
    ("way", "there"), [(to_azure, {"azure": True}), (to_azure_v1, {"v1": True})], ids=["deployments", "v1"]
)


@SURFACES
@pytest.mark.parametrize("mode", ["plain", "raw", "streaming"])
@pytest.mark.parametrize("call", AZURE, ids=lambda call: call.name)
def test_a_call_to_azure_equals_the_sdks(call: Call, mode: str, way: Any, there: Any) -> None:
    """By both surfaces."""
    compare(getattr(call, mode), way, **there)


@SURFACES
@pytest.mark.parametrize("mode", ["plain", "raw", "streaming"])
@pytest.mark.parametrize("call", AZURE, ids=lambda call: call.name)
async def test_an_async_call_to_azure_equals_the_sdks(call: Call, mode: str, way: Any, there: Any) -> None:
    """The same with async clients."""
    await acompare(getattr(call, mode), way, **there)


EVERY_FAULT = [
    *((fault, WHOLE, order) for fault, order in FAULTS.items()),
    # Early SDKs let the HTTP library's errors out of streams, and ours never do.
    *((f"stream: {fault}", STREAMS, order) for fault, order in STREAM_FAULTS.items() if WRAPS_ERRORS_OF_STREAMS),
]


@pytest.mark.parametrize(("programs", "order"), [fault[1:] for fault in EVERY_FAULT], ids=[f[0] for f in EVERY_FAULT])
def test_an_error_equals_the_sdks(programs: Any, order: Any) -> None:
    """Of every kind: status, body, connection, stream."""
    for program in programs:
        compare(program, to_openai, order)


@pytest.mark.parametrize(("programs", "order"), [fault[1:] for fault in EVERY_FAULT], ids=[f[0] for f in EVERY_FAULT])
async def test_an_async_error_equals_the_sdks(programs: Any, order: Any) -> None:
    """The same with async clients."""
    for program in programs:
        await acompare(program, to_openai, order)


def test_the_rig_speaks_of_the_same_version() -> None:
    """The SDK's Azure client above is asked for the version that the transport has."""
    with (
        LocalServer() as server,
        openai.AzureOpenAI(azure_endpoint=server.azure_endpoint, api_version=AZURE_VERSION, api_key=KEY) as client,
    ):
        assert client.models.list().data
