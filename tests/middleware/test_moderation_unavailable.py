"""Moderation when the endpoint is down, slow, or answers garbage."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import openai
import pytest

import llmstack
from llmstack.errors import ModerationUnavailableError, RefusedError
from llmstack.middleware import Retry
from llmstack.middleware.moderation import Moderation, ModerationUnavailable
from llmstack.testing import LocalServer, Status
from tests.core.side import Side, lost
from tests.middleware.moderation_rig import MODEL, ask, rig_of, sent, service, told


def scored(score: Any) -> dict[str, Any]:
    """A verdict with a score that is none."""
    return {"flagged": False, "categories": {"violence": False}, "category_scores": {"violence": score}}


FAULTS: dict[str, dict[str, Any]] = {
    "500": {"status": 500},
    "401": {"status": 401},
    "429": {"status": 429},
    "closed": {"fault": "close"},
    "reset": {"fault": "reset"},
    "garbage": {"fault": "garbage"},
    "html": {"fault": "html"},
    "empty": {"fault": "empty"},
    "half": {"fault": "truncated_json"},
    "error": {"fault": "error_body"},
    "shape": {"fault": "wrong_shape"},
    "none": {"status": 200, "body": {"id": "modr-1", "model": MODEL, "results": []}},
    "too-many": {"status": 200, "body": {"results": [{"flagged": False, "categories": {}, "category_scores": {}}] * 2}},
    "no-flag": {"status": 200, "body": {"results": [{"categories": {}, "category_scores": {}}]}},
    "no-dict": {"status": 200, "body": {"results": ["fine"]}},
    "flag-as-text": {"status": 200, "body": {"results": [{"flagged": "no", "categories": {}, "category_scores": {}}]}},
    "score-over-1": {"status": 200, "body": {"results": [scored(1.5)]}},
    "score-negative": {"status": 200, "body": {"results": [scored(-0.1)]}},
    "score-as-text": {"status": 200, "body": {"results": [scored("0.9")]}},
    "score-as-flag": {"status": 200, "body": {"results": [scored(score=True)]}},
    "score-nan": {
        "status": 200,
        "body": b'{"results":[{"flagged":false,"categories":{},"category_scores":{"x":NaN}}]}',
    },
}


@pytest.mark.parametrize("mode", ["before", "parallel"])
@pytest.mark.parametrize("fault", FAULTS)
def test_closed_it_refuses(side: Side, server: LocalServer, fault: str, mode: Any) -> None:
    """A typed error with the cause chained; before the call is sent, unless both were to be sent at once."""
    server.next(path="/moderations", times=None, **FAULTS[fault])
    rig = side.local(server, [Moderation(mode=mode)])
    words = f"{side.name} {fault} {mode}"

    async def program() -> Any:
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(ask(rig, words))
        await side.do(rig.client.close())
        return caught.value

    error = side.run(program)
    assert isinstance(error, RefusedError)
    assert error.__cause__ is not None
    assert (error.plugin, error.reply) == ("moderation", None)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert rig.finished.outcome == "refused"
    assert rig.finished.notes == {"moderation": {"input": "unavailable"}}
    (event,) = rig.recorder.of(ModerationUnavailable)
    assert (event.subject, event.passed) == ("input", False)
    # A call that was sent at once and cancelled may still be on its way to the server, which other tests ask too.
    server.wait_for(lambda server: server.open_connections == 0)
    if mode == "before":
        # A request of an earlier test, which was cancelled on its way, may arrive only now.
        assert [r for r in server.requests if r.path.endswith("/chat/completions") and words.encode() in r.body] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_open_it_lets_pass(side: Side, server: LocalServer, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """And says so to observers, notes and log: to this once a minute at most."""
    server.next(path="/moderations", times=None, **FAULTS[fault])
    rig = side.local(server, [Moderation(on_error="open")])

    async def program() -> Any:
        with caplog.at_level(logging.WARNING, "llmstack"):
            answers = [(await side.do(ask(rig))).choices[0].message.content for _ in range(2)]
            rig.clock.advance(61)
            answers.append((await side.do(ask(rig))).choices[0].message.content)
        await side.do(rig.client.close())
        return answers

    assert side.run(program) == ["You said: Say hello"] * 3
    assert [event.passed for event in rig.recorder.of(ModerationUnavailable)] == [True] * 3
    assert [record.levelname for record in caplog.records if "moderation" in record.getMessage()] == ["WARNING"] * 2
    assert "Say hello" not in caplog.text


def test_a_verdict_has_its_own_time(server: LocalServer) -> None:
    """On the real clock, kept below the HTTP parser, also against a server that drips."""
    server.next(path="/moderations", fault="drip", interval=0.05, part="body")
    stack = llmstack.Stack([Moderation(timeout=0.2)])
    client = llmstack.OpenAI(api_key="sk-test-not-a-key", base_url=server.base_url, stack=stack, max_retries=0)
    with client, pytest.raises(ModerationUnavailableError) as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert isinstance(caught.value.__cause__, openai.APITimeoutError)
    assert server.count("/chat/completions") == 0


@pytest.mark.parametrize("on_error", ["closed", "open"])
def test_the_deadline_of_the_call_is_obeyed(server: LocalServer, on_error: Any) -> None:
    """It is the call that has no time left, and so the SDK's own error that is raised."""
    gate = server.gate(path="/moderations")
    stack = llmstack.Stack([Moderation(on_error=on_error)])
    client = llmstack.OpenAI(api_key="sk-test-not-a-key", base_url=server.base_url, stack=stack, max_retries=0)
    with client, llmstack.options(deadline=0.2), pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    gate.release()
    assert server.count("/chat/completions") == 0


