"""Order: which target is asked first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from random import Random
from typing import Final, Literal, get_args

from llmstack.middleware._route.health import Health

__all__ = ["STRATEGIES", "Strategy", "by_affinity", "by_strategy"]

Strategy = Literal["fallback", "round_robin", "weighted", "least_busy", "latency", "remaining"]
STRATEGIES: Final[tuple[str, ...]] = get_args(Strategy)


def by_strategy(strategy: Strategy, targets: Sequence[Health], now: float, random: Random) -> list[Health]:
    """Targets of the same priority in the order in which they are asked.

    Args:
        strategy: How.
        targets: As they were written.
        now: Seconds of the clock.
        random: Randomness for ``weighted``.
    """
    if strategy == "fallback":
        return list(targets)
    if strategy == "round_robin":
        return _in_turn(targets)
    if strategy == "weighted":
        return sorted(targets, key=lambda health: _drawn(health, random))
    keys: dict[str, Callable[[Health], tuple[float, int]]] = {
        "least_busy": lambda health: (_load(health), health.used),
        "latency": lambda health: (health.expected(now), health.used),
        "remaining": lambda health: (-health.left(now), health.used),
    }
    # Where they are alike, the one that was asked longest ago.
    return sorted(targets, key=keys[strategy])


def by_affinity(value: str, targets: Sequence[Health]) -> list[Health]:
    """The order in which one session asks targets: the same in all processes, and for as long as they are there.

    If one goes, only the sessions that it had move. Source: D. Thaler, C. Ravishankar, "Using name-based mappings to
    increase hit rates", IEEE/ACM Transactions on Networking 6 (1998); the weights: J. Resch, "New hashing algorithms
    for data storage" (2015).

    Args:
        value: The session.
        targets: The targets.
    """
    return sorted(targets, key=lambda health: _distance(value, health))


def _distance(value: str, health: Health) -> float:
    text = f"{value}\0{health.target.name}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
    chance = (number + 1) / (2**64 + 1)
    return -math.log(chance) / health.target.weight if health.target.weight else math.inf


def _drawn(health: Health, random: Random) -> float:
    """Sorted by this, the first is each target with the chance of its weight, and so on with those that are left."""
    chance = 1.0 - random.random()
    return -math.log(chance) / health.target.weight if health.target.weight else math.inf


def _load(health: Health) -> float:
    return health.in_flight / health.target.weight if health.target.weight else math.inf


def _in_turn(targets: Sequence[Health]) -> list[Health]:
    """In turn, as often as the weights say, and evenly mixed. Source: nginx, "smooth weighted round-robin" (2012)."""
    for health in targets:
        health.turn += health.target.weight
    first = max(targets, key=lambda health: health.turn)
    first.turn -= sum(health.target.weight for health in targets)
    return [first, *sorted((health for health in targets if health is not first), key=lambda health: -health.turn)]
