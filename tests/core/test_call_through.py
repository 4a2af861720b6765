"""A layer may send a call through another transport, which goes where that one points."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.testing import ScriptedTransport, Status
from llmstack.transports import Place
from tests.core.one_call import once
from tests.core.side import MESSAGES, Side


def test_a_call_goes_through_another_transport(side: Side) -> None:
    """Of the layer's choice; its host and name are those of that one."""
    other: Any = ScriptedTransport(["from elsewhere", Status(500)])
    other.name = "elsewhere"
    here: list[str] = []

    other.place = Place("https://elsewhere.example.com/v1/")

    def diverts(call: Call, next: Next) -> Flow[Reply]:
        there = call.through(other)
        here.extend((call.transport, there.transport, call.host, there.host))
        return (yield from next(there))

    rig = side.rig([diverts])

    async def program() -> None:
        assert (await once(side, rig)).choices[0].message.content == "from elsewhere"
        with pytest.raises(openai.InternalServerError):
            await once(side, rig)

    side.run(program)
    assert here[:4] == ["scripted", "elsewhere", "scripted.invalid", "elsewhere.example.com"]
    assert rig.sent == []
    assert {attempt.call.host for attempt in rig.attempts} == {"elsewhere.example.com"}


def test_a_call_through_a_transport_without_a_place_goes_where_its_client_points(side: Side) -> None:
    """Whatever place the stack's transport has: hosts, keys and prices go by where it really goes."""
    plain: Any = ScriptedTransport(["from there"] * 2)
    plain.name = "plain"
    seen: list[tuple[str, str]] = []

    def diverts(call: Call, next: Next) -> Flow[Reply]:
        for here in (call, call.aside("moderations", "/moderations", {})):
            there = here.through(plain)
            seen.append((here.host, there.host))
            assert there.place is None
            assert there.credential == call.replace(place=None).credential
        return (yield from next(call.through(plain)))

    rig = side.rig([diverts])
    own: Any = rig.stack.with_transport(placed())
    client = rig.client.with_options(stack=own)

    async def program() -> None:
        messages: Any = MESSAGES
        got = await side.do(client.chat.completions.create(model="m", messages=messages))
        assert got.choices[0].message.content == "from there"

    side.run(program)
    assert seen == [("placed.example.com", "scripted.invalid")] * 2
    assert {attempt.call.host for attempt in rig.attempts} == {"scripted.invalid"}


def placed() -> Any:
    """A transport to a place of its own, that nothing is sent to."""
    transport: Any = ScriptedTransport()
    transport.place = Place("https://placed.example.com/v1/", credential="theirs")
    return transport
