"""What is withheld stays withheld: odd events, pictures, answers too large, errors and all that they hold."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import openai
import pytest

from llmstack import Call, Flow, Next, OpenAI, Reply, Stack, hookimpl
from llmstack._wire import watch
from llmstack._wire.assembly import assembly
from llmstack.errors import AnswerError, ModerationError, ModerationUnavailableError, StackError
from llmstack.middleware._moderation.content import Content
from llmstack.middleware._moderation.judge import Inquiry
from llmstack.middleware.moderation import Moderation, ModerationUnavailable
from llmstack.testing import LocalServer, ScriptedTransport
from tests.core.side import DONE, PREAMBLE, Side, chunk, spoken, texts
from tests.middleware.moderation_rig import FLAGGED, SECRET, ask, rig_of, sent, service, told

KEY = "sk-test-not-a-key"
WAYS = pytest.mark.parametrize("options", [{}, {"window": 3}], ids=["held", "window"])
TERMS: dict[str, Any] = {"input": False, "output": True, "endpoint": False, "blocked_terms": ["evil plan"]}
PLACE = {"item_id": "i", "output_index": 0, "content_index": 0}


def said(delta: Any, kind: str = "response.output_text.delta", **more: Any) -> dict[str, Any]:
    """An event that says a piece."""
    return {"type": kind, **PLACE, "delta": delta, **more}


def completed(*items: Any) -> dict[str, Any]:
    """The last event of a Response."""
    return {"type": "response.completed", "response": {"id": "r", "object": "response", "output": list(items)}}


def message(text: str) -> dict[str, Any]:
    """An item of a Response."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": content}


def picture(data: str) -> dict[str, Any]:
    """A drawn item of a Response."""
    return {"type": "image_generation_call", "id": "g", "status": "completed", "result": data, "output_format": "webp"}


def refused(side: Side, events: Any, moderation: Moderation) -> tuple[list[Any], ModerationError]:
    """What a program sees of a Response's stream, and the error."""
    rig = rig_of(side, moderation, events)

    async def program() -> Any:
        try:
            stream = await side.do(rig.client.responses.create(model="m", input="x", stream=True))
        except ModerationError as error:
            return [], error
        return await side.read_until(ModerationError, stream)

    seen: tuple[list[Any], ModerationError] = side.run(program)
    return seen


# Odd events ---------------------------------------------------------------------------------------------------------

ODD: dict[str, list[Any]] = {
    "only events say it": [said("evil "), said("plan"), completed(message("fine"))],
    "a delta of parts": [
        said({"text": "evil "}, "response.reasoning.delta"),
        said({"text": "plan"}, "response.reasoning.delta"),
        completed(),
    ],
    "a part of what was said": [
        said("devil planet"),
        {"type": "response.output_text.done", **PLACE, "text": "evil plan"},
        completed(message("devil planet")),
    ],
    "of no kind": [said("fine"), {"text": "evil plan"}, completed(message("fine"))],
    "a delta of no kind": [said("fine"), {"delta": "evil plan"}, completed(message("fine"))],
    "a citation": [
        said("fine"),
        {
            "type": "response.content_part.done",
            **PLACE,
            "part": {"type": "output_text", "text": "fine", "annotations": [{"type": "x", "title": "evil plan"}]},
        },
        completed(message("fine")),
    ],
    "choices as well": [said("evil plan", choices=[]), completed(message("fine"))],
}


@WAYS
@pytest.mark.parametrize("events", ODD)
def test_whatever_event_says_it(side: Side, events: str, options: Any) -> None:
    """What reaches the program is judged, also where the answer made of it does not have it."""
    seen, error = refused(side, ODD[events], Moderation(**TERMS, **options))
    assert (error.subject, error.source) == ("output", "terms")
    assert "evil" not in str([event.model_dump() for event in seen]).replace("devil", "")


