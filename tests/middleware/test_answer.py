"""Answers that have to be JSON: what does not fit is told or refused, and nothing else is looked at."""

import pickle

import openai
import pydantic
import pytest

from llmstack.errors import AnswerError
from llmstack.events import IssuesFound
from llmstack.middleware._validation.answer import AnswerCheck
from tests.core.side import chunk, spoken, texts
from tests.middleware.answer_rig import BAD, FORMAT, GOOD, NO_JSON, Checking, ask, body, said


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_fits_passes(side, stream):
    """As it came."""
    rig = side.rig([Checking()], [GOOD])
    assert ask(side, rig, stream=stream) == GOOD
    assert rig.finished.attempts == 1


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("bad", [BAD, NO_JSON, "", "[]", '{"name": "x", "ages": [NaN]}'])
def test_an_answer_that_does_not_fit_is_an_error_with_the_answer(side, bad, stream):
    """Not a character of a stream is delivered; the error quotes nothing but has the reply."""
    rig = side.rig([Checking()], [bad])

    async def program():
        given = ""
        try:
            answer = await side.do(rig.create(response_format=FORMAT, stream=stream))
            async for piece in side.each(answer):
                given += texts([piece])
        except AnswerError as error:
            return given, error
        raise AssertionError("it passed")

    given, error = side.run(program)
    assert given == ""
    assert error.reply.text == bad
    assert error.plugin == "checking"
    told = str(error) + repr(error.issues) + repr(pickle.dumps(error)) + repr(rig.recorder.events)
    assert "private" not in told
    assert "example.com" not in told
    assert {issue.severity for issue in error.issues} == {"block"}


def test_a_schema_that_cannot_be_used_is_told(side):
    """The answer passes if it is JSON."""
    rig = side.rig([Checking()], ["{}"])
    broken = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": 7}}}
    assert ask(side, rig, response_format=broken) == "{}"
    (event,) = rig.recorder.of(IssuesFound)
    assert [(issue.path, issue.severity) for issue in event.issues] == [("response_format.json_schema.schema", "warn")]


@pytest.mark.parametrize("stream", [False, True])
def test_a_warning_is_told_and_the_answer_passes(side, stream):
    """A stream is not held back for it."""
    rig = side.rig([Checking("warn")], [BAD])
    assert ask(side, rig, stream=stream) == BAD
    (event,) = rig.recorder.of(IssuesFound)
    assert [issue.path for issue in event.issues] == [
        "choices[0].message.content",
        "choices[0].message.content: $.ages[0]",
    ]
    assert all(issue.severity == "warn" for issue in event.issues)
    assert not rig.sent[0].hold


TOOL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "message", [said(None, refusal="No."), said(None, tool_calls=[TOOL]), said("Let me look.", tool_calls=[TOOL])]
)
def test_refusals_and_tool_calls_are_no_answers(side, message):
    """They pass."""
    rig = side.rig([Checking(repair=3)], [body({"message": message})])
    ask(side, rig)
    assert rig.finished.attempts == 1


@pytest.mark.parametrize(
    ("reason", "words"), [("length", "limit of output tokens"), ("content_filter", "content filter")]
)
def test_an_answer_that_was_cut_is_an_error_that_says_so(side, reason, words):
    """It is not asked for again: it would be cut again."""
    rig = side.rig([Checking(repair=3)], [body({"message": said(GOOD[:12]), "finish_reason": reason})])
    with pytest.raises(AnswerError, match=words):
        ask(side, rig)
    assert rig.finished.attempts == 1


def test_each_of_several_choices_is_checked(side):
    """The issue says which."""
    rig = side.rig([Checking()], [body({"message": said(GOOD)}, {"message": said(NO_JSON)})])
    with pytest.raises(AnswerError) as caught:
        ask(side, rig, n=2)
    assert [issue.path for issue in caught.value.issues] == ["choices[1].message.content"]


def test_a_stream_that_breaks_off_is_no_answer(side):
    """Half of a JSON text must not pass because its stream ended quietly."""
    rig = side.rig([Checking()], [[chunk(GOOD[:10])]])
    with pytest.raises(openai.APIConnectionError):
        ask(side, rig, stream=True)


def test_a_stream_that_the_program_stops_is_not_judged(side):
    """There is nobody left to tell."""
    rig = side.rig([Checking("warn")], [spoken("x", "y")])

    async def program():
        stream = await side.do(rig.create(response_format=FORMAT, stream=True))
        async for _ in side.each(stream):
            break
        await side.close(stream)

    side.run(program)
    assert rig.recorder.of(IssuesFound) == []
    assert not rig.witness.reply.complete


def test_what_asks_for_no_json_is_not_looked_at(side):
    """Nor held back."""
    rig = side.rig([Checking(repair=3)], ["hello"])
    assert ask(side, rig, response_format={"type": "text"}, stream=True) == "hello"
    assert not rig.sent[0].hold


class Person(pydantic.BaseModel):
    """What is asked for."""

    name: str
    ages: list[int]


def test_a_pydantic_type_is_checked_like_its_schema(side):
    """So that `parse` gives the program an object, not a ValidationError of pydantic's."""
    rig = side.rig([Checking(repair=1)], ['{"name": "Jane", "ages": "old"}', GOOD])

    async def program():
        parse = rig.client.chat.completions.parse
        messages = [{"role": "user", "content": "Who?"}]
        return await side.do(parse(model="m", messages=messages, response_format=Person))

    assert side.run(program).choices[0].message.parsed == Person(name="Jane", ages=[1])


@pytest.mark.parametrize("raw", ["with_raw_response", "with_streaming_response"])
def test_raw_responses_are_checked(side, raw):
    """Also where the body is read lazily."""
    rig = side.rig([Checking(repair=1)], [BAD, GOOD])

    async def program():
        create = getattr(rig.client.chat.completions, raw).create
        result = create(model="m", messages=[{"role": "user", "content": "Who?"}], response_format=FORMAT)
        if raw == "with_raw_response":
            return await side.do((await side.do(result)).parse())
        response = await side.do((result.__aenter__ if side.asynchronous else result.__enter__)())
        answer = await side.do(response.parse())
        await side.do((result.__aexit__ if side.asynchronous else result.__exit__)(None, None, None))
        return answer

    assert side.run(program).choices[0].message.content == GOOD


def test_an_option_that_is_none_is_an_error():
    """It says what it takes."""
    with pytest.raises(ValueError, match="answers takes 'off', 'warn', 'block', not 'no'"):
        AnswerCheck("no")  # type: ignore[arg-type]
    for repair in (-1, True, 1.5):
        with pytest.raises(ValueError, match="repair takes a number of times"):
            AnswerCheck("block", repair)  # type: ignore[arg-type]


def test_a_call_of_another_endpoint_is_left_alone(side):
    """Only chat completions and Responses ask for JSON."""
    rig = side.rig([Checking()], default="no JSON")
    create = rig.client.completions.create

    async def program():
        return await side.do(create(model="m", prompt="x", extra_body={"response_format": FORMAT}))

    assert side.run(program).choices[0].text == "no JSON"
