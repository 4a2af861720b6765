"""Reply: lazy, frozen, quiet."""

import json

import pytest

from llmstack import Reply, Usage

CHAT = {
    "model": "gpt-5-mini-2025",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "secret words"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


def test_a_reply_from_an_object_and_from_bytes_say_the_same():
    """Either form gives the other."""
    by_object = Reply(CHAT)
    by_bytes = Reply(content=by_object.content)
    for reply in (by_object, by_bytes):
        assert reply.body == CHAT
        assert reply.text == "secret words"
        assert reply.model == "gpt-5-mini-2025"
        assert reply.finish_reason == "stop"
        assert reply.usage == Usage(input_tokens=3, output_tokens=2)


def test_a_body_given_as_a_function_is_asked_once():
    """Putting a stream together costs something."""
    asked = []

    def body():
        asked.append(1)
        return CHAT

    reply = Reply(body)
    assert asked == []
    assert reply.text == "secret words"
    assert reply.usage is not None
    assert asked == [1]


def test_responses_text_is_all_output_text():
    """Reasoning and tool calls are no text."""
    body = {
        "status": "completed",
        "output": [
            {"type": "reasoning", "summary": []},
            {
                "type": "message",
                "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}],
            },
        ],
    }
    assert Reply(body).text == "ab"
    assert Reply(body).finish_reason == "completed"


@pytest.mark.parametrize("content", [b"", b"{broken", b"\xff\xfe", b"<html>"])
def test_what_is_no_json_has_no_body(content):
    """And asking is no error."""
    reply = Reply(content=content)
    assert reply.body is None
    assert reply.usage is None
    assert reply.text == ""


def test_a_new_body_drops_what_belonged_to_the_old():
    """Content, events, usage and the transport's response are of the old body."""
    reply = Reply(CHAT, events=["event"], native=object())
    assert reply.usage is not None
    changed = reply.replace(body={"choices": []})
    assert (changed.body, changed.content, changed.events, changed.native) == (
        {"choices": []},
        b'{"choices":[]}',
        None,
        None,
    )
    assert changed.usage is None
    assert reply.body == CHAT


def test_other_changes_keep_the_body():
    """A mark is no new answer."""
    native = object()
    marked = Reply(CHAT, native=native).replace(cached=True)
    assert marked.cached
    assert marked.body is CHAT
    assert marked.native is native


def test_a_reply_is_frozen():
    """The message says what to do instead."""
    with pytest.raises(AttributeError, match=r"reply\.replace"):
        Reply(CHAT).cached = True


def test_body_and_content_together_are_refused():
    """Which would be right?"""
    with pytest.raises(TypeError, match="not both"):
        Reply(CHAT, content=b"{}")


def test_content_whose_value_is_known_is_not_parsed_again():
    """A cache has looked at it already."""
    value = {"model": "gpt-5-mini"}
    reply = Reply(content=b'{"model": "gpt-5-mini"}', read=value)
    assert reply.body is value
    assert reply.model == "gpt-5-mini"
    assert reply.content == b'{"model": "gpt-5-mini"}'
    assert reply.replace(cached=True).body is value


def test_a_value_read_from_no_content_is_refused():
    """An object by itself is the body."""
    with pytest.raises(TypeError, match="`body`"):
        Reply(read=CHAT)


def test_repr_holds_no_content():
    """It ends up in logs."""
    assert repr(Reply(CHAT, cached=True, complete=False)) == "<Reply 200 cached incomplete>"


def test_half_a_surrogate_pair_survives():
    """A model may stop in the middle of an emoji: JSON can say it, UTF-8 cannot."""
    body = {"text": "\ud83d"}
    assert json.loads(Reply(body).content or b"") == body


def test_a_copy_does_not_read_the_json_again():
    """What the original has read holds for it, too."""
    reply = Reply(content=b'{"model":"m","usage":{"prompt_tokens":1}}')
    assert reply.body is reply.replace(cached=True).body
    assert reply.usage is reply.replace(status=201).usage
    assert reply.replace(body={"model": "other"}).model == "other"
