"""What is flagged does not get in by another way: in parts, in odd items, beside what fails, past an early answer."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack import Call, Flow, Next, OpenAI, Reply, Stack, hookimpl
from llmstack.errors import ModerationError, ModerationUnavailableError
from llmstack.middleware import Retry
from llmstack.middleware._moderation.question import asked
from llmstack.middleware._moderation.term import Terms
from llmstack.middleware.moderation import Moderation, Verdict
from llmstack.testing import ScriptedTransport, Status
from llmstack.testing.scripted import text_body
from tests.core.side import Side, texts
from tests.middleware.moderation_rig import FLAGGED, MODEL, ask, judged, rig_of, sent, service

KEY = "sk-test-not-a-key"


def of(endpoint: str, scope: Any = "new", **params: Any) -> Any:
    """What would be judged of a call."""
    return asked(Call(path="/x", endpoint=endpoint, params=params), scope)


class Early:
    """A layer further in that answers by itself, as a cache does."""

    name = "early"

    def __init__(self, text: str = "Hello") -> None:
        self.text = text

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Answer, but for verdicts."""
        if call.endpoint == "moderations":
            return (yield from next(call))
        return Reply(text_body(call, self.text), cached=True)


# In parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [("an evil ", "plan now"), ("an ev", "il plan now"), ("an evil", "plan now")])
@pytest.mark.parametrize("kind", ["chat.completions", "responses"])
def test_parts_are_one_text(side: Side, kind: str, parts: tuple[str, str]) -> None:
    """As the model reads them, whatever it has between them."""
    rig = side.rig([Moderation(endpoint=False, blocked_terms=["evil plan now"])], default=service())
    text = "text" if kind == "chat.completions" else "input_text"
    content = [{"type": text, "text": part} for part in parts]
    names = {"chat.completions": "messages", "responses": "input"}

    async def program() -> None:
        items = [{"role": "user", "content": content}]
        with pytest.raises(ModerationError):
            await side.do(rig.client.post(f"/{kind.replace('.', '/')}", body={names[kind]: items}, cast_to=object))

    side.run(program)


def test_the_endpoint_reads_parts_as_one(side: Side) -> None:
    """In one text, with nothing between them."""
    rig = rig_of(side, Moderation())
    half = len(FLAGGED) // 2

    async def program() -> None:
        with pytest.raises(ModerationError):
            await side.do(ask(rig, [{"type": "text", "text": t} for t in (FLAGGED[:half], FLAGGED[half:])]))

    side.run(program)
    assert rig.sent[0].params["input"] == [FLAGGED]


def test_variables_and_prompts_are_no_parts() -> None:
    """They are put in different places."""
    assert of("responses", prompt={"id": "p", "variables": {"a": "ev", "b": "il"}}).texts == ("ev", "il")
    assert of("completions", prompt=["ev", "il"]).texts == ("ev", "il")


# In odd items -------------------------------------------------------------------------------------------------------

BAD = "bad words"


@pytest.mark.parametrize(
    "item",
    [
        {"type": "shell_call_output", "call_id": "1", "output": [{"stdout": BAD, "stderr": "", "outcome": {}}]},
        {"type": "local_shell_call_output", "id": "1", "output": BAD},
        {"type": "apply_patch_call_output", "call_id": "1", "status": "failed", "output": BAD},
        {"type": "custom_tool_call_output", "call_id": "1", "output": [{"type": "input_text", "text": BAD}]},
        {"type": "mcp_call", "id": "1", "name": "f", "server_label": "s", "arguments": "", "error": BAD},
        {"type": "mcp_approval_response", "approval_request_id": "1", "approve": False, "reason": BAD},
        {"type": "of tomorrow", "id": "1", "said": {"by": [BAD]}},
        {"role": "user", "content": [{"type": "document", "document": {"data": "x", "text": BAD}}]},
        {"role": "user", "name": BAD, "content": ""},
    ],
    ids=lambda item: str(item.get("type", next(reversed(item)))),
)
def test_whatever_kind_of_item_is_judged(item: Any) -> None:
    """All its words, and nothing that is none."""
    assert of("responses", input=[item]).texts == (BAD,)
    assert of("chat.completions", messages=[item]).texts == (BAD,)


def test_the_whole_conversation_is_whole() -> None:
    """What the model has thought, run and looked up included."""
    items = [
        {"type": "reasoning", "id": "1", "summary": [{"type": "summary_text", "text": "thought"}]},
        {"type": "code_interpreter_call", "id": "2", "container_id": "c", "code": "run", "outputs": None},
        {"type": "image_generation_call", "id": "3", "status": "completed", "result": "UE5H"},
        {"role": "user", "content": "hi"},
    ]
    content = of("responses", "all", input=items)
    assert content.texts == ("thought", "run", "hi")
    assert content.images == ("data:image/png;base64,UE5H",)
    assert of("responses", input=items).texts == ("hi",)


