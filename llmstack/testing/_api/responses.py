"""``/responses``: create, retrieve (also as a resumed stream), delete, cancel, input items."""

from __future__ import annotations

from typing import Any

from llmstack.testing._api.answer import Answer, Event, EventAnswer, Json, JsonAnswer
from llmstack.testing._api.composition import Composition, Prompt, compose
from llmstack.testing._api.errors import ApiError
from llmstack.testing._api.logprobs import logprob_rows
from llmstack.testing._api.response_events import response_events
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED, TOKENS_PER_MESSAGE, count_tokens, split_tokens, text_of

_STORED = "/responses"

# what a response repeats of its request, and what stands there if the request was silent
_REPEATED: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "background": False,
    "user": None,
}


def create_response(call: ApiCall) -> Answer:
    previous = call.body.get("previous_response_id")
    if previous is not None:
        call.memory.find(f"{_STORED}/{previous}")
    items = _input_items(call)
    composed = compose(_prompt(call.body, items))
    response = _response(call, items, composed)
    events = tuple(response_events(response))
    stored = call.body.get("store") is not False
    if stored:
        call.memory.collection(_STORED).add(response)
        for item in items:
            call.memory.collection(f"{_STORED}/{response['id']}/input_items").add(item)
    if call.stream:
        return EventAnswer(events)
    if stored and response["background"]:
        # the first look shows it queued, every later one finished
        return JsonAnswer({**response, "status": "queued", "output": [], "usage": None, "completed_at": None})
    return JsonAnswer(response)


def retrieve_response(call: ApiCall) -> Answer:
    response = call.memory.find(f"{_STORED}/{call.ids['response_id']}")
    if call.query.get("stream") != "true":
        return JsonAnswer(response)
    try:
        seen = int(call.query.get("starting_after", -1))
    except ValueError:
        raise ApiError(400, "Invalid 'starting_after': expected an integer.", param="starting_after") from None
    return EventAnswer(tuple(event for event in response_events(response) if _number(event) > seen))


def delete_response(call: ApiCall) -> Answer:
    response_id = call.ids["response_id"]
    call.memory.collection(_STORED).remove(response_id)
    return JsonAnswer({"id": response_id, "object": "response", "deleted": True})


def cancel_response(call: ApiCall) -> Answer:
    response = call.memory.find(f"{_STORED}/{call.ids['response_id']}")
    if not response["background"]:
        raise ApiError(400, "Cannot cancel a synchronous response.")
    response.update(status="cancelled", output=[], usage=None, completed_at=None)
    return JsonAnswer(response)


def list_input_items(call: ApiCall) -> Answer:
    response_id = call.ids["response_id"]
    call.memory.find(f"{_STORED}/{response_id}")
    return JsonAnswer(call.memory.collection(f"{_STORED}/{response_id}/input_items").page(call.query))


def count_input_tokens(call: ApiCall) -> Answer:
    tokens = _input_tokens(call.body, _input_items(call))
    return JsonAnswer({"object": "response.input_tokens", "input_tokens": tokens})


def _number(event: Event) -> int:
    data: Any = event.data
    return int(data["sequence_number"])


def _input_items(call: ApiCall) -> list[Json]:
    given = call.body.get("input") or ""
    entries = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    return [_input_item(call, entry) for entry in entries]


def _input_item(call: ApiCall, entry: Json) -> Json:
    """An entry of ``input`` as the API stores it: typed, with an id, its text as parts."""
    kind = entry.get("type") or ("message" if "role" in entry else "item_reference")
    item = {"id": call.memory.new_id("item_"), "status": "completed", **entry, "type": kind}
    content = entry.get("content")
    if kind == "message" and isinstance(content, str):
        part = "output_text" if entry.get("role") == "assistant" else "input_text"
        extra: Json = {"annotations": []} if part == "output_text" else {}
        item["content"] = [{"type": part, "text": content, **extra}]
    return item


def _item_text(item: Json) -> str:
    return text_of(item.get("content") or item.get("output") or item.get("arguments") or "")


def _prompt(body: Json, items: list[Json]) -> Prompt:
    last: Json = items[-1] if items else {}
    tools = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    form: Json = (body.get("text") or {}).get("format") or {"type": "text"}
    return Prompt(
        text=_item_text(last),
        role="tool" if str(last.get("type")).endswith("_output") else str(last.get("role", "user")),
        tools=tools,
        tool_choice=body.get("tool_choice"),
        form=None if form["type"] == "text" else dict(form.get("schema") or {}),
        most=body.get("max_output_tokens"),
    )


def _input_tokens(body: Json, items: list[Json]) -> int:
    instructions = count_tokens(text_of(body.get("instructions") or ""))
    return instructions + sum(count_tokens(_item_text(item)) + TOKENS_PER_MESSAGE for item in items)


def _response(call: ApiCall, items: list[Json], composed: Composition) -> Json:
    repeated = {
        name: call.body[name] if call.body.get(name) is not None else usual for name, usual in _REPEATED.items()
    }
    tokens = _input_tokens(call.body, items)
    return {
        "id": call.memory.new_id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "completed_at": CREATED,
        "status": "incomplete" if composed.truncated else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if composed.truncated else None,
        "model": call.model,
        **repeated,
        "output": _output(call, composed),
        "usage": {
            "input_tokens": tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": composed.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens + composed.tokens,
        },
    }


def _output(call: ApiCall, composed: Composition) -> list[Json]:
    if composed.calls:
        return [
            {
                "id": call.memory.new_id("fc_"),
                "type": "function_call",
                "status": "completed",
                "call_id": call.memory.new_id("call_"),
                "name": wanted.name,
                "arguments": wanted.arguments,
            }
            for wanted in composed.calls
        ]
    asked = "message.output_text.logprobs" in (call.body.get("include") or ())
    rows = logprob_rows(split_tokens(composed.text), call.body.get("top_logprobs")) if asked else []
    part: Json = {"type": "output_text", "text": composed.text, "annotations": [], "logprobs": rows}
    if composed.refusal is not None:
        part = {"type": "refusal", "refusal": composed.refusal}
    return [
        {
            "id": call.memory.new_id("msg_"),
            "type": "message",
            "status": "incomplete" if composed.truncated else "completed",
            "role": "assistant",
            "content": [part],
        }
    ]
