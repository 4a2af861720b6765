"""Moderation beside the call: both are sent at once, and nothing is shown before the verdict."""

from __future__ import annotations

import threading
from typing import Any

import openai
import pytest

from llmstack.errors import ModerationError
from llmstack.middleware import Retry
from llmstack.middleware.moderation import Moderation
from llmstack.testing import FLAG_MARKER, LocalServer, Status
from tests.core.side import Rig, Side, texts
from tests.middleware.moderation_rig import FLAGGED, ask, rig_of, sent, service, told

CHAT, VERDICT = "/chat/completions", "/moderations"


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def plain(side: Side, rig: Rig, text: str = "hi") -> str:
    return (await side.do(ask(rig, text))).choices[0].message.content


async def streamed(side: Side, rig: Rig, text: str = "hi") -> str:
    return texts(await side.read(await side.do(ask(rig, text, stream=True))))


async def lazily(side: Side, rig: Rig, text: str = "hi") -> str:
    manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=said(text))
    if side.asynchronous:
        async with manager as response:
            return (await response.parse()).choices[0].message.content
    with manager as response:
        return response.parse().choices[0].message.content


async def by_lines(side: Side, rig: Rig, text: str = "hi") -> str:
    manager = rig.client.chat.completions.with_streaming_response.create(model="m", messages=said(text), stream=True)
    if side.asynchronous:
        async with manager as response:
            return "".join(await side.read(response.iter_lines()))
    with manager as response:
        return "".join(await side.read(response.iter_lines()))


WAYS = pytest.mark.parametrize("way", [plain, streamed, lazily, by_lines])


@pytest.mark.parametrize("output", [False, True])
@WAYS
def test_both_are_sent_before_either_is_answered(side: Side, server: LocalServer, way: Any, output: bool) -> None:  # noqa: FBT001
    """So the wall time is that of the slower of the two: each waits on the server until the other has come.

    Sent one after the other, the first would be held for ever, since only the arrival of both lets either go.
    """
    gates = [server.gate(path=CHAT), server.gate(path=VERDICT)]
    rig = side.local(server, [Moderation(mode="parallel", output=output)])

    met: list[bool] = []

    def let_go() -> None:
        try:
            for gate in gates:
                gate.wait_reached(5)
            met.append(True)
        except TimeoutError:
            met.append(False)
        for gate in gates:
            gate.release()

    helper = threading.Thread(target=let_go)
    helper.start()

    async def program() -> str:
        answer: str = await way(side, rig)
        await side.do(rig.client.close())
        return answer

    assert side.run(program)
    helper.join()
    assert met == [True]
    assert server.count(VERDICT) == 1 + output
    assert server.count(CHAT) == 1
    assert rig.finished.outcome == "ok"


@pytest.mark.parametrize("first", [CHAT, VERDICT])
@WAYS
def test_the_answer_is_withheld_until_the_verdict(side: Side, server: LocalServer, way: Any, first: str) -> None:
    """Whichever is there first: what is flagged shows nothing, and the connection goes back."""
    rig = side.local(server, [Moderation(mode="parallel")])
    server.next(path=VERDICT if first == CHAT else CHAT, delay=0.05)

    async def program() -> None:
        with pytest.raises(ModerationError) as caught:
            await way(side, rig, FLAG_MARKER)
        assert caught.value.reply is None
        await side.do(rig.client.close())

    side.run(program)
    assert rig.finished.outcome == "refused"
    assert told(rig) == [("input", "openai", True, True)]


def test_a_flagged_call_is_cancelled_in_async(server: LocalServer) -> None:
    """Nobody waits for an answer that will not be shown."""
    side = Side("asyncio")
    gate = server.gate(path=CHAT, times=None)
    rig = side.local(server, [Moderation(mode="parallel")])

    async def program() -> None:
        for stream in (False, True):
            with pytest.raises(ModerationError):
                await ask(rig, f"{FLAG_MARKER} {stream}", stream=stream)
        await rig.client.close()

    side.run(program)
    assert not gate.released
    assert {event.outcome for event in rig.attempts if event.call.endpoint != "moderations"} <= {"cancelled", "refused"}
    side.assert_clean()


def test_a_call_that_fails_fails_as_ever(side: Side) -> None:
    """With the SDK's own error."""

    def step(call: Any) -> Any:
        return Status(404) if call.endpoint != "moderations" else service()(call)

    rig = side.rig([Moderation(mode="parallel")], default=step)

    async def program() -> None:
        for stream in (False, True):
            with pytest.raises(openai.NotFoundError):
                await side.do(ask(rig, f"hi {stream}", stream=stream))

    side.run(program)


def test_a_stream_that_is_opened_again_is_judged_once(side: Side) -> None:
    """A retry waits for the verdict of the first attempt."""
    failures = iter([Status(503), None])

    def step(call: Any) -> Any:
        if call.endpoint == "moderations":
            return service()(call)
        return next(failures, None) or "Hello"

    rig = side.rig([Moderation(mode="parallel"), Retry()], default=step)

    async def program() -> str:
        return texts(await side.read(await side.do(ask(rig, stream=True))))

    assert side.run(program) == "Hello"
    assert sent(rig).count("chat.completions") == 2
    assert [flagged for _, _, flagged, _ in told(rig)] == [False]


def test_what_is_known_is_not_sent_beside(side: Side) -> None:
    """A bad verdict that is known, or a blocked term, refuses at once."""
    rig = rig_of(side, Moderation(mode="parallel", blocked_terms=["bad"]))

    async def program() -> None:
        for text in (FLAGGED, FLAGGED, "bad"):
            with pytest.raises(ModerationError):
                await side.do(ask(rig, text))

    side.run(program)
    assert sent(rig).count("moderations") == 1
    assert sent(rig).count("chat.completions") <= 1
