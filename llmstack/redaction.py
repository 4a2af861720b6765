"""Redaction: take personal data and credentials out of a text before it is shown or written down.

    from llmstack.redaction import redact

    redact("mail jane@example.com or call +1 415 555 2671")  # "mail [email] or call [phone]"

It finds what has a form: it cannot know names, addresses or what else is private. Every pattern takes time linear in
the text, whatever the text is: each run of characters is looked at once (possessive quantifiers, bounded counts).
`find` tells where personal data are, for whoever wants to do something else with them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from llmstack.secrets import mask

__all__ = ["KINDS", "Span", "covered", "find", "redact"]

KINDS: Final = ("email", "iban", "card", "ip", "phone")
"""The kinds of personal data that `find` knows; what could be two kinds is the one that comes first."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text.

    Attributes:
        start: Index of the first character.
        end: Index after the last one.
        kind: What is there, such as ``"email"``.
    """

    start: int
    end: int
    kind: str


_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^-]|-(?!----))*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
_KEY = re.compile(
    r"(?<![\w-])(?:"
    r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])"  # AWS access key ids
    r"|(?:gh[opsur]_|github_pat_)\w{20,}+"  # GitHub tokens
    r"|xox[abeoprs]-[\w-]{10,}+"  # Slack tokens
    r"|AIza[\w-]{35}"  # Google API keys
    r"|eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]*+"  # JSON web tokens
    r")",
    re.ASCII,  # a letter of another alphabet may stand right before a key
)
_ASSIGNED = re.compile(
    r"(?i)(?<![a-z0-9])((?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d)[\"']?[ \t]{0,3}[=:][ \t]{0,3})"
    r"[\"']?[^\s\"',;]{6,}+[\"']?"
)
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?:[\w-]{1,63}+\.){1,8}[^\W\d_]{2,24}")
_IBAN = re.compile(r"(?i)(?<![a-z0-9])[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}")
_DIGITS = re.compile(r"\d(?:[ -]?\d){12,}+")
_IPV4 = re.compile(
    # (?a: digits of ASCII only, as whoever reads the address wants them)
    r"(?<![\w.])(?a:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?a:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?!\w|\.\d)"
)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}+(?:\.\d{1,3}){0,3}(?![\w])")
_PHONE = re.compile(r"(?<![\w.+])(?:\+|\(\+?)?\d(?:[ ().\-/]{0,2}\d){6,14}(?!\d)")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}")
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?!\d)")

_WIDE = re.compile(
    r"[\u00a0\u2000-\u200a\u2010-\u2013\u202f\u205f\u2212\u3000"
    r"\uff0b\uff0d\uff0e\uff10-\uff19\uff20-\uff3a\uff3f\uff41-\uff5a]"
)
"""Spaces and hyphens of print, and what is as wide as a Chinese letter: written for the characters of ASCII."""
_UNSPACED = re.compile(
    r"[\u0e00-\u0e4f\u0e5a-\u0ecf\u0eda-\u0eff\u1000-\u103f\u104a-\u109f\u1780-\u17df\u17ea-\u17ff"
    r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U000323af]+"
)
"""Letters, of Thai to Chinese and Korean, that stand right beside a number: no spaces are put there."""

_GOES_ON = re.compile(r"\w")
_COMES_FROM = re.compile(r"(?:\w|(?:^|[\W\d_])\.)\Z")
_IBAN_LENGTHS = range(15, 35)
_CARD_LENGTHS = range(13, 20)
_CARD_BEGINNINGS = "234568"
"""First digits of cards (ISO/IEC 7812): a number that starts otherwise, such as milliseconds since 1970, is none."""

_DOMESTIC_DIGITS = range(9, 13)
"""Digits of a phone number written with its leading 0."""


def redact(text: str) -> str:
    """The text without e-mail addresses, phone, card and account numbers, IP addresses and keys.

    Card numbers must pass the Luhn check (ISO/IEC 7812-1), account numbers are IBANs with right check digits
    (ISO 13616). A phone number is taken for one if it starts with ``+``, with a parenthesis or with 0, or is written as
    in North America (``415-555-2671``). Spaces, hyphens and digits may be those of print, or wide. Known secrets and
    what looks like a key are masked as `llmstack.secrets.mask` does it.

    Args:
        text: Any text.

    Returns:
        The text with ``[email]``, ``[phone]``, ``[card]``, ``[iban]``, ``[ip]``, ``[key]`` in their places.
    """
    text = mask(text)
    text = _PRIVATE_KEY.sub("[key]", text)
    text = _KEY.sub("[key]", text)
    text = _ASSIGNED.sub(r"\1[key]", text)
    pieces: list[str] = []
    at = 0
    for span in find(text):
        pieces += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return "".join((*pieces, text[at:]))


def find(text: str, kinds: Collection[str] = KINDS) -> list[Span]:
    """Where in a text there are personal data.

    Args:
        text: Any text.
        kinds: Which of `KINDS` to look for.

    Returns:
        The places in order; none overlaps another.
    """
    found: list[Span] = []
    foreign = not text.isascii()
    if foreign:
        text = _WIDE.sub(_narrow, text)  # each by one, so that no place moves
    for kind in KINDS:
        if kind not in kinds:
            continue
        if foreign and kind != "email":  # an address may have such letters
            text, foreign = _UNSPACED.sub(_blank, text), False
        spans = sorted(_FINDERS[kind](text), key=lambda span: span.start)
        if spans:
            text = covered(text, spans)
            found += spans
    return sorted(found, key=lambda span: span.start)


def _narrow(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code > _WIDENED:
        return chr(code - _WIDENED)
    return "-" if code in _HYPHENS else " "


_WIDENED: Final = 0xFEE0
"""What the wide form of a character stands after the one of ASCII."""
_HYPHENS: Final = frozenset({*range(0x2010, 0x2014), 0x2212})


def _blank(found: re.Match[str]) -> str:
    # Only its ends stand beside anything. What is between them is a word: patterns begin at none of its places.
    length = len(found.group())
    return "\0" + "_" * (length - 2) + "\0" if length > 1 else "\0"


def covered(text: str, spans: Sequence[Span]) -> str:
    """The text with spans covered, each by as many characters: nothing more is found there, and no place moves.

    Args:
        text: The text.
        spans: Places in it, in order and without overlaps.

    Returns:
        A text of the same length.
    """
    pieces: list[str] = []
    at = 0
    for span in spans:
        # A bracket at each end: what stands beside it is judged as if a placeholder stood here.
        pieces += [text[at : span.start], ("[" + "\0" * (span.end - span.start - 2) + "]")[: span.end - span.start]]
        at = span.end
    return "".join((*pieces, text[at:]))


def _emails(text: str) -> Iterator[Span]:
    if "@" in text:
        yield from (Span(*found.span(), "email") for found in _EMAIL.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    for found in _IBAN.finditer(text):
        length = _account(found.group())
        if length:
            yield Span(found.start(), found.start() + length, "iban")


def _account(text: str) -> int:
    """How long the IBAN at the start of what was found is; the words after it may look as if they belonged to it."""
    ends = [place for place, character in enumerate(text) if character in " -"]
    for end in (len(text), *reversed(ends)):
        plain = text[:end].replace(" ", "").replace("-", "").upper()
        if len(plain) in _IBAN_LENGTHS and _checks(plain):
            return end
    return 0


def _checks(iban: str) -> bool:
    """The ISO 7064 check (mod 97-10) of an IBAN without spaces, in capitals."""
    turned = iban[4:] + iban[:4]
    return turned.isascii() and int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _cards(text: str) -> Iterator[Span]:
    """Every card number; it may stand among other groups of digits."""
    for found in _DIGITS.finditer(text):
        parts = re.split(r"([ -])", found.group())  # digits at even places, what separates them at odd ones
        start, place = 0, found.start()
        # A group that a word or a decimal goes on with is none of its own. Patterns that say so would begin anew at
        # every group of a long run.
        if _GOES_ON.match(text, found.end()):
            parts = parts[:-2]
        if parts and _COMES_FROM.search(text, max(0, place - 2), place):
            start, place = 2, place + sum(map(len, parts[:2]))
        while start < len(parts):
            end = _card_from(parts, start)
            length = sum(map(len, parts[start : end or start + 1]))
            if end:
                yield Span(place, place + length, "card")
            start, place = end or start + 1, place + length


def _card_from(parts: list[str], start: int) -> int | None:
    """Where a card number that starts with the group at `start` ends; None if none does."""
    if start % 2 or parts[start][0] not in _CARD_BEGINNINGS:
        return None
    digits, found = "", None
    for place in range(start, len(parts), 2):
        digits += parts[place]
        if len(digits) > _CARD_LENGTHS[-1]:
            break
        if len(digits) in _CARD_LENGTHS and _luhn(digits):
            found = place + 1
    return found


def _luhn(digits: str) -> bool:
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[-1::-2])) % 10 == 0


def _addresses(text: str) -> Iterator[Span]:
    taken: list[Span] = []
    for found in _IPV6.finditer(text):
        written = found.group()
        plain = written if written.endswith("::") else written.rstrip(":")
        if plain.strip(":") and _is_ipv6(plain):
            taken.append(Span(found.start(), found.start() + len(plain), "ip"))
    yield from taken
    # The last part of an IPv6 address may be written as an IPv4 address.
    rest = covered(text, taken) if taken else text
    yield from (Span(*found.span(), "ip") for found in _IPV4.finditer(rest))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _phones(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        written = found.group()
        digits = sum(character.isdigit() for character in written)
        plain = written.startswith(("+", "(")) or bool(_NORTH_AMERICAN.fullmatch(written))
        domestic = written.startswith("0") and digits in _DOMESTIC_DIGITS and not _DATE.match(written)
        if plain or domestic:
            yield Span(*found.span(), "phone")


_FINDERS: Final[dict[str, Callable[[str], Iterator[Span]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
    "phone": _phones,
}
