"""A layer that tests put where `Retry` would be."""

from __future__ import annotations

import openai

from llmstack import Call, Flow, Next, Reply


def once_more(call: Call, next: Next) -> Flow[Reply]:
    """A layer that sends a second time after an error of the provider's, as `Retry` would."""
    try:
        return (yield from next(call))
    except openai.APIError:
        if call.committed:
            raise
        return (yield from next(call))
