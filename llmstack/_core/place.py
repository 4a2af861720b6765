"""Place: where a transport sends what it is given, and as whom."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transport of a place of its own sends, whatever the client points at.

    Attributes:
        base_url: The address that paths are put under, with a slash at its end; without credentials.
        credential: A short digest of the keys that it sends, which tells nothing of them; see `Call.credential`.
        settings: A short digest of all else that it adds to each request; see `Call.settings`.
    """

    base_url: str
    credential: str = ""
    settings: str = ""
