"""Text from elsewhere, made fit for a terminal and rid of keys."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

# Control characters but tab and newline; the marks that turn the direction of text; what is no character at all.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_KEYS = ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN")
_LEAST_KEY = 6
"""Characters of the shortest thing taken for a key: ``x``, for a server that wants none, is hidden nowhere."""


def escaped(text: str) -> str:
    r"""Show control characters as ``\u001b``: a model's answer must not move the cursor or retitle the window.

    Text that was JSON stays the same JSON.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def shortened(text: str, width: int) -> str:
    """One line of at most `width` characters, ending in ``...`` if there was more."""
    line = escaped(" ".join(text.split()))
    return line if len(line) <= width else line[: max(0, width - 3)].rstrip() + "..."


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text without the keys that the environment holds: servers and proxies quote them in their errors."""
    for key in _secrets(environment):
        text = text.replace(key, "***")
    return text


def _secrets(environment: Mapping[str, str]) -> list[str]:
    found = [environment.get(name, "").strip() for name in _KEYS]
    with suppress(ValueError):  # no URL: the SDK says so better
        found.append(urlsplit(environment.get("OPENAI_BASE_URL", "")).password or "")
    return sorted({key for key in found if len(key) >= _LEAST_KEY}, key=len, reverse=True)
