"""A plugin for llmstack: puts instructions of the house in front of every call."""

from __future__ import annotations

from llmstack import Call, Flow, Next, Reply, Stage, hookimpl

__all__ = ["Example"]


class Example:
    """Puts instructions in front of every chat completion and Responses call, before what the program says.

        client = OpenAI(stack=Stack([Example("Answer in one sentence.")]))

    Args:
        instructions: What the model is told, such as ``"Answer in one sentence."``

    Raises:
        ValueError: If there are no instructions.
    """

    name = "example"
    # Outside of the cache, so that an answer is kept under the question as it is asked.
    stage = Stage.VALIDATE

    def __init__(self, instructions: str) -> None:
        if not instructions.strip():
            raise ValueError('instructions must be a text, such as "Answer in one sentence."')
        self._instructions = instructions

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass on the call with the instructions in it; the same body serves sync, async and streamed calls."""
        changed = self._instructed(call)
        reply = yield from next(changed)
        # Here the reply is complete, streamed or not. A note is a fact for books and logs, never content.
        call.note(example=changed is not call)
        return reply

    def _instructed(self, call: Call) -> Call:
        """The call with the instructions in it; the same call where they have no place."""
        if call.path == "/chat/completions" and isinstance(call.params.get("messages"), list):
            told = {"role": "system", "content": self._instructions}
            return call.with_params(messages=[told, *call.params["messages"]])
        if call.path == "/responses":
            said = call.params.get("instructions")
            return call.with_params(instructions=f"{self._instructions}\n\n{said}" if said else self._instructions)
        return call
