"""`llmstack new-plugin`: a package of one's own, and the names that it may have."""

import os
import re
import subprocess
import sys

import pytest

from llmstack.cli.new_plugin import Naming, template


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(run, tmp_path):
    """A package made in an empty folder."""
    done = run("new-plugin", "house-style")
    assert (done.returncode, done.stderr) == (0, "")
    return done, tmp_path / "llmstack-house-style"


def test_it_makes_a_whole_package(made):
    """Project, typed module, tests, a page, and what runs them elsewhere."""
    done, folder = made
    assert set(files(folder)) == {
        ".github/workflows/ci.yml",
        ".gitignore",
        "README.md",
        "llmstack_house_style/__init__.py",
        "llmstack_house_style/py.typed",
        "pyproject.toml",
        "tests/test_conformance.py",
        "tests/test_house_style.py",
    }
    assert 'house-style = "llmstack_house_style:HouseStyle"' in files(folder)["pyproject.toml"]
    assert all(name in done.stdout for name in files(folder))


def test_it_can_be_installed_by_the_pip_that_comes_with_python(made):
    """Which may not know groups of dependencies yet: the way that it tells begins with one that does."""
    done, folder = made
    for told in (done.stdout, files(folder)["README.md"], files(folder)[".github/workflows/ci.yml"]):
        assert 0 < told.index("pip>=25.1") < told.index("--group dev")


def test_nothing_of_the_example_is_left_in_it(made):
    """All names are the plugin's own."""
    _, folder = made
    assert [name for name, text in files(folder).items() if "example" in (name + text).lower()] == []


@pytest.mark.slow
def test_its_own_tests_pass_at_once(made):
    """The conformance suite among them."""
    _, folder = made
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[-1]) >= 20


@pytest.mark.slow
def test_it_is_typed(made):
    """As strictly as can be asked for."""
    _, folder = made
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", os.devnull, "llmstack_house_style"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_it_can_be_made_elsewhere(run, tmp_path):
    """In a folder that need not be there yet; the prefix is not doubled."""
    assert run("new-plugin", "llmstack-acme", "-d", "src/plugins").returncode == 0
    assert (tmp_path / "src/plugins/llmstack-acme/llmstack_acme/__init__.py").is_file()


def test_what_is_there_is_not_touched(run, tmp_path):
    """A folder of that name is an error."""
    (tmp_path / "llmstack-acme").mkdir()
    done = run("new-plugin", "acme")
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert list((tmp_path / "llmstack-acme").iterdir()) == []


@pytest.mark.parametrize("name", ["Acme", "acme_tool", "acme-", "2fast", "a b", "../acme", "", "acme-2"])
def test_a_name_must_be_words_in_lower_case(run, tmp_path, name):
    """It becomes a module, a class and a name on an index."""
    done = run("new-plugin", name)
    assert done.returncode == 1
    assert "is no name for a plugin" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["retry", "redis", "rediss"])
def test_a_name_that_is_taken_is_refused(run, name):
    """And says by which package."""
    done = run("new-plugin", name)
    assert done.returncode == 1
    assert f"there is a plugin named '{name}' already, from llmstack-openai" in done.stderr


@pytest.mark.parametrize("name", ["transport", "profile", "call", "stage", "conformance"])
def test_a_word_of_llmstacks_own_is_refused(run, name):
    """It would mean two things in a config, or in the module."""
    done = run("new-plugin", name)
    assert done.returncode == 1
    assert f"choose another name, such as my-{name}" in done.stderr


def test_the_template_is_the_example():
    """One package is test, template and documentation at once."""
    assert template().name == "llmstack-example"
    assert Naming("example").kind == "Example"
    assert (
        Naming("example").renamed((template() / "pyproject.toml").read_text())
        == (template() / "pyproject.toml").read_text()
    )
