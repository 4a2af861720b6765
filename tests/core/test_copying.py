"""Copies of calls: what `dataclasses.replace` makes, only sooner."""

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import Call
from llmstack._core.copying import replace

FIELDS = [field.name for field in dataclasses.fields(Call) if field.init]
TOLD_OF = ["id", "method", "path", "endpoint", "params", "stream", "base_url"]


def call():
    """A call that has been asked what it may tell."""
    made = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m"}, base_url="http://a/v1")
    assert made.info.model == "m"
    return made


@given(st.sets(st.sampled_from(FIELDS)))
def test_a_copy_is_what_the_standard_library_makes(names):
    """Field by field, whatever is changed."""
    original, changes = call(), {name: object() for name in names}
    ours, theirs = replace(original, **changes), dataclasses.replace(original, **changes)
    assert type(ours) is Call
    for name in FIELDS:
        assert getattr(ours, name) is getattr(theirs, name)


@pytest.mark.parametrize("name", ["nonsense", "_info", "model"])
def test_what_is_no_argument_cannot_be_changed(name):
    """A slip of the pen is told at once."""
    with pytest.raises(TypeError, match=f"a Call has no '{name}' to change"):
        call().replace(**{name: None})


@pytest.mark.parametrize("name", TOLD_OF)
def test_a_copy_tells_of_itself(name):
    """And not of the call that it was made from."""
    value = {"params": {"model": "other"}, "stream": True, "base_url": "http://other/v1"}.get(name, "other")
    copy = call().replace(**{name: value})
    told = {"params": copy.info.model, "base_url": copy.info.host}.get(name, getattr(copy.info, name, None))
    assert told == (True if name == "stream" else "other")


def test_a_copy_of_which_nothing_changes_that_is_told_does_not_tell_it_anew():
    """Each attempt and each retry is told of by the same object."""
    original = call()
    assert original.replace(max_retries=0, verify=True).info is original.info


def test_the_original_stays_as_it_was():
    """And what it tells."""
    original = call()
    info = original.info
    original.replace(params={"model": "other"})
    assert original.info is info
    assert original.params == {"model": "m"}


def test_a_copy_is_frozen_and_pickles_what_it_tells():
    """As any call."""
    copy = call().replace(stream=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        copy.stream = False  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(copy.info)) == copy.info
