"""Window: the time over which a limit counts, and the slices in which a ledger adds it up.

A calendar window (``day``) begins at the same moment for everybody and is one slice. A rolling one (``24h``) reaches
back from now; it is added up in slices of a sixtieth, of which the oldest counts whole until it is out: never too
little.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal
from zoneinfo import ZoneInfo

Calendar = Literal["minute", "hour", "day", "week", "month", "year", "ever"]

_CALENDARS: Final[tuple[Calendar, ...]] = ("minute", "hour", "day", "week", "month", "year", "ever")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_ROLLING: Final = re.compile(r"(\d+)\s*([smhdw])")
_PARTS: Final = 60
"""Slices of a rolling window."""

_KEPT: Final = 7 * 86400
"""Seconds that a slice is kept after its window, for settlements that come late and for reports."""

_FOR_EVER: Final = 253_402_300_799
"""The last second of the year 9999."""


@dataclass(frozen=True, slots=True)
class Span:
    """A window at one moment, in whole seconds since the epoch.

    Attributes:
        slice: The slice of that moment, by its beginning.
        since: Slices that begin from here on are counted.
        resets_at: When it is empty again, if nothing comes in; of a rolling window, when its oldest slice drops out.
        keep_until: When the slice may be forgotten.
    """

    slice: int
    since: int
    resets_at: int
    keep_until: int


@dataclass(frozen=True, slots=True)
class Window:
    """The time over which a limit counts.

    Attributes:
        calendar: A calendar window; empty for a rolling one.
        seconds: The length of a rolling window; 0 for a calendar one.
        zone: The time zone of a calendar window, such as ``"Europe/Berlin"``.
    """

    calendar: Calendar | Literal[""] = "day"
    seconds: int = 0
    zone: str = "UTC"

    def __str__(self) -> str:
        """As it is written."""
        return self.calendar or _written(self.seconds)

    def at(self, now: float) -> Span:
        """The window at a moment, in seconds since the epoch."""
        if self.calendar == "ever":
            return Span(0, 0, _FOR_EVER, _FOR_EVER)
        if self.calendar:
            known = _known.get(self)
            if known is None or not known.slice <= now < known.resets_at:
                start, end = _bounds(self.calendar, datetime.fromtimestamp(now, _zone(self.zone)))
                known = _known[self] = Span(start, start, end, end + _KEPT)
            return known
        width = max(1, self.seconds // _PARTS)
        current = int(now // width) * width
        since = int((now - self.seconds) // width) * width
        return Span(current, since, since + width + self.seconds, current + width + self.seconds + _KEPT)


_known: dict[Window, Span] = {}
"""The calendar windows that are just now, as many as a program has kinds of. Threads may write at once:
each writes what is right."""


def window(text: str, zone: str = "UTC") -> Window:
    """Read a window.

    Args:
        text: ``"day"`` and the like for the calendar's, ``"24h"``, ``"30d"``, ``"90s"`` for rolling ones.
        zone: The time zone of a calendar window.

    Raises:
        ValueError: If it is neither, or there is no such zone.
    """
    _zone(zone)
    word = text.strip().lower()
    for calendar in _CALENDARS:
        if word == calendar:
            return Window(calendar, 0, zone)
    match = _ROLLING.fullmatch(word)
    if match is None or int(match[1]) == 0:
        message = f"{text!r} is no window: it is one of {', '.join(_CALENDARS)}, or a length such as 24h, 30d, 90s"
        raise ValueError(message)
    return Window("", int(match[1]) * _UNITS[match[2]])


def _written(seconds: int) -> str:
    for unit in ("w", "d", "h", "m"):
        if seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        message = f"there is no time zone {name!r} on this machine (the package tzdata has them all)"
        raise ValueError(message) from error


def _bounds(calendar: Calendar, now: datetime) -> tuple[int, int]:
    """The calendar's own beginning and end around a moment; a day of a zone may have 23 or 25 hours."""
    if calendar in ("minute", "hour"):
        # These are lengths, the same in every zone that differs from UTC by whole hours or half ones.
        length = _UNITS["m"] if calendar == "minute" else _UNITS["h"]
        offset = int((now.utcoffset() or timedelta()).total_seconds())
        begun = int((now.timestamp() + offset) // length) * length - offset
        return begun, begun + length
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if calendar == "day":
        start, end = midnight, midnight + timedelta(days=1)
    elif calendar == "week":
        start = midnight - timedelta(days=midnight.weekday())
        end = start + timedelta(days=7)
    elif calendar == "month":
        start = midnight.replace(day=1)
        end = (start + timedelta(days=32)).replace(day=1)
    else:
        start = midnight.replace(month=1, day=1)
        end = start.replace(year=start.year + 1)
    return int(start.timestamp()), int(end.timestamp())
