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
"""Which models this process was told of, and whether as shut down. Bounded by the tables: others are not looked at."""
_lock = threading.Lock()

_AZURE = ".azure.com"
"""Azure keeps a calendar of its own, and calls models what the customer calls them."""


def ending(call: Call, settings: Settings) -> Shutdown | None:
    """When the model of a call ends; None if that is of no interest."""
    if settings.lifecycle == "off" or call.model is None or call.host.partition(":")[0].endswith(_AZURE):
        return None
    return shutdown_of(call.model, settings.shutdowns)


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
    message = f"{call.model} {what}{instead}"
    if retired and settings.lifecycle == "block":
        return [Issue(path="model", message=message, rule="lifecycle", severity="block")]
    if not _is_first((str(call.model), retired)):
        return []
    _log.warning("%s", message)
    return [Issue(path="model", message=message, rule="lifecycle", severity="warn")]


def _is_first(told: tuple[str, bool]) -> bool:
    if told in _told:
        return False
    with _lock:
        first = told not in _told
        _told.add(told)
    return first
