"""Text from elsewhere: control characters, keys, length."""

import json

import pytest

from llmstack.cli.measure import duration
from llmstack.cli.text import escaped, redacted, shortened


@pytest.mark.parametrize("unsafe", ["\x1b[2J", "\x07", "\r", "\x9b", "\u202e", "\x7f", "\x00", "\ud800"])
def test_what_moves_the_cursor_is_escaped(unsafe):
    """Nothing that a terminal acts upon stays."""
    assert escaped(unsafe).isascii()
    assert escaped(unsafe).isprintable()


def test_what_is_harmless_stays():
    """Lines, tabs and letters of any script stay as they are."""
    assert escaped("a\n\tb é 漢 🙂") == "a\n\tb é 漢 🙂"


def test_escaped_json_is_the_same_json():
    """JSON stays JSON, with the same meaning."""
    value = {"text": "\x9b\u202e\x7f"}
    assert json.loads(escaped(json.dumps(value, ensure_ascii=False))) == value


def test_a_long_text_becomes_one_short_line():
    """Shortened text fits and says that there was more."""
    assert shortened("one\ntwo   three", 80) == "one two three"
    assert shortened("x" * 100, 20) == "x" * 17 + "..."


def test_keys_of_the_environment_are_taken_out():
    """A key that a server quotes is not printed; a stand-in too short to be a key is left."""
    environment = {"OPENAI_API_KEY": "sk-test-not-a-key", "OPENAI_BASE_URL": "https://me:hunter22@host/v1"}
    said = redacted("wrong key sk-test-not-a-key for me:hunter22", environment)
    assert said == "wrong key *** for me:***"
    assert redacted("an axe", {"OPENAI_API_KEY": "x"}) == "an axe"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(2.34, "2.3 s"), (0.1234, "123 ms"), (0.0042, "4.2 ms"), (0.00042, "0.42 ms")]
)
def test_a_time_has_the_digits_that_mean_something(seconds, shown):
    """Times are short to read, whatever their size."""
    assert duration(seconds) == shown
