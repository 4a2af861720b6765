"""Chunk filters that rewrite a chat, and the layers that add them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmstack import Call, Flow, Next, Reply


def text_of(c: Any) -> str:
    return (c["choices"][0]["delta"].get("content") or "") if c["choices"] else ""


def saying(c: Any, text: str) -> Any:
    (choice,) = c["choices"]
    return {**c, "choices": [{**choice, "delta": {**choice["delta"], "content": text}}]}


class Each:
    """Rewrites the text of each chunk."""

    def __init__(self, rewrite: Callable[[str], str]) -> None:
        self.rewrite = rewrite

    def feed(self, c: Any) -> list[Any]:
        return [saying(c, self.rewrite(text_of(c)))] if text_of(c) else [c]

    def end(self) -> list[Any]:
        return []


def filtering(*made: Callable[[Call], Any]) -> Callable[..., Any]:
    """A layer that adds filters."""

    def layer(call: Call, next: Next) -> Flow[Reply]:
        for make in made:
            call = call.with_filter(make)
        return (yield from next(call))

    return layer


class Keep:
    """Keeps back the last word, until it knows what follows."""

    def __init__(self) -> None:
        self.kept: Any = None

    def feed(self, c: Any) -> list[Any]:
        if not text_of(c):
            return [c]
        before, self.kept = self.kept, c
        return [] if before is None else [before]

    def end(self) -> list[Any]:
        return [] if self.kept is None else [self.kept]


class Starting:
    """Does something while the request is being sent."""

    def __init__(self, start: Callable[[], Flow[None]]) -> None:
        self.start = start

    def feed(self, c: Any) -> list[Any]:
        return [c]

    def end(self) -> list[Any]:
        return []