@pytest.mark.parametrize(
    ("endpoint", "params", "found"),
    [
        ("conversations", {"items": [{"role": "user", "content": BAD}]}, (BAD,)),
        ("conversations.items", {"items": [{"role": "user", "content": BAD}]}, (BAD,)),
        ("responses.compact", {"input": BAD}, (BAD,)),
        ("responses", {"input": {"role": "user", "content": BAD}}, (BAD,)),
        ("chat.completions", {"messages": [], "prediction": {"type": "content", "content": BAD}}, (BAD,)),
        ("audio.transcriptions", {"prompt": BAD}, (BAD,)),
        ("audio.translations", {"prompt": BAD}, (BAD,)),
    ],
)
def test_other_ways_in_are_judged(endpoint: str, params: Any, found: Any) -> None:
    """What is put into a conversation is asked as well as what is asked at once."""
    assert of(endpoint, **params).texts == found


def test_images_that_go_with_a_prompt_are_judged() -> None:
    """By their address; one that is uploaded or told by its id nobody can look into."""
    address = "https://example.com/a.png"
    shown = of("images.edits", prompt="a hat", images=[{"image_url": address}])
    assert (shown.images, shown.unreadable) == ((address,), ())
    assert of("images.edits", prompt="a hat", images=[{"file_id": "f"}]).unreadable == ("image",)
    assert of("images.variations", n=1).unreadable == ("image",)
    screen = {"type": "computer_call_output", "call_id": "1", "output": {"type": "computer_screenshot", "file_id": "f"}}
    assert of("responses", input=[screen]).unreadable == ("computer_screenshot",)


@pytest.mark.filterwarnings("ignore:deprecated")  # the SDK's word on variations
def test_an_uploaded_image_is_refused_if_the_program_wants_that(side: Side) -> None:
    """So are variations, which have no prompt, and a body of the program's own making."""
    rig = rig_of(side, Moderation(unreadable="refuse", mode="parallel"), {"created": 1, "data": []})

    async def program() -> None:
        for call in (
            lambda: rig.client.images.edit(image=b"PNG", prompt="a hat"),
            lambda: rig.client.images.create_variation(image=b"PNG"),
            lambda: rig.client.post("/chat/completions", content=b"{}", cast_to=object),
        ):
            with pytest.raises(ModerationUnavailableError):
                await side.do(call())

    side.run(program)
    assert [call.endpoint for call in rig.sent if call.endpoint != "moderations"] == []


def test_what_is_nested_too_deep_is_judged_all_the_same() -> None:
    """Or refused to be: it does not pass unseen."""
    content: Any = FLAGGED
    for _ in range(80):
        content = [content]
    (text,) = of("chat.completions", messages=[{"role": "user", "content": content}]).texts
    assert FLAGGED in text


@pytest.mark.parametrize(
    "text",
    [
        "e\u0336v\u0336i\u0336l\u0336",  # struck through
        "e\u20ddvil",  # in a circle
        "e\ufe0f\u20e3vil",
        "e\u0488vil",
        "e\u093cvil",  # another script's dot
        "ev\x00il",
        "ev\x08il",
        "ev\u2065il",  # reserved, and invisible
        "ev\U000e0fffil",
        "\U0001f174\U0001f185\U0001f178\U0001f17b",  # in black squares
        "\U0001f154\U0001f165\U0001f158\U0001f15b",  # in black circles
        "\U0001f1ea\U0001f1fb\U0001f1ee\U0001f1f1",  # of flags
    ],
    ids=ascii,
)
def test_a_term_cannot_be_disguised(text: str) -> None:
    """By what is drawn on letters, by what nobody sees, by letters that are pictures."""
    assert Terms(["evil"]).find(f"so {text} it is") == "evil"


@pytest.mark.parametrize("mark", ["\u0336", "\u20dd", "\u0301", "\u200b"], ids=ascii)
def test_nor_can_one_of_another_alphabet(mark: str) -> None:
    """What is drawn on its letters is none of them."""
    word = "\u0437\u043b\u043e"
    assert Terms([word]).find(f"{mark.join(word)}{mark}!") == word


def test_an_arabic_word_may_be_drawn_out() -> None:
    """By a stroke between its letters, which is none of them."""
    word = "\u0643\u0644\u0645\u0629"
    assert Terms([word]).find(f"{chr(0x640).join(word)}!") == word
    assert Terms([f"{word[0]}\u0640{word[1:]}"]).find(word) is not None


@pytest.mark.parametrize("text", ["evil\U0001f1e9\U0001f1ea", "evil\x1cx", "\U0001f170evil"], ids=ascii)
def test_what_stands_beside_a_term_does_not_hide_it(text: str) -> None:
    """A flag, a box, a separator are no part of the word."""
    assert Terms(["evil"]).find(text) == "evil"


@pytest.mark.parametrize("word", ["\u0915\u094d\u092f\u093e", "\u304b\u3099", "\u0e01\u0e33"], ids=ascii)
def test_signs_that_spell_are_kept(word: str) -> None:
    """Where they belong to the script."""
    assert Terms([word]).find(f"{word}!") == word


