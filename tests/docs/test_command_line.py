"""The page of the command line names every command and option that `--help` shows, and no others."""

import re
from pathlib import Path

import pytest
import typer

from llmstack.cli.app import build

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


def commands(group, before=""):
    """Every command with its parameters, those below a group included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


ROOT = typer.main.get_command(build([]))
COMMANDS = dict(commands(ROOT))


def section(command):
    """What the page says of a command."""
    found = re.search(rf"^## llmstack {command}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no heading for {command}"
    return found[1]


def spelt(command):
    """How its options and arguments are written."""
    for parameter in command.params:
        named = parameter.opts if parameter.param_type_name == "option" else [parameter.name]
        yield from (name for name in named if name not in ("--help", "-h"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_heading_and_its_options_rows(name):
    """Each spelling of each option, in the first cell of a row."""
    cells = " ".join(re.findall(r"^\| (`.+?) \| .+ \|$", section(name), re.MULTILINE))
    assert set(re.findall(r"`([^`\s]+)`", cells)) == set(spelt(COMMANDS[name]))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name):
    """That begins with it."""
    assert re.search(rf"^\$ (?:\S+ )*?(?:\S+ \| )?llmstack {name}\b", section(name), re.MULTILINE)


def test_there_is_no_heading_without_a_command():
    """What is documented exists."""
    assert set(re.findall(r"^## llmstack (.+)$", PAGE, re.MULTILINE)) == set(COMMANDS)


def test_what_stands_before_a_command_is_listed():
    """For all of them."""
    listed = PAGE.partition("| before any command |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(--[\w-]+)", listed, re.MULTILINE)) == {
        name for name in spelt(ROOT) if name.startswith("--")
    }
