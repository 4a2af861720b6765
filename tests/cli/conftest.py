"""The command line as a user runs it: in a process of its own, against a local server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from llmstack.cli.app import build
from llmstack.testing import LocalServer

KEY = "sk-test-not-a-key-0123456789"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


def launched(arguments, cwd, environment, *, stdin="", encoding="utf-8"):
    """Run ``llmstack`` in a process of its own to its end; variables that are None are left out."""
    # Of this machine's environment only what a process needs: no key, no config, no colours.
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT", "LANG")}
    wanted = {**kept, "PYTHONIOENCODING": encoding, "PYTHONWARNINGS": "error", "COLUMNS": "80", "HOME": str(cwd)}
    wanted |= environment
    done = subprocess.run(
        [sys.executable, "-m", "llmstack.cli", *arguments],
        input=stdin,
        capture_output=True,
        encoding=encoding,
        env={name: value for name, value in wanted.items() if value is not None},
        cwd=cwd,
        timeout=60,
        check=False,
    )
    assert KEY not in done.stdout + done.stderr
    return done


@pytest.fixture
def environment(server):
    """What makes `llmstack` ask the server."""
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url, "COLUMNS": "80", "LLMSTACK_CONFIG": None}


@pytest.fixture
def llmstack(environment, tmp_path):
    """Run ``llmstack`` with some arguments; gives the finished process."""

    def run(*arguments, stdin="", changed=None):
        return launched(arguments, tmp_path, {**environment, **(changed or {})}, stdin=stdin)

    return run


@pytest.fixture(scope="session")
def llmstack_alone(tmp_path_factory):
    """The same where there is no service and no key."""
    where = tmp_path_factory.mktemp("alone")
    return lambda *arguments, **more: launched(arguments, where, {}, **more)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def ask(environment):
    """Run ``llmstack call`` in this process, which is quicker; else as `llmstack`."""

    def run(*arguments, stdin="", changed=None, before=()):
        wanted = {**environment, **(changed or {})}
        result = CliRunner().invoke(
            build(), [*before, "call", *arguments], input=stdin, env=wanted, catch_exceptions=False
        )
        assert KEY not in result.output
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run ``llmstack`` in this process, in an empty folder, without a key and without a config."""
    monkeypatch.chdir(tmp_path)
    none = {"OPENAI_API_KEY": None, "OPENAI_BASE_URL": None, "LLMSTACK_CONFIG": None, "COLUMNS": "80"}

    def run(*arguments, changed=None):
        result = CliRunner().invoke(build(), list(arguments), env={**none, **(changed or {})}, catch_exceptions=False)
        assert KEY not in result.output
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def installed(tmp_path):
    """Install a plugin as a package would be: a module and an entry point; gives the environment that finds it."""

    def install(name, source):
        site = tmp_path / "site"
        about = site / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{name}.py").write_text(source, encoding="utf-8")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (about / "entry_points.txt").write_text(f"[llmstack]\n{name} = {name}:Plugin\n", encoding="utf-8")
        return {"PYTHONPATH": str(site)}

    return install
