"""Chunk filters that put values back into a streamed answer, wherever its placeholders were cut.

Every text of the answer (a choice's content, the arguments of one tool call, one part of a Responses item …) has a
`Restorer` of its own, which holds back only what may be the beginning of a placeholder. What waits when a text ends
is delivered with the chunk that ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from llmstack.middleware._validation.placeholder_text import Restorer

__all__ = ["ChoiceFilter", "ResponseFilter"]

Chunk = Mapping[str, Any]
Value = Callable[[Any], Any]
Path = tuple[str | int, ...]

_FIXED: Final = frozenset({"role", "id", "type", "name", "index", "finish_reason", "logprobs", "data", "expires_at",
                           "object", "model"})  # fmt: skip
"""Members of a choice that are no text in pieces."""


_LAST: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
"""Events after which a program expects no more pieces."""


class ChoiceFilter:
    """For chat and legacy completions, whose chunks carry the deltas of choices."""

    def __init__(self, value: Value, restorer: Callable[..., Restorer], *, in_json: bool) -> None:
        """Begin a stream.

        Args:
            value: Restores a whole value.
            restorer: Makes a `Restorer`.
            in_json: True if JSON was asked for as the answer's format.
        """
        self._value = value
        self._restorer = restorer
        self._in_json = in_json
        self._texts: dict[int, dict[Path, Restorer]] = {}
        self._head: dict[str, Any] = {}

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        """Restore what a chunk brings."""
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return [self._value(chunk)]
        self._head = {key: item for key, item in chunk.items() if key not in ("choices", "usage")}
        return [{**chunk, "choices": [self._choice(choice) for choice in choices]}]

    def end(self) -> Sequence[Chunk]:
        """Deliver what still waits: the stream ended before its texts did."""
        kept: list[Chunk] = []
        for index in sorted(self._texts):
            choice = self._with_rest({"index": index, "finish_reason": None}, index)
            if len(choice) > 2:  # noqa: PLR2004 - something waited
                kept.append({**self._head, "choices": [choice]})
        return kept

    def _choice(self, choice: Any) -> Any:
        if not isinstance(choice, Mapping):
            return choice
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        texts = self._texts.setdefault(index, {})
        restored = {key: self._fed(item, (key,), texts) if key in ("delta", "text") else item
                    for key, item in choice.items()}  # fmt: skip
        return self._with_rest(restored, index) if choice.get("finish_reason") else restored

    def _fed(self, value: Any, path: Path, texts: dict[Path, Restorer]) -> Any:
        if isinstance(value, str):
            if path not in texts:
                texts[path] = self._restorer(in_json=self._is_json(path))
            return texts[path].feed(value)
        if isinstance(value, Mapping):
            return {key: item if key in _FIXED else self._fed(item, (*path, key), texts)
                    for key, item in value.items()}  # fmt: skip
        if isinstance(value, list):
            return [self._fed(item, (*path, _index(item, place)), texts) for place, item in enumerate(value)]
        return value

    def _is_json(self, path: Path) -> bool:
        return path[-1] == "arguments" or (self._in_json and path in (("delta", "content"), ("text",)))

    def _with_rest(self, choice: dict[str, Any], index: int) -> dict[str, Any]:
        """A choice with what waited for its texts."""
        for path, restorer in self._texts.pop(index, {}).items():
            rest = restorer.end()
            if rest:
                choice = _put(choice, path, rest)
        return choice


class ResponseFilter:
    """For Responses, whose events each carry a piece of one text, or a whole."""

    def __init__(self, value: Value, restorer: Callable[..., Restorer], *, in_json: bool) -> None:
        """Begin a stream; the arguments are those of `ChoiceFilter`."""
        self._value = value
        self._restorer = restorer
        self._in_json = in_json
        self._texts: dict[Path, _Pieces] = {}
        self._added = 0
        self._number = 0

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        """Restore what an event brings; before the event that ends a text comes what waited of it."""
        kind = chunk.get("type")
        kind = kind if isinstance(kind, str) else ""
        stem, _, what = kind.rpartition(".")
        # Some servers give an item another id in each event: its place tells better.
        item = "item_id" if chunk.get("output_index") is None else "output_index"
        key = (
            stem,
            *(_plain(chunk.get(name)) for name in (item, "content_index", "summary_index", "command_index")),
        )
        delta = chunk.get("delta")
        if what == "delta" and isinstance(delta, (str, Mapping)):
            if key not in self._texts:
                self._texts[key] = _Pieces(partial(self._restorer, in_json=self._is_json(stem)))
            return [self._numbered({**chunk, "delta": self._texts[key].feed(delta, chunk)})]
        kept: list[Chunk] = []
        if what == "done":
            kept = list(self._rest(key))
        elif kind in _LAST:
            kept = list(self.end())
        return [*kept, self._numbered(self._value(chunk))]

    def end(self) -> Sequence[Chunk]:
        """Deliver what still waits: the stream ended before its texts did."""
        return [chunk for key in list(self._texts) for chunk in self._rest(key)]

    def _rest(self, key: Path) -> Iterator[Chunk]:
        pieces = self._texts.pop(key, None)
        rest = None if pieces is None else pieces.end()
        if pieces is not None and rest:
            last = pieces.last
            extra = {**last, "delta": rest, **({"logprobs": []} if "logprobs" in last else {})}
            if "sequence_number" in last:
                self._added += 1
                self._number += 1
                extra["sequence_number"] = self._number
            yield extra

    def _numbered(self, chunk: Chunk) -> Chunk:
        """An event with its number; those after one that was added have moved."""
        number = chunk.get("sequence_number")
        if not isinstance(number, int):
            return chunk
        self._number = number + self._added
        return {**chunk, "sequence_number": self._number} if self._added else chunk

    def _is_json(self, stem: str) -> bool:
        return stem.endswith("_arguments") or (self._in_json and stem == "response.output_text")


class _Pieces:
    """One text that comes in deltas; or several, where a delta has members: what a command writes to its two outputs.

    Attributes:
        last: The last event that brought a piece.
    """

    __slots__ = ("_begin", "_texts", "last")

    def __init__(self, begin: Callable[[], Restorer]) -> None:
        self._begin = begin
        self._texts: dict[str, Restorer] = {}
        self.last: Chunk = {}

    def feed(self, delta: str | Mapping[str, Any], chunk: Chunk) -> str | dict[str, Any]:
        self.last = chunk
        if isinstance(delta, str):
            return self._text("").feed(delta)
        return {name: self._text(name).feed(item) if isinstance(item, str) else item for name, item in delta.items()}

    def end(self) -> str | dict[str, str]:
        """What still waits, in the form of a delta; empty if nothing does."""
        rest = {name: text for name, restorer in self._texts.items() if (text := restorer.end())}
        return rest if isinstance(self.last.get("delta"), Mapping) else rest.get("", "")

    def _text(self, name: str) -> Restorer:
        if name not in self._texts:
            self._texts[name] = self._begin()
        return self._texts[name]


def _plain(value: Any) -> str | int:
    return value if isinstance(value, (str, int)) else -1


def _index(item: Any, place: int) -> int:
    index = item.get("index") if isinstance(item, Mapping) else None
    return index if isinstance(index, int) else place


def _put(choice: dict[str, Any], path: Path, rest: str) -> dict[str, Any]:
    """A choice with a text at a path, appended to what is there."""
    *way, last = path
    copy = dict(choice)
    here: Any = copy
    for place, step in enumerate(way):
        if isinstance(here, list):
            entries: list[Any] = here
            found = next((at for at, item in enumerate(entries) if _index(item, at) == step), None)
            if found is None:
                entries.append({"index": step})
                found = len(entries) - 1
            entries[found] = dict(entries[found])
            here = entries[found]
            continue
        after = path[place + 1]
        there = here.get(step)
        here[step] = list(there or ()) if isinstance(after, int) else dict(there or {})
        here = here[step]
    before = here.get(last)
    here[last] = (before if isinstance(before, str) else "") + rest
    return copy
