"""What is kept: whole answers, and nothing else."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.middleware import Retry
from llmstack.middleware.cache import Cache, CacheHit, CacheStored
from llmstack.testing import REFUSAL_MARKER, TOOL_MARKER, LocalServer
from llmstack.testing.scripted import text_body
from tests.core.side import MESSAGES, PREAMBLE, Side, chunk, lost, spoken
from tests.middleware.cache_rig import Desk, call_of

TOOLS: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def body_of(endpoint: str) -> dict[str, Any]:
    """A whole answer."""
    if endpoint == "moderations":
        return {"id": "modr-1", "model": "m", "results": [{"flagged": False, "categories": {}}]}
    return text_body(call_of(endpoint), "Hello")


def without(body: Mapping[str, Any], *path: Any) -> dict[str, Any]:
    """The answer with something left out."""
    return with_(body, *path, value=None, drop=True)


def with_(body: Mapping[str, Any], *path: Any, value: Any, drop: bool = False) -> dict[str, Any]:
    """The answer with something in the place of another."""
    result: Any = copy.deepcopy(dict(body))
    inner = result
    for step in path[:-1]:
        inner = inner[step]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


CHAT, LEGACY, RESPONSE, JUDGED = map(body_of, ("chat.completions", "completions", "responses", "moderations"))
CALLING = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
REFUSING = {"id": "m", "type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
SEARCHING = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
NOT_KEPT: list[tuple[str, Any]] = [
    *[("chat.completions", with_(CHAT, "choices", 0, "finish_reason", value=why))
      for why in ("length", "content_filter", "tool_calls", "function_call", None, "", 7)],
    *[("chat.completions", with_(CHAT, "choices", 0, "message", "content", value=said)) for said in (None, "", 7, [])],
    ("chat.completions", with_(CHAT, "choices", 0, "message", "refusal", value="I cannot")),
    ("chat.completions", with_(CHAT, "choices", 0, "message", "tool_calls", value=CALLING)),
    ("chat.completions", with_(CHAT, "choices", 0, "message", "function_call", value={"name": "look"})),
    *[("chat.completions", with_(CHAT, "choices", value=value)) for value in (None, [], {}, [7], CHAT["choices"] * 2)],
    ("chat.completions", with_(CHAT, "choices", 0, "message", value=None)),
    ("chat.completions", with_(CHAT, "error", value={"message": "overloaded"})),
    ("chat.completions", without(CHAT, "choices")),
    *[("chat.completions", value) for value in ([], "text", 7, {})],
    *[("completions", with_(LEGACY, "choices", 0, "finish_reason", value=why)) for why in ("length", None)],
    *[("completions", with_(LEGACY, "choices", 0, "text", value=said)) for said in (None, "", 7)],
    ("completions", with_(LEGACY, "choices", value=[])),
    *[("responses", with_(RESPONSE, "status", value=status))
      for status in ("incomplete", "failed", "queued", "in_progress", "cancelled", None)],
    ("responses", with_(RESPONSE, "incomplete_details", value={"reason": "max_output_tokens"})),
    ("responses", with_(RESPONSE, "error", value={"code": "server_error"})),
    ("responses", with_(RESPONSE, "output", value=[])),
    ("responses", with_(RESPONSE, "output", value=[REFUSING])),
    ("responses", with_(RESPONSE, "output", value=[{"type": "reasoning", "id": "rs_1"}])),
    ("responses", with_(RESPONSE, "output", value=[SEARCHING, *RESPONSE["output"]])),
    ("responses", with_(RESPONSE, "output", 0, "status", value="incomplete")),
    ("responses", with_(RESPONSE, "output", 0, "content", value=[])),
    ("responses", with_(RESPONSE, "output", 0, "content", 0, "text", value="")),
    ("responses", with_(RESPONSE, "output", value=[None])),
    ("moderations", with_(JUDGED, "results", value=[])),
    ("moderations", with_(JUDGED, "results", value=JUDGED["results"] * 2)),
    ("moderations", with_(JUDGED, "results", 0, "flagged", value=None)),
]  # fmt: skip


def create(rig: Any, endpoint: str, **more: Any) -> Any:
    """Ask an endpoint."""
    given = {
        "chat.completions": {"messages": MESSAGES, "temperature": 0},
        "completions": {"prompt": "Say hello", "temperature": 0},
        "responses": {"input": "Say hello", "temperature": 0},
        "moderations": {"input": "Say hello"},
    }[endpoint]
    resource = rig.client
    for name in endpoint.split("."):
        resource = getattr(resource, name)
    return resource.create(**{"model": "m", **given, **more})


@pytest.mark.parametrize("endpoint", ["chat.completions", "completions", "responses", "moderations"])
def test_a_whole_answer_is_kept(endpoint: str) -> None:
    """What the other tests change something of."""
    side = Side("sync")
    rig = side.rig([Cache()], [body_of(endpoint)])
    for _ in range(2):
        create(rig, endpoint)
    assert len(rig.sent) == 1


@pytest.mark.parametrize(("endpoint", "body"), NOT_KEPT)
def test_what_is_not_whole_is_not_kept(endpoint: str, body: Any) -> None:
    """Refused, filtered, cut short, empty, calling tools, or no answer at all: the program gets it, the next asks."""
    side = Side("sync")
    rig = side.rig([Cache()], default=lambda _: Reply(body))
    for _ in range(2):
        create(rig, endpoint)
    assert len(rig.sent) == 2
    assert rig.recorder.of(CacheStored) == []
    side.assert_clean()


@pytest.mark.parametrize("fields", [{"complete": False}, {"no_store": True}, {"status": 203}])
def test_what_a_layer_further_in_says_is_not_for_keeping_is_not_kept(fields: Any) -> None:
    """Cut short, another model's, not the provider's own."""
    side = Side("sync")

    def inner(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call)).replace(**fields)

    rig = side.rig([Cache(), inner], default="Hello")
    for _ in range(2):
        create(rig, "chat.completions")
    assert len(rig.sent) == 2


def test_one_choice_of_several_that_is_cut_short_is_enough() -> None:
    """All or nothing."""
    rig = Side("sync").rig(
        [Cache()], default=with_(CHAT, "choices", value=[CHAT["choices"][0], {"finish_reason": "length"}])
    )
    for _ in range(2):
        create(rig, "chat.completions", n=2)
    assert len(rig.sent) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_answers_that_call_tools_are_kept_on_request(side: Side, server: LocalServer, stream: bool) -> None:  # noqa: FBT001
    """Not by default: they are half an answer, and what follows may do something."""
    asked = {"messages": [{"role": "user", "content": TOOL_MARKER}], "tools": TOOLS, "stream": stream}
    for allowed, sent in ((False, 2), (True, 1)):
        server.reset()
        desk = Desk(side, server, tool_calls=allowed)

        async def program(desk: Desk = desk) -> list[Any]:
            seen = []
            for _ in range(2):
                whole = await desk.ask(**asked)
                chunks = await side.read(whole) if stream else [whole]
                seen.append([getattr(c, "delta", None) or c.message for x in chunks for c in x.choices])
            return seen

        first, second = desk.run(program)
        assert any(message.tool_calls for message in first)
        assert any(message.tool_calls for message in second)
        assert desk.sent == sent


def test_tools_of_a_response_are_kept_on_request() -> None:
    """The same."""
    body = with_(RESPONSE, "output", value=[SEARCHING, *RESPONSE["output"]])
    rig = Side("sync").rig([Cache(tool_calls=True)], default=body)
    for _ in range(2):
        create(rig, "responses")
    assert len(rig.sent) == 1


@pytest.mark.parametrize("fault", ["content_filter", "truncated_json", "wrong_shape", "error_body", "html", "empty"])
def test_bad_answers_of_a_server_are_not_kept(side: Side, server: LocalServer, fault: Any) -> None:
    """With what the SDK makes of them, whatever that is."""
    desk = Desk(side, server)
    server.next(200, fault=fault)

    async def program() -> Any:
        with contextlib.suppress(ValueError, openai.OpenAIError):
            await desk.ask()
        return await desk.ask()

    assert desk.run(program).choices[0].message.content == "You said: Say hello"
    assert desk.sent == 2


def test_refusals_are_not_kept(side: Side, server: LocalServer) -> None:
    """The next time it may be another."""
    desk = Desk(side, server)
    refused = [{"role": "user", "content": REFUSAL_MARKER}]

    async def program() -> None:
        for _ in range(2):
            await desk.ask(messages=refused)
            await desk.stream(messages=refused)

    desk.run(program)
    assert desk.sent == 4


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_errors_are_never_kept(side: Side, server: LocalServer, status: int) -> None:
    """They are the SDK's own, each time."""
    desk = Desk(side, server)
    server.next(status, times=2)

    async def program() -> None:
        for _ in range(2):
            with pytest.raises(openai.APIStatusError) as caught:
                await desk.ask()
            assert caught.value.status_code == status
        await desk.ask()
        await desk.ask()

    desk.run(program)
    assert desk.sent == 3


