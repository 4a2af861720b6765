"""A transport that follows a script: for tests of plugins and programs, without any network."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
import openai

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.answer import replayed
from llmstack._wire.incoming import BytesIncoming
from llmstack._wire.sdk import api_error
from llmstack._wire.sse import ServerSentEvent, encode
from llmstack._wire.watch import EventWatch

Chunks = Sequence["Mapping[str, Any] | str | bytes | Exception"]
Step = "Mapping[str, Any] | str | bytes | Reply | Exception | Status | Chunks | Callable[[Call], Any]"


@dataclass(frozen=True, slots=True)
class Status:
    """An error answer: the SDK's own exception for a status is raised.

    Attributes:
        status: HTTP status, 400 or more.
        body: JSON body, or a message for one in OpenAI's shape.
        headers: Response headers, such as ``{"retry-after": "1"}``.
        code: The error's code, such as ``"insufficient_quota"``, for a body in OpenAI's shape.
    """

    status: int
    body: Any = "scripted error"
    headers: Mapping[str, str] | None = None
    code: str | None = None


class ScriptedTransport:
    """Answers each send with the next step of a script, sync and async alike, and records the calls.

        transport = ScriptedTransport([Status(429), "Hello"])
        client = OpenAI(api_key="sk-test", stack=Stack([Retry()], transport=transport))
        client.chat.completions.create(model="m", messages=[...])       # "Hello", after one retry
        assert [call.model for call in transport.calls] == ["m", "m"]

    A step is one of:

    - text: the answer of a chat completion, legacy completion or Responses call; streamed if the call is;
    - a dict: the JSON body of the reply; streamed if the call is;
    - a `Reply`, given as it is;
    - bytes: a body as it is, streamed call or not: a page of HTML, half a JSON text, nothing at all;
    - an exception, raised; or a `Status`, raised as the SDK's error of that status;
    - a list of chunks (dicts, or ``"[DONE]"``): streamed one by one; an exception in it breaks the stream there, bytes
      in it go out as they are;
    - a function from the call to one of these.

    Attributes:
        calls: Every call sent, in order.
        open: How many streams are open now: 0 after a test that leaks nothing.
    """

    name = "scripted"

    def __init__(self, script: Iterable[Any] = (), *, default: Any = None) -> None:
        """Follow a script.

        Args:
            script: The steps.
            default: The step when the script has ended; None makes a further send an error.
        """
        self._script: Iterator[Any] = iter(list(script))
        self._default = default
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self._streams: list[BytesIncoming] = []

    @property
    def open(self) -> int:
        """How many streams have been opened and not closed."""
        return sum(not stream.closed for stream in self._streams)

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Answer with the next step.

        Raises:
            AssertionError: If the script has ended and there is no default.
        """
        with self._lock:
            self.calls.append(call)
            step = next(self._script, self._default)
        if step is None:
            message = f"the script has no step for send number {len(self.calls)}: {call.info}"
            raise AssertionError(message)
        # A real suspension point, where a cancellation can strike as it does on a network.
        yield Run(lambda: None, anyio.lowlevel.checkpoint)
        while callable(step) and not isinstance(step, type):
            step = step(call)
        try:
            return self._answer(call, step)
        finally:
            del step  # an exception that is raised here holds this frame

    def _answer(self, call: Call, step: Any) -> Reply | Incoming:
        if isinstance(step, Status):
            raise status_error(call, step)
        if isinstance(step, Exception):
            try:
                raise step
            finally:
                del step  # it holds this frame
        if isinstance(step, str):
            step = text_body(call, step)
        if isinstance(step, Mapping):
            step = Reply(dict(step))
        if isinstance(step, bytes):
            step = [step] if call.stream else Reply(content=step)
        if isinstance(step, Reply):
            if not call.stream:
                return step
            return self._stream(call, [encode(event) for event in replayed(call, step)])
        return self._stream(call, [_piece(chunk) for chunk in step])

    def _stream(self, call: Call, pieces: Sequence[bytes | Exception]) -> Incoming:
        request = _request(call)
        watch = EventWatch(call, 200, {}, lambda payload: api_error(payload, request))
        stream = BytesIncoming(iter(pieces), watch)
        self._streams.append(stream)
        return stream


def _piece(chunk: Any) -> bytes | Exception:
    if isinstance(chunk, (bytes, Exception)):
        return chunk
    if isinstance(chunk, str):
        return encode(ServerSentEvent(data=chunk))
    kind = chunk.get("type")
    # Responses name their events by type; chat chunks have no type.
    return encode(ServerSentEvent(event=kind if isinstance(kind, str) else None, data=json.dumps(chunk)))


def _request(call: Call) -> httpx2.Request:
    return httpx2.Request(call.method, "http://scripted.invalid" + call.path)


def status_error(call: Call, step: Status) -> openai.APIStatusError:
    """The SDK's exception for an error answer, made by the SDK itself.

    Raises:
        ValueError: If the status is no error.
    """
    body = step.body
    if isinstance(body, str):
        body = {"error": {"message": body, "type": "scripted", **({"code": step.code} if step.code else {})}}
    response = httpx2.Response(step.status, json=body, headers=step.headers or {})
    client = openai.OpenAI(api_key="sk-test-not-a-key", max_retries=0, http_client=_answering(response))
    try:
        client.get(call.path, cast_to=httpx2.Response)
    except openai.APIStatusError as error:
        return error
    message = f"{step.status} is no error status"
    raise ValueError(message)


def _answering(response: httpx2.Response) -> httpx2.Client:
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: response))


def text_body(call: Call, text: str) -> dict[str, Any]:
    """A plausible JSON body that says `text`, for the endpoint of the call."""
    model = call.model or "scripted-model"
    count = len(text.split())
    if call.endpoint == "responses":
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        usage: dict[str, Any] = {"input_tokens": 3, "output_tokens": count, "total_tokens": 3 + count}
        usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        head = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": model}
        rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
        return {**head, **rest, "output": [item], "usage": usage}
    usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
    if call.endpoint == "completions":
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}
        kind = "text_completion"
    else:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        kind = "chat.completion"
    return {"id": "scripted-1", "object": kind, "created": 1, "model": model, "choices": [choice], "usage": usage}
