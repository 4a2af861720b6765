"""`llmstack plugins`: what is active, in which order, and what else is installed."""

import json

import pytest

QUIET = """
from llmstack import hookimpl

class Plugin:
    name = "acme_quiet"

    @hookimpl
    def llmstack_event(self, event):
        pass
"""


@pytest.fixture
def config(tmp_path):
    """Writes a config file."""

    def write(text):
        path = tmp_path / "stack.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def listed(done):
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


def test_the_active_ones_stand_in_their_order(run, config):
    """Outermost first, whatever the file's order; with stage and package."""
    done = run("plugins", "--config", config('plugins = ["retry", "validation", "cache"]\n'))
    active, _, others = done.stdout.partition("Installed, not active")
    assert [line.split()[:3] for line in active.splitlines() if line[:3].strip().isdigit()] == [
        ["1", "validation", "VALIDATE"],
        ["2", "cache", "CACHE"],
        ["3", "retry", "RETRY"],
    ]
    assert "llmstack-openai 0.1.0" in active
    assert "moderation" in others
    assert "cache" not in others.replace("caches", "")


def test_json_has_all_there_is(run, config):
    """For programs."""
    entries = listed(run("plugins", "--json", "--config", config('plugins = ["logging", "retry"]\n')))
    retry, cache = entries["retry"], entries["cache"]
    assert (retry["active"], retry["order"], retry["stage"], retry["hooks"]) == (True, 1, "RETRY", ["llmstack_call"])
    assert (retry["package"], retry["version"]) == ("llmstack-openai", "0.1.0")
    assert retry["docs"] == "python -m pydoc llmstack.middleware.retry"
    assert (cache["active"], cache["order"], cache["stage"]) == (False, None, "")
    assert entries["logging"]["order"] == 2


def test_without_a_config_it_is_the_default_stack(run):
    """And says so."""
    done = run("plugins")
    assert "the default stack (there is no config file)" in done.stdout
    assert done.returncode == 0


@pytest.mark.slow
def test_what_is_not_active_is_not_imported(llmstack, installed):
    """A package that breaks on import is listed all the same."""
    found = installed("acme_broken", "raise RuntimeError('imported')")
    done = llmstack("plugins", changed=found)
    assert (done.returncode, done.stderr) == (0, "")
    assert "acme_broken  acme_broken 1.0" in done.stdout


@pytest.mark.slow
def test_a_documented_package_shows_its_address(llmstack, installed, tmp_path):
    """From the package's own links."""
    found = installed("acme_quiet", QUIET)
    metadata = next((tmp_path / "site").glob("*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text() + "Project-URL: Documentation, https://example.com/acme\n")
    assert "https://example.com/acme" in llmstack("plugins", changed=found).stdout


@pytest.mark.slow
def test_a_blocked_plugin_is_listed_with_the_reason(llmstack, installed):
    """It was not imported to find out."""
    found = installed("acme_broken", "raise RuntimeError('imported')")
    done = llmstack("plugins", changed={**found, "LLMSTACK_BLOCK": "acme_broken"})
    assert "is blocked by LLMSTACK_BLOCK" in done.stdout
    assert done.returncode == 0


@pytest.mark.slow
def test_a_broken_active_plugin_is_an_error_that_names_it(llmstack, installed, config):
    """Plugin, package, version, reason; what is installed is listed all the same."""
    found = installed("acme_broken", "raise RuntimeError('no such luck')")
    done = llmstack("plugins", "--config", config('plugins = ["acme_broken", "retry"]\n'), changed=found)
    assert done.returncode == 1
    assert "'acme_broken' from acme_broken 1.0 cannot be imported: RuntimeError: no such luck" in done.stderr
    assert "Traceback" not in done.stderr
    assert "retry  llmstack-openai" in done.stdout


def test_no_line_is_wider_than_a_terminal(run):
    """At 80 columns nothing is longer than 80."""
    assert [line for line in run("plugins").stdout.splitlines() if len(line) > 80] == []
