"""Detector of assignments: passwords and tokens that are known by what stands before them.

``password = "…"``, ``Authorization: Bearer …``, ``postgres://user:…@host``. Ordinary source code is full of lines that
look alike (``token = oauth2_scheme``, ``password: str``), so a value counts only if no identifier looks like it, and
nobody would write it as an example.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from llmstack.redaction import Span

__all__ = ["find_assigned", "is_password", "is_secret_named"]

_PASSWORDS: Final = ("password", "passwd", "passphrase", "passwort", "kennwort", "pwd", "contraseña", "mot de passe",
                     "senha")  # fmt: skip
_SECRETS: Final = ("secret", "api_key", "apikey", "api-key", "access_key", "accesskey", "secret_key", "secretkey",
                   "private_key", "token")  # fmt: skip
_UNSECRET: Final = re.compile(
    r"(?i)(?:page|next|continuation|sync|cursor|csrf|xsrf|public|id|count|max|stop|eos|pad|change|update)[_-]?$|:$"
)
"""What makes a token none that anybody would keep secret; a colon before the word makes it a part of a longer name."""

_VALUE: Final = re.compile(
    r"[\"'`]?[ \t]{0,3}(?:=>|:=|[=:])[ \t]{0,3}(?:(?P<quote>[\"'`])(?P<quoted>[^\"'`\s]{8,256}+)(?P=quote)"
    r"|(?P<bare>[^\s\"'`,;()\[\]{}<>]{8,256}+)(?![(\[{<]))"
)
_BEARER: Final = re.compile(
    r"(?i)\b(?:bearer|authorization:[ \t]?(?:basic|token))[ \t]([\w.~+/-]{20,2048}+={0,2})", re.ASCII
)
_URL: Final = re.compile(r"(?<![\w.+-])[a-z][a-z0-9.+-]{1,24}+://([^\s:/@\"'<>]{0,64}):([^\s@/\"'<>]{4,128}+)@[\w.\[-]")

_EXAMPLE: Final = re.compile(
    r"(?i)pass?w(?:or)?[dt]|p[a@]ss?w[o0]rd|secret|example|dummy|sample|fake|placeholder|change[-_]?me|your|my[-_]|test|"
    r"foobar|qwerty|abc123|123456|x{4,}|\*{3,}|\.{3,}|redacted|hidden|insert|todo"
)
"""What people write where they do not want to write a secret."""

_TEMPLATE: Final = re.compile(r"[$%]?[{<(\[]|\$\w|%\w+%|[}>)\]]$|^[!&*@]|\\[nrt\"]")
"""A place to be filled in, or a name for what is elsewhere."""

_IDENTIFIER: Final = re.compile(r"[^\W\d][\w$]*(?:(?:\.|::|->|-|/|\\)[\w$]+)*", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TURN: Final = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]|[a-z][A-Z]")

_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_HEX: Final = re.compile(r"[0-9a-f]*")
_LONG: Final = 16
_LONG_HEX: Final = 24
_TURNS: Final = 4
_VARIED: Final = 8


def find_assigned(text: str) -> Iterator[Span]:
    """Find passwords and tokens by what stands before them.

    Args:
        text: Any text.

    Yields:
        The places of the values alone; they may overlap, and are in no order.
    """
    lowered = text.lower()
    if len(lowered) != len(text):  # a letter that becomes two would move all places
        lowered = text.translate(_ASCII_LOWER)
    for word in (*_PASSWORDS, *_SECRETS):
        if word in lowered:
            yield from _after(word, lowered, text)
    if "bearer " in lowered or "authorization" in lowered:
        for found in _BEARER.finditer(text):
            if _turns(found[1]) and not _EXAMPLE.search(found[1]):
                yield Span(*found.span(1), "token")
    if "://" in text:
        for found in _URL.finditer(text):
            if _is_url_password(found[1], found[2]):
                yield Span(*found.span(2), "password")


def _after(word: str, lowered: str, text: str) -> Iterator[Span]:
    at = lowered.find(word)
    while at >= 0:
        end = at + len(word)
        found = _VALUE.match(text, end)
        if found is None:
            at = lowered.find(word, end)
            continue
        name = text[max(0, at - 40) : end]
        group = "quoted" if found["quoted"] is not None else "bare"
        quoted = group == "quoted"
        value = found[group] if quoted else found[group].rstrip(".:!?")
        if word in _PASSWORDS:
            if is_password(value, quoted=quoted):
                yield Span(found.start(group), found.start(group) + len(value), "password")
        elif not quoted and "." in value and _IDENTIFIER.fullmatch(value):
            pass  # a name in a program: `private_key: x25519.X25519PrivateKey`
        elif _names_secret(name, word) and _is_token(value, uuid=word != "token"):
            yield Span(found.start(group), found.start(group) + len(value), "token")
        # A value is looked at once; what is in it is no name.
        at = lowered.find(word, found.end())


def is_secret_named(name: str, value: str) -> bool:
    """Whether the value of a JSON member is a password or a token, by the member's name.

    Args:
        name: The member's name.
        value: The text.

    Returns:
        True if so.
    """
    lowered = name.lower()
    if len(value) > 256 or any(c.isspace() for c in value):  # noqa: PLR2004 - as in the patterns
        return False
    if lowered.endswith(_PASSWORDS):
        return is_password(value, quoted=True)
    word = next((word for word in _SECRETS if lowered.endswith(word)), None)
    return word is not None and _names_secret(name, word) and _is_token(value, uuid=word != "token")


def is_password(value: str, *, quoted: bool) -> bool:
    """Whether a value is a password that somebody uses, not a variable, an example or a place to fill in.

    Args:
        value: What was assigned.
        quoted: True if it stood in quotes, where no variable stands.

    Returns:
        True if so.
    """
    if len(value) < _VARIED or _EXAMPLE.search(value) or _TEMPLATE.search(value):
        return False
    if not (any(c.isdigit() for c in value) and any(c.isalpha() for c in value)) or "://" in value:
        return False
    if quoted:
        return True
    if _IDENTIFIER.fullmatch(value):
        return _is_token(value, uuid=True)
    return not value[0].isdigit() or any(c in "!#$%^&*+=?" for c in value)


def _names_secret(name: str, word: str) -> bool:
    """Whether the name that ends in the word is that of a secret: ``github_token``, ``token``, not ``page_token``."""
    before = name[: -len(word)]
    if _UNSECRET.search(before):
        return False
    if word != "token" or not before or not before[-1].isalpha():
        return True
    return before[-1].islower() and name[-len(word)].isupper()  # githubToken, but no mytoken


def _is_token(value: str, *, uuid: bool) -> bool:
    """Whether a machine made it: long, varied, letters and digits mixed as in no name."""
    if len(value) < _LONG or len(set(value)) < _VARIED or _EXAMPLE.search(value) or _TEMPLATE.search(value):
        return False
    if "://" in value or value.count(".") > 2 or value.startswith(("/", "./", "#")):  # noqa: PLR2004 - no JWT either
        return False
    if _HEX.fullmatch(value) and len(value) < _LONG_HEX:
        return False  # a checksum or an id
    return _turns(value) and (uuid or not _UUID.fullmatch(value))


def _turns(value: str) -> bool:
    digits = any(c.isdigit() for c in value)
    return digits and len(_TURN.findall(value)) >= max(_TURNS, len(value) // 12)


def _is_url_password(user: str, password: str) -> bool:
    plain = password.lower()
    if plain == user.lower() or plain in {"pass", "root", "admin", "user", "guest", "postgres", "mysql"}:
        return False
    return not _EXAMPLE.search(password) and not _TEMPLATE.search(password) and any(c.isdigit() for c in password)
