"""Content: prompts and answers on the spans, for who asked for them twice: here and in ``sentry_sdk.init``.

Source of the names and forms: ``sentry_sdk.integrations.openai``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmstack.effects import Flow, Next
from llmstack.hookspecs import hookimpl
from llmstack.middleware._sentry.client import awake, collects
from llmstack.middleware._sentry.safe import short
from llmstack.secrets import mask

if TYPE_CHECKING:
    from llmstack import Call, Reply
    from llmstack.middleware._sentry.span import Spans, Wish

__all__ = ["ContentLayer", "answer", "question"]

_LONGEST = 10_000
"""Characters of one text."""

_MOST = 100_000
"""Characters of all messages together; the last ones are kept, as Sentry does."""

_FILES = ("file_data", "b64_json", "partial_image_b64")

_SYSTEM = ("system", "developer")


class ContentLayer:
    """Adds the content of a request and of its reply to the request's span. The call feels nothing of what fails."""

    def __init__(self, spans: Spans) -> None:
        """Work on these spans."""
        self._spans = spans

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Pass the call on."""
        if not awake():
            return (yield from next(call))
        wish = self._spans.expect(call)
        reply: Reply | None = None
        try:
            reply = yield from next(call)
            return reply
        finally:
            _guarded(self._add, wish, reply)
            _guarded(self._spans.release, wish)

    def _add(self, wish: Wish, reply: Reply | None) -> None:
        if wish.attempt is None:
            return
        if collects("inputs"):
            wish.attempt.handle.set(question(wish.call))
        if reply is not None and collects("outputs"):
            wish.attempt.handle.set(answer(reply.body))


def _guarded(do: Callable[..., None], *args: Any) -> None:
    with contextlib.suppress(Exception):  # whatever Sentry makes of it, the call must not feel it
        do(*args)


def question(call: Call) -> dict[str, str]:
    """The attributes that tell the prompt."""
    params = call.params
    if call.endpoint == "embeddings":
        given = params.get("input")
        return (
            {} if given is None else {"gen_ai.embeddings.input": _json(given if isinstance(given, list) else [given])}
        )
    messages = params.get("messages", params.get("input", params.get("prompt")))
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence):
        messages = []
    system = [m.get("content") for m in messages if isinstance(m, Mapping) and m.get("role") in _SYSTEM]
    if isinstance(params.get("instructions"), str):
        system.insert(0, params["instructions"])
    others = [m for m in messages if not (isinstance(m, Mapping) and m.get("role") in _SYSTEM)]
    found = {}
    if system:
        found["gen_ai.system_instructions"] = _json([{"type": "text", "content": each} for each in system])
    if others:
        found["gen_ai.request.messages"] = _json(_last(others))
    if params.get("tools"):
        found["gen_ai.tool.definitions"] = _json(params["tools"])
    return found


def answer(body: object) -> dict[str, str]:
    """The attributes that tell the answer of a chat, legacy completion or Responses body."""
    if not isinstance(body, Mapping):
        return {}
    texts: list[Any] = []
    tools: list[Any] = []
    for choice in _mappings(body.get("choices")):
        message = choice.get("message")
        if isinstance(message, Mapping):
            texts.append(message.get("content") or message.get("refusal"))
            tools += message.get("tool_calls") or []
        else:
            texts.append(choice.get("text"))
    for item in _mappings(body.get("output")):
        if item.get("type") == "function_call":
            tools.append(item)
        texts += [part.get("text") or part.get("refusal") for part in _mappings(item.get("content"))]
    said = [text for text in texts if isinstance(text, str)]
    found = {}
    if said:
        found["gen_ai.response.text"] = _shown(said[0]) if len(said) == 1 else _json(said)
    if tools:
        found["gen_ai.response.tool_calls"] = _json(tools)
    return found


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _last(messages: Sequence[Any]) -> list[Any]:
    kept: list[Any] = []
    room = _MOST
    for message in reversed(messages):
        shown = _shown(message)
        room -= len(json.dumps(shown, default=str))
        if room < 0 and kept:
            break
        kept.append(shown)
    return kept[::-1]


def _json(value: Any) -> str:
    return json.dumps(_shown(value), ensure_ascii=False, default=str)


def _is_file(name: Any, within: Mapping[Any, Any]) -> bool:
    return name in _FILES or (name == "data" and "format" in within)


def _shown(value: Any) -> Any:
    """A copy with secrets masked, long texts cut and embedded files left out."""
    if isinstance(value, str):
        if value.startswith("data:") and ";base64," in value[:256]:
            return value.partition(",")[0] + ",[Filtered]"
        return short(value, _LONGEST)
    if isinstance(value, Mapping):
        return {
            mask(str(name)): "[Filtered]" if isinstance(item, str) and _is_file(name, value) else _shown(item)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_shown(item) for item in value]
    return value
