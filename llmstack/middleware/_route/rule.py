"""Rule: a line of the table that picks targets by what a call is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

from llmstack import Call
from llmstack.middleware._route.target import STRICT, Target
from llmstack.tokens import count_tokens

__all__ = ["Rule", "first_fitting", "prompt_tokens"]

_READ = ("messages", "input", "instructions", "prompt", "tools", "response_format", "text")
"""Parameters that a model reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Picks targets for the calls that all its conditions fit; one that is not given fits every call.

    Args:
        to: The target, or several, in place of the route's.
        model: The model asked for, or a pattern such as ``"gpt-5*"``.
        min_tokens: Tokens that the prompt has at least, as `llmstack.tokens` counts them.
        max_tokens: Tokens that it has at most.
        tags: Tags that the call has.
        tenant: Its tenant.
        stream: Whether it is streamed.
    """

    to: str | Target | Sequence[str | Target]
    model: str | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    tenant: str | None = None
    stream: bool | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def fits(self, call: Call) -> bool:
        """Whether a call is one that it is for."""
        if self.model is not None and not fnmatchcase(call.model or "", self.model):
            return False
        if self.tenant is not None and call.options.tenant != self.tenant:
            return False
        if self.stream is not None and call.stream is not self.stream:
            return False
        tags = call.options.tags
        return all(tags.get(tag) == value for tag, value in self.tags.items()) and self._has_size(call)

    def _has_size(self, call: Call) -> bool:
        if self.min_tokens is None and self.max_tokens is None:
            return True
        tokens = prompt_tokens(call)
        return tokens >= (self.min_tokens or 0) and (self.max_tokens is None or tokens <= self.max_tokens)


def prompt_tokens(call: Call) -> int:
    """Tokens of what a call gives its model to read: counted, or estimated; pictures, sound and files are not."""
    return sum(count_tokens(call.params[name], call.model).tokens for name in _READ if call.params.get(name))


def first_fitting(rules: Sequence[Rule], call: Call) -> str | Target | Sequence[str | Target] | None:
    """Where the first rule that fits a call sends it; None if none fits."""
    return next((rule.to for rule in rules if rule.fits(call)), None)
