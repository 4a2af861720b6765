"""Chat requests, and the messages that calls and their results make."""

from __future__ import annotations

from typing import Any

HI = {"role": "user", "content": "hi"}
CALLED = {
    "role": "assistant",
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "not json"}},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": "x"}},
    ],
}
RESULTS = [{"role": "tool", "tool_call_id": i, "content": [{"type": "text", "text": "42"}]} for i in "ba"]


def chat(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages) or [HI], **more}
