"""The JSON Schema of a config file."""

from __future__ import annotations

import inspect
import json
import tomllib
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from llmstack.config import discover, schema
from llmstack.middleware import Budget, Cache, Retry, Route, Target
from tests.plugins.conftest import ACME, Install

GOOD = """
plugins = ["cache", "retry", "budget", "moderation"]
allow = ["cache"]
strict = true
[cache]
ttl = "1h"
max_bytes = "64 MB"
store = "env:STORE"
when = "always"
single_flight = 5
[retry]
attempts = "env:ATTEMPTS"
deadline = 20.5
budget = false
breaker = { window = "1m", open_for = 3 }
[budget]
limits = ["$5/day"]
[budget.prices]
"gpt-5*" = { input = "0.25" }
[transport]
use = "chat"
inner = { use = "azure", endpoint = "https://example.com", api_key = "env:KEY", timeout = "30s" }
[transports.spare]
use = "openai"
[transports.azure]
use = "azure"
endpoint = "https://example.com"
api = "v1"
timeout = "30s"
[route]
targets = ["azure/gpt-5", { model = "gpt-5", weight = 2, timeout = "250ms", params = { service_tier = "flex" } }]
strategy = "round_robin"
on = ["rate_limit", "server"]
cooldown = "2m"
hedge_after = 0.5
larger = { "gpt-5-mini" = "gpt-5", "gpt-5" = { model = "gpt-5-long" } }
choose = [{ to = ["azure/x", { model = "y" }], tags = { tier = "free" }, stream = true }]
[profile.other.route.targets]
"gpt-5*" = ["gpt-5", "azure/*"]
[profile.prod]
plugins = "auto"
retry = { attempts = 3 }
"""


@pytest.fixture(scope="module")
def validator() -> Any:
    """What an editor does."""
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    json.dumps(made)
    return jsonschema.Draft202012Validator(made)


def test_a_good_file_fits(validator: Any) -> None:
    """With references, durations and profiles."""
    assert [error.message for error in validator.iter_errors(tomllib.loads(GOOD))] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "plugins = ['retri']",
        "plugins = 'all'",
        "plugins = ['retry', 'retry']",
        "block = []",
        "plugins = []\nxyz = 1",
        "plugins = []\n[retyr]",
        "plugins = []\n[retry]\natempts = 1",
        "plugins = []\n[retry]\nattempts = 'many'",
        "plugins = []\n[retry]\ndeadline = '1 fortnight'",
        "plugins = []\n[retry]\nbreaker = { window = [] }",
        "plugins = []\n[retry]\nwait = 3",
        "plugins = []\n[cache]\nwhen = 'never'",
        "plugins = []\n[cache]\nttl = true",
        "plugins = []\n[transport]\nuse = 'asure'",
        "plugins = []\n[transport]\nbase_url = 'https://example.com'",
        "plugins = []\n[transport]\nuse = 'openai'\nendpoint = 'https://example.com'",
        "plugins = []\n[transport]\nuse = 'openai'\napi_key = 'in the clear'",
        "plugins = []\n[profile.prod]\nxyz = 1",
        "plugins = []\n[profile.prod.profile.more]",
        "plugins = []\nstrict = 'yes'",
        "plugins = []\n[route]\ntargets = 'gpt-5'",
        "plugins = []\n[route]\ntargets = [{ modle = 'gpt-5' }]",
        "plugins = []\n[route]\ntargets = [{ model = 'gpt-5', timeout = 'soon' }]",
        "plugins = []\n[route]\ntargets = ['x']\nstrategy = 'best'",
        "plugins = []\n[route]\ntargets = ['x']\non = ['weather']",
        "plugins = []\n[route]\ntargets = ['x']\nrandom = 3",
        "plugins = []\n[route]\ntargets = ['x']\n[route.transports.a]\nuse = 'openai'",
        "plugins = []\n[route]\ntargets = ['x']\n[[route.choose]]\nmin_tokens = 3",
        "plugins = []\n[transports.spare]\nuse = 'openai'\nendpoint = 'https://example.com'",
        "plugins = []\n[transports]\nspare = 'openai'",
    ],
)
def test_a_wrong_one_is_marked(validator: Any, wrong: str) -> None:
    """Before the program runs."""
    assert not validator.is_valid(tomllib.loads(wrong))


def test_every_plugin_has_its_options_with_what_they_mean() -> None:
    """From constructors and docstrings; what a file cannot say is left out."""
    made = schema()["properties"]
    assert set(made) >= {offer.name for offer in discover() if offer.target.rpartition(":")[2].istitle()}
    assert set(made["retry"]["properties"]) == set(inspect.signature(Retry).parameters) - {"wait", "stop", "retry"}
    assert set(made["budget"]["properties"]) == set(inspect.signature(Budget).parameters)
    assert set(made["cache"]["properties"]) == set(inspect.signature(Cache).parameters)
    objects = {"transports", "random"}
    assert set(made["route"]["properties"]) == set(inspect.signature(Route).parameters) - objects
    ttl = made["cache"]["properties"]["ttl"]
    assert ttl["description"].startswith("Seconds for which an answer may be served. The option `ttl` of a call goes")
    assert ttl["default"] == 3600.0
    for plugin in ("retry", "route", "budget", "cache", "logging", "moderation", "sentry", "validation"):
        for option, found in made[plugin]["properties"].items():
            assert found.get("description"), (plugin, option)


@pytest.mark.skipif(
    "description" not in TypeAdapter(Target).json_schema(), reason="this version of pydantic describes no dataclasses"
)
def test_tables_inside_options_are_described_too() -> None:
    """Each key, and the table in a sentence."""
    target = schema()["$defs"]["Target"]
    assert target["description"].startswith('A model at a transport. As text: `"gpt-5"`')
    assert "Args:" not in target["description"]
    assert target["properties"]["retries"]["description"].startswith("Requests after the first")
    assert "name" not in target["properties"]


def test_plugins_of_others(install: Install) -> None:
    """Installed is enough; a broken one has a table all the same."""
    install("acme-plugins", ACME, acme=":Acme")
    install("broken-plugins", "import nothing_of_this_name", broken=":Broken")
    made = schema()
    assert made["properties"]["acme"] == {
        "type": "object",
        "properties": {"size": {"anyOf": [{"type": "integer"}, REFERENCE], "default": 1}},
        "additionalProperties": False,
    }
    assert made["properties"]["broken"] == {"type": "object"}
    assert {"acme", "broken"} <= set(made["properties"]["plugins"]["anyOf"][0]["items"]["enum"])


REFERENCE = {
    "type": "string",
    "pattern": "^(env|file|keyring):.+",
    "description": 'where the value is: "env:NAME", "file:PATH" or "keyring:SERVICE/USER"',
}
