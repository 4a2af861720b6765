"""A 200 that is no answer: an error for the layer that asks for it, and for the program if no layer saves it."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, Reply
from llmstack.effects import parallel
from tests.core.once_more import once_more
from tests.core.side import Side, spoken, texts, trio_complains

WRONG = openai.APIResponseValidationError
HTML = b"<!doctype html><p>down</p>"
ERROR = {"error": {"message": "overloaded", "type": "server_error", "code": "server_error"}}
HELLO = "You said: Say hello"


def careful(call: Call, next: Next) -> Flow[Reply]:
    """Asks for it."""
    return (yield from next(call.replace(verify=True)))


def again(call: Call, next: Next) -> Flow[Reply]:
    """Asks for it, and sends once more as `Retry` would."""
    return (yield from once_more(call.replace(verify=True, strict=True), next))


async def failure(side: Side, kind: type[openai.APIError], result: Callable[[], Any]) -> Any:
    """The error of a call."""
    with pytest.raises(kind) as caught:
        await side.do(result())
    assert type(caught.value) is kind
    return caught.value


# Complete replies ---------------------------------------------------------------------------------------------------

BODIES: dict[str, tuple[Any, type[openai.APIError]]] = {
    "html": (HTML, WRONG),
    "empty": (b"", WRONG),
    "truncated": (b'{"choices": [', WRONG),
    "no object": (b"[]", WRONG),
    "wrong shape": ({"id": "c-1", "choices": None}, WRONG),
    "error": (ERROR, openai.APIError),
}


@pytest.mark.parametrize("body", list(BODIES))
def test_a_200_that_is_no_answer_is_an_error(side: Side, body: str) -> None:
    """Thrown into the flow and raised to the program; the books know the status and the request."""
    step, kind = BODIES[body]
    content = step if isinstance(step, bytes) else json.dumps(step).encode()
    rig = side.rig([careful], [Reply(content=content, headers={"x-request-id": "req_1"})])

    async def program() -> Any:
        return await failure(side, kind, rig.create)

    error = side.run(program)
    assert rig.witness.errors == [error]
    assert error.request_id == "req_1"
    (attempt,) = rig.attempts
    for event in (attempt, rig.finished):
        assert (event.outcome, event.status, event.request_id, event.error) == ("error", 200, "req_1", error)
    assert rig.finished.attempts == 1


@pytest.mark.parametrize("body", list(BODIES))
def test_nobody_asked_nothing_changes(side: Side, body: str) -> None:
    """Without `verify` the layers get a reply, and the program what the SDK makes of it."""
    step = BODIES[body][0]
    rig = side.rig(script=[step])

    async def program() -> None:
        try:
            result = await side.do(rig.create())
        except json.JSONDecodeError:
            return
        assert getattr(result, "choices", None) is None

    side.run(program)
    assert rig.witness.reply.status == 200
    assert rig.attempts[0].outcome == "ok"


def test_a_layer_may_send_again(side: Side) -> None:
    """One good answer reaches the program; the first attempt is in the books as it was."""
    rig = side.rig([again], [HTML, "Hello"])

    async def program() -> Any:
        return await side.do(rig.create())

    assert side.run(program).choices[0].message.content == "Hello"
    assert [attempt.outcome for attempt in rig.attempts] == ["error", "ok"]
    assert rig.finished.outcome == "ok"


def test_the_books_of_a_later_attempt_are_its_own(side: Side) -> None:
    """What a bad answer told is not told of the error after it."""
    lost = openai.APIConnectionError(request=None)  # type: ignore[arg-type] # none was sent
    bad = Reply({"model": "m-1", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}, headers={"x-request-id": "r"})
    rig = side.rig([again], [bad, lost])

    async def program() -> None:
        await failure(side, openai.APIConnectionError, rig.create)

    side.run(program)
    assert [(a.status, a.request_id, a.model) for a in rig.attempts] == [(200, "r", "m-1"), (None, None, None)]
    assert (rig.finished.status, rig.finished.request_id, rig.finished.usage) == (None, None, None)


def test_other_ways_to_ask_are_judged_too(side: Side) -> None:
    """Raw responses, and the branches of a race; not a body that the program reads itself."""

    def tried(flow: Flow[Reply]) -> Flow[Reply | None]:
        try:
            return (yield from flow)
        except WRONG:
            return None

    def race(call: Call, next: Next) -> Flow[Reply]:
        (good,) = filter(None, (yield from parallel(tried(next(call)), tried(next(call)))))
        return good

    raw = side.rig([careful], [HTML])
    raced = side.rig([careful, race], [HTML, "Hello", [HTML], spoken("Hello")])
    own = side.rig([careful], [HTML])

    async def program() -> None:
        await failure(side, WRONG, lambda: raw.client.chat.completions.with_raw_response.create(model="m", messages=[]))
        assert (await side.do(raced.create())).choices[0].message.content == "Hello"
        assert texts(await side.read(await side.do(raced.create(stream=True)))) == "Hello"
        manager = own.client.chat.completions.with_streaming_response.create(model="m", messages=[])
        if side.asynchronous:
            async with manager as response:
                assert await response.read() == HTML
        else:
            with manager as response:
                assert response.read() == HTML

    side.run(program)


@pytest.mark.parametrize("asked", [{}, {"stream": True}], ids=["whole", "stream"])
def test_an_error_is_gone_when_the_program_lets_go_of_it(side: Side, asked: Any) -> None:
    """Nothing keeps it, or what it holds, until the garbage collector comes."""
    rig = side.rig([careful], [HTML], bare=True)

    async def program() -> weakref.ref[Any]:
        try:
            await side.read(await side.do(rig.create(**asked)))
        except WRONG as error:
            return weakref.ref(error)
        raise AssertionError("it was taken for an answer")

    gc.collect()
    gc.disable()
    try:
        error = side.run(program)
        rig.recorder.events.clear()
        assert error() is None
    finally:
        gc.enable()


# Over a real connection ---------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[dict[str, Any], type[openai.APIError]]] = {
    "html": ({"fault": "html"}, WRONG),
    "empty": ({"fault": "empty"}, WRONG),
    "truncated": ({"fault": "truncated_json"}, WRONG),
    "wrong shape": ({"fault": "wrong_shape"}, WRONG),
    "error": ({"fault": "error_body"}, openai.APIError),
}


@trio_complains
@pytest.mark.parametrize("fault", list(FAULTS))
def test_over_a_connection_a_bad_answer_is_sent_again(side: Side, server: Any, fault: str) -> None:
    """On the same connection; unsaved it is the program's error."""
    order, kind = FAULTS[fault]
    rig = side.local(server, [again])
    alone = side.local(server, [careful])
    server.next(**order)
    server.next()
    server.next(**order)

    async def program() -> None:
        assert (await side.do(rig.create())).choices[0].message.content == HELLO
        error = await failure(side, kind, alone.create)
        assert error.request_id == alone.finished.request_id
        assert (await side.do(alone.create())).choices[0].message.content == HELLO
        for each in (rig, alone):
            (connection,) = each.http._transport._pool.connections  # noqa: SLF001 - see `Rig.assert_clean`
            assert connection.is_idle()
            await side.do(each.client.close())

    side.run(program)
    assert server.count() == 4
