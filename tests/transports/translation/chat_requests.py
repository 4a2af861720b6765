"""What is sent of a chat completion's parameters that lose nothing."""

from __future__ import annotations

from typing import Any

from llmstack.transports._translation.chat_request import responses_request
from llmstack.transports._translation.untranslatable import Losses


def translated(**params: Any) -> dict[str, Any]:
    """What is sent beside `store`, of parameters that lose nothing."""
    losses = Losses()
    body = responses_request(params, losses)
    assert losses.settle("refuse") == ()
    assert body.pop("store") is False
    return body
