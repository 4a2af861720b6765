"""CallInfo: what may be told of a call, and of where it goes, without letting a secret out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import getrandbits
from urllib.parse import urlsplit, urlunsplit

_LONGEST_MODEL = 100
"""Characters of a model's name told in a message: a program may let others choose it."""

TOLD = ("id", "method", "path", "endpoint", "params", "stream", "options", "base_url")
"""What of a call a `CallInfo` is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInfo:
    """What may be told of a call anywhere (errors, logs): no content, no key, no header. It pickles.

    Attributes:
        id: The call's unique id.
        method: HTTP method.
        path: Path under the base URL, without a query.
        endpoint: The API's name for it, such as ``"chat.completions"``.
        model: The model asked for; None where the endpoint has none.
        stream: True if a stream was asked for.
        tenant: On whose behalf the call is made.
        tags: The program's labels.
        host: Where it goes, such as ``"api.openai.com"``.
    """

    id: str
    method: str
    path: str
    endpoint: str
    model: str | None
    stream: bool
    tenant: str | None
    tags: Mapping[str, str]
    host: str = ""

    def __str__(self) -> str:
        """The call as an error message names it."""
        model = f" model={self.model[:_LONGEST_MODEL]!r}" if self.model else ""
        return f"{self.endpoint or self.path} ({self.method} {self.path}{model}, {self.id})"


def bare(path: str) -> str:
    """A path, or a whole address, without query and credentials."""
    if "?" not in path and "@" not in path and "#" not in path:
        return path
    parts = urlsplit(path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@lru_cache(maxsize=256)
def host_of(url: str) -> str:
    """Where an address leads: host and port, without credentials."""
    return urlsplit(url).netloc.rpartition("@")[2]


def new_id() -> str:
    """A fresh call id: ``call_`` and 96 random bits in hex."""
    return f"call_{getrandbits(96):024x}"
