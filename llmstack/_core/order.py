"""The order of plugins: by stage, then by what they say of each other, then by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter


class Stage(IntEnum):
    """Where in the stack a layer belongs, outermost first.

    ``OBSERVE`` sees each call once, whatever becomes of it; ``WIRE`` sees every single request.
    """

    OBSERVE = 10
    VALIDATE = 20
    MODERATE = 30
    CACHE = 40
    BUDGET = 50
    ROUTE = 60
    RETRY = 70
    LIMIT = 80
    WIRE = 90


@dataclass(frozen=True, slots=True)
class Placement:
    """What a plugin declares about its place.

    Attributes:
        name: The plugin's name.
        stage: Its stage.
        before: Names of plugins of the same stage that must be further in.
        after: Names of plugins of the same stage that must be further out.
    """

    name: str
    stage: Stage = Stage.OBSERVE
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def resolve(placements: Iterable[Placement]) -> list[str]:
    """Put plugins in order, outermost first.

    Names in `before`/`after` that are not present are passed over: a plugin may speak of one that is not active.

    Args:
        placements: What each plugin declares; names must be unique.

    Returns:
        The names in order. The same set gives the same order, however it was listed.

    Raises:
        llmstack.errors.OrderError: If wishes contradict each other or a wish crosses stages the wrong way.
    """
    known = {placement.name: placement for placement in placements}
    order: list[str] = []
    for stage in sorted({placement.stage for placement in known.values()}):
        members = sorted(name for name, placement in known.items() if placement.stage == stage)
        order += _within(stage, members, known)
    _check_across(known)
    return order


def _within(stage: Stage, members: Sequence[str], known: dict[str, Placement]) -> list[str]:
    outer_of: dict[str, set[str]] = {name: set() for name in members}
    for name in members:
        for other in known[name].before:
            if other in outer_of:
                outer_of[other].add(name)
        for other in known[name].after:
            if other in outer_of:
                outer_of[name].add(other)
    sorter = TopologicalSorter(outer_of)
    try:
        sorter.prepare()
    except CycleError as error:
        from llmstack.errors import OrderError

        cycle = " -> ".join(repr(name) for name in error.args[1])
        message = f"plugins of stage {stage.name} contradict each other: {cycle}; drop one of their before/after"
        raise OrderError(message) from None
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return order


def _check_across(known: dict[str, Placement]) -> None:
    for placement in known.values():
        wishes = [(placement, known[o], "before") for o in placement.before if o in known]
        wishes += [(known[o], placement, "after") for o in placement.after if o in known]
        for outer, inner, word in wishes:
            if outer.stage > inner.stage:
                from llmstack.errors import OrderError

                other = inner if word == "before" else outer
                message = (
                    f"plugin {placement.name!r} (stage {placement.stage.name}) wants to be {word} {other.name!r} "
                    f"(stage {other.stage.name}), but stages decide first: change its stage or drop the wish"
                )
                raise OrderError(message)
