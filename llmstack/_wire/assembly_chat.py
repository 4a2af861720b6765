"""Putting a chat completion together from its chunks.

The rules are those of the API reference for `chat.completion.chunk`, and of the SDK's own ChatCompletionStreamState;
where a streamed and a plain answer are known to differ, the result is the plain one.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from llmstack._wire.assembly_base import LIMIT, Assembly
from llmstack._wire.chunk import objects
from llmstack._wire.delta import Pieces, accumulate, joined
from llmstack._wire.repeated import Repeated
from llmstack._wire.sse import ServerSentEvent

__all__ = ["ChatAssembly", "ChoicesAssembly"]


class ChoicesAssembly(Assembly):
    """What chat and legacy completions have in common: chunks of choices, each with its finish_reason.

    Attributes:
        kind: The plain answer's `object`.
        brings_deltas: True if what a choice of a chunk adds is in its `delta`, as `Repeated` takes it.
    """

    __slots__ = ("_choices", "_finished")

    kind: ClassVar[str]
    brings_deltas: ClassVar[bool] = False

    def __init__(self, *, limit: int = LIMIT, choices: int = 1) -> None:
        """Start before the first event.

        Parameters:
            limit: How many characters of data to keep.
            choices: How many choices were asked for.
        """
        super().__init__(limit=limit)
        self._choices = choices
        self._finished: dict[int, bool] = {}  # of choices in events that were let go

    def complete(self) -> bool:
        """Tell whether the reply is whole.

        Returns:
            True if as many choices as asked for have come, each with a finish_reason.
        """
        finished = self._finished
        if self._kept and (body := self.body()) is not None:
            finished = {choice["index"]: choice["finish_reason"] is not None for choice in body["choices"]}
        return not self._failed and len(finished) >= self._choices and all(finished.values())

    def _study(self, event: ServerSentEvent, value: dict[str, Any]) -> object | None:  # noqa: ARG002 - the base's
        if isinstance(usage := value.get("usage"), dict):
            self._usage = usage
            self._tier = value.get("service_tier")
        if not self.content:
            self.content = any(choice.get("finish_reason") is not None or self._carries(choice)
                               for choice in objects(value.get("choices")))  # fmt: skip
        return None

    def _track(self, value: dict[str, Any]) -> None:
        for choice in objects(value.get("choices")):
            index = index_of(choice)
            self._finished[index] = self._finished.get(index, False) or choice.get("finish_reason") is not None

    def _merge(self) -> dict[str, Any] | None:
        gathered: dict[int, dict[str, Any]] = {}
        heads = self._heads(gathered)
        choices = [self._choice(index, gathered[index]) for index in sorted(gathered)]
        return envelope(self.kind, heads, choices) if heads else None

    def _heads(self, gathered: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """Add up the choices of the kept events, in the order in which they came.

        Parameters:
            gathered: Where to, by their index.

        Returns:
            The chunks without their choices, and without what is meant to be thrown away; one for all that are equal,
            as nearly all are.
        """
        heads: list[dict[str, Any]] = []
        repeated, pieces = Repeated(), Pieces()
        for event in self._read():
            data = event.data
            if (text := repeated.text(data)) is not None:
                pieces.append(text)
                continue
            chunk = self._object(event)
            if chunk is None:
                continue
            learnt = self.brings_deltas and repeated.learn(data, chunk)
            for choice in objects(chunk.pop("choices", None)):
                total = gathered.setdefault(index_of(choice), {})
                self._gather(total, choice)
                if learnt:
                    pieces = total["message"]["content"]
            chunk.pop("obfuscation", None)
            if not heads or chunk != heads[-1]:
                heads.append(chunk)
        return heads

    @abstractmethod
    def _carries(self, choice: dict[str, Any]) -> bool:
        """Tell whether a choice of a chunk has something of the answer in it."""

    @abstractmethod
    def _gather(self, total: dict[str, Any], choice: dict[str, Any]) -> None:
        """Add one choice of one chunk to what its choice has so far."""

    @abstractmethod
    def _choice(self, index: int, total: dict[str, Any]) -> dict[str, Any]:
        """Make the plain answer's choice from the gathered one."""


class ChatAssembly(ChoicesAssembly):
    """Assembles the chunks of `chat.completions`."""

    __slots__ = ()

    kind = "chat.completion"
    brings_deltas = True

    def _carries(self, choice: dict[str, Any]) -> bool:
        delta = choice.get("delta")
        return isinstance(delta, dict) and any(value and key != "role" for key, value in delta.items())

    def _gather(self, total: dict[str, Any], choice: dict[str, Any]) -> None:
        total.setdefault("message", {})
        for key, value in choice.items():
            if value is None or key == "index":
                continue
            if key == "delta":
                if isinstance(value, dict):
                    accumulate(total["message"], value)
            elif key == "logprobs":
                if isinstance(value, dict):
                    accumulate(total.setdefault(key, {}), value)
            elif isinstance(value, dict) and isinstance(total.get(key), dict):
                total[key] = {**total[key], **value}  # content_filter_results come category by category
            else:
                total[key] = value

    def _choice(self, index: int, total: dict[str, Any]) -> dict[str, Any]:
        message = {"role": "assistant", "content": None, "refusal": None, **joined(total.pop("message"))}
        if "tool_calls" in message:
            calls = [_call(call) for call in objects(message["tool_calls"])]
            if calls:
                message["tool_calls"] = calls
            else:
                del message["tool_calls"]
        if not message["content"] and any(
            message.get(key) for key in ("tool_calls", "function_call", "refusal", "audio")
        ):
            message["content"] = None  # the stream opens with "", the plain answer has null
        logprobs = total.pop("logprobs", None)
        if logprobs is not None:
            logprobs = {"content": None, "refusal": None, **joined(logprobs)}
        reason = total.pop("finish_reason", None)
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason, **total}


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """Make the plain answer's tool call: without its index, with the arguments that were never sent."""
    call.pop("index", None)
    if isinstance(function := call.get("function"), dict):
        call["function"] = {"name": "", "arguments": "", **function}
        call.setdefault("type", "function")
    return call


def envelope(kind: str, chunks: list[dict[str, Any]], choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Make the plain answer around its choices.

    Parameters:
        kind: The answer's `object`.
        chunks: The chunks without their choices.
        choices: The finished choices.

    Returns:
        The answer: identity from the first chunk that has one (Azure's first has not), all else from the last.
    """
    body: dict[str, Any] = {"id": "", "object": kind, "created": 0, "model": "", "choices": choices}
    for chunk in chunks:
        for key, value in chunk.items():
            if key in ("id", "created", "model"):
                body[key] = body[key] or value or body[key]
            elif key not in ("object", "error") and (value is not None or (key not in body and key != "usage")):
                body[key] = value
    return body


def index_of(choice: dict[str, Any]) -> int:
    """Return the index of a choice.

    Parameters:
        choice: A choice of a chunk.

    Returns:
        Its index, 0 if it has none.
    """
    index = choice.get("index")
    return index if isinstance(index, int) else 0
