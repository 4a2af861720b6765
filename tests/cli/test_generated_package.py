"""A plugin package from nothing to use: generated, built, installed beside the core, switched on, blocked, broken.

All of it in a clean environment outside of the repository: what is installed there are wheels. Their dependencies are
taken from the environment of these tests, so that no index is needed.
"""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from llmstack.testing import LocalServer

ROOT = Path(__file__).parents[2]
KEY = "sk-test-not-a-key"

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, json, sys
from llmstack import AsyncOpenAI, OpenAI

MESSAGES = [{"role": "user", "content": "Hello"}]

def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

with OpenAI(stack="llmstack.toml") as client:
    plain = client.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content
    streamed = text(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))

async def program():
    async with AsyncOpenAI(stack="llmstack.toml") as client:
        reply = await client.chat.completions.create(model="m", messages=MESSAGES)
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        return reply.choices[0].message.content, text([chunk async for chunk in stream])

print(json.dumps([plain, streamed, *asyncio.run(program())]))
print(json.dumps("llmstack_house_style" in sys.modules))
"""


def ran(*command, cwd, **environment):
    """Run a command to its end; no variable of these tests' environment reaches it but the path."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def wheel(project, where):
    """Build a wheel."""
    done = ran(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", where, cwd=project)
    assert done.returncode == 0, done.stderr
    return next(where.glob("*.whl"))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """An environment with the built core, and nothing of the repository."""
    where = tmp_path_factory.mktemp("clean")
    ran(sys.executable, "-m", "venv", "--without-pip", where / "venv", cwd=where)
    python = where / "venv" / "bin" / "python"
    site = Path(ran(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=where).stdout.strip())
    # All that is installed here but ourselves: editable installs would lead back to the repository.
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "llmstack" not in entry.name and not entry.name.startswith(("__editable__", "_editable")):
            (site / entry.name).symlink_to(entry)
    install(python, wheel(ROOT, where / "core"), where)
    return python


def install(python, built, cwd):
    """Install a wheel, and nothing else."""
    options = ["--no-index", "--no-deps", "--force-reinstall", "--disable-pip-version-check"]
    done = ran(sys.executable, "-m", "pip", "--python", python, "install", *options, built, cwd=cwd)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def package(clean, tmp_path_factory):
    """A generated package, installed there. The installed core has generated it."""
    where = tmp_path_factory.mktemp("package")
    done = ran(clean, "-m", "llmstack.cli", "new-plugin", "house-style", cwd=where)
    assert done.returncode == 0, done.stderr
    folder = where / "llmstack-house-style"
    install(clean, wheel(folder, where / "dist"), where)
    return folder


@pytest.fixture
def llmstack(clean, package, tmp_path):
    """Run the installed command where a config switches the plugin on."""
    (tmp_path / "llmstack.toml").write_text('plugins = ["house-style"]\n[house-style]\ninstructions = "Be brief."\n')
    return lambda *arguments, **environment: ran(clean, "-m", "llmstack.cli", *arguments, cwd=tmp_path, **environment)


def test_its_tests_pass_against_the_wheels(clean, package, tmp_path):
    """With what is installed, not with the folder beside."""
    done = ran(clean, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", package / "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    code = "import llmstack, llmstack_house_style as plugin; print(llmstack.__file__, plugin.__file__)"
    where = ran(clean, "-c", code, cwd=tmp_path)
    assert [str(clean.parents[1]) in path for path in where.stdout.split()] == [True, True]


def test_it_works_in_all_modes(clean, llmstack, tmp_path):
    """Switched on by config; sync, async and streamed; what the service gets has the instructions."""
    with LocalServer() as server:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        done = ran(clean, "-c", PROGRAM, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        asked = [request.json["messages"] for request in server.requests]
    answers, imported = map(json.loads, done.stdout.splitlines())
    assert answers == ["You said: Hello"] * 4
    assert imported is True
    assert asked == [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]] * 4


def test_it_is_listed(llmstack):
    """With its place, package and version."""
    listed = {entry["name"]: entry for entry in json.loads(llmstack("plugins", "--json").stdout)}
    ours = listed["house-style"]
    assert (ours["order"], ours["stage"], ours["package"], ours["version"]) == (
        1,
        "VALIDATE",
        "llmstack-house-style",
        "0.1.0",
    )


def test_blocked_it_is_not_imported(clean, llmstack, tmp_path):
    """The block list acts before anything of it runs; calls go on without it."""
    with LocalServer() as server:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url, "LLMSTACK_BLOCK": "house-style"}
        done = ran(clean, "-W", "ignore", "-c", PROGRAM, cwd=tmp_path, **environment)
        assert done.returncode == 0, done.stderr
        assert {message["role"] for request in server.requests for message in request.json["messages"]} == {"user"}
    assert json.loads(done.stdout.splitlines()[1]) is False
    checked = llmstack("check", OPENAI_API_KEY=KEY, LLMSTACK_BLOCK="house-style")
    assert checked.returncode == 0
    assert "house-style from llmstack-house-style 0.1.0 is blocked by" in " ".join(checked.stdout.split())


def test_broken_it_is_named(clean, package, llmstack, tmp_path):
    """Plugin, package, version and reason; a program that uses it gets the same as an error."""
    module = Path(ran(clean, "-c", "import llmstack_house_style as h; print(h.__file__)", cwd=tmp_path).stdout.strip())
    whole = module.read_text()
    module.write_text(whole + "\nraise RuntimeError('broken on purpose')\n")
    named = "plugin 'house-style' from llmstack-house-style 0.1.0 cannot be imported: RuntimeError: broken on purpose"
    try:
        checked = llmstack("check", OPENAI_API_KEY=KEY)
        called = llmstack("call", "hello", OPENAI_API_KEY=KEY)
    finally:
        module.write_text(whole)
    assert checked.returncode == 1
    assert named in " ".join(checked.stdout.split())
    assert called.returncode == 1
    assert named in called.stderr
