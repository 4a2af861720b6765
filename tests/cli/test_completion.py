"""Completion of the command line by shells, and the help that it comes from."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from llmstack.cli.app import build
from tests.cli.conftest import launched

COMMANDS = ["call", "demo", "usage", "plugins", "explain", "check", "new-plugin", "config"]


@pytest.fixture
def complete(tmp_path):
    """What bash is offered for a line; with the modules imported for it."""

    def complete(line, **environment):
        code = "import sys; from llmstack.cli import main\n"
        code += "try: main()\nfinally: print('openai' in sys.modules, file=sys.stderr)"
        wanted = {
            "_LLMSTACK_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - (line[-1] != " ")),
        }
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"HOME": str(tmp_path), **wanted, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.stdout.split(), done.stderr.strip().endswith("True")

    return complete


def test_commands_are_completed_without_the_sdk(complete):
    """The shell waits for it at each tab."""
    assert complete("llmstack ") == (COMMANDS, False)
    assert complete("llmstack ex") == (["explain"], False)


def test_options_and_commands_below_are_completed(complete):
    """At any depth."""
    assert complete("llmstack config ") == (["init", "show", "schema"], False)
    assert "--json" in complete("llmstack check --")[0]


@pytest.mark.slow
def test_a_wrong_config_says_nothing_between_the_offers(complete, tmp_path):
    """A message would stand in the line that is being written."""
    (tmp_path / "llmstack.toml").write_text('plugins = ["nobody-has-this"]\n')
    assert complete("llmstack ")[0] == COMMANDS


def test_the_script_for_a_shell_is_made(complete):
    """What `--install-completion` installs and `--show-completion` prints for the shell that runs them."""
    script, _ = complete("llmstack ", _LLMSTACK_COMPLETE="source_bash")
    assert "_LLMSTACK_COMPLETE=complete_bash" in script
    help_text = CliRunner().invoke(build([]), ["--help"]).output
    assert "--install-completion" in help_text
    assert "--show-completion" in help_text


@pytest.mark.parametrize("command", [*COMMANDS, "config init", "config show", "config schema"])
def test_help_has_examples(command):
    """And what is in brackets is text, not markup."""
    output = CliRunner().invoke(build([]), [*command.split(), "--help"], env={"COLUMNS": "80"}).output
    if command != "config":
        assert f"$ llmstack {command.partition(' ')[0]}" in output or "llmstack --config prod.toml" in output
    if command == "usage":
        assert "[budget]" in output


def test_help_fits_a_terminal(tmp_path):
    """80 columns."""
    done = launched(["--help"], tmp_path, {})
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert all(name in done.stdout for name in COMMANDS)
