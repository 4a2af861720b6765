"""Requests that OpenAI refuses: each is refused here first, with the path of what is wrong."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.middleware.validation_rig import Bench

HI = {"role": "user", "content": "hi"}


def chat(**more: Any) -> dict[str, Any]:
    """A chat."""
    return {"model": "m", "messages": [HI], **more}


def said(*messages: Any) -> dict[str, Any]:
    """A chat of these messages."""
    return {"model": "m", "messages": list(messages)}


def called(*ids: str) -> dict[str, Any]:
    """An assistant's message that calls tools."""
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(called_id: str) -> dict[str, Any]:
    """What a tool said."""
    return {"role": "tool", "tool_call_id": called_id, "content": "42"}


def part(**fields: Any) -> dict[str, Any]:
    """A chat whose message has one part."""
    return said({"role": "user", "content": [fields]})


def function(**fields: Any) -> dict[str, Any]:
    """A chat with one function."""
    return chat(tools=[{"type": "function", "function": {"name": "f", **fields}}])


def formatted(schema: Any, *, strict: bool = False, name: str = "answer") -> dict[str, Any]:
    """A chat that asks for JSON."""
    inner = {"name": name, "schema": schema, "strict": strict}
    return chat(response_format={"type": "json_schema", "json_schema": inner})


def asked(items: Any, **more: Any) -> dict[str, Any]:
    """A Responses request."""
    return {"model": "m", "input": items, **more}


TOOL = {"type": "function", "function": {"name": "f"}}
NO_ID = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA = "response_format.json_schema.schema"
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

