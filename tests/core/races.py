"""The threads in which flows race."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

WAIT = 10.0
"""Seconds after which a test that hangs fails."""


def racers() -> list[threading.Thread]:
    """The threads of races that are not over for all."""
    return [thread for thread in threading.enumerate() if thread.name == "llmstack-race"]


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Whoever lost in a thread has ended after the test."""
    yield
    for thread in racers():
        thread.join(WAIT)
    assert racers() == []
