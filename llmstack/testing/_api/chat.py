"""``/chat/completions``: as a document, as a stream of chunks, and the stored ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmstack.testing._api.answer import DONE, Answer, Event, EventAnswer, Json, JsonAnswer
from llmstack.testing._api.composition import Composition, FunctionCall, Prompt, compose
from llmstack.testing._api.errors import ApiError
from llmstack.testing._api.logprobs import logprob_rows
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED, TOKENS_PER_MESSAGE, count_tokens, split_tokens, text_of

SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}


def create_chat_completion(call: ApiCall) -> Answer:
    messages = call.body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "Missing required parameter: 'messages'.", param="messages")
    compositions = [compose(_prompt(call.body, index)) for index in range(int(call.body.get("n") or 1))]
    usage = _usage(messages, compositions)
    identity: Json = {
        "id": call.memory.new_id("chatcmpl-"),
        "created": CREATED,
        "model": call.model,
        "service_tier": "default",
        "system_fingerprint": "fp_llmstack",
    }
    if call.stream:
        return EventAnswer(tuple(_events(call, identity, compositions, usage)))
    choices = [_choice(call, identity["id"], i, composed) for i, composed in enumerate(compositions)]
    completion: Json = {"object": "chat.completion", **identity, "choices": choices, "usage": usage}
    if call.azure:
        completion["prompt_filter_results"] = _prompt_filter_results()
    if call.body.get("store"):
        stored = {**completion, "metadata": call.body.get("metadata") or {}}
        call.memory.collection("/chat/completions").add(stored)
        for number, message in enumerate(messages):
            kept = {"id": f"{identity['id']}-{number}", "content": None, **message}
            call.memory.collection(f"/chat/completions/{identity['id']}/messages").add(kept)
    return JsonAnswer(completion)


def _prompt(body: Json, index: int) -> Prompt:
    last = body["messages"][-1]
    if not isinstance(last, dict):
        raise ApiError(400, "Invalid type for 'messages': expected objects.", param="messages")
    tools = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    return Prompt(
        text=text_of(last.get("content")),
        role=str(last.get("role", "user")),
        tools=tools,
        tool_choice=body.get("tool_choice"),
        form=_form(body.get("response_format")),
        most=body.get("max_completion_tokens") or body.get("max_tokens"),
        index=index,
    )


def _form(response_format: Any) -> Json | None:
    if not isinstance(response_format, dict) or response_format.get("type") == "text":
        return None
    return dict((response_format.get("json_schema") or {}).get("schema") or {})


def _usage(messages: list[Json], compositions: list[Composition]) -> Json:
    prompt = sum(count_tokens(text_of(message.get("content"))) + TOKENS_PER_MESSAGE for message in messages)
    completion = sum(composed.tokens for composed in compositions)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _finish_reason(composed: Composition) -> str:
    if composed.calls:
        return "tool_calls"
    return "length" if composed.truncated else "stop"


def _tool_call(completion_id: str, choice: int, position: int, call: FunctionCall, arguments: str) -> Json:
    return {
        "id": f"call_{completion_id}_{choice}_{position}",
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _choice(call: ApiCall, completion_id: str, index: int, composed: Composition) -> Json:
    silent = composed.calls or composed.refusal is not None
    message: Json = {
        "role": "assistant",
        "content": None if silent else composed.text,
        "refusal": composed.refusal,
        "annotations": [],
    }
    if composed.calls:
        message["tool_calls"] = [
            _tool_call(completion_id, index, i, wanted, wanted.arguments) for i, wanted in enumerate(composed.calls)
        ]
    choice: Json = {
        "index": index,
        "message": message,
        "logprobs": _logprobs(call.body, split_tokens(composed.text)),
        "finish_reason": _finish_reason(composed),
    }
    if call.azure:
        choice["content_filter_results"] = SAFE
    return choice


def _logprobs(body: Json, tokens: list[str]) -> Json | None:
    if not body.get("logprobs"):
        return None
    return {"content": logprob_rows(tokens, body.get("top_logprobs")), "refusal": None}


def _events(call: ApiCall, identity: Json, compositions: list[Composition], usage: Json) -> Iterator[Event]:
    asked = bool((call.body.get("stream_options") or {}).get("include_usage"))
    head: Json = {"object": "chat.completion.chunk", **identity}
    extra: Json = {"usage": None} if asked else {}
    if call.azure:
        blank = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        yield Event({**blank, "prompt_filter_results": _prompt_filter_results()})
    for index, composed in enumerate(compositions):
        for delta, tokens in _deltas(identity["id"], index, composed):
            choice: Json = {"index": index, "delta": delta, "finish_reason": None}
            choice["logprobs"] = _logprobs(call.body, tokens) if tokens else None
            if call.azure:
                choice["content_filter_results"] = SAFE if tokens else {}
            yield Event({**head, "choices": [choice], **extra})
        end = {"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish_reason(composed)}
        yield Event({**head, "choices": [end], **extra})
    if asked:
        yield Event({**head, "choices": [], "usage": usage})
    yield DONE


def _deltas(completion_id: str, index: int, composed: Composition) -> Iterator[tuple[Json, list[str]]]:
    """The deltas of one choice, each with the tokens of prose in it."""
    content = None if composed.calls else ""
    yield {"role": "assistant", "content": content, "refusal": None}, []
    for piece in split_tokens(composed.refusal or ""):
        yield {"refusal": piece}, []
    for position, call in enumerate(composed.calls):
        opening = {"index": position, **_tool_call(completion_id, index, position, call, "")}
        yield {"tool_calls": [opening]}, []
        for piece in split_tokens(call.arguments):
            yield {"tool_calls": [{"index": position, "function": {"arguments": piece}}]}, []
    for piece in split_tokens(composed.text):
        yield {"content": piece}, [piece]


def _prompt_filter_results() -> list[Json]:
    return [{"prompt_index": 0, "content_filter_results": SAFE}]
