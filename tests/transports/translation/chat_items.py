"""The items of a chat's messages, and whether they are what the SDK's types say."""

from __future__ import annotations

from typing import Any

import openai
from openai.types.responses import ResponseInputItemParam
from pydantic import TypeAdapter

from llmstack.transports._translation.chat_messages import input_items
from llmstack.transports._translation.untranslatable import Losses

VALID: TypeAdapter[Any] = TypeAdapter(list[ResponseInputItemParam])


def items(*messages: Any) -> Any:
    """The items of messages that lose nothing."""
    losses = Losses()
    found = input_items(list(messages), losses)
    assert losses.settle("refuse") == ()
    return found


def valid(found: list[dict[str, Any]]) -> None:
    """Check items against the SDK's types, which validate lists only as they are read."""
    for item in found:
        # Required of a message by the types, since stored ones have them; the API takes messages without.
        stored = item.get("role") == "assistant" and isinstance(item["content"], list)
        _read(VALID.validate_python([{"id": "msg_1", "status": "completed", **item} if stored else item]))


def _read(value: Any) -> None:
    if isinstance(value, dict):
        for entry in value.values():
            _read(entry)
    elif not isinstance(value, str) and hasattr(value, "__iter__"):
        for entry in value:
            _read(entry)


# Early versions of the SDK ask for fields that later ones do not.
LATE = tuple(int(number) for number in openai.__version__.split(".")[:2]) >= (3, 52)
