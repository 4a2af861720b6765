"""Adding the deltas of a streamed message together."""

from __future__ import annotations

from typing import Any

__all__ = ["accumulate", "joined"]


class Pieces(list[str]):
    """The pieces of a string: appended to, and joined once, since adding to a string again and again is quadratic."""

    __slots__ = ()


class Entries(dict[int, Any]):
    """The entries of a list that come in pieces under an `index`."""

    __slots__ = ()


def accumulate(total: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta to what came before it, as the SDK's `lib.streaming._deltas.accumulate_delta` does.

    Strings are concatenated, objects merged, lists extended, and lists whose entries carry an `index` merged entry by
    entry. `role` and `type` are not text in pieces: the first role and the last type stay, and so does a repeated `id`.
    Where the SDK raises or adds numbers up (unindexed objects, values that change their type), the last value wins.

    Parameters:
        total: What came before, changed in place. Strings in it are `Pieces`: `joined` gives the plain value.
        delta: What comes now; nulls in it say nothing.
    """
    for key, value in delta.items():
        if value is None:
            continue
        before = total.get(key)
        if isinstance(value, str):
            if key == "type" or before is None or not isinstance(before, Pieces):
                total[key] = Pieces((value,))
            elif key != "role" and not (key == "id" and before == [value]):
                before.append(value)
        elif isinstance(value, dict):
            if not isinstance(before, dict) or isinstance(before, Entries):
                before = total[key] = {}
            accumulate(before, value)
        elif isinstance(value, list):
            total[key] = _extended(before, value, indexed=key == "tool_calls")
        else:
            total[key] = value


def _extended(before: object, entries: list[Any], *, indexed: bool) -> Entries | list[Any]:
    """Add the entries of a list to those that came before."""
    if indexed or isinstance(before, Entries) or any(isinstance(entry, dict) and "index" in entry for entry in entries):
        total = (
            before if isinstance(before, Entries) else Entries(enumerate(before if isinstance(before, list) else ()))
        )
        for entry in entries:
            index = _index(total, entry)
            if isinstance(entry, dict) and isinstance(old := total.setdefault(index, {}), dict):
                accumulate(old, entry)
            else:
                total[index] = entry
        return total
    if isinstance(before, list) and not isinstance(before, Pieces):
        before.extend(entries)
        return before
    return [*entries]


def _index(total: Entries, entry: object) -> int:
    """Tell which entry is meant; without a usable index, a new id begins the next one."""
    index = entry.get("index") if isinstance(entry, dict) else None
    if isinstance(index, int):
        return index
    last = max(total, default=-1)
    if last < 0 or not isinstance(entry, dict) or not isinstance(total[last], dict):
        return last + 1
    new = entry.get("id")
    return last + 1 if new and total[last].get("id") != [new] else last


def joined(value: Any) -> Any:
    """Make the plain value of an accumulated one.

    Parameters:
        value: What `accumulate` gathered, or a part of it.

    Returns:
        The same with its strings joined and its entries in the order of their indices.
    """
    if isinstance(value, Pieces):
        return "".join(value)
    if isinstance(value, Entries):
        return [joined(value[index]) for index in sorted(value)]
    if isinstance(value, dict):
        return {key: joined(item) for key, item in value.items()}
    return value
