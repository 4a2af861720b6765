"""The application: help, versions, errors, the plugins' commands, the missing extra."""

import subprocess
import sys
import textwrap

import pytest
import typer
from typer.testing import CliRunner

from llmstack import hookimpl
from llmstack.cli.app import build


class Greeter:
    """A plugin with a command."""

    @hookimpl
    def llmstack_commands(self, cli):
        @cli.command()
        def greet(name: str = "you"):
            """Greet somebody."""
            typer.echo(f"hello {name}")


class Broken:
    """A plugin whose commands cannot be had."""

    name = "broken"

    @hookimpl
    def llmstack_commands(self, cli):
        message = "no commands today"
        raise RuntimeError(message)


def test_help_lists_the_commands():
    """`llmstack --help` names every command."""
    result = CliRunner().invoke(build([]), ["--help"])
    assert result.exit_code == 0
    assert "call" in result.output
    assert "demo" in result.output


def test_help_imports_nothing_slow():
    """The SDK takes half a second to import; the help does without it."""
    code = "import sys; sys.argv = ['llmstack', '--help']\nfrom llmstack.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\nassert 'openai' not in sys.modules, 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("module", ["llmstack", "llmstack.cli"])
def test_it_runs_as_a_module(module):
    """Where the console script is on no path."""
    ran = subprocess.run([sys.executable, "-m", module, "--version"], check=True, capture_output=True, timeout=60)
    assert ran.stdout.startswith(b"llmstack ")


def test_version_names_llmstack_and_the_sdk():
    """`--version` says what a bug report needs."""
    result = CliRunner().invoke(build([]), ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("llmstack ")
    assert "openai " in result.output


def test_without_a_command_the_help_is_shown():
    """`llmstack` alone shows how to use it."""
    assert "Usage" in CliRunner().invoke(build([]), []).output


def test_an_unknown_command_is_named():
    """A misspelt command is an error that names the one meant."""
    result = CliRunner().invoke(build([]), ["dem"])
    assert result.exit_code == 2
    assert "demo" in result.output


def test_a_plugin_adds_a_command():
    """What a plugin adds by its hook is listed and runs."""
    runner = CliRunner()
    assert "Greet somebody" in runner.invoke(build([Greeter()]), ["--help"]).output
    assert runner.invoke(build([Greeter()]), ["greet", "--name", "Ada"]).output == "hello Ada\n"


def test_a_plugin_cannot_replace_our_commands():
    """A plugin's `demo` does not take the place of ours."""

    class Thief:
        @hookimpl
        def llmstack_commands(self, cli):
            cli.command("demo")(lambda: typer.echo("stolen"))

    assert "stolen" not in CliRunner().invoke(build([Thief()]), ["demo", "--help"]).output


def test_a_broken_plugin_leaves_the_others_their_commands():
    """A plugin whose hook raises is named on stderr, and that is all."""
    result = CliRunner().invoke(build([Broken(), Greeter()]), ["greet"])
    assert result.stdout == "hello you\n"
    assert "'broken'" in result.stderr


def test_the_config_brings_its_plugins_commands(llmstack, installed, tmp_path):
    """A plugin that the config file names adds its command, to the help too."""
    found = installed(
        "acme_tool",
        textwrap.dedent(
            """
            from llmstack import hookimpl

            class Plugin:
                name = "acme_tool"

                @hookimpl
                def llmstack_commands(self, cli):
                    @cli.command()
                    def polish():
                        "Polish the acme."
                        print("polished")
            """
        ),
    )
    config = tmp_path / "stack.toml"
    config.write_text('plugins = ["acme_tool"]\n', encoding="utf-8")
    assert llmstack("--config", str(config), "polish", changed=found).stdout == "polished\n"
    assert "Polish the acme" in llmstack("--config", str(config), "--help", changed=found).stdout
    by_environment = {**found, "LLMSTACK_CONFIG": str(config)}
    assert llmstack("polish", changed=by_environment).stdout == "polished\n"


def test_a_wrong_config_is_one_line_of_error(llmstack, tmp_path):
    """A config file that names no plugin is an error without a traceback; the help is shown all the same."""
    config = tmp_path / "stack.toml"
    config.write_text('plugins = ["no_such_plugin"]\n', encoding="utf-8")
    done = llmstack("--config", str(config), "call", "hi")
    assert done.returncode == 1
    assert "no_such_plugin" in done.stderr
    assert "Traceback" not in done.stderr
    assert "demo" in llmstack("--config", str(config), "--help").stdout


def test_debug_shows_the_traceback(llmstack):
    """`--debug` adds the traceback to the message."""
    done = llmstack("--debug", "call", "-t", "nonsense", "hi")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().endswith("such as team=search")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_command_says_how_to_install_it(missing):
    """Without typer or rich there is one line that says what to install, and exit status 1."""
    code = f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['llmstack', 'demo']\n"
    code += "from llmstack.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "pip install 'llmstack-openai[cli]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_the_server_the_demo_says_how_to_install_it():
    """The demo needs the testing extra, and says so."""
    code = "import sys; sys.modules['uvicorn'] = None; sys.argv = ['llmstack', 'demo']\n"
    code += "from llmstack.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "llmstack-openai[testing]" in done.stderr
    assert "Traceback" not in done.stderr
