"""What the tests of redaction share: a layer that redacts, what is asked and answered, and how that reads restored."""

from typing import Any

from llmstack import hookimpl
from llmstack.middleware._validation.sensitive import Sensitive

JANE, BOB = "jane@example.com", "bob@example.com"
ASK: Any = [{"role": "user", "content": f"write to {JANE} and {BOB}"}]
ANSWER = "to [EMAIL_1], not [EMAIL_2] or [EMAIL_3] [x]"
RESTORED = f"to {JANE}, not {BOB} or [EMAIL_3] [x]"
PASSWORD = 'q"7\\x9Kd#2'


class Redacting:
    """A layer that redacts."""

    name = "redacting"

    def __init__(self):
        self.sensitive = Sensitive("redact", "redact")

    @hookimpl
    def llmstack_call(self, call, next):
        """Redact and restore."""
        inner, vault = self.sensitive.redacted(call)
        reply = yield from next(inner)
        return reply if vault is None else vault.restored(reply)


def response(*output: dict[str, Any]) -> dict[str, Any]:
    """A Responses body."""
    head = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
    return {**head, "output": list(output), "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
