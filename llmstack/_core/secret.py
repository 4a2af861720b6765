"""Secret: keys are masked in every text of ours that may be shown.

Two nets: the values that the program is known to use as keys, wherever they turn up and whatever they look like; and
whatever looks like a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASKED = "***"
"""What stands in the place of a secret."""

_SHORTEST = 8
"""Characters of the shortest value that is taken for a secret: a shorter one would blot out ordinary words."""

_MOST = 256
"""Values kept, the last ones registered: a program with a key for each tenant must not slow down with each of them."""

# A dict, for its order. Changed in place, one atomic step at a time, and read from a copy (`list` is one step too):
# replacing it as a whole would lose what another thread registers at the same moment.
_known: dict[str, None] = {}

# Linear in the text: no nested repetition.
_KEYS = re.compile(r"\b(sk-|[Bb]earer |(?i:api[-_]key)[\"']?[:=] ?[\"']?)[A-Za-z0-9._~+/=-]{6,}", re.ASCII)
"""(ASCII: a letter of another alphabet may stand right before a key.)"""


def register(*values: str | None) -> None:
    """Remember secrets, so that `mask` finds them in any text.

    The clients register their keys themselves; this is for what else must not be shown.

    Args:
        values: Secrets; None and those shorter than 8 characters are passed over. The last 256 are remembered.
    """
    for value in values:
        if value is not None and len(value) >= _SHORTEST and value not in _known:
            _known[value] = None
    if len(_known) > _MOST:
        for old in list(_known)[:-_MOST]:
            _known.pop(old, None)


def mask(text: str) -> str:
    """The text with every known secret, and whatever looks like a key, made unreadable.

    Args:
        text: Any text.

    Returns:
        The text; a known secret became ``***``, a key its kind and ``***``.
    """
    if len(text) < _SHORTEST:  # neither a known secret nor a key fits in
        return text
    if found := [value for value in list(_known) if value in text]:
        # The longest first: one may be the beginning of another, whose rest would be left.
        for value in sorted(found, key=len, reverse=True):
            text = text.replace(value, MASKED)
    return _KEYS.sub(lambda found: found.group(1) + MASKED, text) if _may_hold_key(text) else text


def _may_hold_key(text: str) -> bool:
    """Whether it holds what each match of `_KEYS` holds. Most texts do not, and a regular expression takes long."""
    return "sk-" in text or "earer " in text or ((":" in text or "=" in text) and "key" in text.lower())


def find(text: str) -> list[tuple[int, int]]:
    """Where in a text known secrets stand.

    Args:
        text: Any text.

    Returns:
        Start and end of each, in no order; they may overlap.
    """
    places: list[tuple[int, int]] = []
    for value in list(_known):
        at = text.find(value)
        while at >= 0:
            places.append((at, at + len(value)))
            at = text.find(value, at + len(value))
    return places


def mask_all(value: Any) -> Any:
    """The same for every text in a JSON-like value: in mappings (keys too), lists and tuples.

    Args:
        value: Texts, numbers, mappings, lists, tuples, and anything else, which stays as it is.

    Returns:
        A copy with all its texts masked.
    """
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {mask_all(key): mask_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_all(item) for item in value]
    return value
