"""Catalog: what is known of models, read from ``models.toml`` when it is first needed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from llmstack.middleware._validation.settings import as_date

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Shutdown:
    """When a model ends, and what to use then.

    Attributes:
        date: The day from which it is no longer served.
        successor: The model that its provider recommends instead; empty if there is none.
    """

    date: date
    successor: str


@cache
def _data() -> tuple[Mapping[str, Shutdown], Mapping[str, int]]:
    text = files("llmstack.middleware._validation").joinpath("models.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    shutdowns = {
        model: Shutdown(entry["date"], entry.get("successor", ""))
        for entry in data["shutdown"]
        for model in entry["models"]
    }
    return shutdowns, data["context_window"]


def shutdown_of(model: str, own: Mapping[str, Mapping[str, Any]] | None, *, openai: bool) -> Shutdown | None:
    """When a model ends; None if that is not known, or it does not.

    A fine-tuned model ends with the model that it was made of.

    Args:
        model: The model asked for.
        own: The program's own table, which goes first; an empty entry says that the model does not end.
        openai: True if OpenAI is asked, so that the built-in table holds: a local server may call its model ``gpt-4``.
    """
    if not own:
        return _shutdown(model) if openai and len(model) <= _LONGEST else None
    for name in _names(model):
        if name in own:
            entry = own[name]
            return Shutdown(as_date(entry["date"], name), str(entry.get("successor", ""))) if entry else None
        if openai and name in _data()[0]:
            return _data()[0][name]
    return None


def window_of(model: str, own: Mapping[str, int] | None, *, openai: bool) -> int | None:
    """How many tokens a model can have before it, prompt and answer together; None if that is not known.

    Args:
        model: The model asked for.
        own: The program's own table, which goes first.
        openai: True if OpenAI is asked, so that the built-in table holds.
    """
    if not own:
        return _window(model) if openai and len(model) <= _LONGEST else None
    for candidate in _candidates(model):
        if candidate in own:
            return own[candidate]
        if openai and candidate in _data()[1]:
            return _data()[1][candidate]
    return None


# The program's customers may name models, in any number and length: these tables must not fill the memory.
_LONGEST = 200


@lru_cache(maxsize=1024)
def _shutdown(model: str) -> Shutdown | None:
    shutdowns = _data()[0]
    return next((shutdowns[name] for name in _names(model) if name in shutdowns), None)


@lru_cache(maxsize=1024)
def _window(model: str) -> int | None:
    windows = _data()[1]
    return next((windows[name] for name in _candidates(model) if name in windows), None)


def _candidates(model: str) -> Iterator[str]:
    for name in _names(model):
        yield name
        yield _SNAPSHOT.sub("", name)


def _names(model: str) -> tuple[str, ...]:
    """The model, and what it was made of: ``ft:BASE:organization::id``."""
    parts = model.split(":")
    return (model, parts[1]) if parts[0] == "ft" and len(parts) > 1 else (model,)
