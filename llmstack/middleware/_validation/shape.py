"""Shape: what the API would refuse, endpoint by endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from llmstack import Call, Issue
from llmstack.middleware._validation.chat import check_chat
from llmstack.middleware._validation.finding import Findings, Severity
from llmstack.middleware._validation.media import (
    check_completions,
    check_embeddings,
    check_images,
    check_moderations,
    check_speech,
)
from llmstack.middleware._validation.number import check_numbers
from llmstack.middleware._validation.responses import check_input, check_responses
from llmstack.middleware._validation.sampling import RANGES, Range, check_ranges
from llmstack.middleware._validation.typed import shape_of

Check = Callable[[Mapping[str, Any], Findings], None]
StreamCheck = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of one endpoint.

    Attributes:
        types: The SDK's type of its parameters, for `shape_of`.
        check: What its kinds and ranges do not tell.
        streams: True if `check` wants to know whether a stream was asked for.
        ranges: The numbers that have a range.
    """

    types: str
    check: StreamCheck
    streams: bool = False
    ranges: Mapping[str, Range] = field(default_factory=dict)


ENDPOINTS: Final = {
    name: Endpoint(types, check, streams, RANGES.get(name, {}))
    for name, types, check, streams in (
        ("chat.completions", "chat.completion_create_params:CompletionCreateParamsBase", check_chat, True),
        ("responses", "responses.response_create_params:ResponseCreateParamsBase", check_responses, True),
        (
            "responses.input_tokens",
            "responses.input_token_count_params:InputTokenCountParams",
            check_input,
            False,
        ),
        ("embeddings", "embedding_create_params:EmbeddingCreateParams", check_embeddings, False),
        ("completions", "completion_create_params:CompletionCreateParamsBase", check_completions, True),
        ("moderations", "moderation_create_params:ModerationCreateParams", check_moderations, False),
        ("audio.speech", "audio.speech_create_params:SpeechCreateParams", check_speech, False),
        ("images.generations", "image_generate_params:ImageGenerateParamsBase", check_images, False),
    )
}
"""Requests whose body is checked; of all others only that their numbers are JSON."""


def shape_issues(call: Call, severity: Severity, *, strict: bool) -> list[Issue]:
    """What the API would refuse of a call.

    Args:
        call: The call.
        severity: What an issue weighs.
        strict: True if all of OpenAI's rules hold, False for those that any compatible server has.
    """
    params = call.params
    found = Findings("shape", severity, strict=strict)
    check_numbers(params, found)
    endpoint = ENDPOINTS.get(call.endpoint) if call.method == "POST" else None
    # The same path with an id at its end, such as a stored completion that is updated, is another request.
    if endpoint is None or not params or call.path.rstrip("/").rpartition("/")[2] != call.endpoint.rpartition(".")[2]:
        return found.issues
    if endpoint.streams:
        endpoint.check(params, found, stream=call.stream or bool(params.get("stream")))
    else:
        endpoint.check(params, found)
    check_ranges(params, endpoint.ranges, found)
    fields = shape_of(endpoint.types)
    if not fields.fit(params):
        fields.explain(params, "", found)
    if params.get("model") == "":
        found.add("model", "must not be empty")
    return found.issues
