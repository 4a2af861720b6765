"""Objects that remember what they were made with."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from llmstack import Configurable
from llmstack.middleware import Retry

KEY = "configurable-not-a-key"


class Acme(Configurable):
    def __init__(self, size: int = 1, *more: str, api_key: str = "", **rest: Any) -> None:
        self.size = size


def test_the_arguments_by_name() -> None:
    """However they were given; defaults are left out."""
    assert Acme().given_options() == {}
    assert Acme(3, api_key=KEY, colour="red").given_options() == {"size": 3, "api_key": KEY, "colour": "red"}
    assert Retry(5).given_options() == {"attempts": 5}


def test_nothing_shows_them() -> None:
    """There may be keys among them."""
    made = Acme(api_key=KEY)
    assert KEY not in repr(made)
    assert KEY not in repr(vars(made))


def test_a_subclass_with_more_options() -> None:
    """Its own constructor's arguments count."""

    class Larger(Acme):
        def __init__(self, factor: int) -> None:
            super().__init__(factor * 2)

    assert Larger(3).given_options() == {"factor": 3}
    assert Larger(3).size == 6


def test_the_constructor_stays_what_it_was() -> None:
    """For `help()`, for type checkers, and for its own errors."""
    assert list(inspect.signature(Retry).parameters)[:2] == ["attempts", "wait"]
    with pytest.raises(TypeError, match=r"Retry\.__init__\(\) got an unexpected keyword argument 'atempts'"):
        Retry(atempts=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_remember_too(copied: Any) -> None:
    """As all their attributes."""
    assert copied(Acme(3)).given_options() == {"size": 3}
