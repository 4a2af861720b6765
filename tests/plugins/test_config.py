"""A stack from a TOML file."""

import pytest

from llmstack import OpenAI, Stack
from llmstack.errors import ConfigError, OptionError, PluginNotFoundError
from llmstack.middleware import Retry


@pytest.fixture
def config(tmp_path):
    """Write a config file, give its path."""

    def write(text):
        path = tmp_path / "llmstack.toml"
        path.write_text(text)
        return path

    return write


def test_a_file_names_plugins_and_their_options(config):
    """In any order: the stages decide."""
    stack = Stack.from_config(config('plugins = ["logging", "retry"]\n[retry]\nattempts = 5\n'))
    assert list(stack.plugins) == ["retry", "logging"]
    retry = stack.plugins["retry"]
    assert isinstance(retry, Retry)
    assert retry.attempts == 5


def test_a_client_takes_the_path(config):
    """As `stack=`."""
    client = OpenAI(api_key="sk-test-not-a-key", stack=str(config('plugins = ["retry"]')))
    assert list(client.stack.plugins) == ["retry"]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("plugins = ", ConfigError, "is no valid TOML"),
        ("", ConfigError, "`plugins` must be a list of names"),
        ("plugins = [1]", ConfigError, "`plugins` must be a list of names"),
        (
            'plugins = ["retri"]',
            PluginNotFoundError,
            "no installed package offers a plugin named 'retri'; did you mean 'retry'?",
        ),
        (
            'plugins = ["retry"]\n[retyr]\nattempts = 1',
            ConfigError,
            r"table \[retyr\] belongs to no active plugin; did you mean 'retry'?",
        ),
        ('plugins = ["retry"]\n[cache]\nttl = 1', ConfigError, r"add 'cache' to `plugins`, or drop it"),
        ('plugins = ["retry"]\nstrict = true', ConfigError, "key 'strict' belongs to no active plugin"),
        (
            'plugins = ["retry"]\n[retry]\natempts = 1',
            OptionError,
            r"\[retry\] has no option 'atempts'; did you mean 'attempts'?",
        ),
        (
            'plugins = ["retry"]\n[retry]\nattempts = "many"',
            OptionError,
            r"\[retry\] attempts: Input should be a valid integer",
        ),
        (
            'plugins = ["retry"]\n[retry]\nbudget = { capacty = 200 }',
            OptionError,
            r"\[retry\] budget has no 'capacty'; did you mean 'capacity'\?",
        ),
        ('plugins = ["retry"]\n[retry]\nattempts = 0', OptionError, "attempts must be at least 1"),
        ('retry = 3\nplugins = ["retry"]', OptionError, r"retry must be a table of options, \[retry\]"),
    ],
)
def test_a_mistake_names_file_key_and_what_to_write(config, text, kind, message):
    """Before any call."""
    path = config(text)
    with pytest.raises(kind, match=message) as caught:
        Stack.from_config(path)
    assert str(path) in str(caught.value) or kind is PluginNotFoundError


def test_a_file_that_is_not_there(tmp_path):
    """Says so."""
    with pytest.raises(ConfigError, match=r"cannot read the config file .*No such file"):
        Stack.from_config(tmp_path / "none.toml")
