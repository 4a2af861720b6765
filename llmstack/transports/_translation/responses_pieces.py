"""What comes in pieces in a stream of chat chunks: who answers, and the calls of tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmstack.transports._translation.responses_output import CallItem

__all__ = ["Call", "Calls", "Head"]

Json = dict[str, Any]


class Head:
    """What the chunks tell beside their choices.

    Attributes:
        fields: The completion without its choices: who answers from the first chunk that says so (Azure's first does
            not), all else from the last.
    """

    __slots__ = ("fields",)

    def __init__(self) -> None:
        """Start without any."""
        self.fields: Json = {}

    def take(self, chunk: Mapping[str, Any]) -> None:
        """Take what a chunk tells."""
        for name, value in chunk.items():
            if name in ("id", "created", "model"):
                self.fields[name] = self.fields.get(name) or value
            elif name != "choices" and value is not None:
                self.fields[name] = value


class Call:
    """A call of a tool, of which some has come.

    Attributes:
        id: The server's id; empty until it comes.
        name: The tool; empty until it comes.
        kind: The type of the item that it will be.
        told: What the last piece says of it.
        waiting: Arguments that came before the name.
        item: The item, once it was begun.
    """

    __slots__ = ("id", "item", "kind", "name", "told", "waiting")

    def __init__(self) -> None:
        """Start with nothing known."""
        self.id = ""
        self.name = ""
        self.kind = "function_call"
        self.told: Json = {}
        self.waiting: list[str] = []
        self.item: CallItem | None = None

    def take(self, entry: Mapping[str, Any]) -> None:
        """Take a piece. Some servers repeat id and name in each."""
        self.id = self.id or _id(entry)
        self.told = _told(entry)
        if isinstance(entry.get("custom"), dict):
            self.kind = "custom_tool_call"
        if isinstance(name := self.told.get("name"), str):
            self.name = self.name or name


class Calls:
    """The calls of a stream: which of them is a piece of?"""

    __slots__ = ("_all", "_by_index", "_last")

    def __init__(self) -> None:
        """Start without any."""
        self._all: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._last: Call | None = None

    def find(self, entry: Mapping[str, Any]) -> Call:
        """The call that a piece belongs to, which takes it.

        It is found by its index. Without one it belongs to the last call, unless it names another id or, without any
        id, comes with a name of its own: then it begins the next. Some servers give every call the same index, and
        tell them apart by their ids only.

        Args:
            entry: An entry of a delta's `tool_calls`.

        Returns:
            The call, known or new.
        """
        index = entry.get("index")
        known = self._by_index.get(index) if isinstance(index, int) else self._last
        if known is None or _is_another(known, entry, indexed=isinstance(index, int)):
            known = Call()
            self._all.append(known)
        if isinstance(index, int):
            self._by_index[index] = known
        self._last = known
        known.take(entry)
        return known

    def unnamed(self) -> Iterator[Call]:
        """The calls whose name never came."""
        return (call for call in self._all if call.item is None)


def _is_another(known: Call, entry: Mapping[str, Any], *, indexed: bool) -> bool:
    own = _id(entry)
    if own and known.id:
        return own != known.id
    return not indexed and not own and bool(known.name and _told(entry).get("name"))


def _id(entry: Mapping[str, Any]) -> str:
    own = entry.get("id")
    return own if isinstance(own, str) else ""


def _told(entry: Mapping[str, Any]) -> Json:
    for name in ("custom", "function"):
        if isinstance(told := entry.get(name), dict):
            return told
    return {}
