"""A route that a config file describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmstack import OpenAI, Stack
from llmstack.errors import OptionError
from llmstack.middleware import Route
from llmstack.testing import LocalServer
from tests.core.side import KEY, MESSAGES
from tests.middleware.route_rig import servers

CONFIG = """
plugins = ["route", "retry"]

[route]
targets = ["first/*", "second/gpt-5", {{ model = "gpt-5-mini", weight = 2, priority = 1 }}]
larger = {{ "gpt-5-mini" = "second/gpt-5" }}
strategy = "round_robin"
on = ["rate_limit", "server"]
cooldown = 20
retries = 0

[[route.choose]]
to = "second/small"
max_tokens = 5

[transports.first]
use = "openai"
base_url = "{first}"
api_key = "file:key.txt"

[transports.second]
use = "openai"
base_url = "{second}"
api_key = "file:key.txt"
"""


def written(folder: Path, text: str) -> Path:
    """A config file, and a key beside it."""
    (folder / "key.txt").write_text(KEY)
    file = folder / "llmstack.toml"
    file.write_text(text)
    return file


def test_a_route_over_transports_of_a_file(tmp_path: Path) -> None:
    """Targets, rules and transports; all are closed with the stack."""
    with servers(2) as (first, second):
        file = written(tmp_path, CONFIG.format(first=first.base_url, second=second.base_url))
        with (
            Stack.from_config(file) as stack,
            OpenAI(api_key=KEY, base_url="http://nobody.invalid", stack=stack) as client,
        ):
            route: Route = stack.plugins["route"]
            assert list(route.status()) == ["first/*", "second/gpt-5", "gpt-5-mini"]
            messages: Any = MESSAGES
            models = [client.chat.completions.create(model="m", messages=messages).model for _ in range(4)]
            assert sorted(models) == ["gpt-5", "gpt-5", "m", "m"]
            short: Any = []
            with pytest.raises(Exception, match="messages"):
                client.chat.completions.create(model="m", messages=short)
            assert _model(second) == "small"
        for server in (first, second):
            server.wait_for(lambda server: server.open_connections == 0)


def _model(server: LocalServer) -> str:
    body: Any = server.requests[-1].json
    model: str = body["model"]
    return model


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('targets = ["x", { model = "y", wieght = 2 }]', r"targets.wieght: Unexpected keyword"),
        ('targets = ["x", { model = "y", weight = -2 }]', r"weight of y must be 0 or more"),
        ('targets = ["x"]\nstrategy = "best"', r"strategy"),
        ("targets = []", "needs targets"),
        ('targets = ["x"]\n[[route.choose]]\nto = "y"\nmin_token = 5', r"choose.min_token: Unexpected keyword"),
        ('targets = { m = ["x"] }\nlarger = { m = 5 }', "larger"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, said: str, told: str) -> None:
    """With the file, the table and the key."""
    with pytest.raises(OptionError, match=told) as caught:
        Stack.from_config(written(tmp_path, f'plugins = ["route"]\n[route]\n{said}\n'))
    assert "llmstack.toml" in str(caught.value)
    assert "[route]" in str(caught.value)


def test_a_table_by_model(tmp_path: Path) -> None:
    """As tables do in TOML."""
    file = written(
        tmp_path, 'plugins = ["route"]\n[route.targets]\n"gpt-5*" = ["gpt-5", "gpt-5-mini"]\no3 = ["o4-mini"]\n'
    )
    with Stack.from_config(file) as stack:
        assert list(stack.plugins["route"].status()) == ["gpt-5", "gpt-5-mini", "o4-mini"]
