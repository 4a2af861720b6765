"""Errors: one tree, picklable, without secrets."""

import inspect
import pickle

import openai
import pytest

from llmstack import errors
from llmstack._core.call import Call

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.StackError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_the_sdks_and_pickles(kind):
    """With its call and plugin, without the reply."""
    call = Call(
        path="/chat/completions", endpoint="chat.completions", params={"model": "m", "messages": ["private words"]}
    )
    error = kind("it went wrong", call=call.info, plugin="acme", reply=object())
    assert isinstance(error, openai.OpenAIError)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.call == call.info
    assert copy.plugin == "acme"
    assert copy.reply is None
    assert "private" not in repr(copy.__dict__)


def test_the_text_says_what_which_plugin_and_which_call():
    """An error is for people."""
    call = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m"}, id="call_1")
    error = errors.RefusedError("over budget: raise the limit", call=call.info, plugin="budget")
    assert str(error) == (
        "over budget: raise the limit "
        "[plugin 'budget', call chat.completions (POST /chat/completions model='m', call_1)]"
    )


@pytest.mark.parametrize(
    "secret", ["sk-test-not-a-key-1234567890", "Bearer abcdefghijklmnop", "api-key: 0123456789abcdef"]
)
def test_keys_are_masked(secret):
    """Whatever a message was made of."""
    error = errors.StackError(f"server said: wrong key {secret}!")
    assert secret not in str(error)
    assert "***" in str(error)


def test_every_error_is_in_the_drawn_tree():
    """The tree at the top of the module is the whole tree, each under its parent."""
    lines = (errors.__doc__ or "").splitlines()
    depth = {}
    for line in lines:
        for kind in KINDS:
            if f"── {kind.__name__} " in line + " ":
                depth[kind] = line.index(kind.__name__)
    assert set(depth) == set(KINDS)
    for kind, column in depth.items():
        parent = kind.__mro__[1]
        if parent in depth:
            assert depth[parent] < column


def test_all_is_sorted_and_whole():
    """What a program may catch."""
    assert errors.__all__ == sorted(kind.__name__ for kind in KINDS)
