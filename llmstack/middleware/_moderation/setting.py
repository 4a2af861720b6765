"""The options' rules: a mistake is told when the plugin is made, with what to change."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from llmstack.middleware._moderation.checker import Checker, name_of

__all__ = ["check_choices", "check_numbers", "check_thresholds", "checkers_of"]

CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The categories of OpenAI's moderation models (openai.types.Moderation)."""


def check_choices(**given: tuple[object, tuple[object, ...]]) -> None:
    """Check options that are one of some words.

    Raises:
        ValueError: If one is not.
    """
    for name, (value, allowed) in given.items():
        if value not in allowed:
            words = " or ".join(f'"{word}"' for word in allowed if word is not None)
            raise ValueError(f"{name} must be {words}, not {value!r}")


def check_numbers(*, window: int | None, timeout: float, cache_size: int, cache_ttl: float, output: bool) -> None:
    """Check the options that are numbers.

    Raises:
        ValueError: If one cannot be.
    """
    if window is not None and window < 1:
        raise ValueError(
            f"window must be at least 1 character, or be left out to hold back a whole stream, not {window}"
        )
    if window is not None and not output:
        raise ValueError("window is for answers: it goes with output=True")
    if cache_size < 0:
        raise ValueError(f"cache_size must be a number of verdicts, 0 for no cache, not {cache_size}")
    for name, seconds in (("timeout", timeout), ("cache_ttl", cache_ttl)):
        if not seconds > 0:
            raise ValueError(f"{name} must be a number of seconds greater than 0, not {seconds}")


def check_thresholds(given: Mapping[str, float], model: str | None, checkers: tuple[Checker, ...]) -> dict[str, float]:
    """Check the thresholds.

    A category that nobody can know here passes, since models learn new ones; one that is a known one misspelt does not.

    Args:
        given: Thresholds by category.
        model: The model that is asked; None if none is.
        checkers: Who else is.

    Raises:
        ValueError: If a threshold is no number from 0 to 1, nobody is there to give scores, or a name is misspelt.
    """
    if given and model is None and not checkers:
        raise ValueError("thresholds are for scores, and nobody gives any: drop endpoint=False, or add checkers")
    for category, threshold in given.items():
        number: Any = threshold
        if (
            isinstance(number, bool)
            or not isinstance(number, (int, float))
            or not 0.0 <= number <= 1.0
            or math.isnan(number)
        ):
            raise ValueError(f"thresholds: {category!r} must be a number from 0 to 1, not {threshold!r}")
        if checkers or category in CATEGORIES or model is None or "moderation" not in model:
            continue
        plain = category.lower().replace("_", "-").replace(" ", "-")
        close = difflib.get_close_matches(plain, CATEGORIES, 1, cutoff=0.75)
        if close:
            known = ", ".join(CATEGORIES)
            raise ValueError(f"thresholds: there is no category {category!r}; did you mean {close[0]!r}? ({known})")
    return dict(given)


def checkers_of(given: Iterable[Checker]) -> tuple[Checker, ...]:
    """The checkers.

    Raises:
        ValueError: If one cannot check, or two have one name.
    """
    checkers = tuple(given)
    for checker in checkers:
        if isinstance(checker, type) or not callable(getattr(cast("Any", checker), "check", None)):
            raise ValueError(f"checkers: {checker!r} has no method check(text); list instances that have one")  # noqa: TRY004
    names = [name_of(checker) for checker in checkers]
    for name in names:
        if names.count(name) > 1 or name in ("terms", "openai", "azure"):
            raise ValueError(f"checkers: the name {name!r} is taken; give each checker a `name` of its own")
    return checkers
