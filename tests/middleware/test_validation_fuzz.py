"""Valid requests made from the SDK's types, by the hundred: none is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.middleware.validation_requests import conversations, items, request, tools
from tests.middleware.validation_rig import Bench

CHAT = "chat.completion_create_params:CompletionCreateParamsBase"
RESPONSES = "responses.response_create_params:ResponseCreateParamsBase"
BENCH = Bench()
LENIENT = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)


def passes(endpoint: str, params: Mapping[str, Any]) -> None:
    """Nothing is refused."""
    BENCH.send(endpoint, params)


@LENIENT
@given(
    params=request(CHAT), messages=conversations(), offered=st.none() | tools("chat", "ChatCompletionToolUnionParam")
)
def test_a_chat_of_the_sdks_types_passes(params, messages, offered):
    """All its parameters, and conversations with tools."""
    passes("chat", {**params, "messages": messages, "tools": offered})


@LENIENT
@given(params=request(RESPONSES), given_items=items(), offered=st.none() | tools("responses", "ToolParam"))
def test_a_response_of_the_sdks_types_passes(params, given_items, offered):
    """All its parameters, and every kind of item."""
    passes("responses", {**params, "input": given_items, "tools": offered})


@LENIENT
@given(params=request("embedding_create_params:EmbeddingCreateParams"))
def test_embeddings_of_the_sdks_types_pass(params):
    """Texts and token ids; the API takes no empty text, and so the types do not tell all."""
    if params["input"] not in ("", [""]) and not any(item == "" for item in params["input"]):
        passes("embeddings", params)


@LENIENT
@given(
    params=st.one_of(
        st.tuples(st.just("completions"), request("completion_create_params:CompletionCreateParamsBase")),
        st.tuples(st.just("moderations"), request("moderation_create_params:ModerationCreateParams")),
        st.tuples(
            st.just("images"), request("image_generate_params:ImageGenerateParamsBase").filter(lambda x: x["prompt"])
        ),
        st.tuples(
            st.just("speech"), request("audio.speech_create_params:SpeechCreateParams").filter(lambda x: x["input"])
        ),
    )
)
def test_all_others_of_the_sdks_types_pass(params):
    """Legacy completions, moderations, images and speech."""
    passes(*params)
