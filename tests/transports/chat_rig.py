"""What the tests of the chat transport share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from llmstack.testing import LocalServer
from llmstack.transports import ChatTransport
from tests.core.side import Rig, Side

T = TypeVar("T")

MODEL = "gpt-5-mini"
CHAT_PATH = "/v1/chat/completions"

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "description": "Tell the weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def chat_rig(
    side: Side,
    server: LocalServer,
    layers: Iterable[object] = (),
    *,
    bare: bool = False,
    transport: ChatTransport | None = None,
    **more: Any,
) -> Rig:
    """A client on a real connection to a local server, of which it uses chat completions only."""
    rig = side.local(server, layers, bare=bare, **more)
    rig.stack = rig.stack.with_transport(transport or ChatTransport())
    rig.client = rig.client.with_options(stack=rig.stack)
    return rig


def play(side: Side, program: Callable[[], Awaitable[T]], *rigs: Rig) -> T:
    """Run a program, and close the clients that it used."""

    async def closing() -> T:
        try:
            return await program()
        finally:
            for rig in rigs:
                await side.do(rig.client.close())

    result: T = side.run(closing)
    return result


def alike(value: Any) -> Any:
    """A response, or an event of one, without what may differ between the transports: see docs/transport-chat.md."""
    if isinstance(value, dict):
        named = {"id", "item_id", "call_id"} & value.keys()
        kept = {name: alike(item) for name, item in value.items() if name not in ("completed_at", "store")}
        return {**kept, **dict.fromkeys(named, "*")}
    return [alike(item) for item in value] if isinstance(value, list) else value


def shape(response: Any) -> Any:
    """The same of the SDK's object."""
    return alike(response.model_dump(mode="json"))
