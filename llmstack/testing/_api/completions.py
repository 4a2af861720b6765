"""``/completions``: the legacy endpoint."""

from __future__ import annotations

from collections.abc import Iterator

from llmstack.testing._api.answer import DONE, Answer, Event, EventAnswer, Json, JsonAnswer
from llmstack.testing._api.composition import Composition, Prompt, compose
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED, count_tokens, split_tokens


def create_completion(call: ApiCall) -> Answer:
    prompts = _prompts(call.body.get("prompt", ""))
    repeats = range(int(call.body.get("n") or 1))
    most = call.body.get("max_tokens")
    compositions = [compose(Prompt(text, most=most, index=i)) for text in prompts for i in repeats]
    head: Json = {
        "id": call.memory.new_id("cmpl-"),
        "object": "text_completion",
        "created": CREATED,
        "model": call.model,
        "system_fingerprint": "fp_llmstack",
    }
    prompt_tokens = sum(map(count_tokens, prompts))
    completion_tokens = sum(composed.tokens for composed in compositions)
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    if call.stream:
        return EventAnswer(tuple(_events(call.body, head, compositions, usage)))
    choices = [
        {"index": i, "text": _said(composed), "logprobs": None, "finish_reason": _finish_reason(composed)}
        for i, composed in enumerate(compositions)
    ]
    return JsonAnswer({**head, "choices": choices, "usage": usage})


def _prompts(prompt: object) -> list[str]:
    """A prompt is a text, token numbers, or a list of either; token numbers stand as their digits."""
    if not isinstance(prompt, list):
        return [str(prompt)]
    if prompt and isinstance(prompt[0], int):
        return [" ".join(map(str, prompt))]
    return [text for one in prompt for text in _prompts(one)]


def _said(composed: Composition) -> str:
    # this endpoint has no refusals
    return composed.refusal or composed.text


def _finish_reason(composed: Composition) -> str:
    return "length" if composed.truncated else "stop"


def _events(body: Json, head: Json, compositions: list[Composition], usage: Json) -> Iterator[Event]:
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    extra: Json = {"usage": None} if asked else {}
    for index, composed in enumerate(compositions):
        for piece in split_tokens(_said(composed)):
            choice = {"index": index, "text": piece, "logprobs": None, "finish_reason": None}
            yield Event({**head, "choices": [choice], **extra})
        end = {"index": index, "text": "", "logprobs": None, "finish_reason": _finish_reason(composed)}
        yield Event({**head, "choices": [end], **extra})
    if asked:
        yield Event({**head, "choices": [], "usage": usage})
    yield DONE