CHAT: list[tuple[str, dict[str, Any], str]] = [
    ("no messages", {"model": "m"}, "messages"),
    ("empty messages", said(), "messages"),
    ("messages as text", {"model": "m", "messages": "hi"}, "messages"),
    ("a message as text", said("hi"), "messages[0]"),
    ("no role", said({"content": "hi"}), "messages[0].role"),
    ("a role that is no text", said({"role": 1, "content": "hi"}), "messages[0].role"),
    ("no content", said({"role": "user"}), "messages[0].content"),
    ("null content", said(HI, {"role": "system", "content": None}), "messages[1].content"),
    ("content as number", said({"role": "user", "content": 5}), "messages[0].content"),
    ("content as object", said({"role": "user", "content": {"text": "hi"}}), "messages[0].content"),
    ("no parts", said({"role": "user", "content": []}), "messages[0].content"),
    ("a silent assistant", said(HI, {"role": "assistant", "content": None}), "messages[1].content"),
    ("a part as text", said({"role": "user", "content": ["hi"]}), "messages[0].content[0]"),
    ("a part without a type", part(text="hi"), "messages[0].content[0].type"),
    ("a text part without text", part(type="text"), "messages[0].content[0].text"),
    ("a picture without an object", part(type="image_url", image_url="x"), "messages[0].content[0].image_url"),
    ("a picture without a URL", part(type="image_url", image_url={}), "messages[0].content[0].image_url.url"),
    ("sound without data", part(type="input_audio", input_audio={}), "messages[0].content[0].input_audio.data"),
    ("a file without a file", part(type="file"), "messages[0].content[0].file"),
    ("a result of no call", said(HI, result("a")), "messages[1].tool_call_id"),
    ("a result without an id", said(HI, {"role": "tool", "content": "x"}), "messages[1].tool_call_id"),
    ("a result of another call", said(called("a"), result("a"), result("b")), "messages[2].tool_call_id"),
    ("two results of a call", said(called("a"), result("a"), result("a")), "messages[2].tool_call_id"),
    ("a call without a result", said(called("a"), HI), "messages[0].tool_calls[0].id"),
    ("a call at the end", said(HI, called("a")), "messages[1].tool_calls[0].id"),
    ("one of two results", said(called("a", "b"), result("a"), HI), "messages[0].tool_calls[1].id"),
    ("no calls", said(HI, {"role": "assistant", "content": "x", "tool_calls": []}), "messages[1].tool_calls"),
    ("a call without an id", said({**called(), "tool_calls": [NO_ID]}), "messages[0].tool_calls[0].id"),
    ("temperature too high", chat(temperature=2.1), "temperature"),
    ("temperature too low", chat(temperature=-0.1), "temperature"),
    ("temperature as text", chat(temperature="1"), "temperature"),
    ("top_p too high", chat(top_p=1.01), "top_p"),
    ("no choices", chat(n=0), "n"),
    ("half a choice", chat(n=1.5), "n"),
    ("a true choice", chat(n=True), "n"),
    ("presence_penalty", chat(presence_penalty=2.5), "presence_penalty"),
    ("frequency_penalty", chat(frequency_penalty=-3), "frequency_penalty"),
    ("a bias too big", chat(logit_bias={"50256": -101}), "logit_bias.50256"),
    ("a bias of a word", chat(logit_bias={"hello": 1}), "logit_bias"),
    ("top_logprobs alone", chat(top_logprobs=2), "top_logprobs"),
    ("too many top_logprobs", chat(logprobs=True, top_logprobs=21), "top_logprobs"),
    ("max_tokens", chat(max_tokens=0), "max_tokens"),
    ("max_completion_tokens", chat(max_completion_tokens=-1), "max_completion_tokens"),
    ("both limits", chat(max_tokens=5, max_completion_tokens=5), "max_tokens"),
    ("five stops", chat(stop=["a", "b", "c", "d", "e"]), "stop"),
    ("a stop that is no text", chat(stop=[1]), "stop[0]"),
    ("NaN", chat(temperature=math.nan), "temperature"),
    ("infinity deep inside", chat(metadata={"a": math.inf}), "metadata.a"),
    ("stream_options alone", chat(stream_options={"include_usage": True}), "stream_options"),
    ("much metadata", chat(metadata={str(i): "x" for i in range(17)}), "metadata"),
    ("long metadata", chat(metadata={"a": "x" * 513}), "metadata"),
    ("metadata of numbers", chat(metadata={"a": 1}), "metadata.a"),
    ("an empty model", {**chat(), "model": ""}, "model"),
    ("a model that is no text", {**chat(), "model": 5}, "model"),
    ("seed as text", chat(seed="x"), "seed"),
    ("modalities as text", chat(modalities="text"), "modalities"),
]

TOOLS: list[tuple[str, dict[str, Any], str]] = [
    ("a tool without a type", chat(tools=[{"function": {"name": "f"}}]), "tools[0].type"),
    ("a function that is not there", chat(tools=[{"type": "function"}]), "tools[0].function"),
    ("a function without a name", chat(tools=[{"type": "function", "function": {"x": 1}}]), "tools[0].function.name"),
    ("a name with a blank", function(name="get weather"), "tools[0].function.name"),
    ("a name too long", function(name="f" * 65), "tools[0].function.name"),
    ("a deprecated function's name", chat(functions=[{"name": "a.b"}]), "functions[0].name"),
    ("parameters as text", function(parameters="x"), "tools[0].function.parameters"),
    ("parameters of a list", function(parameters={"type": "array"}), "tools[0].function.parameters.type"),
    ("an unknown type", function(parameters={"type": "object", "properties": {"a": {"type": "str"}}}),
     "tools[0].function.parameters.properties.a.type"),
    ("strict, but open", function(strict=True, parameters={"type": "object", "properties": {}}),
     "tools[0].function.parameters.additionalProperties"),
    ("a choice of no tool", chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}),
     "tool_choice.function.name"),
    ("a choice without a name", chat(tools=[TOOL], tool_choice={"type": "function"}), "tool_choice.function"),
    ("a forced choice of none", chat(tool_choice="required"), "tool_choice"),
    ("a format without a type", chat(response_format={}), "response_format.type"),
    ("a format without a schema", chat(response_format={"type": "json_schema"}), "response_format.json_schema"),
    ("a format's name", formatted(STRICT, name="my answer"), "response_format.json_schema.name"),
    ("a schema as text", formatted("object"), SCHEMA),
    ("a schema's properties", formatted({"type": "object", "properties": []}), f"{SCHEMA}.properties"),
    ("a schema's required", formatted({"type": "object", "required": "a"}), f"{SCHEMA}.required"),
    ("an empty anyOf", formatted({"type": "object", "properties": {"a": {"anyOf": []}}}),
     f"{SCHEMA}.properties.a.anyOf"),
    ("a reference to nothing", formatted({"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}),
     f"{SCHEMA}.properties.a.$ref".replace("$ref", "*")),
    ("strict, not required", formatted({**STRICT, "required": []}, strict=True), f"{SCHEMA}.required"),
    ("strict, a list at the root", formatted({"type": "array", "items": STRICT}, strict=True), f"{SCHEMA}.type"),
    ("strict, open inside", formatted({**STRICT, "properties": {"a": {"type": "object", "properties": {}}}},
                                      strict=True), f"{SCHEMA}.properties.a.additionalProperties"),
]  # fmt: skip

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "42"}

