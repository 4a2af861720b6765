"""Moderation of what is answered: held back whole, or in a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import OpenAI, Stack
from llmstack.errors import ModerationError
from llmstack.events import ContentModerated
from llmstack.middleware._moderation.term import Terms
from llmstack.middleware.moderation import Moderation
from llmstack.testing import FLAG_MARKER, LocalServer, ScriptedTransport
from tests.core.side import DONE, PREAMBLE, Side, chunk, lost, spoken, texts
from tests.middleware.moderation_rig import FLAGGED, ask, rig_of, sent, service, told


def choice(index: int, **delta: Any) -> dict[str, Any]:
    """A chunk of one of several choices."""
    made = chunk()
    made["choices"] = [{"index": index, "delta": delta, "finish_reason": None}]
    return made


def shown(chunks: Any) -> str:
    """All that a program could see of some chunks."""
    return "".join(str(one.model_dump(exclude_none=True)) for one in chunks)


def test_a_flagged_answer_is_refused(side: Side) -> None:
    """It was paid for, and does not reach the program, not even by the error."""
    rig = rig_of(side, Moderation(output=True), f"so {FLAGGED}")

    async def program() -> Any:
        with pytest.raises(ModerationError) as caught:
            await side.do(ask(rig))
        return caught.value

    error = side.run(program)
    assert (error.subject, error.categories, error.source) == ("output", ("violence",), "openai")
    assert error.reply is None
    assert FLAGGED not in str(error)
    assert sent(rig) == ["moderations", "chat.completions", "moderations"]
    assert told(rig) == [("input", "openai", False, False), ("output", "openai", True, True)]
    assert rig.finished.outcome == "refused"


@pytest.mark.parametrize("window", [None, 1, 8, 10_000])
def test_a_harmless_stream_is_delivered_whole(side: Side, window: int | None) -> None:
    """Chunk by chunk as it came, end and usage included."""
    words = [f"word{i} " for i in range(40)]
    rig = rig_of(side, Moderation(output=True, window=window), spoken(*words))

    async def program() -> Any:
        return await side.read(await side.do(ask(rig, stream=True)))

    chunks = side.run(program)
    assert [c.choices[0].delta.content for c in chunks] == ["", *words, None]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert [source for subject, source, _, _ in told(rig) if subject == "output"] == ["openai"]
    assert rig.finished.outcome == "ok"


@pytest.mark.parametrize("window", [None, 8, 10_000])
def test_a_flagged_stream_ends_with_the_error(side: Side, window: int | None) -> None:
    """What was judged before stays; what was withheld is never delivered."""
    words = ["calm "] * 10 + [FLAGGED, " and on"]
    rig = rig_of(side, Moderation(output=True, window=window), spoken(*words))

    async def program() -> Any:
        return await side.read_until(ModerationError, await side.do(ask(rig, stream=True)))

    seen, error = side.run(program)
    assert (error.subject, error.categories) == ("output", ("violence",))
    assert error.scores["violence"] == 0.98
    assert "FLAG" not in texts(seen)
    assert texts(seen) == ("calm " * 10 if window == 8 else "")
    assert rig.finished.outcome == "refused"
    assert rig.finished.notes == {"moderation": {"output": ["violence"]}}


@pytest.mark.parametrize("window", [None, 6])
def test_every_choice_is_judged_by_itself(side: Side, window: int | None) -> None:
    """What two choices say is not one text; what one says in turns is."""
    half, rest = FLAGGED[:4], FLAGGED[4:]
    mixed = [PREAMBLE, choice(0, content=half), choice(1, content=rest), choice(0, content=" fine"), DONE]
    split = [PREAMBLE, choice(0, content=half), choice(1, content="so "), choice(0, content=rest), DONE]
    passing = rig_of(side, Moderation(output=True, window=window), mixed)
    failing = rig_of(side, Moderation(output=True, window=window), split)

    async def program() -> Any:
        assert len(await side.read(await side.do(ask(passing, stream=True, n=2)))) == 4
        seen, _ = await side.read_until(ModerationError, await side.do(ask(failing, stream=True, n=2)))
        return seen

    assert rest not in texts(side.run(program))


@pytest.mark.parametrize(
    "delta",
    [
        {"refusal": FLAGGED},
        {"reasoning_content": FLAGGED},
        {"tool_calls": [{"index": 0, "function": {"arguments": FLAGGED}}]},
        {"function_call": {"arguments": FLAGGED}},
        {"audio": {"transcript": FLAGGED}},
    ],
    ids=lambda delta: next(iter(delta)),
)
@pytest.mark.parametrize("window", [None, 5])
def test_whatever_a_model_says_is_judged(side: Side, delta: Any, window: int | None) -> None:
    """Refusals, reasoning, the arguments of tool calls, what a voice says."""
    rig = rig_of(side, Moderation(output=True, window=window), [PREAMBLE, choice(0, **delta), DONE])

    async def program() -> Any:
        return await side.read_until(ModerationError, await side.do(ask(rig, stream=True)))

    seen, _ = side.run(program)
    assert FLAGGED not in shown(seen)


@pytest.mark.parametrize("window", [None, 8])
def test_responses_are_judged(side: Side, server: LocalServer, window: int | None) -> None:
    """Their last events say everything once more: none of it is delivered before it is judged."""
    rig = side.local(server, [Moderation(input=False, output=True, window=window)])

    async def program() -> Any:
        events = await side.read(await side.do(rig.client.responses.create(model="m", input="fine", stream=True)))
        stream = await side.do(rig.client.responses.create(model="m", input=f"long and {FLAG_MARKER}", stream=True))
        seen, error = await side.read_until(ModerationError, stream)
        await side.do(rig.client.close())
        return events, seen, error

    events, seen, error = side.run(program)
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "You said: fine"
    assert events[-1].type == "response.completed"
    assert error.subject == "output"
    said = "".join(e.delta for e in seen if e.type == "response.output_text.delta")
    assert f"You said: long and {FLAG_MARKER}".startswith(said)
    assert FLAG_MARKER not in said + shown(seen)
    assert [e.type for e in seen if e.type.endswith((".done", ".completed"))] == []


def test_what_is_said_at_the_end_only_is_judged_too(side: Side) -> None:
    """A server may say in the last event what it has not said in pieces."""
    item = {"type": "message", "id": "i", "role": "assistant", "status": "completed"}
    done = {**item, "content": [{"type": "output_text", "text": FLAGGED, "annotations": []}]}
    events = [
        {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "fine"},
        {"type": "response.completed", "response": {"id": "r", "object": "response", "output": [done]}},
    ]
    rig = rig_of(side, Moderation(input=False, output=True, window=2), events)

    async def program() -> Any:
        stream = await side.do(rig.client.responses.create(model="m", input="x", stream=True))
        return await side.read_until(ModerationError, stream)

    seen, _ = side.run(program)
    assert [event.type for event in seen] == ["response.output_text.delta"]


@pytest.mark.parametrize("window", [None, 8])
@pytest.mark.parametrize("way", ["iter_lines", "iter_bytes"])
def test_no_byte_is_delivered_of_what_is_withheld(side: Side, window: int | None, way: str) -> None:
    """The same for a program that reads lines or bytes."""
    rig = rig_of(side, Moderation(output=True, window=window), spoken("calm and quiet ", FLAGGED, " more"))
    create = rig.client.chat.completions.with_streaming_response.create
    got: list[Any] = []

    async def program() -> None:
        manager = create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
        if side.asynchronous:
            async with manager as response:
                await read(response)
        else:
            with manager as response:
                await read(response)

    async def read(response: Any) -> None:
        async for piece in side.each(getattr(response, way)()):
            got.append(piece)  # noqa: PERF401 - what came before the error counts

    async def refused() -> None:
        with pytest.raises(ModerationError):
            await program()

    side.run(refused)
    whole = b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in got)
    assert b"FLAG" not in whole
    assert (b"calm" in whole) == (window == 8)


def test_a_plain_answer_read_lazily_is_held_back(side: Side, server: LocalServer) -> None:
    """`with_streaming_response` on a call that is no stream."""
    rig = side.local(server, [Moderation(input=False, output=True)])
    create = rig.client.chat.completions.with_streaming_response.create

    async def program() -> None:
        manager = create(model="m", messages=[{"role": "user", "content": FLAG_MARKER}])
        with pytest.raises(ModerationError):
            await (manager.__aenter__() if side.asynchronous else side.do(manager.__enter__()))
        await side.do(rig.client.close())

    side.run(program)


@pytest.mark.parametrize("window", [None, 4])
def test_closing_early_judges_no_more(side: Side, window: int | None) -> None:
    """Nobody waits for the verdict on what nobody will see."""
    rig = rig_of(side, Moderation(input=False, output=True, window=window), spoken(*["some words "] * 5))

    async def program() -> None:
        stream = await side.do(ask(rig, stream=True))
        await side.close(stream)
        assert await side.read(stream) == []

    side.run(program)
    assert rig.finished.error is None
    assert rig.finished.outcome == "incomplete"


@pytest.mark.parametrize("window", [None, 8])
def test_a_broken_stream_shows_nothing_unjudged(side: Side, window: int | None) -> None:
    """What had not been judged when the connection broke is dropped."""
    script = [PREAMBLE, chunk("first words, "), chunk("last"), lost()]
    rig = rig_of(side, Moderation(input=False, output=True, window=window), script)

    async def program() -> Any:
        import openai

        return await side.read_until(openai.APIConnectionError, await side.do(ask(rig, stream=True)))

    seen, _ = side.run(program)
    assert texts(seen) == ("first words, " if window else "")


def test_flagging_holds_nothing_back(side: Side) -> None:
    """The stream flows as it comes; the verdict is told at its end."""
    rig = rig_of(side, Moderation(output=True, action="flag"), spoken("so ", FLAGGED))

    async def program() -> Any:
        stream = await side.do(ask(rig, stream=True))
        got = []
        async for one in side.each(stream):
            assert not [event for event in rig.recorder.of(ContentModerated) if event.subject == "output"]
            got.append(one)
        return got

    assert texts(side.run(program)) == f"so {FLAGGED}"
    assert told(rig)[-1] == ("output", "openai", True, False)
    assert rig.finished.notes == {"moderation": {"output": ["violence"]}}


def test_drawn_images_and_transcripts_are_judged(side: Side) -> None:
    """By their address, or as data; a transcript as text, also a plain one."""
    images = {"created": 1, "data": [{"b64_json": FLAGGED}]}
    drawing = rig_of(side, Moderation(input=False, output=True), images)
    hearing = rig_of(side, Moderation(input=False, output=True), {"text": FLAGGED})
    plain = rig_of(side, Moderation(input=False, output=True), f"1 {FLAGGED}".encode())

    async def program() -> None:
        with pytest.raises(ModerationError):
            await side.do(drawing.client.images.generate(model="m", prompt="a hat"))
        with pytest.raises(ModerationError):
            await side.do(hearing.client.audio.transcriptions.create(model="m", file=b"RIFF"))
        with pytest.raises(ModerationError):
            await side.do(plain.client.audio.transcriptions.create(model="m", file=b"RIFF", response_format="srt"))

    side.run(program)
    assert drawing.sent[-1].params["input"][0]["image_url"]["url"] == f"data:image/png;base64,{FLAGGED}"


# Whatever the chunks, whatever the window ---------------------------------------------------------------------------


def _read(script: Any, moderation: Moderation, each: Callable[[str], None] = lambda _: None) -> Any:
    """What a program reads of a stream; `each` is told all so far; and the error in its end."""
    step = script if callable(script) else service(script)
    stack = Stack([moderation], transport=ScriptedTransport(default=step))
    got = ""
    with OpenAI(api_key="sk-test-not-a-key", stack=stack) as client:
        try:
            for one in client.chat.completions.create(model="m", messages=ASK, stream=True):
                got += "".join(c.delta.content or "" for c in one.choices)
                each(got)
        except ModerationError as error:
            return got, error
    return got, None


ASK: Any = [{"role": "user", "content": "x"}]


def _cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False) if end > start]


FILLING = st.text(st.sampled_from("ab cd.,é\u200b"), max_size=60)
CUTS = st.lists(st.integers(0, 140), max_size=30)


@given(before=FILLING, after=FILLING, cuts=CUTS, window=st.integers(1, 80))
def test_no_character_of_a_blocked_term_is_read(before: str, after: str, cuts: list[int], window: int) -> None:
    """However the stream is cut and whatever the window: all before the term, at most; not a letter of it."""
    term = "ev\u200bil -- pl\u0301an"
    text = f"{before} {term} {after}"
    moderation = Moderation(input=False, output=True, window=window, endpoint=False, blocked_terms=["evil plan"])
    got, error = _read(spoken(*_cut(text, cuts)), moderation)
    assert error is not None
    assert error.source == "terms"
    assert text.startswith(got)
    assert len(got) <= len(before) + 1


@given(text=FILLING, cuts=CUTS, window=st.integers(1, 80))
def test_what_is_in_order_is_delivered_to_the_last_character(text: str, cuts: list[int], window: int) -> None:
    """Also what looks like the beginning of a term."""
    moderation = Moderation(input=False, output=True, window=window, endpoint=False, blocked_terms=["ab cd ef", "cdx"])
    assert _read(spoken(*_cut(text, cuts)), moderation) == (text, None)


PIECES = st.lists(
    st.sampled_from(
        ["a", "ss", "ass", "ume", " ", ". ", "\u00e9", "bad", "\\n", "\\u0061ss", "\\", "\\u00", "x" * 300]
    ),
    max_size=14,
)


@given(pieces=PIECES, cuts=CUTS, window=st.integers(1, 80))
def test_a_window_refuses_what_would_be_refused_whole(pieces: list[str], cuts: list[int], window: int) -> None:
    """And nothing else: where a word is cut in the middle its beginning is no word."""
    text, terms = "".join(pieces), ["ass", "bad ass"]
    moderation = Moderation(input=False, output=True, window=window, endpoint=False, blocked_terms=terms)
    got, error = _read(spoken(*_cut(text, cuts)), moderation)
    assert (error is not None) == (Terms(terms).find(text) is not None)
    assert text.startswith(got)
    assert Terms(terms).find(got) is None
    assert error is not None or got == text


def test_a_choice_that_ends_in_a_term_is_refused_though_another_goes_on() -> None:
    """That nothing more comes of it is known at the end."""
    events = [choice(0, content="you ass"), *(choice(1, content="fine ") for _ in range(9)), DONE]
    moderation = Moderation(input=False, output=True, window=5, endpoint=False, blocked_terms=["ass"])
    got, error = _read([PREAMBLE, *events], moderation)
    assert error is not None
    assert got == ""


@given(before=FILLING, after=FILLING, cuts=CUTS, window=st.integers(1, 80))
def test_nothing_is_delivered_that_a_judge_has_not_seen(before: str, after: str, cuts: list[int], window: int) -> None:
    """The endpoint has been asked about all that is delivered; nothing after what it flagged is."""
    asked: list[str] = []
    answer = service(spoken(*_cut(f"{before}{FLAGGED}{after}", cuts)))

    def step(call: Any) -> Any:
        if call.endpoint == "moderations":
            asked.extend(call.params["input"])
        return answer(call)

    def each(got: str) -> None:
        assert not got.strip() or any(got[-20:].strip() in text for text in asked)

    got, error = _read(step, Moderation(input=False, output=True, window=window), each)
    assert error is not None
    assert f"{before}{FLAGGED}".startswith(got)
    assert FLAGGED not in got


@pytest.mark.parametrize("options", [{"output": True}, {"output": True, "window": 200}])
def test_what_is_no_event_does_not_slip_through(options: dict[str, Any]) -> None:
    """Broken JSON cannot be judged: it is an error that shows nothing of it, also to who reads line by line."""
    script = [PREAMBLE, chunk("calm "), f'data: {{"choices":[{{"delta":{{"content":"{FLAG_MARKER}\n\n'.encode(), DONE]
    transport = ScriptedTransport(default=service(script))
    stack = Stack([Moderation(input=False, **options)], transport=transport)
    create = OpenAI(api_key="sk-test-not-a-key", stack=stack, max_retries=0).chat.completions.with_streaming_response
    messages: Any = [{"role": "user", "content": "hi"}]
    seen: list[str] = []
    with (
        pytest.raises(openai.APIResponseValidationError) as caught,
        create.create(model="m", messages=messages, stream=True) as response,
    ):
        seen.extend(response.iter_lines())
    assert FLAG_MARKER not in str(seen)
    assert FLAG_MARKER not in str(vars(caught.value))
    assert caught.value.response.content == b""
