"""What a route is made of: its table, its transports and its options."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from llmstack import Call, Flow, OpenAI, Reply, Stack
from llmstack.errors import OptionError, PluginError
from llmstack.middleware import Moderation, Route, Target
from llmstack.testing import ScriptedTransport
from tests.core.side import KEY, MESSAGES, Side
from tests.middleware.route_rig import bench, scripted


def test_calls_that_are_not_routed_pass_as_they_are(side: Side) -> None:
    """Lists, files, embeddings, what another layer asks on the way: a chat model is nothing for them."""
    moderation = Moderation()
    b = bench(
        side,
        ["a/x"],
        outer=[moderation],
        script=[{"results": [{"flagged": False, "categories": {}, "category_scores": {}}]}],
    )
    assert b.go() == ["from a"]
    assert [call.endpoint for call in b.rig.sent] == ["moderations"]
    assert b.rig.sent[0].model != "x"


def test_a_table_by_the_model_asked_for(side: Side) -> None:
    """Exact names go before patterns; what is not there passes as it is."""
    table = {"gpt-*": ["a/*"], "gpt-5": ["b/*", "c/*"]}
    b = bench(side, table)
    assert b.go(model="gpt-5") == ["from b"]
    assert b.go(model="gpt-4o") == ["from a"]
    assert b.go(model="o3") == ["from the stack's"]
    assert set(b.route.status()) == {"a/*", "b/*", "c/*"}


def test_its_transports_are_closed_with_the_stack(side: Side) -> None:
    """The first error is raised when all are closed."""
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str) -> None:
            self.name = name

        def send(self, call: Call) -> Flow[Reply]:
            raise NotImplementedError
            yield

    class Sync(Closing):
        def close(self) -> None:
            closed.append(self.name)
            raise OSError(self.name)

    class Async(Closing):
        async def aclose(self) -> None:
            closed.append(self.name)

    transports = {"a": Sync("a"), "b": Async("b"), "c": scripted("c")}
    stack = Stack([Route(["a/*", "b/*"], transports=transports)], transports={"d": Async("d")})

    async def program() -> None:
        with pytest.raises(OSError, match="a"):
            await stack.aclose() if side.asynchronous else stack.close()

    side.run(program)
    assert sorted(closed) == ["a", "b", "d"]


def test_the_stacks_own_named_transports_serve() -> None:
    """As a config file gives them; the route's own go first."""
    stacks, own = scripted("stacks", default="the stack's"), scripted("own", default="the route's")
    route = Route(["shared/*", "extra/*"], transports={"shared": own})
    stack = Stack([route], transport=ScriptedTransport(), transports={"shared": stacks, "extra": stacks})
    assert stack.transports == {"shared": stacks, "extra": stacks}
    client = OpenAI(api_key=KEY, base_url="http://scripted.invalid/v1", stack=stack.with_plugins())
    messages: Any = MESSAGES
    assert client.chat.completions.create(model="m", messages=messages).choices[0].message.content == "the route's"
    assert len(own.calls) == 1
    client.close()


def test_a_choice_that_fails_is_the_routes_error(side: Side) -> None:
    """Named, with the cause chained."""

    def choose(call: Call) -> Any:
        raise LookupError

    b = bench(side, (), choose=choose)

    async def program() -> None:
        with pytest.raises(PluginError, match="'route'"):
            await b.ask()

    side.run(program)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"targets": []}, "needs targets"),
    ({"targets": "gpt-5"}, "must be a list"),
    ({"strategy": "best"}, "strategy must be one of"),
    ({"on": ["weather"]}, "no kind of failure"),
    ({"cooldown": 0}, "cooldown"),
    ({"failures": 0}, "failures"),
    ({"hedge_after": -1}, "hedge_after"),
    ({"retries": -1}, "retries"),
    ({"timeout": 0}, "timeout"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    """When the route is made."""
    given: dict[str, Any] = {"targets": ["a"], **options}
    with pytest.raises(ValueError, match=said):
        Route(**given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"targets": ["a/x", "a/x"]}, "named twice"),
        ({"targets": [""]}, "it is empty"),
        ({"targets": ["azur/x"]}, "did you mean 'azure'"),
        ({"targets": [Target("x", "nowhere")]}, "there is no transport 'nowhere'"),
        ({"targets": {"m": []}}, "at least one target"),
        ({"targets": ["a"], "larger": {"a": "azur/b"}}, "did you mean 'azure'"),
    ],
    ids=str,
)
def test_targets_are_checked_when_the_stack_is_built(options: dict[str, Any], said: str) -> None:
    """Only then all transports are known."""
    transports = {"azure": scripted("azure"), "a": scripted("a")}
    with pytest.raises(OptionError, match=said) as caught:
        Stack([Route(transports=transports, **options)])
    assert caught.value.plugin == "route"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
