"""What the log lines say: pure functions from an event to its fields.

Names are those of the OpenTelemetry semantic conventions where they have one:
https://github.com/open-telemetry/semantic-conventions-genai (``docs/gen-ai/openai.md``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openai import APIError

from llmstack import CallInfo, Usage
from llmstack.events import (
    AttemptFinished,
    CallFinished,
    CircuitClosed,
    CircuitOpened,
    Event,
    RetryScheduled,
    RetryStopped,
)

Fields = dict[str, Any]

_OPERATIONS = {
    "chat.completions": "chat",
    "responses": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "vector_stores.search": "retrieval",
}
"""The convention's name of an endpoint; it has none for the others."""

_CODE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
"""What a code looks like: a word, no sentence."""

_PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
}
"""The convention's name of a provider, by the end of its host."""


@dataclass(frozen=True, slots=True)
class Line:
    """A log line before it is written.

    Attributes:
        name: Its event name.
        level: Its level, as in `logging`.
        telling: True if it tells of something out of the ordinary, which sampling always keeps.
        fields: What it says; None for an absent fact.
    """

    name: str
    level: int
    telling: bool
    fields: Callable[[], Fields]


def line_of(event: Event) -> Line | None:
    """The log line of an event; None if it has none."""
    if isinstance(event, CallFinished):
        bad = event.outcome in ("error", "refused")
        telling = event.outcome != "ok" or event.attempts > 1
        # Never ERROR: error trackers make an issue of each such line, and the program decides what an error is.
        return Line("llm.call", logging.WARNING if bad else logging.INFO, telling, lambda: call_fields(event))
    if isinstance(event, AttemptFinished):
        return Line("llm.attempt", logging.DEBUG, event.outcome != "ok", lambda: attempt_fields(event))
    if isinstance(event, RetryScheduled):
        return Line("llm.retry", logging.DEBUG, True, lambda: retry_fields(event))  # noqa: FBT003 - see `telling`
    if isinstance(event, RetryStopped):
        return Line("llm.retry_stopped", logging.DEBUG, True, lambda: retry_stopped_fields(event))  # noqa: FBT003
    if isinstance(event, (CircuitOpened, CircuitClosed)):
        level = logging.WARNING if isinstance(event, CircuitOpened) else logging.INFO
        return Line("llm.circuit", level, True, lambda: circuit_fields(event))  # noqa: FBT003
    return None


def call_fields(event: CallFinished) -> Fields:
    """The fields of a finished call; None for an absent fact."""
    call = event.call
    notes = dict(event.notes)
    cache = notes.pop("cache", None) or ("hit" if event.cached else None)
    return {
        **about(call),
        **asked(call),
        "gen_ai.request.stream": call.stream or None,
        "gen_ai.response.model": event.model,
        "gen_ai.response.finish_reasons": [event.finish_reason] if event.finish_reason else None,
        "outcome": event.outcome,
        "http.response.status_code": event.status,
        **failure(event.error),
        **tokens(event.usage),
        # A number, so that log tools can add it up; money is kept exactly in the budget's books, not in logs.
        "cost_usd": None if event.cost is None else float(event.cost),
        "attempts": event.attempts,
        "cache": cache,
        "duration": _seconds(event.duration),
        "gen_ai.response.time_to_first_chunk": _seconds(event.time_to_first_chunk),
        "request_id": event.request_id,
        "tenant": call.tenant,
        "tags": dict(call.tags) or None,
        "notes": notes or None,
    }


def attempt_fields(event: AttemptFinished) -> Fields:
    """The fields of an attempt; None for an absent fact."""
    return {
        **about(event.call),
        "attempt": event.number,
        **asked(event.call),
        "gen_ai.response.model": event.model,
        "gen_ai.response.finish_reasons": [event.finish_reason] if event.finish_reason else None,
        "outcome": event.outcome,
        "http.response.status_code": event.status,
        **failure(event.error),
        **tokens(event.usage),
        "duration": _seconds(event.duration),
        "gen_ai.response.time_to_first_chunk": _seconds(event.time_to_first_chunk),
        "request_id": event.request_id,
    }


def retry_fields(event: RetryScheduled) -> Fields:
    """The fields of a retry that will follow."""
    return {
        **about(event.call),
        "attempt": event.number,
        "delay": _seconds(event.delay),
        **failure(event.error),
    }


def retry_stopped_fields(event: RetryStopped) -> Fields:
    """The fields of a retry that will not follow."""
    return {**about(event.call), "attempt": event.number, "reason": event.reason, **failure(event.error)}


def circuit_fields(event: CircuitOpened | CircuitClosed) -> Fields:
    """The fields of a circuit that opened or closed."""
    opened = event if isinstance(event, CircuitOpened) else None
    return {
        **about(event.call),
        "state": "open" if opened else "closed",
        **asked(event.call),
        "retry_after": _seconds(opened.retry_after) if opened else None,
        "failures": opened.failures if opened else None,
        "calls": opened.calls if opened else None,
    }


def about(call: CallInfo) -> Fields:
    """What every line starts with."""
    return {"call_id": call.id, "endpoint": call.endpoint or call.path}


def asked(call: CallInfo) -> Fields:
    """Of whom was asked what."""
    address, port = _server(call.host)
    return {
        "gen_ai.operation.name": _OPERATIONS.get(call.endpoint),
        "gen_ai.provider.name": _provider(address),
        "gen_ai.request.model": call.model,
        "server.address": address or None,
        "server.port": port,
    }


def tokens(usage: Usage | None) -> Fields:
    """What a usage says; a part of which there is nothing counts as absent."""
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens if usage else None,
        "gen_ai.usage.output_tokens": usage.output_tokens if usage else None,
        "gen_ai.usage.cache_read.input_tokens": (usage.cached_tokens or None) if usage else None,
        "gen_ai.usage.reasoning.output_tokens": (usage.reasoning_tokens or None) if usage else None,
        "gen_ai.usage.audio.input_tokens": (usage.input_audio_tokens or None) if usage else None,
        "gen_ai.usage.audio.output_tokens": (usage.output_audio_tokens or None) if usage else None,
        "gen_ai.usage.image.input_tokens": (usage.input_image_tokens or None) if usage else None,
        "usage_estimated": (usage.estimated or None) if usage else None,
    }


def failure(error: BaseException | None) -> Fields:
    """What may be told of an error: its kind and the provider's code, never its text, which may quote content."""
    code = getattr(error, "code", None)
    return {
        "error.type": None if error is None else type(error).__name__,
        # Providers may put a sentence there, and other exceptions anything.
        "error_code": code if isinstance(error, APIError) and isinstance(code, str) and _CODE.fullmatch(code) else None,
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _server(host: str) -> tuple[str, int | None]:
    """A host's name and port: ``"127.0.0.1:8000"``, ``"[::1]:8000"``, ``"api.openai.com"``."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and len(port) <= 5 and (":" not in name or name.endswith("]")):  # noqa: PLR2004
        return name.strip("[]"), int(port)
    return host.strip("[]"), None


def _provider(address: str) -> str | None:
    for end, name in _PROVIDERS.items():
        if address == end or address.endswith(("." + end, "-" + end)):
            return name
    return None
