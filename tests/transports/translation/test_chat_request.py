"""A chat completion's request as that of a Response, parameter by parameter."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from llmstack.transports._translation.chat_request import NEUTRAL, SAME, TRANSLATED, responses_request
from llmstack.transports._translation.untranslatable import Losses
from tests.transports.translation.chat_requests import translated

USER = {"role": "user", "content": "Hi"}
ITEM = {"type": "message", "role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TEXT_LOGPROBS = "message.output_text.logprobs"

FIELDS = sorted(
    {*get_type_hints(chat.CompletionCreateParamsBase), *get_type_hints(chat.CompletionCreateParamsStreaming)}
)
KNOWN_THERE = {
    *get_type_hints(responses.ResponseCreateParamsBase),
    *get_type_hints(responses.ResponseCreateParamsStreaming),
}


# Completeness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FIELDS)
def test_every_parameter_of_the_sdk_is_in_one_table(field):
    """Translated, the same, or without counterpart: nothing passes, or is dropped, because nobody thought of it."""
    assert [field in SAME, field in TRANSLATED, field in NEUTRAL].count(True) == 1


@pytest.mark.parametrize("field", sorted(SAME))
def test_a_parameter_that_is_the_same_passes_as_it_is(field):
    """Whatever its value: judging that is the API's."""
    value = {"some": ["value"]}
    assert translated(**{field: value}) == {field: value}


SINCE = {"moderation", "prompt_cache_options", "prompt_cache_retention", "safety_identifier"}
"""What early versions of the SDK do not know."""


@pytest.mark.parametrize("field", sorted(SAME - SINCE))
def test_what_is_the_same_is_known_to_the_responses_api(field):
    """By the SDK's own types."""
    assert field in KNOWN_THERE


# The table -----------------------------------------------------------------------------------------------------------

FUNCTION = {"name": "weather", "description": "The weather", "parameters": SCHEMA}
FLAT = {"type": "function", **FUNCTION}
GRAMMAR = {"syntax": "lark", "definition": "start: /a+/"}

