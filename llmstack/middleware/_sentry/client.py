"""What the program's Sentry is set to, asked without importing it before the program does."""

from __future__ import annotations

import sys
from typing import Any, Literal

__all__ = ["awake", "collects", "is_traced", "options", "parts_spans", "streams_spans"]


def awake() -> bool:
    """Whether the program has initialised Sentry. Quick, since it is asked at every event."""
    sdk = sys.modules.get("sentry_sdk")
    # While it is being imported, by another thread, it has not all its names.
    get_client = getattr(sdk, "get_client", None)
    return get_client is not None and bool(get_client().is_active())


def options() -> dict[str, Any]:
    """What the program said in ``sentry_sdk.init``, with Sentry's defaults."""
    import sentry_sdk

    found: dict[str, Any] = sentry_sdk.get_client().options
    return found


def is_traced() -> bool:
    """Whether the program traces at all."""
    said = options()
    return said.get("traces_sample_rate") is not None or said.get("traces_sampler") is not None


def streams_spans() -> bool:
    """Whether spans are sent one by one (``trace_lifecycle="stream"``) rather than with their transaction.

    Source: ``has_span_streaming_enabled`` of sentry-sdk; the option was an experiment at first.
    """
    said = options()
    lifecycle = said.get("trace_lifecycle")
    if lifecycle is None:
        lifecycle = (said.get("_experiments") or {}).get("trace_lifecycle")
    return bool(lifecycle == "stream")


def parts_spans() -> bool:
    """Whether ``gen_ai`` spans are sent apart from their transaction, in the form that knows no status but two.

    Source: ``stream_gen_ai_spans`` of sentry-sdk, on by default in the versions that have it.
    """
    return bool(options().get("stream_gen_ai_spans"))


def collects(what: Literal["inputs", "outputs"]) -> bool:
    """Whether the program lets Sentry have prompts (``inputs``) or answers (``outputs``).

    Newer versions ask ``data_collection`` where the program has set it, and else ``send_default_pii``, as all do.
    """
    said = options()
    collection = said.get("data_collection")
    if isinstance(collection, dict) and collection.get("provided_by_user"):
        return bool((collection.get("gen_ai") or {}).get(what))
    return bool(said.get("send_default_pii"))
