"""Samples: the calls that a plugin is tried with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ANOTHER", "SAMPLES", "Sample", "texts"]

_SHORTEST = 12
"""Characters of the shortest text of a sample that is taken for content: a shorter one may stand anywhere."""

STREAMING = frozenset({"chat.completions", "completions", "responses"})
"""The endpoints whose calls are tried as streams, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A call that a plugin is tried with, and what the provider answers to it.

    Attributes:
        params: The arguments of ``create``, without ``stream``.
        endpoint: Where ``create`` is found on a client, such as ``"responses"``.
        answer: What the provider says: a text, a JSON body, or any other step of a `ScriptedTransport`.
        options: Options of the call, as for `llmstack.options`.
        raises: The error that the plugin answers this call with; None if it lets it pass.
    """

    params: Mapping[str, Any] = field(repr=False)
    endpoint: str = "chat.completions"
    answer: Any = field(default="It is Testopolis, a town of few words but many semicolons.", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    raises: type[Exception] | None = None

    @property
    def streams(self) -> bool:
        """Whether it is tried as a stream, too."""
        return self.endpoint in STREAMING

    def __str__(self) -> str:
        """As a failure names it."""
        return f"{self.endpoint}.create({', '.join(sorted(self.params))})"


def _asked(text: str) -> dict[str, Any]:
    return {"model": "gpt-5-mini", "messages": [{"role": "user", "content": text}]}


_EMBEDDING = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
SAMPLES = (
    Sample(params=_asked("What is the capital of Conformancia?")),
    Sample(params={"model": "gpt-5-mini", "input": "Name the river of Conformancia"}, endpoint="responses"),
    Sample(
        params={"model": "text-embedding-3-small", "input": "The hills of Conformancia", "encoding_format": "float"},
        endpoint="embeddings",
        answer={
            "object": "list",
            "data": [_EMBEDDING],
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
        },
    ),
)
"""What a plugin is tried with unless its author says otherwise."""

ANOTHER = Sample(params=_asked("And where do its neighbours dwell?"))
"""A call that has nothing to do with any other."""


def texts(sample: Sample) -> set[str]:
    """The texts of a sample that are somebody's: what was asked and answered."""
    return {text for text in _leaves((sample.params, sample.answer)) if len(text) >= _SHORTEST and " " in text}


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
