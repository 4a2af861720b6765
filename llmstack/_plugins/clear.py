"""Secrets in the clear: a config file is copied, committed and shown, so keys stand in it by reference only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from llmstack._core.secret import mask
from llmstack._plugins.hint import is_secret
from llmstack._plugins.reference import is_reference

__all__ = ["holds_secret", "in_the_clear", "names_one"]

_NAMES: Final = re.compile(
    r"(?:^|_)(?:api_?key|access_?key|private_?key|secret_?key|signing_?key|token|password|passwd|passphrase|secret"
    r"|credential|authorization)$"
)
_FIELDS: Final = re.compile(r"(?:^|_)(?:key|auth|sig|signature)$")
"""More names, of headers and of what stands in an address. An option ``auth`` or ``key`` may be anything."""


def names_one(name: str, *, option: bool = True) -> bool:
    """Whether an option is named as one that holds a secret: ``api_key``, but not ``max_tokens``.

    Args:
        name: Its name.
        option: False if it is that of a header, or of a field in a table or address.
    """
    plain = name.lower().replace("-", "_")
    return _NAMES.search(plain) is not None or (not option and _FIELDS.search(plain) is not None)


def holds_secret(text: str) -> bool:
    """Whether a text is one: it is known as a key, looks like one, or is an address with a password or key in it."""
    if mask(text) != text:
        return True
    if "://" not in text:
        return False
    try:
        parts = urlsplit(text)
        fields = parse_qsl(parts.query)
        return bool(parts.password) or any(names_one(name, option=False) for name, value in fields if value)
    except ValueError:
        return False


def in_the_clear(key: str, hint: Any, value: Any) -> list[tuple[str, ...]]:
    """The keys, inside an option's value, of secrets that stand there as they are; no key if it is the value itself.

    Args:
        key: The option's name.
        hint: Its annotation.
        value: What the file says.
    """
    found: list[tuple[str, ...]] = []
    for path, name, text in _texts((), key, value):
        secret = names_one(name, option=not path) or (path == () and is_secret(hint)) or holds_secret(text)
        if text and secret and not is_reference(text):
            found.append(path)
    return found


def _texts(path: tuple[str, ...], name: str, value: Any) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if isinstance(value, str):
        yield path, name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts((*path, str(key)), str(key), item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(path, name, item)
