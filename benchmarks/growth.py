"""What memory grows by over many calls, after the caches have filled."""

from __future__ import annotations

import gc
import sys

from benchmarks.case import chat, chat_stream
from benchmarks.subject import Subject


def growth(subject: Subject, calls: int, streams: int) -> int:
    """Blocks of memory that are still held after so many more calls and streams than before.

    Python counts them by itself, so that this takes no longer than the calls.
    """
    _work(subject, max(1, calls // 10), max(1, streams // 10))
    gc.collect()
    before = sys.getallocatedblocks()
    _work(subject, calls, streams)
    gc.collect()
    return sys.getallocatedblocks() - before


def _work(subject: Subject, calls: int, streams: int) -> None:
    chat(calls)(subject)
    for _ in range(streams):
        chat_stream(subject)
