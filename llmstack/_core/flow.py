"""Flow: the layers composed into one generator, each guarded so that its failures bear its name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Any

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Next, Send
from llmstack._core.filtering import sign_filters
from llmstack._core.reply import Reply
from llmstack._core.sent import Sent


@dataclass(frozen=True, slots=True)
class Layer:
    """A plugin's place in the composition: its name and its ``llmstack_call``, or what it puts around attempts."""

    name: str
    run: Callable[[Call, Next], Flow[Reply]]

    def __call__(self, call: Call, next: Next) -> Flow[Reply]:
        """Run it."""
        return self.run(call, next)


def compose(layers: Sequence[Layer], passing: tuple[type[BaseException], ...]) -> Next:
    """Compose layers, outermost first, around the transport.

    Args:
        layers: The layers.
        passing: Kinds of error a layer may raise by intent; any other becomes a `PluginError`.

    Returns:
        The function that starts a call's flow.
    """
    inner = _wire(layers[-1].name if layers else None, passing)
    for i in reversed(range(len(layers))):
        outer = layers[i - 1].name if i else None
        inner = _guard(layers[i], inner, outer, passing)
    return inner


def _wire(outer: str | None, passing: tuple[type[BaseException], ...]) -> Next:
    """The innermost flow: send the call, through the layers around its attempts."""

    def wire(call: Call) -> Flow[Reply]:
        call = _passed(call, outer)
        if call.attempt_layers:
            return (yield from _around(call, passing))
        reply: Reply = yield Send(call)
        return reply

    return wire


def _around(call: Call, passing: tuple[type[BaseException], ...]) -> Flow[Reply]:
    """One attempt, inside the layers that were put around all of them."""

    def send(call: Call) -> Flow[Reply]:
        reply: Reply = yield Send(_passed(call, None))
        return reply

    inner: Next = send
    for layer in reversed(call.attempt_layers):
        named = layer if isinstance(layer, Layer) else Layer("unknown", layer)
        inner = _guard(named, inner, named.name, passing)
    return (yield from inner(call.replace(attempt_layers=(), sent=Sent())))


def _guard(layer: Layer, inner: Next, outer: str | None, passing: tuple[type[BaseException], ...]) -> Next:
    name, run = layer.name, layer.run

    def guarded(call: Call) -> Flow[Reply]:
        call = _passed(call, outer)
        try:
            reply = yield from run(call, inner)
        except Exception as error:
            _judge(error, name, call, passing)
            raise
        if type(reply) is not Reply:
            raise _broke(name, call, f"returned {_a(reply)} instead of a Reply; {_mended(reply)}")
        return reply

    return guarded


def _passed(call: Call, outer: str | None) -> Call:
    """What the layer further out called next with; what it asks for on it bears its name from here on."""
    if type(call) is not Call:
        raise _broke(outer, None, f"called next with {_a(call)} instead of a Call")
    if outer is None:
        return call
    if call.attempt_layers and not isinstance(call.attempt_layers[-1], Layer):
        signed = tuple(layer if isinstance(layer, Layer) else Layer(outer, layer) for layer in call.attempt_layers)
        # Signed where they stand: that layer has made this copy in order to pass it on.
        object.__setattr__(call, "attempt_layers", signed)
    return sign_filters(call, outer) if call.filters else call


def _judge(error: Exception, name: str, call: Call, passing: tuple[type[BaseException], ...]) -> None:
    """Let an error pass that is not of this layer's making or is raised by intent; wrap any other."""
    if any(error is foreign for foreign in call.progress.foreign):
        return
    if isinstance(error, passing):
        # A StackError raised without saying by whom gets the name of the layer it leaves first.
        if getattr(error, "plugin", "") is None:
            error.plugin = name  # type: ignore[attr-defined]
        if getattr(error, "call", "") is None:
            error.call = call.info  # type: ignore[attr-defined]
        return
    raise _broke(name, call, f"failed with {type(error).__name__}; its own error is chained as the cause") from error


def _broke(name: str | None, call: Call | None, what: str) -> Exception:
    from llmstack.errors import PluginError

    reply = call.progress.reply if call is not None else None
    return PluginError(f"plugin {name!r} {what}", call=None if call is None else call.info, plugin=name, reply=reply)


def _mended(reply: object) -> str:
    """What to write instead of what made a layer return this."""
    unasked = "pass on with `reply = yield from next(call)`, not `reply = next(call)`; and "
    return f"{unasked if isinstance(reply, GeneratorType) else ''}end with `return reply`"


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def end_flow(flow: Flow[Any]) -> str:
    """End a suspended flow that does not end by itself.

    Returns:
        The name of the innermost layer it was waiting in.
    """
    found = "unknown"
    inner: Any = flow
    while isinstance(inner, GeneratorType):
        frame = inner.gi_frame
        if frame is not None and frame.f_globals is globals() and "name" in frame.f_locals:
            found = frame.f_locals["name"]
        inner = inner.gi_yieldfrom
    with contextlib.suppress(RuntimeError):  # it goes on even now: then it stays suspended
        flow.close()
    return found
