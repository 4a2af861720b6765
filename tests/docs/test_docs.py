"""The docs name everything there is."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from llmstack import effects, errors, events, hookspecs, options, testing, transports
from llmstack._core.call_info import CallInfo
from llmstack.middleware import (
    Budget,
    Cache,
    CircuitBreaker,
    Logging,
    Moderation,
    Retry,
    RetryBudget,
    Route,
    Rule,
    Sentry,
    Target,
    Validation,
)
from llmstack.middleware.budget import BudgetAlert, BudgetDegraded, BudgetExceeded, BudgetUnavailable, CostBooked
from llmstack.middleware.cache import CacheHit, CacheMissed, CacheStored
from llmstack.middleware.logging import attempt_fields, call_fields
from llmstack.middleware.route import HopAnswered, HopFailed

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
HOOKS = {name: hook for name, hook in vars(hookspecs.HookSpecs).items() if name.startswith("llmstack_")}


def page(name):
    """A page's text."""
    return (ROOT / "docs" / f"{name}.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_heading_and_its_signature(hook):
    """The contract is written down."""
    arguments = ", ".join(list(inspect.signature(HOOKS[hook]).parameters)[1:])
    assert re.search(rf"^## {hook}\n\n```text\n{hook}\({arguments}\) -> ", page("hooks"), re.MULTILINE)


def test_there_are_six_hooks_and_no_heading_too_many():
    """What is documented exists."""
    assert re.findall(r"^## (llmstack_\w+)", page("hooks"), re.MULTILINE) == list(HOOKS)
    assert len(HOOKS) == 6


@pytest.mark.parametrize("error", errors.__all__)
def test_every_error_has_a_line(error):
    """With what to do about it."""
    assert re.search(rf"^\| `{error}` \| .+ \| .+ \|$", page("errors"), re.MULTILINE)


@pytest.mark.parametrize("event", [name for name in events.__all__ if name not in ("Event", "Outcome")])
def test_every_event_has_a_line_with_its_fields(event):
    """Field by field."""
    fields = [field.name for field in dataclasses.fields(getattr(events, event)) if field.name != "call"]
    shown = ", ".join(f"`{name}`" for name in fields) or "\N{EN DASH}"
    assert re.search(rf"^\| `{event}` \| .+ \| {re.escape(shown)} \|$", page("events"), re.MULTILINE)


def test_the_fields_of_a_calls_info_are_listed():
    """All events have them."""
    shown = ", ".join(f"`{field.name}`" for field in dataclasses.fields(CallInfo))
    assert shown in page("events")


@pytest.mark.parametrize(
    ("plugin", "where"),
    [
        (Retry, "retry"),
        (RetryBudget, "retry"),
        (Route, "route"),
        (Rule, "route"),
        (Target, "route"),
        (CircuitBreaker, "retry"),
        (Logging, "logging"),
        (Sentry, "sentry"),
        (Validation, "validation"),
        (Moderation, "moderation"),
        (transports.OpenAITransport, "transport-openai"),
        (transports.AzureTransport, "transport-azure"),
        (Cache, "cache"),
        (Budget, "budget"),
    ],
)
def test_every_option_of_a_plugin_has_a_row(plugin, where):
    """On the plugin's own page, with its default."""
    for option in inspect.signature(plugin).parameters:
        assert re.search(rf"^\| `{option}` \| .+ \| .+ \|$", page(where), re.MULTILINE)


@pytest.mark.parametrize("option", [name for name in inspect.signature(options).parameters if name != "more"])
def test_every_option_of_a_call_has_a_row(option):
    """What a program may say about its calls."""
    assert re.search(rf"^\| `{option}` \| .+ \|$", page("stack"), re.MULTILINE)


def test_every_logged_field_is_listed():
    """The table is the promise."""
    call = CallInfo(id="", method="", path="", endpoint="", model=None, stream=False, tenant=None, tags={})
    listed = page("logging")
    for fields in (
        call_fields(events.CallFinished(call=call, outcome="ok")),
        attempt_fields(events.AttemptFinished(call=call, number=1, outcome="ok")),
    ):
        for name in fields:
            assert f"`{name}`" in listed


@pytest.mark.parametrize("effect", [name for name in effects.__all__ if name.islower()])
def test_every_effect_has_a_row(effect):
    """What a layer may ask for."""
    assert re.search(rf"`(yield from {effect}|{effect}|await {effect})\(", page("effects"))


@pytest.mark.parametrize("name", testing.__all__)
def test_the_testing_kit_is_listed(name):
    """It is public."""
    assert re.search(rf"`{name}[`(]", page("testing"))


@pytest.mark.parametrize("name", transports.__all__)
def test_every_transport_and_part_of_one_is_listed(name):
    """What a program may choose from, and what one of its own is made of."""
    told = page("transports") + page("transport-chat")
    assert re.search(rf"\b{name}\b", told)


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    """To a file, and to a heading in it."""
    for target in re.findall(r"\]\(([^)#][^)]*)\)", path.read_text()):
        file, _, anchor = target.partition("#")
        found = path.parent / file
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_every_page_is_in_the_index():
    """And so can be found."""
    listed = page("index")
    assert [p.name for p in PAGES if p.name != "index.md" and f"({p.name})" not in listed] == []


@pytest.mark.parametrize(
    ("event", "where"),
    [
        *((event, "cache") for event in (CacheHit, CacheMissed, CacheStored)),
        *((event, "budget") for event in (BudgetAlert, BudgetDegraded, BudgetExceeded, BudgetUnavailable, CostBooked)),
        (HopFailed, "route"),
        (HopAnswered, "route"),
    ],
)
def test_every_event_of_a_plugin_has_a_line_with_its_fields(event, where):
    """On its own page."""
    shown = [field.name for field in dataclasses.fields(event) if field.name != "call"]
    line = re.search(rf"^\| `{event.__name__}` \| .+ \| (.+) \|$", page(where), re.MULTILINE)
    assert line
    assert re.findall(r"`(\w+)`", line[1]) == shown
