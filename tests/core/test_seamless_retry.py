"""Before content has reached the program the layers may send again and it sees one seamless stream; after it, never."""

from __future__ import annotations

import contextlib
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.errors import CommittedError, PluginError
from llmstack.middleware import Retry
from llmstack.testing import Status
from tests.core.side import DONE, PREAMBLE, Side, chunk, event_error, lost, spoken, texts


def stubborn(call: Call, next: Next) -> Flow[Reply]:
    """Sends once more whatever happened, as a layer does that has never heard of `committed`."""
    try:
        return (yield from next(call))
    except openai.APIError:
        return (yield from next(call))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Status(500), id="status"),
        pytest.param(lost(), id="connection"),
        pytest.param([lost()], id="before-anything"),
        pytest.param([PREAMBLE, lost()], id="after-the-preamble"),
        pytest.param([event_error()], id="error-event"),
        pytest.param([PREAMBLE, event_error()], id="error-event-after-the-preamble"),
    ],
)
def test_before_content_a_retry_is_seamless(side: Side, broken: Any) -> None:
    """The program sees the second stream only, with one preamble."""
    rig = side.rig([stubborn], [broken, spoken("Hel", "lo")])

    async def program() -> list[Any]:
        return await side.read(await side.do(rig.create(stream=True)))

    chunks = side.run(program)
    assert texts(chunks) == "Hello"
    assert [c.choices[0].delta.role for c in chunks].count("assistant") == 1
    assert [attempt.outcome for attempt in rig.attempts] == ["error", "ok"]
    assert rig.finished.outcome == "ok"


def test_the_role_is_held_until_content_follows(side: Side) -> None:
    """The program does not see the first stream's preamble until content has come; then at once."""
    delivered_early = side.rig(script=[spoken("Hello")], bare=True)
    rig = side.rig(script=[[PREAMBLE, chunk("Hel"), lost()]])

    async def program() -> list[Any]:
        await side.read(await side.do(delivered_early.create(stream=True)))
        stream = await side.do(rig.create(stream=True))
        first = await anext(side.each(stream))
        assert rig.witness.calls[0].committed
        rest, _ = await side.read_until(openai.APIConnectionError, stream)
        return [first, *rest]

    assert [c.choices[0].delta.content for c in side.run(program)] == ["", "Hel"]


@pytest.mark.parametrize("broken", [lost(), event_error()], ids=["connection", "error-event"])
def test_after_content_the_error_is_the_programs(side: Side, broken: Any) -> None:
    """What came before stays delivered; the error is the provider's, not one about the layer's refused wish."""
    rig = side.rig([stubborn], [[PREAMBLE, chunk("Hel"), broken], "never sent"])

    async def program() -> tuple[list[Any], Exception]:
        stream = await side.do(rig.create(stream=True))
        return await side.read_until(openai.APIError, stream)

    seen, error = side.run(program)
    assert texts(seen) == "Hel"
    assert not isinstance(error, CommittedError)
    assert len(rig.sent) == 1
    assert rig.finished.outcome == "error"
    assert type(rig.finished.error) is type(error)


