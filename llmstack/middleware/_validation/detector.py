"""Detector: where in a text there are secrets and personal data."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address
from typing import Final
from unicodedata import normalize

from llmstack import secrets as known_secrets
from llmstack.middleware._validation.detector_assignment import find_assigned
from llmstack.middleware._validation.detector_key import find_keys
from llmstack.redaction import KINDS, Span, covered, find

__all__ = ["PERSONAL", "Span", "find_sensitive"]

PERSONAL = frozenset(KINDS)
"""The kinds of personal data; every other kind is one of secrets."""

_LONG: Final = 24
"""Characters of a known secret that is one although it has no digit."""


def find_sensitive(text: str, *, secrets: bool, personal: Collection[str]) -> list[Span]:
    """Where in a text there are secrets and personal data.

    Args:
        text: Any text.
        secrets: Whether to look for secrets.
        personal: The kinds of personal data to look for.

    Returns:
        The places in order; none overlaps another.
    """
    found: list[Span] = []
    if secrets:
        found = _merged((*_known(text), *find_keys(text), *find_assigned(text)))
        if found and personal:
            text = covered(text, found)
    if personal:
        for span in find(text, personal):
            if _is_personal(text[span.start : span.end], span.kind):
                found.append(_unescaped(text, span))
        found.sort(key=lambda span: span.start)
    return found


def _merged(spans: Iterable[Span]) -> list[Span]:
    """The spans in order without overlaps; of two that overlap the first stays, with what sticks out of it."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
        elif span.end > kept[-1].end:  # what sticks out is as secret as the rest
            kept[-1] = Span(kept[-1].start, span.end, kept[-1].kind)
    return kept


def _known(text: str) -> Iterator[Span]:
    """The secrets that the program is known to use, such as its own API key."""
    for start, end in known_secrets.find(text):
        # Else it is a word that a local server takes for a key, such as "not-needed".
        if end - start >= _LONG or any(character.isdigit() for character in text[start:end]):
            yield Span(start, end, "known secret")


def _is_personal(text: str, kind: str) -> bool:
    """Whether it leads to anybody: an address of no particular machine and a login of a version control do not."""
    if kind == "ip":
        address = ip_address(normalize("NFKC", text))  # its digits may be wide
        return not (address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("255."))
    return not (kind == "email" and text.startswith("git@"))


def _unescaped(text: str, span: Span) -> Span:
    """The span without the letter of an escape that source code has before it, as in a string that begins a line."""
    escape = span.kind == "email" and text[span.start - 1 : span.start + 1] in (r"\n", r"\r", r"\t")
    return Span(span.start + 1, span.end, span.kind) if escape else span
