"""Events that only go on with the answer are recorded in one go, and known again: nothing else comes of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmstack._wire.assembly import Assembly, assembly
from llmstack._wire.jsontext import is_json
from llmstack._wire.repeated import Repeated
from llmstack._wire.sse import ServerSentEvent
from tests.wire.test_assembly_chat import choice, chunk

PIECES = ("word ", "word ", "word ", "other", "error", "usage", "[DONE]", 'a "quote"', "\n", "€", "")
spoken = st.sampled_from(PIECES).map(lambda text: json.dumps(chunk(choice({"content": text}))))
padded = st.sampled_from(PIECES).map(lambda text: json.dumps(chunk(choice({"content": text}), obfuscation="abc")))
odd = st.sampled_from(
    [
        json.dumps(chunk(choice({"role": "assistant", "content": ""}))),
        json.dumps(chunk(choice({}, "stop"))),
        json.dumps({**chunk(), "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
        json.dumps({**chunk(choice({"content": "x"})), "usage": None}),
        '{"error": {"message": "lost"}}',
        json.dumps(chunk(choice({"content": "word "})))[:-1],
        '{"choices": [}',
        "[DONE]",
        "7",
        "",
    ]
)
streams = st.lists(spoken | spoken | padded | odd, max_size=40)


def noted(texts: list[str], *, verify: bool) -> tuple[Assembly, list[object], int]:
    """Each by itself, until one is no JSON."""
    seen, payloads = assembly("chat.completions"), list[object]()
    for i, text in enumerate(texts):
        if verify and not (is_json(text) or seen.done or text.startswith("[DONE]")):
            return seen, payloads, i
        payloads.append(seen.note(ServerSentEvent(data=text)))
    return seen, payloads, len(texts)


def followed(texts: list[str], *, verify: bool) -> tuple[Assembly, list[object], int]:
    """As many as possible in one go, the others by themselves."""
    seen, payloads = assembly("chat.completions"), list[object]()
    repeated = Repeated() if verify else None
    events = [ServerSentEvent(data=text) for text in texts]
    at = 0
    while True:
        reached = seen.follow(events, at, repeated)
        payloads += [None] * (reached - at)
        at = reached
        if at == len(events):
            return seen, payloads, at
        if verify and not (is_json(texts[at]) or seen.done or texts[at].startswith("[DONE]")):
            return seen, payloads, at
        payloads.append(seen.note(events[at]))
        at += 1


def told(found: tuple[Assembly, list[object], int]) -> Any:
    seen, payloads, at = found
    return [*seen.events()], seen.content, seen.done, seen.usage(), seen.body(), seen.complete(), payloads, at


@given(streams, st.booleans())
def test_what_is_followed_is_what_is_noted(texts: list[str], verify: bool) -> None:  # noqa: FBT001
    """The same is kept and known, and the same event is the first that is no JSON."""
    assert told(followed(texts, verify=verify)) == told(noted(texts, verify=verify))


def test_most_of_a_stream_is_followed() -> None:
    """And what is too much to be kept is not."""
    events = [ServerSentEvent(data=json.dumps(chunk(choice({"content": f"word {i}"})))) for i in range(300)]
    seen = assembly("chat.completions")
    seen.note(events[0])
    assert seen.follow(events, 1, Repeated()) == 300
    small = assembly("chat.completions", limit=100 * (len(events[0].data) + 165))
    small.note(events[0])
    assert 90 < small.follow(events, 1) < 110
