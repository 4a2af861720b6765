"""`llmstack config`: init, show, schema."""

import json
import re
import tomllib

import jsonschema

from llmstack import Stack
from llmstack.config import to_toml


def test_init_writes_the_default_stack(run, tmp_path):
    """Read back it is the same."""
    assert run("config", "init").returncode == 0
    with Stack.from_config(tmp_path / "llmstack.toml") as written, Stack.default() as default:
        assert to_toml(written) == to_toml(default)


def test_every_option_that_init_comments_out_can_be_switched_on(run, tmp_path):
    """The comments are no prose: they hold."""
    run("config", "init", "all.toml")
    text = (tmp_path / "all.toml").read_text()
    live, count = re.subn(r"^#(?=\w+ = )", "", text, flags=re.MULTILINE)
    assert count > 20
    (tmp_path / "live.toml").write_text(live)
    with Stack.from_config(tmp_path / "live.toml") as stack:
        assert list(stack.plugins) == tomllib.loads(text)["plugins"]


def test_init_does_not_write_over_a_file(run, tmp_path):
    """But by force."""
    (tmp_path / "llmstack.toml").write_text("plugins = []\n")
    done = run("config", "init")
    assert done.returncode == 1
    assert "--force" in done.stderr
    assert (tmp_path / "llmstack.toml").read_text() == "plugins = []\n"
    assert run("config", "init", "--force").returncode == 0
    assert "retry" in (tmp_path / "llmstack.toml").read_text()


def test_init_says_what_is_wrong_with_the_path(run):
    """Without a traceback."""
    done = run("config", "init", "no/such/folder/llmstack.toml")
    assert done.returncode == 1
    assert "cannot write" in done.stderr


def test_show_prints_what_holds(run, tmp_path):
    """The file, its profile and the environment taken together; a secret as its reference."""
    (tmp_path / "llmstack.toml").write_text(
        'plugins = ["retry"]\n[retry]\nattempts = 2\n[profile.prod.retry]\nattempts = 5\n'
        '[transport]\nuse = "openai"\napi_key = "env:ACME_KEY"\n'
    )
    secret = {"ACME_KEY": "acme-not-a-key-1234"}
    shown = run("config", "show", changed=secret).stdout
    assert tomllib.loads(shown)["retry"] == {"attempts": 2}
    assert 'api_key = "env:ACME_KEY"' in shown
    assert "not-a-key" not in shown
    chosen = run("config", "show", changed={**secret, "LLMSTACK_PROFILE": "prod"}).stdout
    assert tomllib.loads(chosen)["retry"] == {"attempts": 5}


def test_show_tells_what_is_wrong(run, tmp_path):
    """As every command does."""
    (tmp_path / "llmstack.toml").write_text('plugins = ["rety"]\n')
    done = run("config", "show")
    assert done.returncode == 1
    assert "did you mean 'retry'?" in done.stderr


def test_the_schema_fits_what_init_writes(run, tmp_path):
    """And marks what is wrong."""
    schema = json.loads(run("config", "schema").stdout)
    run("config", "init")
    config = tomllib.loads((tmp_path / "llmstack.toml").read_text())
    jsonschema.validate(config, schema)
    wrong = {"plugins": ["retry"], "retry": {"atempts": 3}}
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)


def test_config_alone_shows_its_commands(run):
    """As a group does."""
    assert all(name in run("config").stdout for name in ("init", "show", "schema"))
