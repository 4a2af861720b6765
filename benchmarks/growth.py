"""What memory grows by over many calls, after the caches have filled."""

from __future__ import annotations

import gc
import tracemalloc

from benchmarks.case import chat, chat_stream
from benchmarks.subject import Subject


def growth(subject: Subject, calls: int, streams: int) -> int:
    """Bytes that are still held after so many more calls and streams than before."""
    _work(subject, max(1, calls // 10), max(1, streams // 10))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    _work(subject, calls, streams)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def _work(subject: Subject, calls: int, streams: int) -> None:
    chat(calls)(subject)
    for _ in range(streams):
        chat_stream(subject)