@WAYS
def test_chat_chunks_of_a_kind_are_chat_chunks(side: Side, options: Any) -> None:
    """Some servers give them a `type`; what they say in pieces is one text all the same."""
    pieces = [{**chunk(piece), "type": "chunk"} for piece in ("an ev", "il pl", "an")]
    rig = rig_of(side, Moderation(**TERMS, **options), [PREAMBLE, *pieces, DONE])

    async def program() -> Any:
        return await side.read_until(ModerationError, await side.do(ask(rig, stream=True)))

    seen, _ = side.run(program)
    assert texts(seen) in ("", "an ")


@pytest.mark.parametrize("event", [b'data: "evil plan"\n\n', b'data: ["evil plan"]\n\n', {
    "error": {"message": "lost"}, "choices": [{"delta": {"content": "evil plan"}}]
}], ids=["text", "list", "error"])  # fmt: skip
@WAYS
def test_what_is_no_chunk_is_judged(event: Any, options: Any) -> None:
    """Who reads line by line would see it."""
    transport = ScriptedTransport(default=service([PREAMBLE, chunk("calm and quiet"), event, DONE]))
    stack = Stack([Moderation(**TERMS, **options)], transport=transport)
    create = OpenAI(api_key=KEY, stack=stack, max_retries=0).chat.completions.with_streaming_response.create
    messages: Any = [{"role": "user", "content": "hi"}]
    seen: list[str] = []
    with pytest.raises((ModerationError, openai.APIError)), create(model="m", messages=messages, stream=True) as answer:
        seen.extend(answer.iter_lines())
    assert "evil" not in str(seen)


def test_a_number_between_chunks_passes(side: Side) -> None:
    """It says nothing."""
    rig = rig_of(side, Moderation(**TERMS, window=3), [PREAMBLE, chunk("calm"), b"data: 1\n\n", DONE])

    async def program() -> Any:
        stream = await side.do(ask(rig, stream=True))
        return [one.choices[0].delta.content async for one in side.each(stream) if hasattr(one, "choices")]

    assert side.run(program) == ["", "calm"]


def test_an_item_whose_id_changes_is_one(side: Side) -> None:
    """Its place tells: what it says in turns is one text, window by window."""
    events = [said(piece, item_id=f"i{at}") for at, piece in enumerate(("an ev", "il pl", "an"))]
    seen, _ = refused(side, [*events, completed(message("fine"))], Moderation(**TERMS, window=3))
    assert "".join(event.delta for event in seen) in ("", "an ")


# Pictures -----------------------------------------------------------------------------------------------------------

DRAWN: dict[str, list[Any]] = {
    "the item": [said("fine"), {"type": "response.output_item.done", "output_index": 1, "item": picture(FLAGGED)}],
    "the end": [said("fine"), completed(message("fine"), picture(FLAGGED))],
    "unfinished": [
        said("fine"),
        {"type": "response.image_generation_call.partial_image", "item_id": "g", "partial_image_b64": FLAGGED},
        completed(message("fine")),
    ],
}


@WAYS
@pytest.mark.parametrize("events", DRAWN)
def test_what_a_stream_draws_is_judged(side: Side, events: str, options: Any) -> None:
    """The unfinished ones included, before anyone sees them."""
    seen, error = refused(side, DRAWN[events], Moderation(input=False, output=True, **options))
    assert (error.subject, error.source) == ("output", "openai")
    assert FLAGGED not in str([event.model_dump() for event in seen])


@pytest.mark.parametrize("events", DRAWN)
def test_flagging_sees_what_a_stream_draws(side: Side, events: str) -> None:
    """And keeps nothing back."""
    rig = rig_of(side, Moderation(input=False, output=True, action="flag"), DRAWN[events])

    async def program() -> Any:
        return await side.read(await side.do(rig.client.responses.create(model="m", input="x", stream=True)))

    assert len(side.run(program)) == len(DRAWN[events])
    assert ("output", "openai", True, False) in told(rig)


def test_a_picture_is_judged_once(side: Side) -> None:
    """However often the events show it."""
    events = [*DRAWN["the item"], completed(message("fine"), picture(FLAGGED))]
    rig = rig_of(side, Moderation(input=False, output=True, action="flag", cache_size=0), events)

    async def program() -> Any:
        return await side.read(await side.do(rig.client.responses.create(model="m", input="x", stream=True)))

    side.run(program)
    images = [call.params["input"][0] for call in rig.sent if call.endpoint == "moderations"]
    assert [image["image_url"]["url"] for image in images if not isinstance(image, str)] == [
        f"data:image/webp;base64,{FLAGGED}"
    ]


