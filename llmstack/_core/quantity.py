"""Quantities: seconds and bytes, which a config file may write as people do, such as ``"1h"`` and ``"64 MB"``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES: Final = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {"seconds": _SECONDS, "bytes": _BYTES}
_EXAMPLES: Final = {
    "seconds": 'a duration: a number of seconds, or such as "250ms", "90s", "15m", "1h 30m", "7d"',
    "bytes": 'a size: a whole number of bytes, or such as "512 KiB", "64 MB", "1.5 GB"',
}
_PART: Final = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Za-z]{1,3})")


@dataclass(frozen=True, slots=True)
class Quantity:
    """How the text of a quantity is read; pydantic asks it before it looks at the number.

    Attributes:
        kind: What is counted.
    """

    kind: Literal["seconds", "bytes"]

    def read(self, given: Any) -> Any:
        """The number that a text stands for; a number is given back.

        Raises:
            ValueError: If it is neither.
        """
        if not isinstance(given, str):
            if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
                raise ValueError(self._expected)
            return given
        if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", given.strip()):
            return given.strip()
        return self._sum(given)

    def _sum(self, text: str) -> float:
        units, total, at = _UNITS[self.kind], 0.0, 0
        several = self.kind == "seconds"
        while part := _PART.match(text, at):
            factor = units.get(part[2] if several else part[2].lower())
            if factor is None or (at and not several):
                raise ValueError(self._expected)
            total, at = total + float(part[1]) * factor, part.end()
        if not at or text[at:].strip():
            raise ValueError(self._expected)
        total = round(total, 9)
        return int(total) if total.is_integer() else total

    @property
    def _expected(self) -> str:
        return f"must be {_EXAMPLES[self.kind]}"

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Read the text first."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """A number, or a text with units."""
        units = "|".join(_UNITS[self.kind])
        one = rf"[0-9]+(\.[0-9]+)?\s*({units})"
        pattern = rf"^\s*{one}(\s*{one})*\s*$" if self.kind == "seconds" else rf"^\s*{_any_case(one)}\s*$"
        text = {"type": "string", "pattern": pattern}
        return {"anyOf": [handler(schema), text], "description": _EXAMPLES[self.kind]}


def _any_case(pattern: str) -> str:
    """The pattern for letters of either case: JSON Schema knows no flags."""
    return re.sub(r"(?<!\\)[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", pattern)


Seconds: TypeAlias = Annotated[float, Quantity("seconds")]
"""A number of seconds. A config file may write it as a duration, such as ``"1h 30m"``."""

Bytes: TypeAlias = Annotated[int, Quantity("bytes")]
"""A number of bytes. A config file may write it as a size, such as ``"64 MB"`` (10^6) or ``"64 MiB"`` (2^20)."""
