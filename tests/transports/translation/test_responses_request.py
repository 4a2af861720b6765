"""A Responses request as a chat request: every parameter is translated, passed, or refused by its name."""

from typing import Any, get_type_hints

import pytest
from openai.types.responses import response_create_params as sdk

from llmstack.transports._translation.responses_request import PASSED, REFUSED, TRANSLATED, ChatStyle, chat_params
from llmstack.transports._translation.untranslatable import Losses, Untranslatable

USER = {"role": "user", "content": "Hello"}
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}, "strict": True}}
SCHEMA = {"type": "object", "properties": {}}


def translated(style: ChatStyle | None = None, **params: Any) -> dict[str, Any]:
    """The chat request for a request that says no more than this; nothing may be lost."""
    losses = Losses()
    body = chat_params({"model": "m", "input": "Hello", **params}, losses, style)
    losses.settle("refuse")
    return body


def lost(**params: Any) -> list[tuple[str, bool]]:
    """What the request loses, and whether it makes no sense without it."""
    losses = Losses()
    chat_params({"model": "m", "input": "Hello", **params}, losses)
    with pytest.raises(Untranslatable) as caught:
        losses.settle("refuse")
    return [(loss.path, loss.fatal) for loss in caught.value.losses]


def test_the_least_request():
    """A model and a text."""
    assert translated() == {"model": "m", "messages": [USER]}


