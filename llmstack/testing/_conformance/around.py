"""Two layers around the plugin that is tried: they see all that goes in, and all that comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Next
from llmstack._core.progress import Progress
from llmstack._core.reply import Reply
from llmstack.hookspecs import hookimpl

__all__ = ["Inside", "Outside", "Visit"]


@dataclass(eq=False)
class Visit:
    """One call's stay in the plugin.

    Attributes:
        call: The call as it went in.
        nexts: How often the plugin passed it on.
        ends: How often the plugin's flow has ended.
        reply: What it returned.
        error: What it raised.
        interrupted: What interrupted it: a cancellation, a KeyboardInterrupt.
    """

    call: Call
    nexts: int = 0
    ends: int = 0
    reply: Reply | None = None
    error: BaseException | None = field(default=None, repr=False)
    interrupted: BaseException | None = field(default=None, repr=False)

    @property
    def swallowed(self) -> bool:
        """True if it made something else of an interruption."""
        if self.interrupted is None:
            return False
        return self.reply is not None or isinstance(self.error, Exception)


class Outside:
    """The layer around the plugin: it hands on every effect and every error, and sees how the plugin ends."""

    name = "conformance-outside"

    def __init__(self) -> None:
        """No visits yet."""
        self.visits: list[Visit] = []

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Run the plugin, and remember how it ended."""
        visit = Visit(call)
        self.visits.append(visit)
        flow = next(call)
        value: Any = None
        error: BaseException | None = None
        try:
            while True:
                try:
                    effect = flow.send(value) if error is None else flow.throw(error)
                except StopIteration as stop:
                    reply: Reply = stop.value
                    visit.reply = reply
                    return reply
                except BaseException as raised:
                    visit.error = raised
                    raise
                value = error = None
                try:
                    value = yield effect
                except GeneratorExit:
                    flow.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it belongs inside
                    error = thrown
                    if not isinstance(thrown, Exception):
                        visit.interrupted = thrown
        finally:
            error = None  # its traceback holds this frame
            visit.ends += 1

    def visit(self, progress: Progress) -> Visit | None:
        """The visit of the call that has this progress; None for a request that a layer makes by itself."""
        return next((visit for visit in self.visits if visit.call.progress is progress), None)


class Inside:
    """The layer that the plugin's ``next`` leads to: it counts."""

    name = "conformance-inside"

    def __init__(self, outside: Outside) -> None:
        """Count for these visits."""
        self._outside = outside

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Count, and pass on."""
        visit = self._outside.visit(call.progress)
        if visit is not None:
            visit.nexts += 1
        return (yield from next(call))
