"""Lines: where in a TOML text a key stands. The parser does not tell."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

__all__ = ["lines_of"]

Path: TypeAlias = tuple[str, ...]


def lines_of(text: str) -> dict[Path, int]:
    """The line on which each key and each table of a text begins; of one that stands there twice, the first.

    Each statement of a TOML file is a TOML file, too. So the parser finds where they end, and what they say: no second
    grammar is needed. It takes a while for a long file, and is asked only when there is something to complain of.

    Args:
        text: Valid TOML.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for number, statement, said in _statements(text):
        if statement.lstrip().startswith("["):
            table = _deepest(said)
            found.setdefault(table, number)
        else:
            for path in _paths(said):
                found.setdefault((*table, *path), number)
    for path, number in list(found.items()):
        for length in range(1, len(path)):
            found.setdefault(path[:length], number)
    return found


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Each statement with its first line's number and what it says."""
    begun: list[str] = []
    first = 1
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not begun:
            first = number
        begun.append(line)
        statement = "\n".join(begun)
        try:
            said = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # it goes on in the next line
        if said:
            yield first, statement, said
        begun = []


def _deepest(said: Any) -> Path:
    """The path that a header opens: ``[a.b]``, or ``[[a.b]]``."""
    path: list[str] = []
    while said:
        if isinstance(said, list):
            said = said[0]
            continue
        key, said = next(iter(said.items()))
        path.append(key)
    return tuple(path)


def _paths(said: Mapping[str, Any]) -> Iterator[Path]:
    for key, value in said.items():
        yield (key,)
        if isinstance(value, Mapping):
            for path in _paths(value):
                yield (key, *path)