SAID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"instructions": "Be brief"}, {"messages": [{"role": "system", "content": "Be brief"}, USER]}),
    ({"instructions": ""}, {}),
    ({"input": None}, {"messages": []}),
    ({"max_output_tokens": 7}, {"max_completion_tokens": 7}),
    ({"tools": [TOOL]}, {"tools": [CHAT_TOOL]}),
    ({"tools": [TOOL], "parallel_tool_calls": False}, {"tools": [CHAT_TOOL], "parallel_tool_calls": False}),
    ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [CHAT_TOOL], "tool_choice": "auto"}),
    ({"tools": [TOOL], "tool_choice": "required"}, {"tools": [CHAT_TOOL], "tool_choice": "required"}),
    # Servers refuse what is said about tools where there are none.
    ({"tools": [], "parallel_tool_calls": True, "tool_choice": "auto"}, {}),
    ({"tool_choice": "none"}, {}),
    ({"tool_choice": "required"}, {"tool_choice": "required"}),
    ({"text": {}}, {}),
    ({"text": {"format": {"type": "text"}, "verbosity": None}}, {}),
    ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    (
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True, "description": "d"}
            }
        },
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
    ({"reasoning": {"effort": None, "summary": None, "mode": "standard", "context": "auto"}}, {}),
    ({"include": []}, {}),
    ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
    ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    ({"top_logprobs": 0}, {}),
    ({"include": ["message.output_text.logprobs"], "top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
    ({"stream": False}, {"stream": False}),
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    (
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    ),
    ({"stream_options": {"include_obfuscation": False}}, {}),
    # Parameters that are no part of the API: a server's own.
    ({"top_k": 5, "guided_json": None}, {"top_k": 5, "guided_json": None}),
]


@pytest.mark.parametrize(("params", "expected"), SAID)
def test_what_chat_says_otherwise(params, expected):
    """Row by row."""
    assert translated(**params) == {"model": "m", "messages": [USER], **expected}


@pytest.mark.parametrize("name", sorted(PASSED - {"stream"}))
def test_what_is_the_same_passes(name):
    """Whatever it says; a null says nothing."""
    anything: Any = {name: "anything"}
    assert translated(**anything) == {"model": "m", "messages": [USER], name: "anything"}
    nothing = translated(**dict[str, Any]({name: None}))
    assert nothing == {"messages": [USER], **({} if name == "model" else {"model": "m"})}


LOST: list[tuple[dict[str, Any], list[tuple[str, bool]]]] = [
    ({"previous_response_id": "resp_1"}, [("previous_response_id", True)]),
    ({"conversation": "conv_1"}, [("conversation", True)]),
    ({"conversation": {"id": "conv_1"}}, [("conversation", True)]),
    ({"prompt": {"id": "pmpt_1"}}, [("prompt", True)]),
    ({"messages": []}, [("messages", True)]),
    ({"background": True}, [("background", False)]),
    ({"truncation": "auto"}, [("truncation", False)]),
    ({"max_tool_calls": 3}, [("max_tool_calls", False)]),
    ({"context_management": [{"type": "compaction"}]}, [("context_management", False)]),
    ({"access_programs": {"cyber": "standard"}}, [("access_programs", False)]),
    ({"image": {"context_compression": "enabled"}}, [("image", False)]),
    ({"n": 2}, [("n", False)]),
    ({"include": ["reasoning.encrypted_content"]}, [("include", False)]),
    ({"reasoning": {"effort": "low", "summary": "auto"}}, [("reasoning.summary", False)]),
    ({"reasoning": {"generate_summary": "auto"}}, [("reasoning.generate_summary", False)]),
    ({"reasoning": {"mode": "pro"}}, [("reasoning.mode", False)]),
    ({"text": {"stop": ["x"]}}, [("text.stop", False)]),
    ({"text": {"format": {"type": "grammar"}}}, [("text.format", True)]),
    ({"instructions": [{"role": "user", "content": "x"}]}, [("instructions", True)]),
    ({"text": "json", "reasoning": 7, "tools": "f"}, [("tools", True), ("text", True), ("reasoning", True)]),
    ({"stream": True, "stream_options": [1]}, [("stream_options", True)]),
    ({"input": 7}, [("input[0]", True)]),
    ({"background": True, "truncation": "auto"}, [("background", False), ("truncation", False)]),
]


@pytest.mark.parametrize(("params", "expected"), LOST)
def test_what_chat_cannot_say_is_named(params, expected):
    """All of it at once; and what the request makes no sense without is told from what it can do without."""
    assert lost(**params) == expected


NEUTRAL: list[dict[str, Any]] = [
    {"background": False},
    {"truncation": "disabled"},
    {"context_management": []},
    {"access_programs": {}},
    {"image": {"context_compression": "auto"}},
    {"n": 1},
    *({name: None} for name in REFUSED),
]


@pytest.mark.parametrize("params", NEUTRAL, ids=repr)
def test_what_asks_for_nothing_passes(params):
    """A program may spell out the defaults."""
    assert translated(**params) == translated()


def test_what_is_lost_is_left_out():
    """If the program allows it, the rest is asked."""
    losses = Losses()
    params = {"model": "m", "input": "Hello", "background": True, "tools": [{"type": "web_search"}, TOOL]}
    body = chat_params(params, losses)
    assert [loss.path for loss in losses.settle("warn")] == ["background", "tools[0]"]
    assert body == {"model": "m", "messages": [USER], "tools": [CHAT_TOOL]}


def test_every_parameter_of_the_sdk_is_known():
    """Each one in one table, and each table row above by an example."""
    tables = [TRANSLATED, PASSED, frozenset(REFUSED)]
    known = frozenset[str]().union(*tables)
    assert sum(map(len, tables)) == len(known)
    fields = {*get_type_hints(sdk.ResponseCreateParamsBase), "stream"}
    assert fields - known == set()
    shown = {name for params, _ in [*SAID, *LOST] for name in params} | PASSED
    assert fields - shown == set()


STYLES: list[tuple[ChatStyle, dict[str, Any]]] = [
    (ChatStyle(max_tokens_field="max_tokens"), {"max_tokens": 9}),
    (ChatStyle(stream_usage=False), {"max_completion_tokens": 9}),
]


@pytest.mark.parametrize(("style", "expected"), STYLES)
def test_the_server_may_want_other_words(style, expected):
    """What older servers call the bound; and whether they know `stream_options`."""
    body = translated(style, max_output_tokens=9, stream=True)
    options = {"stream_options": {"include_usage": True}} if style.stream_usage else {}
    assert body == {"model": "m", "messages": [USER], "stream": True, **options, **expected}


def test_instructions_may_be_a_developers():
    """For servers that know the role."""
    items = [{"role": "developer", "content": "Use metres"}, {"role": "system", "content": "Be kind"}]
    for role in ("system", "developer"):
        body = translated(ChatStyle(system_role=role), instructions="Be brief", input=items)
        assert [message["role"] for message in body["messages"]] == [role, role, "system"]


def test_what_came_before_stands_between_instructions_and_input():
    """As the API does it: instructions are those of this request."""
    earlier = [{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}]
    body = chat_params({"instructions": "Be brief", "input": "Three"}, Losses(), earlier=earlier)
    assert [message["content"] for message in body["messages"]] == ["Be brief", "One", "Two", "Three"]
