"""What the tests of answers share: a layer that checks them, a format to ask for, and answers that fit it or not."""

from typing import Any

from llmstack import hookimpl
from llmstack.effects import emit
from llmstack.events import IssuesFound
from llmstack.middleware._validation.answer import AnswerCheck
from llmstack.middleware._validation.sensitive import Sensitive
from tests.core.side import texts

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ages": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name", "ages"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}}
GOOD = '{"name": "Jane", "ages": [1]}'
BAD = '{"name": "Jane", "ages": ["private"], "jane@example.com": 1}'
NO_JSON = "Sure! Here is private: {"


class Checking:
    """A layer that checks answers, and redacts if it shall."""

    name = "checking"

    def __init__(self, mode: Any = "block", repair=0, sensitive=None):
        self.check = AnswerCheck(mode, repair)
        self.sensitive = sensitive or Sensitive("off")

    @hookimpl
    def llmstack_call(self, call, next):
        """Check what comes restored."""

        def inner(call):
            redacted, vault = self.sensitive.redacted(call)
            reply = yield from next(redacted)
            return reply if vault is None else vault.restored(reply)

        def tell(issues):
            yield from emit(IssuesFound(call=call.info, issues=tuple(issues)))

        return (yield from self.check.passed(call, inner, tell))


def ask(side, rig, **more):
    """One call for a person; the content, or the chunks' text."""
    params = {"response_format": FORMAT, **more}

    async def program():
        answer = await side.do(rig.create(**params))
        return texts(await side.read(answer)) if params.get("stream") else answer.choices[0].message.content

    return side.run(program)


def body(*choices: dict[str, Any]) -> dict[str, Any]:
    """A chat completion."""
    whole = [{"index": place, "finish_reason": "stop", **choice} for place, choice in enumerate(choices)]
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": whole}


def said(content: Any, **more: Any) -> dict[str, Any]:
    """A choice's message."""
    return {"role": "assistant", "content": content, **more}
