"""A stack from a TOML file."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from llmstack import OpenAI, Stack
from llmstack.errors import ConfigError, OptionError
from llmstack.middleware import Budget, Cache, Retry
from tests.plugins.conftest import Install, Write


def test_a_file_names_plugins_and_their_options(write: Write) -> None:
    """In any order: the stages decide."""
    stack = Stack.from_config(write('plugins = ["logging", "retry"]\n[retry]\nattempts = 5\n'))
    assert list(stack.plugins) == ["retry", "logging"]
    retry = stack.plugins["retry"]
    assert isinstance(retry, Retry)
    assert retry.attempts == 5


def test_a_client_takes_the_path(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `stack=`, or from the environment."""
    path = write('plugins = ["retry"]')
    for given in (path, str(path)):
        assert list(OpenAI(api_key="sk-test-not-a-key", stack=given).stack.plugins) == ["retry"]
    monkeypatch.setenv("LLMSTACK_CONFIG", str(path.absolute()))
    assert list(OpenAI(api_key="sk-test-not-a-key").stack.plugins) == ["retry"]


def test_only_a_file_that_was_named_is_read(write: Write) -> None:
    """One that lies in the working directory changes nothing: whoever put it there may be anybody."""
    write('plugins = ["nothing-of-this-name"]')
    assert "validation" in OpenAI(api_key="sk-test-not-a-key").stack.plugins


def test_the_table_of_a_pyproject(write: Write) -> None:
    """The file's name tells."""
    path = write(
        """
        [project]
        name = "example"
        [tool.llmstack]
        plugins = ["retry"]
        [tool.llmstack.retry]
        attempts = 5
        """
    ).rename("pyproject.toml")
    assert Stack.from_config(path).plugins["retry"].attempts == 5
    path.write_text(path.read_text().replace("attempts", "atempts"))
    with pytest.raises(OptionError) as caught:
        Stack.from_config(path)
    assert str(caught.value).startswith("pyproject.toml:7: [retry] has no option 'atempts'; did you mean 'attempts'?")
    path.write_text("[project]\n")
    with pytest.raises(ConfigError) as none:
        Stack.from_config(path)
    assert str(none.value) == "pyproject.toml has no table [tool.llmstack]"


def test_durations_and_sizes_are_written_as_people_do(write: Write) -> None:
    """Where a parameter is `Seconds` or `Bytes`: also in a table inside, and beside other kinds."""
    stack = Stack.from_config(
        write(
            """
            plugins = ["cache", "retry", "moderation"]
            [cache]
            ttl = "1h 30m"
            max_bytes = "64 MB"
            single_flight = "30s"
            [retry]
            deadline = 20
            breaker = { window = "1m", open_for = 15.5 }
            """
        )
    )
    cache, retry = stack.plugins["cache"], stack.plugins["retry"]
    assert isinstance(cache, Cache)
    assert cache.given_options() == {"ttl": 5400.0, "max_bytes": 64_000_000, "single_flight": 30.0}
    assert retry.deadline == 20
    assert (retry.breaker.window, retry.breaker.open_for) == (60, 15.5)


# Mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = [
    block.partition("\n----\n")[::2]
    for block in (Path(__file__).parent / "mistakes.txt").read_text("utf-8").rstrip("\n").split("\n====\n")[1:]
]
"""What a file says, and all that its user is told."""


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_a_mistake_names_file_line_and_key_and_what_to_write(write: Write, text: str, told: str) -> None:
    """Before any call, and in whole sentences."""
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(write(text))
    assert str(caught.value) == told


def test_there_are_mistakes() -> None:
    """The test above looks at something."""
    assert len(MISTAKES) > 30


def test_all_mistakes_are_told_at_once(write: Write) -> None:
    """Nobody wants to find them one by one."""
    path = write(
        """\
        plugins = ["retry", "cache"]
        [retry]
        atempts = 3
        deadline = "soon"
        [cache]
        tll = 5
        [chache]
        """
    )
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(path)
    assert str(caught.value) == (
        "llmstack.toml has 4 mistakes:\n"
        "  llmstack.toml:3: [retry] has no option 'atempts'; did you mean 'attempts'?\n"
        '  llmstack.toml:4: [retry] deadline must be a duration: a number of seconds, or such as "250ms", "90s", '
        '"15m", "1h 30m", "7d", not "soon"\n'
        "  llmstack.toml:6: [cache] has no option 'tll'; did you mean 'ttl'?\n"
        "  llmstack.toml:7: table [chache] belongs to no active plugin; did you mean 'cache'?"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_option_without_a_default_is_asked_for(write: Write, install: Install) -> None:
    """By name."""
    code = (
        "from llmstack import hookimpl\nclass Acme:\n    def __init__(self, *, region: str, size: int = 1): pass\n"
        "    @hookimpl\n    def llmstack_event(self, event): pass"
    )
    install("acme-plugins", code, acme=":Acme")
    with pytest.raises(OptionError) as caught:
        Stack.from_config(write('plugins = ["acme"]\n[acme]\nsize = 3'))
    assert str(caught.value) == "llmstack.toml:2: [acme] needs 'region', which has no default [plugin 'acme']"


# The file itself --------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read(write: Write) -> None:
    """Says so."""
    for path, why in (
        (Path("none.toml"), "cannot read the config file none.toml: No such file or directory"),
        (Path(), "cannot read the config file .: Is a directory"),
    ):
        with pytest.raises(ConfigError) as caught:
            Stack.from_config(path)
        assert str(caught.value) == why
    path = write("")
    path.write_bytes(b'plugins = ["\xff"]')
    with pytest.raises(ConfigError) as caught:
        Stack.from_config(path)
    assert str(caught.value) == "llmstack.toml is no text in UTF-8, as TOML must be"


def test_a_file_may_begin_with_a_byte_order_mark(write: Write) -> None:
    """As editors of Windows write it."""
    path = write("")
    path.write_bytes(b'\xef\xbb\xbfplugins = ["retry"]\r\n[retry]\r\nattempts = 5\r\n')
    assert Stack.from_config(path).plugins["retry"].attempts == 5


def test_a_file_that_anybody_may_write_is_warned_of(write: Write) -> None:
    """Whoever writes it gets the keys. A link is as good as what it leads to."""
    path = write('plugins = ["retry"]')
    link = Path("link.toml")
    link.symlink_to(path)
    assert list(Stack.from_config(link).plugins) == ["retry"]
    os.chmod(path, 0o666)  # noqa: PTH101, S103 - what it is about
    for named in (path, link):
        with pytest.warns(UserWarning, match="may be written") as told:
            Stack.from_config(named)
        (warning,) = told
        assert str(warning.message) == (
            f"the config file {named} may be written by every user of this machine, who could send your keys "
            f"elsewhere; take that away: chmod o-w {named}"
        )


def test_a_budget_reads_its_limits(write: Write) -> None:
    """The example of the README."""
    stack = Stack.from_config(write('plugins = ["budget"]\n[budget]\nlimits = ["$5/day per team"]'))
    assert isinstance(stack.plugins["budget"], Budget)
