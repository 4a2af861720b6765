"""Putting a legacy completion together from its chunks."""

from __future__ import annotations

from typing import Any

from llmstack._wire.assembly_chat import ChoicesAssembly
from llmstack._wire.delta import accumulate, joined

__all__ = ["CompletionsAssembly"]


class CompletionsAssembly(ChoicesAssembly):
    """Assembles the chunks of `completions`: text concatenated, logprobs extended, choice by choice."""

    __slots__ = ()

    kind = "text_completion"

    def _carries(self, choice: dict[str, Any]) -> bool:
        return bool(choice.get("text"))

    def _gather(self, total: dict[str, Any], choice: dict[str, Any]) -> None:
        reason = choice.pop("finish_reason", None)
        choice.pop("index", None)
        accumulate(total, choice)
        if reason is not None:
            total["finish_reason"] = reason

    def _choice(self, index: int, total: dict[str, Any]) -> dict[str, Any]:
        return {"text": "", "index": index, "logprobs": None, "finish_reason": None, **joined(total)}