def test_whatever_answer_draws_is_judged(side: Side) -> None:
    """Responses, chat messages with images, variations."""
    drawing = rig_of(side, Moderation(input=False, output=True), {"id": "r", "output": [picture(FLAGGED)]})
    image = {"type": "image_url", "image_url": {"url": f"https://example.com/{FLAGGED}"}}
    body = {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "images": [image]}}]}
    chatting = rig_of(side, Moderation(input=False, output=True), body)
    varying = rig_of(side, Moderation(input=False, output=True), {"created": 1, "data": [{"b64_json": FLAGGED}]})

    async def program() -> None:
        for call in (
            lambda: drawing.client.responses.create(model="m", input="x"),
            lambda: ask(chatting),
            lambda: varying.client.post("/images/variations", body={}, cast_to=object),
        ):
            with pytest.raises(ModerationError) as caught:
                await side.do(call())
            assert caught.value.subject == "output"

    side.run(program)


# Too large, or cut short --------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than so much of a stream is kept."""
    monkeypatch.setattr(watch, "assembly", partial(assembly, limit=400))


LARGE: dict[str, list[Any]] = {
    "whole": spoken(*["some private words "] * 20),
    "without an end": [PREAMBLE, *[chunk("some private words ")] * 20],
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("script", LARGE)
def test_a_stream_too_large_to_be_kept_is_not_delivered(side: Side, script: str) -> None:
    """Held back whole it cannot be judged; also one whose end nobody has seen. A window has no such limit."""
    rig = rig_of(side, Moderation(input=False, output=True), LARGE[script])
    windowed = rig_of(side, Moderation(input=False, output=True, window=50), LARGE[script])

    async def program() -> str:
        with pytest.raises(ModerationUnavailableError):
            await side.read(await side.do(ask(rig, stream=True)))
        return texts(await side.read(await side.do(ask(windowed, stream=True))))

    assert side.run(program) == "some private words " * 20
    assert "too large" in str(rig.finished.error.__cause__)  # type: ignore[union-attr]


@pytest.mark.usefixtures("small")
def test_pictures_too_large_to_be_kept_are_not_delivered(side: Side) -> None:
    """A stream of images soon is."""
    drawn = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": FLAGGED * 200}
    rig = rig_of(side, Moderation(input=False, output=True), [drawn, {**drawn, "type": "image_generation.completed"}])

    async def program() -> None:
        with pytest.raises(ModerationUnavailableError):
            await side.read(await side.do(rig.client.images.generate(model="m", prompt="a hat", stream=True)))

    side.run(program)


@pytest.mark.usefixtures("small")
def test_closing_a_large_stream_is_no_failure(side: Side) -> None:
    """Nobody is shown anything of it any more."""
    drawn = {"type": "image_generation.partial_image", "partial_image_index": 0, "b64_json": "UE5H" * 200}
    rig = rig_of(side, Moderation(input=False, output=True, action="flag"), [drawn] * 3)

    async def program() -> None:
        stream = await side.do(rig.client.images.generate(model="m", prompt="a hat", stream=True))
        async for _ in side.each(stream):
            break
        await side.close(stream)

    side.run(program)
    assert rig.finished.error is None
    assert rig.recorder.of(ModerationUnavailable) == []


# Errors -------------------------------------------------------------------------------------------------------------


def shown_by(error: BaseException | None) -> str:
    """All that an error holds, and those that led to it."""
    shown, seen = "", set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        reply, response = getattr(one, "reply", None), getattr(one, "response", None)
        shown += f"{one!r} {vars(one)} {getattr(one, 'doc', '')} {getattr(one, 'object', '')} "
        shown += f"{None if reply is None else reply.content} {None if response is None else response.content}"
        waiting += [one.__cause__, one.__context__]
    return shown


class Fails:
    """A layer further in that fails after the answer, and hangs the answer on its error."""

    name = "fails"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Fail, but for verdicts."""
        reply = yield from next(call)
        if call.endpoint == "moderations":
            return reply
        if self.kind == "unexpected":
            raise ValueError
        error = AnswerError("it does not fit", reply=reply)
        if self.kind == "cause":
            raise StackError("it does not fit") from error
        if self.kind == "context":
            try:
                raise error
            except AnswerError:
                raise StackError("it does not fit")  # noqa: B904 - a layer that is written so
        raise error


@pytest.mark.parametrize("options", [{"output": True}, {"mode": "parallel"}, {"azure": "low"}], ids=str)
@pytest.mark.parametrize("kind", ["plain", "cause", "context", "unexpected"])
def test_no_layers_error_carries_the_answer_out(side: Side, kind: str, options: Any) -> None:
    """Not by its `reply`, nor by that of an error that led to it."""
    rig = side.rig([Moderation(**options), Fails(kind)], default=service(SECRET))

    async def program() -> Any:
        with pytest.raises(StackError) as caught:
            await side.do(ask(rig))
        return caught.value

    error = side.run(program)
    assert SECRET not in shown_by(error)
    assert error.reply is None


@pytest.mark.parametrize("options", [{"output": True}, {"output": True, "mode": "parallel"}], ids=str)
@pytest.mark.parametrize("stream", [False, True])
def test_no_broken_answer_hangs_on_an_error(options: Any, stream: bool) -> None:  # noqa: FBT001
    """Not its body, its response, the text that the parser choked on, nor an error behind the error."""
    broken = f'{{"choices":[{{"message":{{"content":"{SECRET}"'
    body: Any = [f"data: {broken}\n\n".encode()] if stream else broken.encode()
    transport = ScriptedTransport(default=service(body))
    client = OpenAI(api_key=KEY, stack=Stack([Moderation(**options)], transport=transport), max_retries=0)
    messages: Any = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.APIResponseValidationError) as caught:
        list(client.chat.completions.create(model="m", messages=messages, stream=stream))
    assert SECRET not in shown_by(caught.value)
    assert caught.value.response.elapsed == timedelta()  # nothing that may be asked of it raises


def test_what_may_be_refused_without_an_answer_is_as_the_sdk_has_it(server: LocalServer) -> None:
    """Where no answer is withheld its errors keep what they say."""
    server.next(200, path="/chat/completions", body=b"{broken", headers={"content-type": "application/json"})
    client = OpenAI(api_key=KEY, base_url=server.base_url, stack=Stack([Moderation()]), max_retries=0)
    with client, pytest.raises(ValueError, match="property name") as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert "broken" in shown_by(caught.value)


def test_what_is_judged_is_in_no_repr() -> None:
    """Tools that show the variables of an error's frames show it nowhere."""
    content = Content((SECRET,), (SECRET,), ("file",), (SECRET,))
    inquiry = Inquiry(content, texts={b"1": SECRET}, images={b"1": SECRET})
    assert SECRET not in repr(inquiry)
    assert "file" in repr(inquiry)


# Azure --------------------------------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_azures_severities_of_all_events_count(side: Side, bad: int, options: Any) -> None:
    """Each tells of its own piece; the answer made of them has the last word only."""
    pieces = [chunk(word) for word in ("one ", "two ", "three")]
    for at, piece in enumerate(pieces):
        severity = "medium" if at == bad else "safe"
        piece["choices"][0]["content_filter_results"] = {"violence": {"filtered": False, "severity": severity}}
    moderation = Moderation(input=False, output=True, endpoint=False, azure="medium", **options)
    rig = rig_of(side, moderation, [PREAMBLE, *pieces, chunk(finish="stop"), DONE])

    async def program() -> Any:
        return await side.read_until(ModerationError, await side.do(ask(rig, stream=True)))

    seen, error = side.run(program)
    assert (error.source, error.categories) == ("azure", ("violence",))
    assert pieces[bad]["choices"][0]["delta"]["content"] not in texts(seen)
    assert sent(rig) == ["chat.completions"]
