"""Vault: what the placeholders of a call stand for, and how they are put back into its answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from llmstack import Call, ChunkFilter, Reply
from llmstack.middleware._validation.placeholder_text import Restorer, restored_text
from llmstack.middleware._validation.vault_stream import ChoiceFilter, ResponseFilter

__all__ = ["Vault"]

_KEPT: Final = frozenset({
    "id", "type", "role", "object", "model", "status", "logprobs", "b64_json", "encrypted_content", "call_id",
    "item_id", "response_id", "data", "embedding", "result", "obfuscation",
})  # fmt: skip
"""Members that no model wrote, or no text of it."""

_JSON: Final = frozenset({"arguments"})
_ANSWER: Final = frozenset({"content", "text"})
"""Members that are JSON if that was asked for."""


class Vault:
    """What the placeholders of one call stand for; it lives as long as the call and shows nothing of it."""

    __slots__ = ("_in_json", "_values")

    def __init__(self, values: Mapping[str, str], *, in_json: bool = False) -> None:
        """Keep values.

        Args:
            values: What each placeholder stands for.
            in_json: True if JSON was asked for as the answer's format.
        """
        self._values = values
        self._in_json = in_json

    def restored(self, reply: Reply) -> Reply:
        """The reply with the values in the place of their placeholders.

        Log probabilities stay those of the placeholders, which are the tokens that the model has written.

        Args:
            reply: The reply, of a streamed call too: the whole of it, as outer layers shall see it.

        Returns:
            The changed reply; the reply itself if it has none of the placeholders.
        """
        body = reply.body
        restored = self.value(body)
        return reply if restored is body else reply.replace(body=restored).with_usage(reply.usage)

    def value(self, value: Any, name: str = "") -> Any:
        """A part of an answer with the values in the place of their placeholders.

        Args:
            value: Any JSON value.
            name: The name of the member that it is.

        Returns:
            A changed copy; the value itself if it has no placeholder.
        """
        if isinstance(value, str):
            return restored_text(value, self._values, in_json=name in _JSON or (self._in_json and name in _ANSWER))
        if isinstance(value, Mapping):
            if name in _JSON:
                return self._whole(value)
            changed: dict[Any, Any] = {}
            thought = _is_thought(value.get("type"))
            for key, item in value.items():
                if key not in _KEPT and (new := self.value(item, "" if thought else key)) is not item:
                    changed[key] = new
            return {**value, **changed} if changed else value
        if isinstance(value, list):
            items = [self.value(item, name) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def _whole(self, value: Any) -> Any:
        """Arguments that are JSON, no JSON text: all of it is the model's, whatever its members are called."""
        if isinstance(value, str):
            return restored_text(value, self._values, in_json=False)
        if isinstance(value, Mapping):
            return {key: self._whole(item) for key, item in value.items()}
        return [self._whole(item) for item in value] if isinstance(value, list) else value

    def filter(self, call: Call) -> ChunkFilter:
        """The filter that restores a streamed answer; a factory for `Call.with_filter`."""
        restore = partial(Restorer, self._values)
        if call.endpoint == "responses":
            return ResponseFilter(self.value, restore, in_json=self._in_json)
        return ChoiceFilter(self.value, restore, in_json=self._in_json)


def _is_thought(kind: object) -> bool:
    """Whether an object of this type holds reasoning, which is prose whatever the answer is."""
    return isinstance(kind, str) and ("reasoning" in kind or "summary" in kind)
