"""What memory grows by over many calls, once all that is kept has filled."""

from __future__ import annotations

import gc
import sys

from benchmarks.case import chat, chat_streams
from benchmarks.subject import Subject

FULL_AFTER = 11_000
"""Calls after which all that is kept is full: the ledger in memory keeps the last ten thousand reservations."""


def growth(subject: Subject, calls: int, streams: int) -> int:
    """Blocks of memory that are still held after so many more calls and streams than before.

    Python counts them by itself, so that this takes no longer than the calls.
    """
    _work(subject, FULL_AFTER, streams)  # as many streams as the last thousands will have in the end
    gc.collect()
    before = sys.getallocatedblocks()
    _work(subject, calls, streams)
    gc.collect()
    return sys.getallocatedblocks() - before


def _work(subject: Subject, calls: int, streams: int) -> None:
    chat(calls)(subject)
    chat_streams(streams)(subject)
