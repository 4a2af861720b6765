"""A sieve: most texts have none of the terms, and are known to have none before they are taken to words.

Making words of a text costs some ten times as much as one regular expression that looks for all terms at once. That is
pydantic-core's (Rust's regex, as for a field's ``pattern``): its time is linear, and it needs no copy of an ASCII text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pydantic_core import SchemaValidator, core_schema

__all__ = ["sieve_of"]

_LARGEST: Final = 4_000
"""Characters of all that is looked for. Far beyond it Rust's automaton does not fit in its memory of 2 MB, and a text
that is made to visit all its states takes a thousand times longer; measured: from 12,000 on."""

_SURE: Final = 3
"""Letters of a term that is spelled out which are looked for: the rest would make the expression twice as large."""


def sieve_of(patterns: Iterable[tuple[str, ...]]) -> SchemaValidator | None:
    """What accepts each text that may have one of the patterns, and hardly any other.

    Args:
        patterns: Sequences of words; those not in ASCII are left out: a text in ASCII has none of them.

    Returns:
        Its ``isinstance_python`` takes a text of lower case letters, digits and spaces; one with letters beyond ASCII
        only where all patterns are in ASCII. None if there are so many patterns that it would not be quick.
    """
    looked_for = sorted({" +".join(_beginning(words)) for words in patterns if "".join(words).isascii()})
    if sum(map(len, looked_for)) > _LARGEST:
        return None
    # Words of ASCII letters and digits need no escapes. Of no pattern at all: what nothing is.
    expression = rf"(?-u)\b(?:{'|'.join(looked_for)})\b" if looked_for else r"[^\s\S]"
    return SchemaValidator(core_schema.str_schema(pattern=expression, regex_engine="rust-regex"))


def _beginning(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[:_SURE] if all(len(word) == 1 for word in words) else words
