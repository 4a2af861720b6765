"""The stacks that must make no difference."""

from __future__ import annotations

from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.middleware import Logging, Retry
from llmstack.testing import Recorder


def passthrough(call: Call, next: Next) -> Flow[Reply]:
    """The least that a plugin can do."""
    return (yield from next(call))


def empty() -> Stack:
    """No plugin at all."""
    return Stack([])


def full() -> Stack:
    """Plugins that change nothing."""
    return Stack([passthrough, Retry(), Logging(), Recorder()])


STACKS = (empty, full)
