"""What a span says of an attempt: op, name, attributes and status. Pure, and nothing of any content."""

from __future__ import annotations

from typing import Any

from llmstack.events import AttemptFinished, AttemptStarted
from llmstack.middleware._sentry.safe import short

__all__ = ["at_end", "at_start", "operation", "status"]

_OPERATIONS = {
    "chat.completions": "chat",
    "responses": "responses",
    "embeddings": "embeddings",
    "completions": "text_completion",
}

_AZURE = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")

_STATUSES = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "already_exists",
    413: "failed_precondition",
    429: "resource_exhausted",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline_exceeded",
}
"""Source: ``get_span_status_from_http_code`` of sentry-sdk."""


def operation(call: Any) -> tuple[str, str]:
    """A span's name and op, such as ``("chat gpt-5", "gen_ai.chat")``; both empty where no model is asked."""
    if call.model is None:
        return "", ""
    word = _OPERATIONS.get(call.endpoint) or call.endpoint.partition(".")[0] or "request"
    return f"{word} {short(call.model)}", f"gen_ai.{word}"


def at_start(event: AttemptStarted) -> dict[str, Any]:
    """What is known before the request is sent."""
    call = event.call
    host, _, port = call.host.rpartition(":") if call.host.rpartition(":")[2].isdigit() else (call.host, "", "")
    provider = "azure.ai.openai" if host.endswith(_AZURE) else "openai"
    known = {
        "gen_ai.system": provider,
        "gen_ai.provider.name": provider,
        "gen_ai.operation.name": operation(call)[1].removeprefix("gen_ai."),
        "gen_ai.request.model": call.model,
        "gen_ai.response.streaming": call.stream,
        "server.address": host.strip("[]") or None,
        "server.port": int(port) if port else None,
        # Where spans are sent apart Sentry puts the name of this machine into `server.address`.
        "llmstack.host": call.host or None,
        "llmstack.call_id": call.id,
        "llmstack.attempt": event.number,
        "llmstack.tenant": call.tenant,
    }
    return {name: short(value) for name, value in known.items() if value is not None}


def at_end(event: AttemptFinished) -> dict[str, Any]:
    """What is known when it has ended. Counts of 0 are left out, as Sentry's integrations do."""
    usage = event.usage
    known = {
        "llmstack.outcome": event.outcome,
        "llmstack.request_id": event.request_id,
        "http.response.status_code": event.status,
        "error.type": None if event.error is None else type(event.error).__name__,
        "gen_ai.response.model": event.model,
        "gen_ai.response.finish_reasons": None if event.finish_reason is None else [event.finish_reason],
        "gen_ai.response.time_to_first_token": event.time_to_first_chunk,
    }
    if usage is not None:
        known |= {
            "gen_ai.usage.input_tokens": usage.input_tokens or None,
            "gen_ai.usage.input_tokens.cached": usage.cached_tokens or None,
            "gen_ai.usage.output_tokens": usage.output_tokens or None,
            "gen_ai.usage.output_tokens.reasoning": usage.reasoning_tokens or None,
            "gen_ai.usage.total_tokens": usage.total_tokens or None,
        }
    return {name: short(value) for name, value in known.items() if value is not None}


def status(event: AttemptFinished) -> str:
    """How it ended, in Sentry's words."""
    if event.outcome == "ok":
        return "ok"
    if event.outcome in ("cancelled", "incomplete"):
        # Sentry counts `cancelled` as no failure, and a program that stops reading is none.
        return "cancelled"
    if event.outcome == "refused":
        return "failed_precondition"
    if event.status is not None and event.status >= 400:  # noqa: PLR2004 - an HTTP error
        return _STATUSES.get(event.status, "invalid_argument" if event.status < 500 else "internal_error")  # noqa: PLR2004
    names = {kind.__name__ for kind in type(event.error).__mro__}
    if "APITimeoutError" in names:
        return "deadline_exceeded"
    return "unavailable" if "APIConnectionError" in names else "internal_error"
