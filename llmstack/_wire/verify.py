"""Verifying: is what came with a 200 an answer at all?

The SDK makes of it whatever it can: a `JSONDecodeError`, a plain string, an object whose ``choices`` is None. A layer
that sets `call.verify` wants such a body to be an error instead. One is made here only for what no program could use:
fields that are new, missing or odd deeper inside, an empty list of choices, a missing usage are answers all the same.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final, Union, get_args, get_origin

from openai import BaseModel

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack._wire.fault import nature, no_answer, parsed, response_of
from llmstack._wire.jsontext import MALFORMED
from llmstack._wire.request import SDKRequest
from llmstack._wire.sdk import body_error

__all__ = ["verify"]

_PAYLOADS: Final[Mapping[str, str]] = {
    "audio.transcriptions": "text",
    "audio.translations": "text",
    "chat.completions": "choices",
    "completions": "choices",
    "embeddings": "data",
    "images.edits": "data",
    "images.generations": "data",
    "images.variations": "data",
    "moderations": "results",
    "responses": "output",
    "responses.cancel": "output",
    "responses.compact": "output",
}
"""Where an endpoint's answer has what was asked for (OpenAI API reference, the object of each endpoint)."""

_BODILESS: Final = frozenset({204, 205})
_ABSENT: Final = object()


def verify(call: Call, reply: Reply) -> Exception | None:
    """Find out whether a complete reply is an answer to its call.

    Whatever is no JSON by nature (files, audio, text, nothing) is left alone, and so is a body that the program reads
    itself under ``with_streaming_response``, and what was put together from events, which were verified as they came.

    Parameters:
        call: The call as it was sent.
        reply: What the transport brought.

    Returns:
        None for an answer; an ``openai.APIError`` for a body that reports an error; for anything else an
        ``openai.APIResponseValidationError``. Fresh each time.
    """
    if call.raw == "stream" or reply.status in _BODILESS or (call.stream and reply.events is not None):
        return None
    target = _target(call)
    if target is _ABSENT:
        # Nobody says what it will be parsed into. Transcripts may be plain text.
        payload = _PAYLOADS.get(call.endpoint) if call.method == "POST" else None
        return None if payload in (None, "text") else _verify_object(call, reply, payload, page=False)
    try:
        promise = _promise(target, call.endpoint)
    except TypeError:  # a type of the program's that has no hash
        promise = _promise.__wrapped__(target, call.endpoint)
    if promise is None:
        return _verify_value(call, reply) if (get_origin(target) or target) in (object, dict, list) else None
    payload, page = promise
    return _verify_object(call, reply, payload, page=page)


# What is promised ---------------------------------------------------------------------------------------------------


def _target(call: Call) -> Any:
    """The type that the program's answer is parsed into; absent if that is not known."""
    request = call.request
    if not isinstance(request, SDKRequest) or call.path != request.options.url:
        return _ABSENT  # made by hand, or a layer asks another endpoint than the program did
    target = request.cast_to
    target = getattr(target, "__value__", target)
    return get_args(target)[0] if get_origin(target) is Annotated else target


@lru_cache(maxsize=256)
def _promise(target: Any, endpoint: str) -> tuple[str | None, bool] | None:
    """Where an answer that becomes this type has what was asked for, and whether it is a page; None for no model."""
    models = _models(target)
    if not models:
        return None
    payload = _PAYLOADS.get(endpoint)
    if payload is not None and not all(payload in model.model_fields for model in models):
        payload = None  # such as what deleting a chat completion answers
    return payload, payload is None and all(_is_page(model) for model in models)


def _models(target: Any) -> tuple[type[BaseModel], ...]:
    """The SDK's model, or those of a union; none if it is anything else."""
    if isinstance(target, type):
        return (target,) if issubclass(target, BaseModel) else ()
    if get_origin(target) not in (Union, types.UnionType):
        return ()
    variants = [_models(variant) for variant in get_args(target)]
    return tuple(model for variant in variants for model in variant) if all(variants) else ()


def _is_page(model: type[BaseModel]) -> bool:
    return hasattr(model, "has_next_page") and "data" in model.model_fields


# Whether it was kept ------------------------------------------------------------------------------------------------


def _verify_value(call: Call, reply: Reply) -> Exception | None:
    """Any JSON will do, and even text that does not claim to be JSON, as the program asked for no model."""
    claims = reply.headers.get("content-type", "").partition(";")[0].strip().endswith("json")
    if not claims or _value(reply) is not MALFORMED:
        return None
    return no_answer(call, reply, nature(reply.content or b""))


def _verify_object(call: Call, reply: Reply, payload: str | None, *, page: bool) -> Exception | None:
    value = _value(reply)
    if value is MALFORMED:
        return no_answer(call, reply, nature(reply.content or b""))
    if not isinstance(value, dict):
        return no_answer(call, reply, f"is JSON but {_a(value)}, not an object", value)
    if page:
        wrong = _page_wrong(value)
    elif payload is None or _is_unfinished_response(call, value):
        return None
    else:
        wrong = _wrong(call, payload, value)
    error = value.get("error")
    empty = not value.get("data" if page else payload or "")
    if error and (wrong or (empty and not page and payload != "output")):
        return body_error(error, response_of(call, reply))
    return no_answer(call, reply, wrong, value) if wrong else None


def _wrong(call: Call, payload: str, value: Mapping[str, Any]) -> str | None:
    """What of the endpoint's own answer is missing."""
    found = value.get(payload)
    if payload == "text":
        return None if isinstance(found, str) else "has no text"
    if not isinstance(found, list):
        return f"has no list of {payload}"
    if call.endpoint == "embeddings" and not found:
        return "has no embedding"  # the SDK raises a ValueError
    if payload == "choices":
        for choice in found:
            if not isinstance(choice, dict):
                return f"has {_a(choice)} for a choice"
            if call.endpoint == "chat.completions" and not isinstance(choice.get("message"), dict):
                return "has a choice without a message"
    return None


def _page_wrong(value: Mapping[str, Any]) -> str | None:
    # A page of null is an empty one for the SDK, and some servers mean just that.
    if "data" in value and isinstance(value["data"], (list, types.NoneType)):
        return "has no list of data" if value["data"] is None and value.get("error") else None
    return "has no list of data"


def _is_unfinished_response(call: Call, value: Mapping[str, Any]) -> bool:
    """A Response that is still being made, or never will be, need not have output; polling reads its status."""
    is_response = call.endpoint.startswith("responses") and value.get("object") == "response"
    return is_response and value.get("status") in ("queued", "in_progress", "failed", "cancelled")


def _value(reply: Reply) -> Any:
    """The reply's JSON as the SDK would read it: `MALFORMED` if there is none, None for a null."""
    body = reply.body
    if body is not None:
        return body
    # The SDK also reads what the faster parser refuses, such as UTF-16.
    return parsed(reply.content or b"")


def _a(value: object) -> str:
    """A JSON value by its kind."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "a string" if isinstance(value, str) else "a list" if isinstance(value, list) else "a number"
