"""What Logging never writes: content, secrets, characters that forge lines or move cursors."""

import io
import json
import logging
import re
from decimal import Decimal

import openai
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

import llmstack
from llmstack import OpenAI, Stack, secrets
from llmstack.middleware import Logging, Retry
from llmstack.middleware._logging import text as log_text
from llmstack.middleware._logging.text import GUARD, LONGEST, as_text, escaped, shown, tidy, told
from llmstack.testing import FakeClock, ScriptedTransport, Status

ODD_KEY = "Odd & unusual: key?"
SENT = "x\r\nllm.call outcome=ok\x1b[2J\x9b31m\x7f\u2028\u202e"
EVIL = SENT + "\ud800"  # half a character, which no encoding can write and so nobody can send
ROUTES = ["logging", "structlog", "json", "console"]


@pytest.fixture(params=ROUTES)
def written(request, caplog):
    """Make calls through a route; gives all that was written, as text."""

    def write(script, **content):
        stream = io.StringIO()
        if request.param == "structlog":
            structlog.configure(
                processors=[structlog.contextvars.merge_contextvars, structlog.processors.KeyValueRenderer()],
                logger_factory=structlog.PrintLoggerFactory(stream),
                wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
            )
        own = {"format": request.param, "level": "DEBUG", "stream": stream} if request.param in ROUTES[2:] else {}
        plugin = Logging(**own, **content)
        stack = Stack([Retry(), plugin, notes], transport=ScriptedTransport(script), clock=FakeClock())
        client = OpenAI(api_key=ODD_KEY, stack=stack)
        with caplog.at_level(logging.DEBUG, "llmstack"):
            try:
                client.chat.completions.create(
                    model="m" + ODD_KEY + SENT, messages=[{"role": "user", "content": f"private words {ODD_KEY}"}]
                )
            finally:
                assert plugin.flush()
        assert plugin.failures == 0
        return stream.getvalue() + "".join(f"{record.getMessage()}\n" for record in caplog.records)

    yield write
    structlog.reset_defaults()


def notes(call, next):
    """A layer that notes things that nobody should."""
    call.note(key={ODD_KEY: [f"<{ODD_KEY}>", EVIL]}, odd=Odd())
    return (yield from next(call))


class Odd:
    """Something whose text holds a key."""

    def __str__(self):
        return ODD_KEY + EVIL


@pytest.fixture
def said():
    """The program says keys and control characters wherever it can."""
    with (
        llmstack.options(tenant=f"t {ODD_KEY}{EVIL}", tags={"team": ODD_KEY, EVIL: EVIL}),
        structlog.contextvars.bound_contextvars(bound=f"b {ODD_KEY}{EVIL}"),
    ):
        yield


@pytest.mark.usefixtures("said")
def test_neither_content_nor_keys_are_written_also_at_debug(written):
    """On every route: secrets are known by their value, whatever they look like."""
    failure = Status(500, {"error": {"message": "private words", "code": f"c {ODD_KEY}{SENT}", "type": "x"}})
    text = written([failure, "private answer"])
    assert "llm.attempt" in text
    assert "***" in text
    assert "private" not in text
    assert "unusual" not in text


@pytest.mark.usefixtures("said")
def test_nothing_forges_a_line_or_a_terminal_sequence(written):
    """On every route control characters, line separators and marks of direction are written out."""
    failure = Status(500, {"error": {"message": "m", "code": SENT, "type": "x"}})
    text = written([failure, {"model": SENT, "choices": [{"finish_reason": SENT, "message": {"content": SENT}}]}])
    lines = text.splitlines()  # which also breaks at U+2028 and its like
    assert len(lines) == 4
    assert all(line.count("llm.") >= 1 for line in lines)
    # A console is the one that colours by itself, and not this stream.
    assert not [character for character in text if character != "\n" and escaped(character) != character]
    assert r"\x1b[2J" in text.replace("\\\\", "\\")


@pytest.mark.tells
@pytest.mark.usefixtures("said")
def test_keys_are_masked_and_control_characters_escaped_in_content_too(written):
    """Asking for all content is not asking for keys."""
    answer = {"choices": [{"message": {"role": "assistant", "content": f"told: {ODD_KEY} {SENT} sk-test-not-a-key"}}]}
    text = written([answer], content="full")
    assert "private words" in text
    assert "told: ***" in text
    assert "unusual" not in text
    assert "not-a-key" not in text
    assert len(text.splitlines()) == 3
    assert not [character for character in text if character != "\n" and escaped(character) != character]


