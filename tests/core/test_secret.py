"""Secrets are masked by their value, and by their looks."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmstack import OpenAI, Stack
from llmstack._core import secret
from llmstack.secrets import MASKED, mask, mask_all, register


@pytest.fixture(autouse=True)
def forgotten_afterwards(monkeypatch):
    """What a test registers is its own."""
    monkeypatch.setattr(secret, "_known", {})


def test_a_registered_value_is_masked_wherever_it_stands():
    """Whatever it looks like."""
    register("correct horse battery")
    assert mask("with correct horse battery.") == f"with {MASKED}."


@pytest.mark.parametrize(
    "text", ["sk-proj-0123456789", "Authorization: Bearer abcdefghij", "api-key: 0123456789abcdef", "api-key=01234567"]
)
def test_what_looks_like_a_key_is_masked(text):
    """Without being known."""
    shown = mask(text)
    assert MASKED in shown
    assert "123456" not in shown
    assert "abcdef" not in shown


def test_short_values_and_ordinary_words_stay():
    """Or every text would be full of stars."""
    register("short", None, "")
    assert mask("a short risk-free task") == "a short risk-free task"


def test_texts_inside_json_are_masked():
    """Keys of mappings too; other values stay as they are."""
    register("hidden-value")
    given = {"a": ["x hidden-value", 1, None], "hidden-value": ("y", True)}
    assert mask_all(given) == {"a": [f"x {MASKED}", 1, None], MASKED: ["y", True]}


def test_the_last_256_values_are_remembered():
    """So that a program with very many keys is not slowed down more and more."""
    register(*(f"secret-number-{i:04d}" for i in range(300)))
    assert mask("secret-number-0299") == MASKED
    assert mask("secret-number-0000") == "secret-number-0000"


def test_a_client_registers_its_key_and_the_password_of_its_address():
    """Also a key that looks like nothing."""
    OpenAI(api_key="plain words as key", base_url="http://user:pass-of-proxy@127.0.0.1:9/v1", stack=Stack([])).close()
    assert mask("plain words as key, pass-of-proxy") == f"{MASKED}, {MASKED}"


@given(st.text(alphabet="aeiknprsyAEIKPRSYb-_:= '\"\n.\u212a\u0131\u017f", max_size=40))
@example("API-KEY: aaaaaaaa")
@example("api_\u212aey=aaaaaaaa")
@example("Bearer aaaaaa")
@example("a sk-aaaaaa")
def test_no_key_is_passed_over_for_the_sake_of_speed(text):
    """A text is searched unless it cannot hold what a key begins with."""
    assert mask(text) == secret._KEYS.sub(lambda found: found.group(1) + MASKED, text)  # noqa: SLF001 - it is what is spared
