"""A route that a config file describes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmstack import OpenAI, Stack
from llmstack.config import to_toml
from llmstack.errors import ConfigError, OptionError
from llmstack.middleware import Retry, Route, Rule, Target
from llmstack.testing import LocalServer
from llmstack.transports import OpenAITransport
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


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    """With the file, the line, the table and the key; `tests/plugins/mistakes.txt` has them all."""
    said = 'plugins = ["route"]\n[route]\ntargets = ["x", { model = "y", wieght = 2 }]\n'
    with pytest.raises(OptionError) as caught:
        Stack.from_config(written(tmp_path, said))
    told = "[route] targets[1] has no 'wieght'; did you mean 'weight'? [plugin 'route']"
    assert str(caught.value) == f"{tmp_path / 'llmstack.toml'}:3: {told}"


def test_a_table_by_model(tmp_path: Path) -> None:
    """As tables do in TOML."""
    file = written(
        tmp_path, 'plugins = ["route"]\n[route.targets]\n"gpt-5*" = ["gpt-5", "gpt-5-mini"]\no3 = ["o4-mini"]\n'
    )
    with Stack.from_config(file) as stack:
        assert list(stack.plugins["route"].status()) == ["gpt-5", "gpt-5-mini", "o4-mini"]


def test_durations_as_people_write_them(tmp_path: Path) -> None:
    """Of the route and of a target, in a list, a table by model, and among the larger ones."""
    file = written(
        tmp_path,
        """
plugins = ["route"]

[route]
cooldown = "2m"
hedge_after = "250ms"
timeout = "1m 30s"
larger = { "gpt-5-mini" = { model = "gpt-5", timeout = "5m" } }

[route.targets]
"gpt-5*" = ["gpt-5", { model = "gpt-5-mini", timeout = "1500ms" }, { model = "gpt-5-nano", timeout = 3 }]
""",
    )
    with Stack.from_config(file) as stack:
        given = made_with(stack)
    assert (given["cooldown"], given["hedge_after"], given["timeout"]) == (120, 0.25, 90)
    assert given["larger"] == {"gpt-5-mini": Target("gpt-5", timeout=300)}
    targets = ["gpt-5", Target("gpt-5-mini", timeout=1.5), Target("gpt-5-nano", timeout=3)]
    assert given["targets"] == {"gpt-5*": targets}


def made_with(stack: Stack) -> Mapping[str, Any]:
    """What the route of a stack was made with."""
    route: Route = stack.plugins["route"]
    return route.given_options()


def place(name: str) -> OpenAITransport:
    """A transport to a place of its own."""
    return OpenAITransport(base_url=f"https://{name}.example.com/v1", api_key=KEY)


def the_same(stack: Stack, folder: Path) -> str:
    """How a stack is printed; it is tried that it is read back as it was, but for keys, which are not printed."""
    text = to_toml(stack)
    readable = text.replace(
        '# api_key is a secret and not printed. Say where it is: api_key = "env:NAME"', 'api_key = "file:key.txt"'
    )
    with Stack.from_config(written(folder, readable)) as read:
        assert to_toml(read) == readable
        assert {name: repr(found) for name, found in read.transports.items()} == {
            name: repr(found) for name, found in all_of(stack).items()
        }
        was, now = made_with(stack), made_with(read)
        for option in now:
            assert plainly(now[option]) == plainly(was[option])
        assert set(was) - {"transports"} == set(now)
        assert read.plugins["route"].status().keys() == stack.plugins["route"].status().keys()
    return text


def all_of(stack: Stack) -> dict[str, Any]:
    """The named transports of a stack and of its route."""
    return {**stack.transports, **made_with(stack).get("transports", {})}


def plainly(value: Any) -> Any:
    """A value with lists for all that is listed."""
    if isinstance(value, (list, tuple)):
        return [plainly(item) for item in value]
    return {name: plainly(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def test_a_stack_with_a_route_prints_as_a_file(tmp_path: Path) -> None:
    """And is read back: targets of all kinds, rules, and the stack's transports."""
    target = Target("gpt-5", "east", weight=2, params={"service_tier": "flex"}, without=["seed"], timeout=1.5)
    route = Route(
        ["west/*", target],
        strategy="weighted",
        on=["rate_limit", "server"],
        hedge_after=0.25,
        choose=[Rule(to="west/small", max_tokens=9), Rule(to=[target, "west/x"], tags={"tier": "free"}, stream=True)],
        larger={"gpt-5-mini": "gpt-5", "gpt-5": Target("gpt-5-long", timeout=20)},
        retries=0,
    )
    with Stack([route, Retry()], transports={"west": place("west"), "east": place("east")}) as stack:
        text = the_same(stack, tmp_path)
    assert text == (
        """plugins = ["route", "retry"]

[route]
targets = ["west/*", { model = "gpt-5", transport = "east", weight = 2, params = { service_tier = "flex" }, """
        """without = ["seed"], timeout = 1.5 }]
strategy = "weighted"
on = ["rate_limit", "server"]
hedge_after = 0.25
choose = [{ to = "west/small", max_tokens = 9 }, """
        """{ to = [{ model = "gpt-5", transport = "east", weight = 2, """
        """params = { service_tier = "flex" }, without = ["seed"], timeout = 1.5 }, "west/x"], """
        """tags = { tier = "free" }, """
        """stream = true }]
larger = { gpt-5-mini = "gpt-5", gpt-5 = { model = "gpt-5-long", timeout = 20 } }
retries = 0

[transports.west]
use = "openai"
# api_key is a secret and not printed. Say where it is: api_key = "env:NAME"
base_url = "https://west.example.com/v1"

[transports.east]
use = "openai"
# api_key is a secret and not printed. Say where it is: api_key = "env:NAME"
base_url = "https://east.example.com/v1"
"""
    )


def test_a_routes_own_transports_are_printed_as_the_stacks(tmp_path: Path) -> None:
    """A file knows no others; a table by model is one."""
    route = Route({"gpt-5*": ["west/*"], "o3": ["east/o3", "o4-mini"]}, transports={"west": place("west")})
    with Stack([route], transports={"east": place("east")}) as stack:
        text = the_same(stack, tmp_path)
    assert "[transports.west]\n" in text
    assert "[route.transports" not in text


def test_what_no_file_can_say_of_a_route_is_named() -> None:
    """A function, and two transports of one name."""
    route = Route(choose=lambda call: None, transports={"a": place("one")})
    with Stack([route], transports={"a": place("two")}) as stack, pytest.raises(ConfigError) as caught:
        to_toml(stack)
    assert str(caught.value) == (
        "no config file can say what this stack is:"
        "\n  plugin 'route': choose is an object of the program's (function), which no file can say"
        "\n  two of its transports are called 'a': give one another name"
    )


@pytest.mark.parametrize("options", [{}, {"targets": []}, {"targets": {}}, {"transports": {}, "strategy": "weighted"}])
def test_a_route_needs_targets(options: dict[str, Any]) -> None:
    """Or a function that names some."""
    with pytest.raises(ValueError, match="a route needs targets"):
        Route(**options)