def test_after_content_another_next_is_refused(side: Side) -> None:
    """The layer that calls next again gets a CommittedError that says what to check."""
    refused: list[BaseException] = []

    def curious(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIConnectionError as error:
            assert call.committed
            try:
                yield from next(call)
            except CommittedError as refusal:
                refused.append(refusal)
            raise error  # noqa: TRY201

    rig = side.rig([curious], [[PREAMBLE, chunk("Hel"), lost()]])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        with pytest.raises(openai.APIConnectionError):
            await side.read(stream)

    side.run(program)
    (refusal,) = refused
    assert "committed" in str(refusal)
    assert len(rig.sent) == 1


def test_a_second_opinion_on_a_delivered_stream_is_refused(side: Side) -> None:
    """A layer that is not content with a whole reply, and did not hold it back, comes too late: it is told so."""

    def picky(call: Call, next: Next) -> Flow[Reply]:
        yield from next(call)
        return (yield from next(call))

    rig = side.rig([picky], [spoken("Hello"), "never sent"])

    async def program() -> list[Any]:
        stream = await side.do(rig.create(stream=True))
        seen = []
        try:
            async for c in side.each(stream):
                seen.append(c)  # noqa: PERF401
        except CommittedError as error:
            assert error.plugin == "picky"  # noqa: PT017
        return seen

    assert texts(side.run(program)) == "Hello"
    assert len(rig.sent) == 1


@pytest.mark.parametrize("end", ["error", "close"])
def test_a_layer_that_swallows_the_refusal_for_ever_is_ended(side: Side, end: str) -> None:
    """It is named; nothing hangs."""

    def endless(call: Call, next: Next) -> Flow[Reply]:
        while True:
            with contextlib.suppress(Exception):
                yield from next(call)

    rig = side.rig([endless], [[PREAMBLE, chunk("Hel"), chunk("lo"), lost()]])

    async def program() -> PluginError:
        stream = await side.do(rig.create(stream=True))
        if end == "error":
            return (await side.read_until(PluginError, stream))[1]
        await anext(side.each(stream))
        with pytest.raises(PluginError) as caught:
            await side.close(stream)
        return caught.value

    assert side.run(program).plugin == "endless"
    assert isinstance(rig.finished.error, PluginError)
    assert len(rig.sent) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_layer_that_even_ignores_being_closed_is_left_behind(side: Side) -> None:
    """The worst of layers does not hang the program either."""

    def undead(call: Call, next: Next) -> Flow[Reply]:
        for _ in range(100):
            with contextlib.suppress(BaseException):
                yield from next(call)
        return Reply({})

    rig = side.rig([undead], [[PREAMBLE, chunk("Hel"), lost()]], bare=True)

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        _, error = await side.read_until(PluginError, stream)
        assert error.plugin == "undead"

    side.run(program)


def test_a_layer_that_swallows_the_error_cannot_make_the_stream_whole(side: Side) -> None:
    """After content the program hears of the error even if a layer answers with another reply."""

    def soothing(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIError:
            return Reply({"choices": []})

    rig = side.rig([soothing], [[PREAMBLE, chunk("Hel"), lost()]])

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        with pytest.raises(openai.APIConnectionError):
            await side.read(stream)

    side.run(program)
    assert rig.finished.outcome == "error"


def test_before_content_a_layer_may_answer_instead(side: Side) -> None:
    """A fallback reply is replayed in place of the stream that broke."""

    def fallback(call: Call, next: Next) -> Flow[Reply]:
        try:
            return (yield from next(call))
        except openai.APIError:
            body = {
                "message": {"role": "assistant", "content": "from the fallback"},
                "index": 0,
                "finish_reason": "stop",
            }
            return Reply({"id": "x", "object": "chat.completion", "created": 1, "model": "f", "choices": [body]})

    rig = side.rig([fallback], [[PREAMBLE, lost()]])

    async def program() -> str:
        return texts(await side.read(await side.do(rig.create(stream=True))))

    assert side.run(program) == "from the fallback"
    assert rig.finished.model == "f"


def test_content_and_error_in_one_read_may_still_be_retried(side: Side) -> None:
    """Nothing has reached the program yet, however the network cut the bytes."""
    rig = side.rig([stubborn], [[PREAMBLE, chunk("Hel"), event_error()], spoken("Bye")], joined=True)

    async def program() -> str:
        return texts(await side.read(await side.do(rig.create(stream=True))))

    assert side.run(program) == "Bye"


def test_content_and_error_in_one_read_are_both_delivered(side: Side) -> None:
    """If the layers give up, the program gets what came before the error, as it would from the SDK."""
    rig = side.rig(script=[[PREAMBLE, chunk("Hel"), event_error()]], joined=True)

    async def program() -> str:
        stream = await side.do(rig.create(stream=True))
        seen, error = await side.read_until(openai.APIError, stream)
        assert "overloaded" in str(error)
        return texts(seen)

    assert side.run(program) == "Hel"


def test_retry_before_content_over_a_real_connection(side: Side, server: Any) -> None:
    """A stream that breaks before its first content is opened again on a fresh connection."""
    rig = side.local(server, [Retry(attempts=3)], max_retries=2)
    server.next(503)
    server.next(fault="reset", after=0)

    async def program() -> str:
        text = texts(await side.read(await side.do(rig.create(stream=True))))
        await side.do(rig.client.close())
        return text

    assert side.run(program) == "You said: Say hello"
    assert rig.finished.attempts == 3


def test_no_retry_after_content_over_a_real_connection(side: Side, server: Any) -> None:
    """A reset after content is the program's to see, and is sent once."""
    rig = side.local(server, [Retry(attempts=3)])
    server.next(fault="cut", after=3)

    async def program() -> None:
        stream = await side.do(rig.create(stream=True))
        with pytest.raises(openai.APIConnectionError):
            await side.read(stream)
        await side.do(rig.client.close())

    side.run(program)
    assert server.count() == 1
    assert rig.finished.outcome == "error"


def test_done_is_not_needed_for_the_end(side: Side) -> None:
    """A whole chat reply without [DONE] is whole."""
    rig = side.rig(script=[[*spoken("Hello")[:-1]]])

    async def program() -> str:
        return texts(await side.read(await side.do(rig.create(stream=True))))

    assert side.run(program) == "Hello"
    assert DONE not in str(rig.witness.reply.body)
