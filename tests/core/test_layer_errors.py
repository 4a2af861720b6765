"""What a layer does wrong is told in its name, and what comes from below it passes as it is."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import parallel
from llmstack.errors import PluginError, RefusedError
from tests.core.one_call import error_of, once
from tests.core.side import Side


@pytest.mark.parametrize("garbage", [None, 5, "text", object(), Future()], ids=lambda garbage: type(garbage).__name__)
def test_yielding_garbage_names_the_layer(side: Side, garbage: Any) -> None:
    """A layer may yield effects only."""

    def yields_garbage(call: Call, next: Next) -> Flow[Reply]:
        yield garbage
        return (yield from next(call))

    rig = side.rig([yields_garbage])

    error = error_of(side, rig, PluginError)
    assert "yields_garbage" in str(error)
    assert isinstance(error.__cause__, TypeError)


@pytest.mark.parametrize("garbage", [None, 5, "reply", {"choices": []}], ids=lambda garbage: type(garbage).__name__)
@pytest.mark.parametrize("stream", [False, True])
def test_returning_garbage_names_the_layer(side: Side, garbage: Any, stream: bool) -> None:  # noqa: FBT001
    """A layer must return a Reply; what was paid for comes with the error."""

    def returns_garbage(call: Call, next: Next) -> Any:
        yield from next(call)
        return garbage

    rig = side.rig([returns_garbage], ["Hello"])
    error = error_of(side, rig, PluginError, stream=stream)
    assert "returns_garbage" in str(error)
    assert error.plugin == "returns_garbage"
    assert error.reply is not None
    assert error.reply.text == "Hello"


def test_a_forgotten_from_is_told(side: Side) -> None:
    """The commonest slip: a flow is yielded, or returned, that was to be run."""

    def yields_it(call: Call, next: Next) -> Any:
        return (yield next(call))

    def returns_it(call: Call, next: Next) -> Any:
        yield from ()
        reply = next(call)
        return reply

    error = error_of(side, side.rig([yields_it]), PluginError)
    assert "write `yield from next(call)`, not `yield next(call)`" in str(error.__cause__)
    error = error_of(side, side.rig([returns_it]), PluginError)
    assert "pass on with `reply = yield from next(call)`, not `reply = next(call)`" in error.message


@pytest.mark.parametrize("garbage", [None, {}, "call"], ids=lambda garbage: type(garbage).__name__)
@pytest.mark.parametrize("innermost", [False, True])
def test_passing_on_garbage_names_the_layer(side: Side, garbage: Any, innermost: bool) -> None:  # noqa: FBT001
    """`next` takes a Call, also in the layer next to the transport."""

    def passes_garbage(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(garbage))

    def inner(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call))

    rig = side.rig([passes_garbage] if innermost else [passes_garbage, inner])
    error = error_of(side, rig, PluginError)
    assert "called next with" in str(error)
    assert error.plugin == "passes_garbage"


def test_parallel_of_garbage_names_the_layer(side: Side) -> None:
    """It takes flows."""

    def parallel_garbage(call: Call, next: Next) -> Flow[Reply]:
        yield from parallel(next(call), "no flow")  # type: ignore[arg-type]
        return (yield from next(call))

    rig = side.rig([parallel_garbage])
    assert "parallel_garbage" in str(error_of(side, rig, PluginError))


def test_a_layer_that_returns_no_generator_is_named(side: Side) -> None:
    """A plugin that is written around the checks at registration."""
    from llmstack import hookimpl

    class Sly:
        name = "sly"

        @hookimpl
        def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
            return (yield from self.inner(call))

        def inner(self, call: Call) -> Any:
            return 7

    rig = side.rig([Sly()])
    assert "sly" in str(error_of(side, rig, PluginError))


@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_layer_is_named_and_the_paid_reply_comes_with_it(side: Side, stream: bool) -> None:  # noqa: FBT001
    """The layer's own error is the cause."""

    def failing(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call)
        raise LookupError("private words")

    def outer(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call))

    rig = side.rig([outer, failing], ["Hello"])
    error = error_of(side, rig, PluginError, stream=stream)
    assert error.plugin == "failing"
    assert error.reply is not None
    assert error.reply.text == "Hello"
    assert error.call is not None
    assert isinstance(error.__cause__, LookupError)
    assert rig.finished.error is error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("a bare JSONDecodeError"), id="ValueError"),
        pytest.param(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), id="UnicodeDecodeError"),
        pytest.param(RuntimeError("another loop"), id="RuntimeError"),
        pytest.param(openai.OpenAIError("odd"), id="OpenAIError"),
        pytest.param(StopAsyncIteration(), id="StopAsyncIteration"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_from_below_pass_unwrapped(side: Side, error: Exception, stream: bool) -> None:  # noqa: FBT001
    """What the SDK or the network raises is what the program gets: the same object, blamed on no layer."""

    def outer(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call))

    rig = side.rig([outer], [error])

    async def program() -> BaseException:
        with pytest.raises(type(error)) as caught:
            await once(side, rig, stream=stream)
        return caught.value

    assert side.run(program) is error
    assert rig.witness.errors == [error]
    assert rig.finished.error is error


def test_a_refusal_gets_plugin_and_call(side: Side) -> None:
    """A layer need not say who it is."""

    class PolicyError(RefusedError):
        pass

    def policy(call: Call, next: Next) -> Flow[Reply]:
        raise PolicyError("not today")
        yield

    rig = side.rig([policy])
    error = error_of(side, rig, PolicyError)
    assert error.plugin == "policy"
    assert error.call is not None
    assert error.call.endpoint == "chat.completions"
    assert rig.finished.outcome == "refused"
    assert rig.finished.attempts == 0
