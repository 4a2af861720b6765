"""Requests that the API accepts: not one of them is refused in the default setting."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import llmstack
from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.errors import ValidationError
from llmstack.middleware.validation import Validation
from llmstack.testing import LocalServer
from tests.clients.calls import CALLS, Call
from tests.clients.differential import aobserve, assert_same, observe
from tests.middleware.validation_chats import CALLED, HI, RESULTS, chat
from tests.middleware.validation_rig import KEY, PATHS, Bench

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def strict() -> Stack:
    """The default setting, as it holds at OpenAI."""
    return Stack([Validation(api="openai")])


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_endpoint_is_passed_unharmed(call: Call) -> None:
    """Streams included; the same results and the same requests as the SDK's."""
    with LocalServer() as server:
        theirs = observe(openai.OpenAI, server, call.plain)
    with LocalServer() as server:
        assert_same(observe(llmstack.OpenAI, server, call.plain, stack=strict()), theirs)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_every_endpoint_is_passed_unharmed_in_async(call: Call) -> None:
    """The same with async clients."""
    with LocalServer() as server:
        theirs = await aobserve(openai.AsyncOpenAI, server, call.plain)
    with LocalServer() as server:
        assert_same(await aobserve(llmstack.AsyncOpenAI, server, call.plain, stack=strict()), theirs)


def examples() -> list[tuple[str, dict[str, Any]]]:
    """The requests in the SDK's own README whose arguments are literals."""
    text = importlib.metadata.metadata("openai").json["description"]
    found = []
    for block in re.findall(r"```python\n(.*?)```", str(text), re.DOTALL):
        try:
            tree = ast.parse(block)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (
                name := re.search(r"client\b.*\.(\w+)\.create$", ast.unparse(node.func))
            ):
                endpoint = {"completions": "chat"}.get(name[1], name[1])
                try:
                    given = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
                except ValueError:
                    continue
                if endpoint in PATHS:
                    found.append((endpoint, given))
    return found


EXAMPLES = examples()


def test_the_sdks_readme_has_examples():
    """Else the next test would show nothing."""
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize(("endpoint", "params"), EXAMPLES)
def test_the_sdks_own_examples_pass(endpoint, params):
    """As its README has them."""
    bench = Bench()
    bench.send(endpoint, params)
    assert [issue for issue in bench.warnings if issue.rule != "lifecycle"] == []


FREE = {"type": "object", "properties": {"a": {"type": ["string", "null"], "$ref": "#/$defs/b"}}, "$defs": {"b": {}}}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "42"}]}


