"""Answers that do not fit are asked for again, with what is wrong about them."""

import json
from typing import Any

import openai
import pytest

import llmstack
from llmstack import OpenAI, Stack
from llmstack.errors import AnswerError
from llmstack.events import AttemptFinished, IssuesFound
from llmstack.middleware._validation.sensitive import Sensitive
from llmstack.testing import Status
from tests.middleware.answer_rig import BAD, FORMAT, GOOD, NO_JSON, SCHEMA, Checking, ask, body, said


@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_answer_is_asked_for_again_until_it_fits(side, stream):
    """All attempts are in the books; the program sees the good answer only."""
    rig = side.rig([Checking(repair=2)], [NO_JSON, BAD, GOOD])
    assert ask(side, rig, stream=stream) == GOOD
    assert rig.finished.attempts == 3
    assert [event.outcome for event in rig.recorder.of(AttemptFinished)] == ["ok", "ok", "ok"]
    assert rig.witness.reply.text == GOOD
    messages = rig.sent[-1].params["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant", "user"]
    assert [messages[1]["content"], messages[3]["content"]] == [NO_JSON, BAD]
    assert '- $.ages[0] must be of type "integer"' in messages[-1]["content"]


def test_when_all_repairs_fail_the_last_answer_is_in_the_error(side):
    """After as many attempts as were allowed."""
    rig = side.rig([Checking(repair=2)], [NO_JSON, NO_JSON, BAD, GOOD])
    with pytest.raises(AnswerError) as caught:
        ask(side, rig)
    assert caught.value.reply is not None
    assert caught.value.reply.text == BAD
    assert rig.finished.attempts == 3
    assert rig.finished.outcome != "ok"


def test_repairing_alone_passes_the_last_answer(side):
    """With the mode off nothing is said of what could not be repaired."""
    rig = side.rig([Checking("off", repair=1)], [NO_JSON, BAD])
    assert ask(side, rig) == BAD
    assert rig.recorder.of(IssuesFound) == []


def test_an_error_of_a_repair_is_the_program_s(side):
    """As any error of the API."""
    rig = side.rig([Checking(repair=1)], [BAD, Status(429)])
    with pytest.raises(openai.RateLimitError):
        ask(side, rig)


def test_no_repair_is_begun_after_the_deadline(side):
    """The answer that is there is the last."""

    def slow(call):
        rig.clock.advance(10)
        return BAD

    rig = side.rig([Checking(repair=5)], default=slow)
    with pytest.raises(AnswerError), llmstack.options(deadline=15):
        ask(side, rig)
    assert rig.finished.attempts == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("given", ["Who?", [{"role": "user", "content": "Who?"}]])
def test_responses_are_repaired_too(side, given, stream):
    """A plain input becomes a list; the answer and its problems follow."""
    rig = side.rig([Checking(repair=1)], [BAD, GOOD])
    asked = {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA}}

    async def program():
        answer = await side.do(rig.client.responses.create(model="m", input=given, text=asked, stream=stream))
        if not stream:
            return answer.output_text
        return (await side.read(answer))[-1].response.output_text

    assert side.run(program) == GOOD
    sent = rig.sent[-1].params["input"]
    assert sent[:2] == [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": BAD}]
    assert sent[2]["role"] == "user"


def test_a_conversation_that_the_provider_keeps_gets_the_problems_only(side):
    """The question and the answer are there already."""
    rig = side.rig([Checking(repair=1)], [BAD, GOOD])
    asked = {"format": {"type": "json_schema", "name": "person", "schema": SCHEMA}}

    async def program():
        return await side.do(rig.client.responses.create(model="m", input="Who?", text=asked, conversation="conv_1"))

    assert side.run(program).output_text == GOOD
    assert [item["role"] for item in rig.sent[-1].params["input"]] == ["user"]


def test_a_repair_sends_placeholders_only(server):
    """What is checked is the restored answer; what goes out again is redacted as the first question was."""
    stack = Stack([Checking(repair=1, sensitive=Sensitive("off", "redact"))])
    answers = iter(['{"name": "[EMAIL_1]"}', '{"name": "[EMAIL_1]", "ages": []}'])
    server.script(lambda request: body({"message": said(next(answers))}))
    client: Any = OpenAI(api_key="sk-test-not-a-key", base_url=server.base_url, stack=stack)
    with client:
        messages: Any = [{"role": "user", "content": "I am jane@example.com"}]
        answer = client.chat.completions.create(model="m", messages=messages, response_format=FORMAT)
    assert json.loads(answer.choices[0].message.content or "") == {"name": "jane@example.com", "ages": []}
    assert len(server.requests) == 2
    assert [b"jane@" in request.body for request in server.requests] == [False, False]
    assert b"[EMAIL_1]" in server.requests[1].body
