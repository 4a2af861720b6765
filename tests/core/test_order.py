"""The order of plugins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack._core.order import Placement, Stage, resolve
from llmstack.errors import OrderError


def test_stages_decide_first():
    """Whatever the listing, the stage decides."""
    placements = [Placement("retry", Stage.RETRY), Placement("a", Stage.WIRE), Placement("z", Stage.OBSERVE)]
    assert resolve(placements) == ["z", "retry", "a"]


def test_before_and_after_decide_within_a_stage_and_names_break_ties():
    """Wishes, then the alphabet."""
    placements = [
        Placement("b", Stage.CACHE),
        Placement("a", Stage.CACHE, after=("c",)),
        Placement("c", Stage.CACHE),
        Placement("d", Stage.CACHE, before=("b",)),
    ]
    assert resolve(placements) == ["c", "d", "a", "b"]


def test_wishes_about_absent_plugins_are_passed_over():
    """A plugin may speak of one that is not active."""
    assert resolve([Placement("a", before=("ghost",), after=("phantom",))]) == ["a"]


def test_a_contradiction_names_both():
    """Each wants to be outside the other."""
    with pytest.raises(OrderError, match=r"'a'.*'b'|'b'.*'a'"):
        resolve([Placement("a", before=("b",)), Placement("b", before=("a",))])


def test_a_wish_against_the_stages_is_an_error():
    """Stages decide first, so the wish can never be granted."""
    with pytest.raises(OrderError, match=r"'retry' \(stage RETRY\) wants to be before 'cache' \(stage CACHE\)"):
        resolve([Placement("retry", Stage.RETRY, before=("cache",)), Placement("cache", Stage.CACHE)])


def test_a_wish_along_the_stages_is_granted_anyway():
    """It says what is so already."""
    placements = [Placement("retry", Stage.RETRY, after=("cache",)), Placement("cache", Stage.CACHE)]
    assert resolve(placements) == ["cache", "retry"]


@given(
    st.permutations(
        [
            Placement(n, s)
            for n, s in zip(
                "abcdef", [Stage.WIRE, Stage.CACHE, Stage.CACHE, Stage.RETRY, Stage.LIMIT, Stage.BUDGET], strict=True
            )
        ]
    )
)
def test_the_order_does_not_depend_on_the_listing(placements):
    """The same set gives the same stack."""
    assert resolve(placements) == ["b", "c", "f", "d", "e", "a"]