def asked(items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": items, **more}


ACCEPTED: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown parameters": ("chat", chat(top_k=5, min_p=0.1, chat_template_kwargs={"thinking": True})),
    "an unknown role": ("chat", chat({"role": "critic", "content": None, "verdict": 3})),
    "an unknown part": ("chat", chat({"role": "user", "content": [{"type": "video_url", "video_url": {"url": "x"}}]})),
    "an unknown tool": ("chat", chat(tools=[{"type": "web", "web": {}}], tool_choice={"type": "web"})),
    "an unknown format": ("chat", chat(response_format={"type": "yaml", "schema": 5})),
    "nulls": ("chat", chat(temperature=None, stop=None, tools=None, logit_bias=None, stream_options=None, n=None)),
    "an empty text": ("chat", chat({"role": "user", "content": ""})),
    "tool calls and results in any order": ("chat", chat(HI, CALLED, *RESULTS, HI, CALLED, *RESULTS)),
    "an assistant that speaks and calls": ("chat", chat({**CALLED, "content": "wait"}, *RESULTS)),
    "an assistant that refuses": ("chat", chat(HI, {"role": "assistant", "refusal": "no"}, HI)),
    "an assistant that spoke": ("chat", chat(HI, {"role": "assistant", "content": None, "audio": {"id": "a"}}, HI)),
    "a deprecated function": ("chat", chat(HI, {"role": "function", "name": "f", "content": None})),
    "what a reply has": ("chat", chat({"role": "assistant", "content": "x", "refusal": None, "annotations": []})),
    "whole numbers as floats": ("chat", chat(max_tokens=100.0, temperature=2, top_p=0, n=128)),
    "keys of numbers": ("chat", chat(logit_bias={50256: -100, "1": 100})),
    "a fraction of a bias": ("chat", chat(logit_bias={"50256": -0.5})),
    "no stream, no options": ("chat", chat(stream_options={})),
    "no built-in tool calls": ("responses", {"model": "m", "input": "x", "max_tool_calls": 0}),
    "best of the default": ("completions", {"model": "m", "prompt": "x", "best_of": 0}),
    "one stop": ("chat", chat(stop="\n")),
    "a choice of a tool": (
        "chat",
        chat(
            tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
            tool_choice={"type": "function", "function": {"name": "f"}},
        ),
    ),
    "a loose schema": (
        "chat",
        chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": FREE, "strict": False}}),
    ),
    "a recursive strict schema": (
        "chat",
        chat(
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": "n",
                    "strict": True,
                    "schema": {
                        "type": "object",
                        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
                        "required": ["next"],
                        "additionalProperties": False,
                    },
                },
            }
        ),
    ),
    "text": ("responses", asked("hi", instructions="Be brief.", top_logprobs=5, max_output_tokens=16)),
    "messages": ("responses", asked([HI, {"type": "message", **HI}, {"role": "critic", "content": "x"}])),
    "an answer without its id": (
        "responses",
        asked([{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}]),
    ),
    "calls and outputs": ("responses", asked([CALL, OUTPUT, HI])),
    "an output before its call": ("responses", asked([OUTPUT, CALL, HI])),
    "an output of a call of another kind": ("responses", asked([{**CALL, "type": "custom_tool_call"}, OUTPUT])),
    "an output after an item newer than the SDK": ("responses", asked([{"type": "checkpoint", "state": "x"}, OUTPUT])),
    "a call that was cut off": ("responses", asked([{**CALL, "status": "incomplete"}, HI])),
    "a call whose tokens are counted": ("input_tokens", asked([HI, CALL])),
    "an output of a stored call": ("responses", asked([OUTPUT], previous_response_id="resp_1")),
    "an output of a conversation": ("responses", asked([OUTPUT], conversation={"id": "conv_1"})),
    "an output after a reference": ("responses", asked([{"type": "item_reference", "id": "fc_1"}, OUTPUT])),
    "references": ("responses", asked([{"id": "msg_1"}, HI])),
    "reasoning": ("responses", asked([{"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"}, HI])),
    "unknown items": ("responses", asked([{"type": "dream", "content": 5}])),
    "a template": ("responses", {"prompt": {"id": "pmpt_1", "variables": {"a": "b"}}}),
    "a template's tool": ("responses", {"prompt": {"id": "p"}, "tool_choice": {"type": "function", "name": "f"}}),
    "built-in tools": (
        "responses",
        asked("x", tools=[{"type": "web_search"}, {"type": "mcp", "server_label": "s"}], tool_choice="required"),
    ),
    "an unknown tool in responses": ("responses", asked("x", tools=[{"type": "dream", "depth": 3}])),
    "token ids": ("embeddings", {"model": "m", "input": [1] * 8191}),
    "lists of token ids": ("embeddings", {"model": "m", "input": [[1, 2], [3]]}),
    "many texts": ("embeddings", {"model": "m", "input": ["a"] * 2048}),
    "pictures to judge": ("moderations", {"input": [{"type": "image_url", "image_url": {"url": "x"}}]}),
    "a voice of one's own": ("speech", {"model": "m", "voice": {"id": "voice_1"}, "input": "x" * 4096}),
    "no prompt": ("completions", {"model": "m", "max_tokens": 0, "echo": True, "logprobs": 5}),
    "token ids as prompts": ("completions", {"model": "m", "prompt": [[1], [2]], "n": 2, "best_of": 2}),
    "ten pictures": ("images", {"model": "m", "prompt": "x" * 32_000, "n": 10, "stream": True}),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_openai_accepts_passes_without_a_word(name):
    """New roles, parts, tools, items and formats among it."""
    bench = Bench()
    bench.send(*ACCEPTED[name])
    assert bench.warnings == []
    assert len(bench.transport.calls) == 1


def test_an_iterator_is_left_alone():
    """Looking into it would use it up."""
    bench = Bench()
    bench.client.chat.completions.create(model="m", messages=iter([HI]))  # type: ignore[arg-type]
    assert bench.transport.calls[0].params["messages"] == [HI]


class City(BaseModel):
    """A type to answer with."""

    name: str
    mayor: str | None


def test_the_sdks_parse_passes():
    """Its strict schemas keep to the rules."""
    with LocalServer() as server, OpenAI(base_url=server.base_url, api_key=KEY, stack=strict()) as client:
        reply = client.chat.completions.parse(model="m", messages=[HI], response_format=City)  # type: ignore[list-item]
        assert reply.choices[0].message.parsed is not None
        tool = openai.pydantic_function_tool(City)
        client.chat.completions.parse(model="m", messages=[HI], tools=[tool])  # type: ignore[list-item]
        client.responses.parse(model="m", input="hi", text_format=City)


async def test_a_streamed_refusal_comes_when_the_stream_is_asked_for():
    """Sync and async alike, before anything is sent."""
    with LocalServer() as server:
        bad: Any = {"model": "m", "messages": [], "stream": True}
        with OpenAI(base_url=server.base_url, api_key=KEY, stack=strict()) as sync, pytest.raises(ValidationError):
            sync.chat.completions.create(**bad)
        async with AsyncOpenAI(base_url=server.base_url, api_key=KEY, stack=strict()) as client:
            with pytest.raises(ValidationError):
                await client.chat.completions.create(**bad)
        assert server.requests == []