def test_a_failing_request_is_retried_below(side: Side) -> None:
    """It is a request like any other to the layers further in."""
    answers = iter([Status(503), lost(), None, None])
    answer = service()

    def step(call: Any) -> Any:
        return next(answers) or answer(call)

    rig = side.rig([Moderation(), Retry(attempts=3)], default=step)

    async def program() -> Any:
        return await side.do(ask(rig))

    assert side.run(program).choices[0].message.content == "Hello"
    assert sent(rig) == ["moderations"] * 3 + ["chat.completions"]
    assert rig.finished.attempts == 4


def test_a_refusal_of_an_inner_layer_is_no_verdict(side: Side) -> None:
    """Whatever keeps the verdict away does."""

    def broke(call: Any, next: Any) -> Any:
        if call.endpoint == "moderations":
            raise RefusedError("no money left")
        return (yield from next(call))

    rig = side.rig([Moderation(), broke], default=service())

    async def program() -> Any:
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(ask(rig))
        return caught.value

    assert isinstance(side.run(program).__cause__, RefusedError)


def test_what_is_flagged_is_refused_though_another_source_failed(side: Side) -> None:
    """One bad verdict is enough, also with on_error="open"."""

    class Flags:
        name = "flags"

        def check(self, text: str) -> Any:
            from llmstack.middleware.moderation import Verdict

            return Verdict(flagged=True)

    def step(call: Any) -> Any:
        return Status(500) if call.endpoint == "moderations" else service()(call)

    rig = side.rig([Moderation(on_error="open", checkers=[Flags()])], default=step)

    async def program() -> Any:
        with pytest.raises(llmstack.errors.ModerationError) as caught:
            await side.do(ask(rig))
        return caught.value

    error = side.run(program)
    assert (error.source, error.categories) == ("flags", ("flagged",))
    assert told(rig) == [("input", "flags", True, True)]


def test_flagging_refuses_nothing_that_could_not_be_judged(side: Side) -> None:
    """A plugin that only looks on is never in the way."""
    rig = side.rig([Moderation(action="flag")], default=lambda c: Status(500) if c.endpoint == "moderations" else "Hi")

    async def program() -> Any:
        return await side.do(ask(rig))

    assert side.run(program).choices[0].message.content == "Hi"
    assert [event.passed for event in rig.recorder.of(ModerationUnavailable)] == [True]


def test_the_answer_that_could_not_be_judged_is_refused(side: Side) -> None:
    """Nothing of it is delivered, nor hung on the error."""
    state = {"asked": 0}

    def step(call: Any) -> Any:
        if call.endpoint != "moderations":
            return "private words"
        state["asked"] += 1
        return service()(call) if state["asked"] % 2 else Status(500)

    rig = side.rig([Moderation(output=True)], default=step)
    rig_streamed = side.rig([Moderation(output=True, window=4)], default=step)

    async def program() -> None:
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(ask(rig))
        assert caught.value.reply is None
        state["asked"] = 0
        seen, _ = await side.read_until(ModerationUnavailableError, await side.do(ask(rig_streamed, stream=True)))
        assert [choice.delta.content for chunk in seen for choice in chunk.choices if choice.delta.content] == []

    side.run(program)


def test_content_that_nobody_can_look_into(side: Side) -> None:
    """Passes, or is refused, as the program says."""
    part = {"type": "file", "file": {"file_id": "file-1"}}
    passing = rig_of(side, Moderation())
    refusing = rig_of(side, Moderation(unreadable="refuse"))
    tokens = rig_of(side, Moderation(unreadable="refuse"))

    async def program() -> None:
        await side.do(ask(passing, [part]))
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(ask(refusing, [part]))
        assert "file" in str(caught.value.__cause__)
        with pytest.raises(ModerationUnavailableError):
            await side.do(tokens.client.completions.create(model="m", prompt=[1, 2, 3]))

    side.run(program)
    assert sent(refusing) == []
    assert sent(tokens) == []
