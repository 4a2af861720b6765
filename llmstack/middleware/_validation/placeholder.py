"""Placeholders: what stands in a prompt in the place of what must not be in it.

``[EMAIL_1]``: capitals and a number in brackets are copied faithfully by models, are no markup, need no escape in JSON,
and hardly ever stand in a text. A text that has one all the same keeps it: that number is not used.

The numbers follow from the texts alone, in the order in which the values first appear: the same conversation gets the
same placeholders each time it is sent, with one message more, so that the provider's prompt cache still knows it. Only
where the provider keeps the earlier turns (`previous_response_id`, `conversation`), whose placeholders nobody here
knows, a number is made of the value and of a key of this process: six digits that no other value has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

__all__ = ["FORM", "Placeholders"]

FORM: Final = re.compile(r"\[([A-Z]{2,8})\\{0,2}_([0-9]{1,6})\]", re.ASCII)
"""A placeholder, also with the backslash that Markdown (and JSON around it) puts before an underscore."""

_NAMES: Final = {"email": "EMAIL", "phone": "PHONE", "card": "CARD", "iban": "IBAN", "ip": "IP"}
_SECRET: Final = "SECRET"  # noqa: S105 - a word

_KEY: Final = token_bytes(32)
_FIRST: Final = 100_000
_LAST: Final = 999_999


class Placeholders:
    """Gives each value a placeholder, the same one for the same value.

    Attributes:
        values: What each placeholder stands for.
    """

    __slots__ = ("_by_value", "_continued", "_counts", "_taken", "values")

    def __init__(self, taken: Iterable[str], *, continued: bool = False) -> None:
        """Begin a call.

        Args:
            taken: Texts of the call, whose own placeholders are not used.
            continued: True if the provider keeps earlier turns of the conversation.
        """
        self._taken = {f"{found[1]}_{int(found[2])}" for text in taken if "[" in text for found in FORM.finditer(text)}
        self._continued = continued
        self._counts: dict[str, int] = {}
        self._by_value: dict[tuple[str, str], str] = {}
        self.values: dict[str, str] = {}

    def of(self, value: str, kind: str) -> str:
        """The placeholder of a value.

        Args:
            value: What must not be in the prompt.
            kind: What it is, such as ``"email"``.

        Returns:
            Such as ``"[EMAIL_1]"``.
        """
        name = _NAMES.get(kind, _SECRET)
        known = self._by_value.get((name, value))
        if known is None:
            known = self._by_value[name, value] = f"[{self._next(name, value)}]"
            self.values[known] = value
        return known

    def _next(self, name: str, value: str) -> str:
        number = self._counts.get(name, 0)
        if self._continued:
            digest = blake2b(f"{name}\0{value}".encode("utf-8", "surrogatepass"), key=_KEY, digest_size=8).digest()
            number = _FIRST + int.from_bytes(digest, "big") % (_LAST - _FIRST)
        while True:
            number += 1
            if f"{name}_{number}" not in self._taken:
                break
        if not self._continued:
            self._counts[name] = number
        self._taken.add(f"{name}_{number}")
        return f"{name}_{number}"
