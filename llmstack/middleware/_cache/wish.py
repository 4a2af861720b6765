"""Wishes: what the program says about one call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from llmstack import Options
from llmstack.errors import OptionError

__all__ = ["Wish", "wish_of"]

Mode = Literal["on", "off", "refresh", "only"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with a call.

    Attributes:
        mode: ``"off"``: nothing; ``"refresh"``: ask, and keep the answer; ``"only"``: never ask.
        ttl: Seconds, to keep its answer for and to be served an answer of at most; None for the plugin's own.
    """

    mode: Mode = "on"
    ttl: float | None = None


_NONE: Final = Wish()
_MODES: Final[dict[Any, Mode]] = {"on": "on", "off": "off", "refresh": "refresh", "only": "only", False: "off"}


def wish_of(options: Options) -> Wish:
    """Read a call's options.

    Raises:
        llmstack.errors.OptionError: If ``cache`` or ``ttl`` is none that there is.
    """
    if not options or not ("cache" in options or "ttl" in options):
        return _NONE
    given, seconds = options.get("cache"), options.get("ttl")
    mode = "on" if given is None else _MODES.get(given) if isinstance(given, (str, bool)) else None
    if mode is None:
        raise OptionError(f"the option cache is 'off', 'refresh' or 'only', not {given!r}")
    return Wish(mode, None if seconds is None else _seconds(seconds))


def _seconds(given: Any) -> float:
    try:
        seconds = float(given)  # a header says it in letters
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(given, bool) or not 0 < seconds < math.inf:
        raise OptionError(f"the option ttl must be a number of seconds greater than 0, not {given!r}")
    return seconds