TABLE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "messages": ({"messages": [USER]}, {"input": [ITEM]}),
    "most tokens": ({"max_completion_tokens": 50}, {"max_output_tokens": 50}),
    "most tokens of old": ({"max_tokens": 50}, {"max_output_tokens": 50}),
    "most tokens twice": ({"max_tokens": 50, "max_completion_tokens": 50}, {"max_output_tokens": 50}),
    "effort": ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    "effort beside more": (
        {"reasoning_effort": "low", "reasoning": {"summary": "auto"}},
        {"reasoning": {"summary": "auto", "effort": "low"}},
    ),
    "verbosity": ({"verbosity": "low"}, {"text": {"verbosity": "low"}}),
    "verbosity and form": (
        {"verbosity": "low", "response_format": {"type": "json_object"}},
        {"text": {"format": {"type": "json_object"}, "verbosity": "low"}},
    ),
    "text": ({"response_format": {"type": "text"}}, {"text": {"format": {"type": "text"}}}),
    "schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "city", "description": "A city", "strict": True, "schema": SCHEMA},
            }
        },
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "city",
                    "description": "A city",
                    "strict": True,
                    "schema": SCHEMA,
                }
            }
        },
    ),
    "log probabilities": ({"logprobs": True, "top_logprobs": 2}, {"top_logprobs": 2, "include": [TEXT_LOGPROBS]}),
    "log probabilities beside more": (
        {"logprobs": True, "include": ["reasoning.encrypted_content"]},
        {"include": ["reasoning.encrypted_content", TEXT_LOGPROBS]},
    ),
    "log probabilities asked for twice": (
        {"logprobs": True, "include": [TEXT_LOGPROBS]},
        {"include": [TEXT_LOGPROBS]},
    ),
    "no log probabilities": ({"logprobs": False}, {}),
    "usage in the stream": ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
    "obfuscation": (
        {"stream_options": {"include_usage": True, "include_obfuscation": False}},
        {"stream_options": {"include_obfuscation": False}},
    ),
    "function": (
        {"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]},
        {"tools": [{**FLAT, "strict": True}]},
    ),
    "function that is not strict": (
        {"tools": [{"type": "function", "function": FUNCTION}]},
        {"tools": [{**FLAT, "strict": False}]},
    ),
    "function without parameters": (
        {"tools": [{"type": "function", "function": {"name": "now", "strict": None}}]},
        {
            "tools": [
                {"type": "function", "name": "now", "parameters": {"type": "object", "properties": {}}, "strict": False}
            ]
        },
    ),
    "custom tool": (
        {"tools": [{"type": "custom", "custom": {"name": "code", "description": "Runs", "format": {"type": "text"}}}]},
        {"tools": [{"type": "custom", "name": "code", "description": "Runs", "format": {"type": "text"}}]},
    ),
    "custom tool with a grammar": (
        {"tools": [{"type": "custom", "custom": {"name": "a", "format": {"type": "grammar", "grammar": GRAMMAR}}}]},
        {"tools": [{"type": "custom", "name": "a", "format": {"type": "grammar", **GRAMMAR}}]},
    ),
    "a server's own tool": (
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
    ),
    "any tool": ({"tool_choice": "required"}, {"tool_choice": "required"}),
    "this function": (
        {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tool_choice": {"type": "function", "name": "weather"}},
    ),
    "this custom tool": (
        {"tool_choice": {"type": "custom", "custom": {"name": "code"}}},
        {"tool_choice": {"type": "custom", "name": "code"}},
    ),
    "one of these": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [
                        {"type": "function", "function": {"name": "weather"}},
                        {"type": "custom", "custom": {"name": "code"}},
                    ],
                },
            }
        },
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "weather"}, {"type": "custom", "name": "code"}],
            }
        },
    ),
    "a server's own choice": ({"tool_choice": {"type": "mcp"}}, {"tool_choice": {"type": "mcp"}}),
    "functions": (
        {"functions": [FUNCTION], "function_call": {"name": "weather"}},
        {
            "tools": [{**FLAT, "strict": False}],
            "tool_choice": {"type": "function", "name": "weather"},
            "parallel_tool_calls": False,
        },
    ),
    "functions, none of them": (
        {"functions": [FUNCTION], "function_call": "none"},
        {"tools": [{**FLAT, "strict": False}], "tool_choice": "none", "parallel_tool_calls": False},
    ),
    "web search": (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Rome", "country": "IT"}},
            }
        },
        {
            "tools": [
                {
                    "type": "web_search",
                    "search_context_size": "low",
                    "user_location": {"type": "approximate", "city": "Rome", "country": "IT"},
                }
            ]
        },
    ),
    "web search beside tools": (
        {"web_search_options": {}, "tools": [{"type": "function", "function": FUNCTION}]},
        {"tools": [{**FLAT, "strict": False}, {"type": "web_search"}]},
    ),
    "what a server has of its own": ({"top_k": 5, "truncation": "auto"}, {"top_k": 5, "truncation": "auto"}),
    "null where it says nothing": (dict.fromkeys(TRANSLATED), {}),
    "null where it is the same": ({"temperature": None}, {"temperature": None}),
}


@pytest.mark.parametrize("row", TABLE)
def test_a_parameter_is_translated(row):
    """By the table, and to what the Responses API knows."""
    given, expected = TABLE[row]
    assert translated(**given) == expected


@pytest.mark.parametrize("row", [row for row in TABLE if "own" not in row and "twice" not in row])
def test_what_is_sent_is_known_to_the_responses_api(row):
    """By the SDK's own types."""
    assert set(translated(**TABLE[row][0])) <= KNOWN_THERE


def test_what_is_given_is_left_as_it_is():
    """The layers and the program still have it."""
    for given, _ in TABLE.values():
        before = repr(given)
        responses_request(given, Losses())
        assert repr(given) == before


@pytest.mark.parametrize(("given", "sent"), [({}, False), ({"store": None}, False), ({"store": True}, True)])
def test_nothing_is_stored_unless_asked_for(given, sent):
    """As with chat completions, and unlike Responses that are not told so."""
    assert responses_request(given, Losses())["store"] is sent
