"""The plugin that wrong ones are made of."""

from __future__ import annotations

from llmstack import hookimpl


class Passing:
    """Does nothing, rightly."""

    name = "passing"

    @hookimpl
    def llmstack_call(self, call, next):
        return (yield from next(call))
