"""Runs of an assistant over a thread: polled, or streamed as ``thread.*`` events."""

from __future__ import annotations

from collections.abc import Iterator

from llmstack.testing._api.answer import DONE, Answer, Event, EventAnswer, Json, JsonAnswer
from llmstack.testing._api.assistants import THREADS, add_message
from llmstack.testing._api.collection import Collection
from llmstack.testing._api.composition import Prompt, compose
from llmstack.testing._api.errors import ApiError
from llmstack.testing._api.resources import POLL_SOON, Resource
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED, TOKENS_PER_MESSAGE, count_tokens, split_tokens, text_of

_FINAL = "completed"


def _run_fields(call: ApiCall) -> Json:
    assistant = call.memory.find(f"/assistants/{call.body.get('assistant_id')}")
    given = call.body
    return {
        "thread_id": call.ids["thread"],
        "assistant_id": assistant["id"],
        "model": given.get("model") or assistant["model"],
        "instructions": given.get("instructions") or assistant["instructions"] or "",
        "tools": given.get("tools") or assistant["tools"],
        "parallel_tool_calls": given.get("parallel_tool_calls", True),
        "required_action": None,
        "usage": None,
        "thread": None,
        "stream": None,
    }


def _run_settled(call: ApiCall, run: Json) -> None:
    """The run's turn to speak: it asks for its tools, or adds a message and its step to the thread."""
    outputs = call.body.get("tool_outputs")
    prompt = _prompt(call, run) if outputs is None else Prompt(" ".join(o.get("output", "") for o in outputs), "tool")
    composed = compose(prompt)
    if composed.calls:
        run["status"] = "requires_action"
        calls = [
            {
                "id": call.memory.new_id("call_"),
                "type": "function",
                "function": {"name": wanted.name, "arguments": wanted.arguments},
            }
            for wanted in composed.calls
        ]
        run["required_action"] = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
        return
    said = {"role": "assistant", "content": composed.refusal or composed.text}
    message = add_message(call, run["thread_id"], said, run)
    asked = count_tokens(prompt.text) + TOKENS_PER_MESSAGE
    usage = {"prompt_tokens": asked, "completion_tokens": composed.tokens, "total_tokens": asked + composed.tokens}
    run.update(status=_FINAL, required_action=None, usage=usage, completed_at=CREATED)
    _steps(call, run).add(_step(call, run, message["id"], usage))


def _prompt(call: ApiCall, run: Json) -> Prompt:
    messages = list(call.memory.collection(f"/threads/{run['thread_id']}/messages").items.values())
    tools = [tool["function"] for tool in run["tools"] if tool.get("type") == "function"]
    return Prompt(text_of(messages[-1]["content"]) if messages else "", tools=tools)


def _step(call: ApiCall, run: Json, message_id: str, usage: Json) -> Json:
    return {
        "id": call.memory.new_id("step_"),
        "object": "thread.run.step",
        "created_at": CREATED,
        "completed_at": CREATED,
        "assistant_id": run["assistant_id"],
        "thread_id": run["thread_id"],
        "run_id": run["id"],
        "status": _FINAL,
        "type": "message_creation",
        "step_details": {"type": "message_creation", "message_creation": {"message_id": message_id}},
        "usage": usage,
    }


def _steps(call: ApiCall, run: Json) -> Collection:
    return call.memory.collection(f"/threads/{run['thread_id']}/runs/{run['id']}/steps")


RUNS = Resource(
    "/threads/{thread}/runs",
    "thread.run",
    "run_",
    _run_fields,
    stages=("queued", "in_progress", _FINAL),
    settled=_run_settled,
    verbs=frozenset({"list", "retrieve", "update"}),
    actions={"cancel": "cancelled"},
)

STEPS = Resource(
    "/threads/{thread}/runs/{run}/steps", "thread.run.step", "step_", verbs=frozenset({"list", "retrieve"})
)


def create_run(call: ApiCall) -> Answer:
    thread_id = call.ids["thread"]
    call.memory.find(f"/threads/{thread_id}")
    for message in call.body.get("additional_messages") or []:
        add_message(call, thread_id, message)
    return _begin(call, thread_id, [])


def create_thread_and_run(call: ApiCall) -> Answer:
    begun = ApiCall(call.method, "/threads", {}, call.body.get("thread") or {}, (), call.memory)
    thread = THREADS.add(begun, call.memory.collection("/threads"))
    return _begin(call, thread["id"], [Event(thread, name="thread.created")])


def submit_tool_outputs(call: ApiCall) -> Answer:
    run = call.memory.find(f"/threads/{call.ids['thread']}/runs/{call.ids['run']}")
    if run["status"] != "requires_action":
        raise ApiError(400, f'Runs in status "{run["status"]}" do not accept tool outputs.')
    run["status"] = "in_progress"
    _run_settled(call, run)
    return EventAnswer((*_end(call, run), _FAREWELL)) if call.stream else JsonAnswer(run)


def _begin(call: ApiCall, thread_id: str, opening: list[Event]) -> Answer:
    placed = ApiCall(
        call.method, call.path, call.query, call.body, (), call.memory, call.azure, {**call.ids, "thread": thread_id}
    )
    run = RUNS.add(placed, call.memory.collection(f"/threads/{thread_id}/runs"))
    if not call.stream:
        return JsonAnswer(run, headers=POLL_SOON)
    for status, name in (("queued", "created"), ("queued", "queued"), ("in_progress", "in_progress")):
        opening.append(Event({**run, "status": status}, name=f"thread.run.{name}"))
    _run_settled(placed, run)
    return EventAnswer((*opening, *_end(call, run), _FAREWELL))


_FAREWELL = Event(DONE.data, name="done")


def _end(call: ApiCall, run: Json) -> Iterator[Event]:
    """The events from the run's turn to speak to its end."""
    steps = list(_steps(call, run).items.values())
    if run["status"] == _FINAL and steps:
        step = steps[-1]
        unfinished = {"status": "in_progress", "usage": None, "completed_at": None}
        for name in ("created", "in_progress"):
            yield Event({**step, **unfinished}, name=f"thread.run.step.{name}")
        message_id = step["step_details"]["message_creation"]["message_id"]
        yield from _message_events(call.memory.find(f"/threads/{run['thread_id']}/messages/{message_id}"))
        yield Event(step, name="thread.run.step.completed")
    yield Event(run, name=f"thread.run.{run['status']}")


def _message_events(message: Json) -> Iterator[Event]:
    unfinished = {**message, "status": "in_progress", "content": []}
    for name in ("created", "in_progress"):
        yield Event(unfinished, name=f"thread.message.{name}")
    for piece in split_tokens(text_of(message["content"])):
        part = {"index": 0, "type": "text", "text": {"value": piece, "annotations": []}}
        delta = {"id": message["id"], "object": "thread.message.delta", "delta": {"content": [part]}}
        yield Event(delta, name="thread.message.delta")
    yield Event(message, name="thread.message.completed")
