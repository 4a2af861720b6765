"""Items of a response's input as messages of a chat."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from pydantic import TypeAdapter

from llmstack.transports._translation.responses_input import Conversation, input_items
from llmstack.transports._translation.responses_reply import response_body
from llmstack.transports._translation.untranslatable import Losses, Untranslatable

Json = dict[str, Any]

DATA = "data:image/png;base64,AAAA"


def messages(given: Any) -> list[Json]:
    """The messages for an input; nothing may be lost."""
    losses = Losses()
    conversation = Conversation(losses, system_role="system")
    conversation.extend(input_items(given))
    losses.settle("refuse")
    return conversation.messages


def call(name: str, call_id: str = "call_1", arguments: str = "{}") -> Json:
    """A call of a function, as it is in the output of a response."""
    return {
        "type": "function_call", "id": "fc_1", "status": "completed", "call_id": call_id, "name": name,
        "arguments": arguments,
    }  # fmt: skip


def result(call_id: str = "call_1", output: Any = "sunny") -> Json:
    """What it answered."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def chat_call(name: str, call_id: str = "call_1", arguments: str = "{}") -> Json:
    """The same in a chat."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(*parts: Json, role: str = "user") -> list[Json]:
    """A message of these parts."""
    return [{"type": "message", "role": role, "content": list(parts)}]


TEXT = {"type": "input_text", "text": "Hi"}
CHAT_TEXT = {"type": "text", "text": "Hi"}
MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}


@pytest.mark.parametrize("role", ["user", "system", "assistant"])
def test_an_easy_message(role):
    """A role and a text, typed or not."""
    expected = [{"role": role, "content": "Hi"}]
    assert messages([{"role": role, "content": "Hi"}]) == expected
    assert messages([{"type": "message", "role": role, "content": "Hi"}]) == expected


def test_a_name_stays():
    """It is chat's own field."""
    assert messages([{"role": "user", "name": "Ann", "content": "Hi"}])[0]["name"] == "Ann"


PARTS: list[tuple[Json, Any]] = [
    (TEXT, "Hi"),
    ({"type": "output_text", "text": "Hi", "annotations": []}, "Hi"),
    ({**TEXT, **MARK}, [{**CHAT_TEXT, **MARK}]),
    ({"type": "input_image", "image_url": DATA}, [{"type": "image_url", "image_url": {"url": DATA}}]),
    (
        {"type": "input_image", "image_url": DATA, "detail": "low", "file_id": None, **MARK},
        [{"type": "image_url", "image_url": {"url": DATA, "detail": "low"}, **MARK}],
    ),
    (
        {"type": "input_file", "file_data": "AAAA", "filename": "a.pdf", "detail": "auto"},
        [{"type": "file", "file": {"file_data": "AAAA", "filename": "a.pdf"}}],
    ),
    ({"type": "input_file", "file_id": "file-1"}, [{"type": "file", "file": {"file_id": "file-1"}}]),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}],
    ),
]


@pytest.mark.parametrize(("part", "content"), PARTS)
def test_a_part_of_what_the_user_says(part, content):
    """Text alone is a string, which every server knows; anything else is a list of parts."""
    assert messages(said(part)) == [{"role": "user", "content": content}]


def test_several_parts():
    """In their order; nothing at all is an empty text."""
    image = {"type": "input_image", "image_url": DATA}
    parts = [CHAT_TEXT, {"type": "image_url", "image_url": {"url": DATA}}, CHAT_TEXT]
    assert messages(said(TEXT, image, TEXT)) == [{"role": "user", "content": parts}]
    assert messages(said()) == [{"role": "user", "content": ""}]


def test_what_the_assistant_said():
    """Its parts are one text, its refusal a field of its own."""
    text = {"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}
    refusal = {"type": "refusal", "refusal": "No"}
    assert messages(said(text, text, role="assistant")) == [{"role": "assistant", "content": "HiHi"}]
    assert messages(said(refusal, role="assistant")) == [{"role": "assistant", "content": None, "refusal": "No"}]
    assert messages(said(text, refusal, role="assistant")) == [{"role": "assistant", "content": "Hi", "refusal": "No"}]


ASKED = {"role": "user", "content": "Weather?"}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
SPOKEN = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see"}]}

TURNS: list[tuple[str, list[Json], list[Json]]] = [
    (
        "a call and its result",
        [ASKED, call("weather"), result()],
        [ASKED, {"role": "assistant", "content": None, "tool_calls": [chat_call("weather")]}, TOLD],
    ),
    (
        "calls at once are one message",
        [call("a"), call("b", "call_2"), result(), result("call_2", "rainy")],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call("a"), chat_call("b", "call_2")]},
            TOLD,
            {"role": "tool", "tool_call_id": "call_2", "content": "rainy"},
        ],
    ),
    (
        "calls one after the other are one message each",
        [call("a"), result(), call("b", "call_2")],
        [
            {"role": "assistant", "content": None, "tool_calls": [chat_call("a")]},
            TOLD,
            {"role": "assistant", "content": None, "tool_calls": [chat_call("b", "call_2")]},
        ],
    ),
    (
        "what is said before a call goes with it, thoughts go nowhere",
        [THOUGHT, SPOKEN, THOUGHT, call("a"), result()],
        [{"role": "assistant", "content": "Let me see", "tool_calls": [chat_call("a")]}, TOLD],
    ),
    (
        "what is said after a call goes with it too: a chat wants the result right after the call",
        [call("a"), SPOKEN, result()],
        [{"role": "assistant", "content": "Let me see", "tool_calls": [chat_call("a")]}, TOLD],
    ),
    (
        "two messages stay two",
        [SPOKEN, SPOKEN],
        [{"role": "assistant", "content": "Let me see"}, {"role": "assistant", "content": "Let me see"}],
    ),
    (
        "a custom tool",
        [
            {"type": "custom_tool_call", "call_id": "call_1", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "call_1", "output": [TEXT]},
        ],
        [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "Hi"},
        ],
    ),
    ("a result in parts", [result(output=[TEXT, TEXT])], [{**TOLD, "content": [CHAT_TEXT, CHAT_TEXT]}]),
    ("thoughts alone", [THOUGHT], []),
]


