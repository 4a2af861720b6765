"""Lifecycle: models that their provider ends, or has ended."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from llmstack import Call, Issue
from llmstack.middleware._validation.catalog import Shutdown, shutdown_of
from llmstack.middleware._validation.settings import Settings

_log = logging.getLogger("llmstack")
_told: set[tuple[str, bool]] = set()
"""Which models this process was told of, and whether as shut down."""
_MOST = 1000
"""Models told of: fine-tuned ones may be many, and their names must not fill the memory."""
_AZURE = ".azure.com"
"""Azure keeps a calendar of its own, whatever `api` says."""
_LONGEST = 200
_lock = threading.Lock()


def ending(call: Call, settings: Settings) -> Shutdown | None:
    """When the model of a call ends; None if that is of no interest."""
    model = None if settings.lifecycle == "off" else call.model
    if model is None:
        return None
    openai = settings.is_strict(call.host) and not call.host.partition(":")[0].endswith(_AZURE)
    return shutdown_of(model, settings.shutdowns, openai=openai)


def lifecycle_issues(call: Call, shutdown: Shutdown, settings: Settings, now: float) -> list[Issue]:
    """Tell of a model that ends: once in a process, or each time if it has ended and that is to block.

    Args:
        call: The call.
        shutdown: When its model ends.
        settings: What holds for the call.
        now: Seconds since the epoch.
    """
    retired = datetime.fromtimestamp(now, UTC).date() >= shutdown.date
    instead = f"; use {shutdown.successor}" if shutdown.successor else ""
    what = f"was shut down on {shutdown.date}" if retired else f"will be shut down on {shutdown.date}"
    model = str(call.model)
    # A fine-tuned model's name may be anything; it must not write lines of its own into a log.
    name = model if model.isprintable() and len(model) <= _LONGEST else repr(model[:_LONGEST])
    message = f"{name} {what}{instead}"
    if retired and settings.lifecycle == "block":
        return [Issue(path="model", message=message, rule="lifecycle", severity="block")]
    if not _is_first((model, retired)):
        return []
    _log.warning("%s", message)
    return [Issue(path="model", message=message, rule="lifecycle", severity="warn")]


def _is_first(told: tuple[str, bool]) -> bool:
    if told in _told:
        return False
    with _lock:
        first = told not in _told and len(_told) < _MOST
        if first:
            _told.add(told)
    return first
