"""Settings: the options of `Validation`, for all calls or for those of one tenant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from typing import Any, Literal

from llmstack import Call, Issue

Action = Literal["off", "warn", "block"]
SensitiveAction = Literal["off", "warn", "block", "redact"]
Rule = Callable[[Call], Issue | Iterable[Issue] | None]
ACTIONS = ("off", "warn", "block")


@lru_cache(maxsize=256)
def is_openai(host: str) -> bool:
    """True if OpenAI itself answers at a host.

    Azure is none: a deployment has whatever name the customer likes, and may be a model of others, which takes more.
    """
    name = host.partition(":")[0].lower()
    return name == "api.openai.com" or name.endswith(".api.openai.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for a call; `Validation` tells what each means.

    Raises:
        ValueError: If an option is none of those it may be.
    """

    shape: Action = "block"
    api: Literal["auto", "openai", "compatible"] = "auto"
    policy: Action = "block"
    models: Sequence[str] | None = None
    denied_models: Sequence[str] | None = None
    endpoints: Sequence[str] | None = None
    max_prompt_characters: int | None = None
    max_prompt_bytes: int | None = None
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    context_window: Action = "warn"
    context_windows: Mapping[str, int] | None = None
    lifecycle: Action = "warn"
    shutdowns: Mapping[str, Mapping[str, Any]] | None = None
    secrets: SensitiveAction = "off"
    personal: Mapping[str, SensitiveAction] | SensitiveAction = "off"
    answers: Action = "off"
    repair: int = 0
    rules: Sequence[Rule] = ()

    def __post_init__(self) -> None:
        for name in ("shape", "policy", "context_window", "lifecycle", "answers"):
            _check_choice(name, getattr(self, name), ACTIONS)
        _check_choice("api", self.api, ("auto", "openai", "compatible"))
        for name in ("models", "denied_models", "endpoints"):
            _check_globs(name, getattr(self, name))
        for name in ("max_prompt_characters", "max_prompt_bytes", "max_prompt_tokens", "max_output_tokens"):
            _check_count(name, getattr(self, name), least=1)
        _check_count("repair", self.repair, least=0)
        for model, window in (self.context_windows or {}).items():
            _check_count(f"context_windows[{model!r}]", window, least=1)
        for model, shutdown in (self.shutdowns or {}).items():
            _check_shutdown(model, shutdown)
        if not all(map(callable, self.rules)):
            raise ValueError("rules must be a list of functions (call) -> Issue | None")

    def is_strict(self, host: str) -> bool:
        """Whether all that is known of OpenAI, its rules and its models, holds for a call to this host."""
        return self.api == "openai" or (self.api == "auto" and is_openai(host))

    def for_tenant(self, tenant: str, own: Mapping[str, Any]) -> Settings:
        """These settings with those of one tenant on top."""
        known = [field.name for field in fields(self)]
        for name in own:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                meant = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
                raise ValueError(f"tenants[{tenant!r}] has no option {name!r}; {meant}")
        try:
            return Settings(**{**{name: getattr(self, name) for name in known}, **own})
        except ValueError as error:
            raise ValueError(f"tenants[{tenant!r}]: {error}") from None


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")


def _check_globs(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ValueError(f'{name} must be a list of patterns, such as ["gpt-5*"], not {value!r}')


def _check_count(name: str, value: object, *, least: int) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


def _check_shutdown(model: str, value: Any) -> None:
    example = '{"date": "2027-01-14", "successor": "gpt-6-luna"}, or {} for none'
    if not isinstance(value, Mapping) or not value.keys() <= {"date", "successor"}:
        raise ValueError(f"shutdowns[{model!r}] must be such as {example}, not {value!r}")
    if value:
        as_date(value.get("date"), f"shutdowns[{model!r}]: date")


def as_date(value: Any, name: str) -> date:
    """A date given as such (TOML has them) or as text.

    Raises:
        ValueError: If it is none.
    """
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f'{name} must be such as "2027-01-14", not {value!r}') from None