@pytest.mark.parametrize(("items", "expected"), [row[1:] for row in TURNS], ids=[row[0] for row in TURNS])
def test_turns(items, expected):
    """Row by row."""
    assert messages(items) == expected


def test_thoughts_may_go_with_what_came_of_them():
    """Where the server wants them: those that can be read, at the turn that they belong to."""
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]}
    conversation = Conversation(Losses(), system_role="system", reasoning_field="reasoning_content")
    conversation.extend([thought, ASKED, thought, SPOKEN, thought, call("a"), result(), THOUGHT, thought, SPOKEN])
    assert conversation.messages == [
        ASKED,
        {
            "role": "assistant",
            "content": "Let me see",
            "reasoning_content": "HmHm",
            "tool_calls": [chat_call("a")],
        },
        TOLD,
        {"role": "assistant", "content": "Let me see", "reasoning_content": "Hm"},
    ]


LOST: list[tuple[Any, str, bool]] = [
    ({"type": "item_reference", "id": "msg_1"}, "input[0]", True),
    ({"id": "msg_1"}, "input[0]", True),
    ({"type": "compaction", "encrypted_content": "x"}, "input[0]", True),
    ("Hello", "input[0]", True),
    ({"role": "critic", "content": "x"}, "input[0].role", True),
    ({"type": "web_search_call", "id": "ws_1", "status": "completed"}, "input[0]", False),
    ({"type": "mcp_list_tools", "id": "x", "server_label": "x", "tools": []}, "input[0]", False),
    ({"type": "from_the_future"}, "input[0]", False),
    ({**call("a"), "namespace": "crm"}, "input[0].namespace", False),
    (said({"type": "input_image", "file_id": "file-1"})[0], "input[0].content[0].file_id", True),
    (said({"type": "input_file", "file_url": "https://example.com/a.pdf"})[0], "input[0].content[0].file_url", True),
    (said({"type": "input_file", "file_data": "A", "detail": "low"})[0], "input[0].content[0].detail", False),
    (said({"type": "input_video"})[0], "input[0].content[0]", True),
    (said({"type": "input_image", "image_url": DATA}, role="assistant")[0], "input[0].content[0]", True),
    (result(output=[{"type": "input_image", "image_url": DATA}]), "input[0].output[0]", True),
    (result(output={"a": 1}), "input[0].output", True),
    ({"role": "user", "content": ["Hello"]}, "input[0].content[0]", True),
    ({"role": "assistant", "content": 7}, "input[0].content", True),
    (said({"type": "input_image"})[0], "input[0].content[0]", True),
]


@pytest.mark.parametrize(("item", "path", "fatal"), LOST)
def test_what_chat_cannot_say_is_named(item, path, fatal):
    """By its place, never by its content."""
    losses = Losses()
    Conversation(losses, system_role="system").extend([item])
    with pytest.raises(Untranslatable) as caught:
        losses.settle("refuse")
    assert [(loss.path, loss.fatal) for loss in caught.value.losses] == [(path, fatal)]


# Any conversation ---------------------------------------------------------------------------------------------------

texts = st.text(max_size=8)
names = st.text("abcdef", min_size=1, max_size=6)


@st.composite
def turns(draw: st.DrawFn) -> list[Json]:
    """A conversation as programs have them: what is said, and calls followed by their results."""
    items: list[Json] = []
    for turn in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            items.append({"role": draw(st.sampled_from(["user", "system"])), "content": draw(texts)})
        if draw(st.booleans()):
            items.append(THOUGHT)
        if draw(st.booleans()):
            items.append({**SPOKEN, "content": [{"type": "output_text", "text": draw(texts)}]})
        ids = [f"call_{turn}_{at}" for at in range(draw(st.integers(0, 3)))]
        items += [call(draw(names), own, draw(texts)) for own in ids]
        items += [result(own, draw(texts)) for own in draw(st.permutations(ids))]
    return items


@given(turns())
def test_any_conversation_is_one_that_chat_accepts(items):
    """Every result follows the message that made its call, and nothing that was said is lost or changes places."""
    chat = messages(items)
    adapter = TypeAdapter(list[ChatCompletionMessageParam])
    adapter.validate_python(chat)
    open_calls: list[str] = []
    for message in chat:
        if message["role"] == "tool":
            open_calls.remove(message["tool_call_id"])
        else:
            assert open_calls == []
            open_calls = [made["id"] for made in message.get("tool_calls", ())]
    assert open_calls == []

    def words(item: Json) -> list[str]:
        content = item.get("content", item.get("output"))
        return [content if isinstance(content, str) else content[0]["text"]] if content else []

    told = [text for item in items if item.get("type") != "reasoning" for text in words(item)]
    assert [text for message in chat if message["content"] is not None for text in [message["content"]] if text] == [
        text for text in told if text
    ]


@given(texts, st.lists(st.tuples(names, names, texts), max_size=3, unique_by=lambda row: row[0]))
def test_what_chat_answered_goes_back_as_it_came(text, calls):
    """An answer, made a response and sent as input of the next, is the message that it was."""
    message: Json = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = [chat_call(name, own, arguments) for own, name, arguments in calls]
    completion = {"id": "c", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    again = messages(response_body(completion, {})["output"])
    assert again == ([message] if text or calls else [])