def test_a_failed_calls_error_text_is_not_logged(written):
    """It may quote the prompt."""

    with pytest.raises(openai.BadRequestError):
        written([Status(400, "you said: private words")])


def test_a_key_that_straddles_the_cut_is_masked():
    """Text is masked before it is cut, also where only its beginning is looked at."""
    secrets.register(ODD_KEY)
    for length in range(LONGEST - len(ODD_KEY), LONGEST + 1):
        text = shown("." * length + ODD_KEY + "." * 3 * GUARD)
        assert "Odd" not in text
        assert text.endswith(f"… [{length + len(ODD_KEY) + 3 * GUARD} characters]")
    straddling = "." * (LONGEST + GUARD - 5) + ODD_KEY
    assert "Odd" not in shown(straddling)
    # Everything before it shrinks, so that the end of what was looked at comes into view.
    assert "Odd" not in shown(ODD_KEY * ((LONGEST + GUARD) // len(ODD_KEY) + 1))


def test_a_value_of_any_length_takes_a_bounded_place():
    """A server may send what it likes."""
    assert len(shown("x" * 1_000_000)) < LONGEST + 40
    assert shown("x" * LONGEST) == "x" * LONGEST


@given(st.text())
def test_escaped_text_is_one_printable_line(text):
    """And ordinary text stays as it is."""
    line = escaped(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in line)
    line.encode()
    assert escaped(line) == line


def test_ordinary_text_of_any_language_stays():
    """Accents, other scripts, emoji."""
    text = 'Zürich, 東京, 👋🏽, שלום, \\ and "quotes"'
    assert escaped(text) == text


def test_whatever_is_noted_becomes_json():
    """Numbers stay numbers; what JSON does not know becomes text; nothing is endless."""
    endless: list[object] = []
    endless.append(endless)
    value = {
        "d": Decimal("1.5"),
        "n": float("nan"),
        "i": 1,
        "b": True,
        "none": None,
        3: (1, 2),
        "s": {"x"},
        "e": endless,
    }
    done = tidy(value)
    assert json.loads(json.dumps(done, allow_nan=False)) == done
    assert done.items() >= {"d": "1.5", "n": "nan", "i": 1, "b": True, "none": None, "3": [1, 2], "s": ["x"]}.items()
    assert "[nested too deep]" in json.dumps(done["e"])


def test_the_text_form_quotes_what_needs_it():
    """So that it can be taken apart again."""
    fields = {"a": "b", "c": 'd "e"', "f": "", "g": True, "h": {"i": [1]}, "j": "k=l"}
    assert as_text("llm.call", fields) == 'llm.call a=b c="d \\"e\\"" f="" g=true h={"i":[1]} j="k=l"'


@pytest.mark.parametrize("value", ["a b\\", '\\" outcome=ok x="', '\\\\" c', "\\ \\n", '"', "\\" * 999 + ' "'])
def test_a_text_does_not_end_before_its_end(value):
    """Whatever stands before a quote: nobody adds fields to a line by what a field says."""
    line = as_text("llm.call", {"model": value, "outcome": "error"})
    assert re.fullmatch(r'llm\.call model="(?:[^"\\]|\\.)*" outcome=error', line)


@given(
    st.lists(st.sampled_from([ODD_KEY, f"x{ODD_KEY}y", "sk-", "abcdef", "api_key=", "Bearer", EVIL, "ok", 7, None, []]))
)
def test_a_line_hides_in_each_field_what_the_field_hides_by_itself(values):
    """All its texts are looked at in one go; what one ends with and the next begins with are no key together."""
    secrets.register(ODD_KEY)
    fields = {f"f{i}": value for i, value in enumerate(values)}
    assert told(fields) == {name: tidy(value) for name, value in fields.items() if value is not None}


def test_no_character_that_is_escaped_counts_as_printable():
    """Or it would be left as it is."""
    unsafe = [chr(code) for code in range(0x110000) if log_text._UNSAFE.match(chr(code))]  # noqa: SLF001 - all of them
    assert len(unsafe) > 2000
    assert not any(character.isprintable() for character in unsafe)
