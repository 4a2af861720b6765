"""Putting a legacy completion together from its chunks."""

from __future__ import annotations

from typing import Any

from llmstack._wire.assembly_chat import ChoicesAssembly, choices_of, envelope, index_of
from llmstack._wire.delta import accumulate, joined

__all__ = ["CompletionsAssembly"]


class CompletionsAssembly(ChoicesAssembly):
    """Assembles the chunks of `completions`: text concatenated, logprobs extended, choice by choice."""

    __slots__ = ()

    def _carries(self, choice: dict[str, Any]) -> bool:
        return bool(choice.get("text"))

    def _merge(self) -> dict[str, Any] | None:
        chunks = self._values()
        if not chunks:
            return None
        gathered: dict[int, dict[str, Any]] = {}
        for choice in choices_of(chunks):
            total = gathered.setdefault(index_of(choice), {})
            reason = choice.pop("finish_reason", None)
            choice.pop("index", None)
            accumulate(total, choice)
            if reason is not None:
                total["finish_reason"] = reason
        choices = [
            {"text": "", "index": index, "logprobs": None, "finish_reason": None, **joined(gathered[index])}
            for index in sorted(gathered)
        ]
        return envelope("text_completion", chunks, choices)
