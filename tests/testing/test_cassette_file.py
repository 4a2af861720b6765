"""A cassette's file reads well, holds no secret, and says what is wrong with it."""

import base64
import re

import pytest
import yaml

from llmstack.redaction import redact
from llmstack.testing import Cassette, CassetteError
from tests.core.side import KEY, Side, texts, trio_complains
from tests.testing.cassette_calls import ASKED, client_of, record

pytestmark = trio_complains


def test_the_file_reads_well(server, file):
    """Bodies line by line, sorted as asked, one entry a request."""
    text = record(server, file)
    calls = yaml.safe_load(text)["calls"]
    assert [call["request"]["endpoint"] for call in calls] == ["chat.completions", "chat.completions", "audio.speech"]
    assert '\n      body: |\n        {\n          "messages": [\n            {\n              "content": "Tell' in text
    assert "\n      events: |+\n        data: {" in text
    assert "\N{SNOWMAN}" in text
    assert base64.b64decode(calls[2]["reply"]["base64"])
    assert '\\"' not in text
    ids = re.compile(r"req_\d+|chatcmpl-\d+")
    again = record(server, file.with_name("again.yaml"))
    assert ids.sub("id", again) == ids.sub("id", text)


def test_no_secret_is_written(server, file):
    """Neither the key, nor any header of the request."""
    text = record(server, file)
    assert KEY not in text
    assert "authorization" not in text.lower()
    assert "x-stainless" not in text.lower()


def test_secrets_are_scrubbed_by_value(server, file):
    """Wherever they turn up: the server echoes what it is asked."""
    asked = {"model": "m", "messages": [{"role": "user", "content": f"my key is {KEY}, keep it"}]}
    with Cassette(file), client_of(Side("sync"), server.base_url) as client:
        assert KEY in client.chat.completions.create(**asked).choices[0].message.content
    assert KEY not in file.read_text()
    with Cassette(file, mode="none"), client_of(Side("sync"), server.base_url) as client:
        assert "***" in client.chat.completions.create(**asked).choices[0].message.content


@pytest.mark.parametrize("letter", ["\x85", "\u2028", "\ufeff", "\x0b", "\x9b"], ids=ascii)
def test_any_letter_is_played_as_it_was_recorded(server, file, letter):
    """Also what YAML takes for the end of a line: it would end an event in the middle."""
    asked = {"model": "m", "messages": [{"role": "user", "content": f"so{letter} it is"}]}
    for mode in ("once", "none"):
        with Cassette(file, mode=mode), client_of(Side("sync"), server.base_url) as client:
            assert texts(client.chat.completions.create(**asked, stream=True)) == f"You said: so{letter} it is"
            assert client.chat.completions.create(**asked).choices[0].message.content == f"You said: so{letter} it is"


@pytest.mark.parametrize(
    "rule",
    ["messages.content", "content", re.compile("(?i)tell me of the sea"), lambda text: text.replace("sea", "***")],
    ids=["path", "name", "pattern", "function"],
)
def test_chosen_fields_are_scrubbed(server, gone, file, rule):
    """On both ways; and the call is found again by what is left."""
    rules = [rule, "content"]
    with Cassette(file, scrub=rules), client_of(Side("sync"), server.base_url) as client:
        assert "the sea" in client.chat.completions.create(**ASKED).choices[0].message.content
        assert "sea" in texts(client.chat.completions.create(**ASKED, stream=True))
    assert " sea" not in file.read_text()
    with Cassette(file, scrub=rules), client_of(Side("sync"), gone) as client:
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "***"
        assert "***" in texts(client.chat.completions.create(**ASKED, stream=True))


def test_personal_data_can_be_scrubbed(server, file):
    """By the function that the logs use."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "mail jane@example.com"}]}
    with Cassette(file, scrub=[redact]), client_of(Side("sync"), server.base_url) as client:
        client.chat.completions.create(**asked)
    assert "jane@" not in file.read_text()
    assert "[email]" in file.read_text()


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"mode": "sometimes"}, ValueError, "mode must be one of none, once, new, all"),
        ({"scrub": "user"}, TypeError, "scrub must be a list"),
        ({"scrub": [7]}, TypeError, "not a int"),
    ],
)
def test_options_are_checked(options, kind, says):
    with pytest.raises(kind, match=says):
        Cassette("x.yaml", **options)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("calls: [", "no YAML at line 1"),
        ("- a", "no list of calls"),
        ("calls: []", "of version None"),
        ("version: 1\ncalls: [{request: {}}]", "call number 1 cannot be read"),
        (
            "version: 1\ncalls:\n- {request: {endpoint: e, method: POST, path: /}, reply: {ending: sad}}",
            "call number 1",
        ),
    ],
)
def test_a_damaged_file_is_told(tmp_path, text, says):
    """Which, where and why."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(CassetteError, match=f"x.yaml is no cassette: .*{says}"), Cassette(file):
        pass
