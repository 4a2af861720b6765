"""Target: one place that can answer a call."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from llmstack import Seconds

__all__ = ["STRICT", "Target", "check_hop", "parsed", "parsed_all"]

STRICT: Final = {"extra": "forbid"}
"""For what a config file says: a key that is not known is a mistake."""


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a transport. As text: ``"gpt-5"``, ``"azure/gpt-5"``, ``"azure/*"`` (the model asked for), ``"*"``.

    Args:
        model: The model; None for the one that was asked for.
        transport: Name of the transport; None for the stack's own.
        weight: Share of the calls, against the weights of the others; 0 for none but what the others fail at.
        priority: Targets of the smallest number are asked first.
        params: Parameters of the request set for this target, such as ``{"service_tier": "flex"}``.
        without: Parameters that this target does not take, such as ``["reasoning_effort"]``.
        retries: Requests after the first, if a `Retry` is further in; None for those of the route.
        timeout: Seconds for each request; None for those of the route.

    Attributes:
        name: How it is told: as it would be written as text.

    Raises:
        ValueError: If weight, retries or timeout cannot be.
    """

    model: str | None = None
    transport: str | None = None
    weight: float = 1.0
    priority: int = 0
    params: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    without: Sequence[str] = ()
    retries: int | None = None
    timeout: Seconds | None = None
    name: str = field(init=False, repr=False, compare=False)
    __pydantic_config__: ClassVar[dict[str, str]] = STRICT

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        model = self.model or "*"
        object.__setattr__(self, "name", model if self.transport is None else f"{self.transport}/{model}")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"the weight of {self.name} must be 0 or more, not {self.weight}")
        check_hop(self.retries, self.timeout)


def check_hop(retries: int | None, timeout: float | None) -> None:
    """Check what is said of each hop.

    Raises:
        ValueError: If it cannot be.
    """
    if retries is not None and retries < 0:
        raise ValueError(f"retries must be 0 or more, not {retries}")
    if timeout is not None and not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a number of seconds greater than 0, not {timeout}")


def parsed(given: str | Target, transports: Collection[str]) -> Target:
    """A target from its text.

    What stands before the first slash is a transport if there is one of that name; else it belongs to the model's
    name, as in ``"meta-llama/Llama-3.3-70B"``.

    Raises:
        ValueError: If the text is empty, or looks like a misspelt transport; if a `Target` names an unknown one.
    """
    if isinstance(given, Target):
        if given.transport is not None and given.transport not in transports:
            raise ValueError(f"there is no transport {given.transport!r}; {_known(transports)}")
        return given
    prefix, slash, rest = given.partition("/")
    if slash and prefix in transports:
        return Target(model=None if rest in ("", "*") else rest, transport=prefix)
    if slash and (close := difflib.get_close_matches(prefix, transports, 1, 0.75)):
        raise ValueError(f"there is no transport {prefix!r} for the target {given!r}; did you mean {close[0]!r}?")
    if not given:
        raise ValueError("a target must name a model, a transport, or both, such as 'azure/gpt-5'; it is empty")
    return Target(model=None if given == "*" else given)


def parsed_all(given: str | Target | Sequence[str | Target], transports: Collection[str]) -> tuple[Target, ...]:
    """One target, or several.

    Raises:
        ValueError: If there is none, or two are the same.
    """
    several = [given] if isinstance(given, (str, Target)) else given
    targets = tuple(parsed(one, transports) for one in several)
    if not targets:
        raise ValueError("a route needs at least one target")
    names = [target.name for target in targets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"the target {twice!r} is named twice; give it a greater weight instead")
    return targets


def _known(transports: Collection[str]) -> str:
    if transports:
        return f"there are: {', '.join(sorted(transports))}"
    return "there are none: give them to the route or its stack, transports={...}, or in [transports.NAME] tables"
