"""What the log lines say: pure functions from an event to its fields.

Names are those of the OpenTelemetry semantic conventions where they have one:
https://github.com/open-telemetry/semantic-conventions-genai (``docs/gen-ai/openai.md``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
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
    provider, address, port = _place(call.host)
    return {
        "gen_ai.operation.name": _OPERATIONS.get(call.endpoint),
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": call.model,
        "server.address": address or None,
        "server.port": port,
    }


@lru_cache(maxsize=256)
def _place(host: str) -> tuple[str | None, str, int | None]:
    """The provider, the name and the port of a host."""
    address, port = _server(host)
    return _provider(address), address, port


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


@dataclass(frozen=True, slots=True)
class Kind:
    """The log lines of a kind of event.

    Attributes:
        name: Their event name.
        level: The level of one, as in `logging`.
        telling: Whether one tells of something out of the ordinary, which sampling always keeps.
        fields: What one says; None for an absent fact.
    """

    name: str
    level: Callable[[Any], int]
    telling: Callable[[Any], bool]
    fields: Callable[[Any], Fields]


def _call_level(event: CallFinished) -> int:
    # Never ERROR: error trackers make an issue of each such line, and the program decides what an error is.
    return logging.WARNING if event.outcome in ("error", "refused") else logging.INFO


def _debug(_event: Event) -> int:
    return logging.DEBUG


def _always(_event: Event) -> bool:
    return True


_KINDS: dict[type[Event], Kind] = {
    CallFinished: Kind("llm.call", _call_level, lambda event: event.outcome != "ok" or event.attempts > 1, call_fields),
    AttemptFinished: Kind("llm.attempt", _debug, lambda event: event.outcome != "ok", attempt_fields),
    RetryScheduled: Kind("llm.retry", _debug, _always, retry_fields),
    RetryStopped: Kind("llm.retry_stopped", _debug, _always, retry_stopped_fields),
    CircuitOpened: Kind("llm.circuit", lambda _: logging.WARNING, _always, circuit_fields),
    CircuitClosed: Kind("llm.circuit", lambda _: logging.INFO, _always, circuit_fields),
}


def kind_of(event: Event) -> Kind | None:
    """The lines of such events, and of those of derived classes; None if they have none."""
    kind: type = type(event)
    return _kind(kind)


@lru_cache(maxsize=256)  # asked at each event, and most have no line
def _kind(event: type) -> Kind | None:
    return next((kind for known, kind in _KINDS.items() if issubclass(event, known)), None)
