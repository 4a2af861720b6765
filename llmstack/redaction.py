"""Redaction: take personal data and credentials out of a text before it is shown or written down.

    from llmstack.redaction import redact

    redact("mail jane@example.com or call +1 415 555 2671")  # "mail [email] or call [phone]"

It finds what has a form: it cannot know names, addresses or what else is private. Every pattern takes time linear in
the text, whatever the text is: each run of characters is looked at once (possessive quantifiers, bounded counts).
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from llmstack.secrets import mask

__all__ = ["redact"]

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
    r")"
)
_ASSIGNED = re.compile(
    r"(?i)(?<![a-z0-9])((?:api[_-]?key|access[_-]?key|secret|token|passw(?:or)?d)[\"']?[ \t]{0,3}[=:][ \t]{0,3})"
    r"[\"']?[^\s\"',;]{6,}+[\"']?"
)
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?:[\w-]{1,63}+\.){1,8}[^\W\d_]{2,24}")
_IBAN = re.compile(r"(?i)(?<![a-z0-9])[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}")
_DIGITS = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,}+(?![\w])")
_IPV4 = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?!\w|\.\d)"
)
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{3,39}+(?:\.\d{1,3}){0,3}(?![\w])")
_PHONE = re.compile(r"(?<![\w.+])(?:\+|\(\+?)?\d(?:[ ().\-/]{0,2}\d){6,14}(?!\d)")
_NORTH_AMERICAN = re.compile(r"(?:1[ .-])?\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{4}")
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?!\d)")

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
    in North America (``415-555-2671``). Known secrets and what looks like a key are masked as `llmstack.secrets.mask`
    does it.

    Args:
        text: Any text.

    Returns:
        The text with ``[email]``, ``[phone]``, ``[card]``, ``[iban]``, ``[ip]``, ``[key]`` in their places.
    """
    text = mask(text)
    text = _PRIVATE_KEY.sub("[key]", text)
    text = _KEY.sub("[key]", text)
    text = _ASSIGNED.sub(r"\1[key]", text)
    text = _EMAIL.sub("[email]", text)
    text = _IBAN.sub(_account, text)
    text = _DIGITS.sub(_cards, text)
    text = _IPV6.sub(_address, text)
    text = _IPV4.sub("[ip]", text)
    return _PHONE.sub(_number, text)


def _account(found: re.Match[str]) -> str:
    """The IBAN at the start of what was found; the words after it may look as if they belonged to it."""
    text = found.group()
    ends = [place for place, character in enumerate(text) if character in " -"]
    for end in (len(text), *reversed(ends)):
        plain = text[:end].replace(" ", "").replace("-", "").upper()
        if len(plain) in _IBAN_LENGTHS and _checks(plain):
            return "[iban]" + text[end:]
    return text


def _checks(iban: str) -> bool:
    """The ISO 7064 check (mod 97-10) of an IBAN without spaces, in capitals."""
    turned = iban[4:] + iban[:4]
    return turned.isascii() and int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _cards(found: re.Match[str]) -> str:
    """What was found with every card number in it replaced: it may stand among other groups of digits."""
    parts = re.split(r"([ -])", found.group())  # digits at even places, what separates them at odd ones
    done: list[str] = []
    start = 0
    while start < len(parts):
        end = _card_from(parts, start)
        done.append("[card]" if end else parts[start])
        start = end or start + 1
    return "".join(done)


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


def _address(found: re.Match[str]) -> str:
    text = found.group()
    plain = text if text.endswith("::") else text.rstrip(":")
    try:
        IPv6Address(plain)
    except ValueError:
        return text
    return text if not plain.strip(":") else "[ip]" + text[len(plain) :]


def _number(found: re.Match[str]) -> str:
    text = found.group()
    digits = sum(character.isdigit() for character in text)
    written = text.startswith(("+", "(")) or bool(_NORTH_AMERICAN.fullmatch(text))
    domestic = text.startswith("0") and digits in _DOMESTIC_DIGITS and not _DATE.match(text)
    return "[phone]" if written or domestic else text