OTHERS: list[tuple[str, str, dict[str, Any], str]] = [
    ("no input", "responses", {"model": "m"}, "input"),
    ("input as number", "responses", asked(5), "input"),
    ("an item as text", "responses", asked(["hi"]), "input[0]"),
    ("an item without role and type", "responses", asked([{"content": "x"}]), "input[0].role"),
    ("an item without content", "responses", asked([{"role": "user"}]), "input[0].content"),
    ("content as number", "responses", asked([{"role": "user", "content": 1}]), "input[0].content"),
    ("an output of no call", "responses", asked([OUTPUT]), "input[0].call_id"),
    ("an output without its text", "responses", asked([CALL, {**OUTPUT, "output": None}]), "input[1].output"),
    ("a call without its output", "responses", asked([CALL, HI]), "input[0].call_id"),
    ("a call without a name", "responses", asked([{**CALL, "name": None}, OUTPUT]), "input[0].name"),
    ("two pasts", "responses", asked("x", previous_response_id="r", conversation="c"), "previous_response_id"),
    ("temperature", "responses", asked("x", temperature=3), "temperature"),
    ("no output", "responses", asked("x", max_output_tokens=0), "max_output_tokens"),
    ("a function's name", "responses", asked("x", tools=[{"type": "function", "name": "a b"}]), "tools[0].name"),
    ("a choice of no tool", "responses", asked("x", tool_choice={"type": "function", "name": "f"}), "tool_choice.name"),
    ("a format without a schema", "responses", asked("x", text={"format": {"type": "json_schema", "name": "a"}}),
     "text.format.schema"),
    ("a sum without tools", "input_tokens", asked(5), "input"),
    ("no input", "embeddings", {"model": "m"}, "input"),
    ("empty input", "embeddings", {"model": "m", "input": ""}, "input"),
    ("no inputs", "embeddings", {"model": "m", "input": []}, "input"),
    ("an empty text", "embeddings", {"model": "m", "input": ["a", ""]}, "input[1]"),
    ("an input of objects", "embeddings", {"model": "m", "input": [{"a": 1}]}, "input[0]"),
    ("token ids and texts", "embeddings", {"model": "m", "input": ["a", 5]}, "input[1]"),
    ("too many inputs", "embeddings", {"model": "m", "input": ["a"] * 2049}, "input"),
    ("no dimensions", "embeddings", {"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
    ("half token ids", "embeddings", {"model": "m", "input": [[1.5]]}, "input[0][0]"),
    ("nothing to judge", "moderations", {"input": []}, "input"),
    ("a number to judge", "moderations", {"input": 5}, "input"),
    ("nothing to say", "speech", {"model": "m", "voice": "alloy", "input": ""}, "input"),
    ("too much to say", "speech", {"model": "m", "voice": "alloy", "input": "x" * 4097}, "input"),
    ("said too fast", "speech", {"model": "m", "voice": "alloy", "input": "x", "speed": 5}, "speed"),
    ("no picture", "images", {"model": "m"}, "prompt"),
    ("a picture of nothing", "images", {"model": "m", "prompt": ""}, "prompt"),
    ("a long picture", "images", {"model": "m", "prompt": "x" * 32_001}, "prompt"),
    ("many pictures", "images", {"model": "m", "prompt": "x", "n": 11}, "n"),
    ("no prompts", "completions", {"model": "m", "prompt": []}, "prompt"),
    ("many logprobs", "completions", {"model": "m", "prompt": "x", "logprobs": 6}, "logprobs"),
    ("best of too few", "completions", {"model": "m", "prompt": "x", "n": 3, "best_of": 2}, "best_of"),
]  # fmt: skip

CATALOGUE = [(f"chat: {name}", "chat", params, path) for name, params, path in [*CHAT, *TOOLS]] + [
    (f"{endpoint}: {name}", endpoint, params, path) for name, endpoint, params, path in OTHERS
]


@pytest.mark.parametrize(("endpoint", "params", "path"), [row[1:] for row in CATALOGUE], ids=[r[0] for r in CATALOGUE])
def test_a_wrong_request_is_refused_with_the_path_of_what_is_wrong(endpoint, params, path):
    """Nothing is sent, and nothing else is complained about."""
    error = Bench().refused(endpoint, params)
    assert [issue.path for issue in error.issues] == [path]
    assert {issue.rule for issue in error.issues} == {"shape"}
    assert str(error.issues[0]) in str(error)


def test_the_catalogue_is_long_enough():
    """At least sixty."""
    assert len(CATALOGUE) >= 60


def test_all_problems_are_told_at_once():
    """Not just the first."""
    params = said({"role": "user", "content": 5}, result("x")) | {"temperature": 3, "n": 0, "stop": [1]}
    error = Bench().refused("chat", params)
    wanted = ["messages[0].content", "messages[1].tool_call_id", "temperature", "n", "stop[0]"]
    assert sorted(issue.path for issue in error.issues) == sorted(wanted)
    assert all(path in str(error) for path in wanted)


def test_no_content_is_quoted():
    """Wherever the customer's words stand."""
    marker = "the-customers-words"
    schema = {"type": "object", "properties": {"a": {"type": marker}}, "required": marker}
    params = {
        "model": "m",
        "messages": [
            {"role": marker, "content": 5},
            {"role": "user", "content": [{"text": marker}]},
            {"role": "tool", "tool_call_id": marker, "content": marker},
            {**called(marker), "tool_calls": [{"id": marker, "type": "function", "function": {"name": marker + " "}}]},
        ],
        "stop": [marker] * 5,
        "metadata": {"the key " + marker: marker * 100},
        "logit_bias": {marker: 1},
        "tools": [{"type": "function", "function": {"name": marker + "!", "parameters": schema}}],
        "tool_choice": {"type": "function", "function": {"name": marker}},
        "seed": marker,
    }
    error = Bench().refused("chat", params)
    assert len(error.issues) > 8
    assert marker not in str(error)
    assert marker not in repr(error.issues)


@pytest.mark.parametrize("endpoint", ["chat", "responses"])
def test_a_structure_that_contains_itself_does_not_hang(endpoint):
    """It cannot be sent, but that is for the SDK to say."""
    loop: dict[str, Any] = {"type": "object"}
    loop["properties"] = {"a": loop}
    bench = Bench()
    bench.send("chat", {**chat(), "tools": [{"type": "function", "function": {"name": "f", "parameters": loop}}]})
    assert len(bench.transport.calls) == 1