BROKEN: list[list[Any]] = [
    [PREAMBLE, chunk("Hel")],
    [PREAMBLE, chunk("Hel"), lost()],
    [PREAMBLE, chunk("Hel"), {"error": {"message": "overloaded"}}],
    [PREAMBLE, chunk("Hel"), b"data: {broken\n\n"],
    spoken("Hello")[:-2],
    [PREAMBLE, chunk("Hel"), chunk(finish="length"), "[DONE]"],
]


@pytest.mark.parametrize("chunks", BROKEN)
def test_a_stream_that_breaks_is_not_kept(side: Side, chunks: list[Any]) -> None:
    """Wherever, and however."""
    cache = Cache(stream_usage=False)
    rig = side.rig([cache], [chunks, spoken("Hello")])

    async def program() -> str:
        stream = await side.do(rig.create(stream=True, temperature=0))
        with contextlib.suppress(ValueError, openai.OpenAIError):
            await side.read(stream)
        await side.close(stream)
        chunks = await side.read(await side.do(rig.create(stream=True, temperature=0)))
        return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    assert side.run(program) == "Hello"
    assert len(rig.sent) == 2
    assert rig.recorder.of(CacheHit) == []


def test_a_stream_that_the_program_leaves_is_not_kept(side: Side, server: LocalServer) -> None:
    """What was seen of it is no answer."""
    desk = Desk(side, server)

    async def program() -> None:
        for _ in range(2):
            stream = await desk.ask(stream=True, messages=[{"role": "user", "content": "word " * 50}])
            async for _ in side.each(stream):
                break
            await side.close(stream)

    desk.run(program)
    assert desk.sent == 2
    assert desk.of(CacheStored) == []


def test_it_stands_well_around_retries(side: Side, server: LocalServer) -> None:
    """The answer of the second attempt is kept; the third call sends nothing."""
    desk = Desk(side, server, Retry())
    desk.rig.client = desk.client.with_options(max_retries=1)
    server.next(500)

    async def program() -> None:
        for _ in range(2):
            await desk.ask()

    desk.run(program)
    assert desk.sent == 2