# Beside what fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["open", "closed"])
def test_a_picture_that_cannot_be_fetched_hides_nothing(side: Side, on_error: Any) -> None:
    """The text beside it has a verdict of its own."""

    def step(call: Call) -> Any:
        if call.endpoint == "moderations" and not isinstance(call.params["input"][0], str):
            return Status(400)
        return service()(call)

    rig = side.rig([Moderation(on_error=on_error)], default=step)
    image = {"type": "image_url", "image_url": {"url": "https://example.com/none.png"}}

    async def program() -> None:
        for _ in range(2):
            with pytest.raises(ModerationError) as caught:
                await side.do(ask(rig, [{"type": "text", "text": FLAGGED}, image]))
            assert caught.value.source == "openai"
        if on_error == "open":
            await side.do(ask(rig, [{"type": "text", "text": "fine"}, image]))

    side.run(program)
    assert sent(rig).count("chat.completions") == (on_error == "open")


def test_a_text_that_breaks_a_checker_hides_no_other(side: Side) -> None:
    """Each has a verdict of its own."""

    class Brittle:
        def check(self, text: str) -> Any:
            if text == "boom":
                raise ValueError(text)
            return Verdict(flagged="bad" in text)

    rig = side.rig([Moderation(endpoint=False, checkers=[Brittle()], on_error="open")], default=service())

    async def program() -> None:
        for talk in (["bad", "boom"], ["boom", "bad"]):
            messages = [{"role": "user", "content": text} for text in talk]
            with pytest.raises(ModerationError):
                await side.do(rig.client.chat.completions.create(model="m", messages=messages))

    side.run(program)
    assert sent(rig) == []


def test_a_verdict_is_known_of_its_endpoint_only() -> None:
    """Another server may judge otherwise under the same model's name."""

    def step(call: Call) -> Any:
        mild = "mild" in call.base_url
        if call.endpoint != "moderations" or not mild:
            return service()(call)
        fine = {"flagged": False, "categories": {}, "category_scores": {}}
        return {"id": "modr-1", "model": MODEL, "results": [fine for _ in call.params["input"]]}

    stack = Stack([Moderation()], transport=ScriptedTransport(default=step))
    messages: Any = [{"role": "user", "content": FLAGGED}]
    with OpenAI(api_key=KEY, base_url="http://mild.invalid/v1", stack=stack) as mild:
        mild.chat.completions.create(model="m", messages=messages)
        strict = mild.with_options(base_url="http://strict.invalid/v1")
        with pytest.raises(ModerationError):
            strict.chat.completions.create(model="m", messages=messages)


@pytest.mark.parametrize("failures", [1, 2])
def test_no_verdict_is_none_after_a_retry_either(side: Side, failures: int) -> None:
    """Closed, beside a stream that is opened again: the endpoint is asked anew, and what it has not judged stays."""
    counts = {"moderations": 0, "chat.completions": 0}

    def step(call: Call) -> Any:
        counts[call.endpoint] += 1
        if call.endpoint == "moderations":
            return Status(401) if counts["moderations"] <= failures else judged(call)
        return Status(503) if counts["chat.completions"] == 1 else "private words"

    rig = side.rig([Moderation(mode="parallel"), Retry()], default=step)

    async def program() -> None:
        with pytest.raises((ModerationError, ModerationUnavailableError)):
            await side.read(await side.do(ask(rig, FLAGGED, stream=True)))

    side.run(program)
    assert counts["moderations"] <= 2


# Past an early answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("options", [{}, {"output": True}, {"output": True, "window": 4}])
def test_an_early_answer_waits_for_the_verdict_too(side: Side, stream: bool, options: Any) -> None:  # noqa: FBT001
    """Beside a call that is never sent nothing is asked: then after it."""
    rig = side.rig([Moderation(mode="parallel", **options), Early()], default=service())

    async def program() -> str:
        with pytest.raises(ModerationError) as caught:
            await side.read(await side.do(ask(rig, FLAGGED, stream=True))) if stream else await side.do(
                ask(rig, FLAGGED)
            )
        assert caught.value.subject == "input"
        answer = await side.do(ask(rig, stream=stream))
        return texts(await side.read(answer)) if stream else answer.choices[0].message.content

    assert side.run(program) == "Hello"


@pytest.mark.parametrize("window", [None, 4, 1000])
def test_an_early_answer_is_judged_though_no_chunk_of_it_came(side: Side, window: int | None) -> None:
    """One that a cache gives passes no window."""
    rig = side.rig([Moderation(output=True, window=window), Early(f"so {FLAGGED}")], default=service())

    async def program() -> Any:
        with pytest.raises(ModerationError) as caught:
            await side.read(await side.do(ask(rig, stream=True)))
        return caught.value

    assert side.run(program).subject == "output"
    assert rig.finished.notes == {"moderation": {"output": ["violence"]}}


def test_flagging_hears_an_early_answer_as_well(side: Side) -> None:
    """Once."""
    rig = side.rig([Moderation(input=False, output=True, action="flag"), Early(f"so {FLAGGED}")], default=service())

    async def program() -> str:
        return texts(await side.read(await side.do(ask(rig, stream=True))))

    assert side.run(program) == f"so {FLAGGED}"
    assert rig.finished.notes == {"moderation": {"output": ["violence"]}}
    assert sent(rig) == ["moderations"]
