"""Outcome: what an attempt that has ended is booked with.

The rules: *actual* usage if the provider told it · *nothing* if it was provably not executed (never sent, or answered
with an error) · an *estimate* from what was seen of an answer that broke off · *all that was reserved* if it was sent
and nobody knows what became of it, or what will.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import openai

from llmstack import Call, Reply, Usage
from llmstack.errors import StackError
from llmstack.middleware._budget.need import observed
from llmstack.transports import Delivery, delivery

Kind = Literal["actual", "nothing", "estimate", "reserved"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        kind: How it is booked.
        usage: The tokens, for ``actual`` and ``estimate``.
        outcome: For the record: ``"ok"``, ``"error"``, ``"cancelled"`` or ``"incomplete"``.
        status: HTTP status; 0 if there was no answer.
        reply: What was seen of the answer; None if nothing.
    """

    kind: Kind
    usage: Usage
    outcome: str
    status: int
    reply: Reply | None


_NOTHING = Usage()


def of_reply(call: Call, reply: Reply) -> Outcome:
    """The outcome of an attempt that brought a reply, whole or cut short."""
    outcome = "ok" if reply.complete else "incomplete"
    usage = _told(call, reply)
    if usage is not None:
        return Outcome("estimate" if usage.estimated else "actual", usage, outcome, reply.status, reply)
    if call.params.get("background"):
        # It has only begun, and goes on whether or not anybody looks.
        return Outcome("reserved", _NOTHING, outcome, reply.status, reply)
    return Outcome("estimate", observed(call, seen_text(reply)), outcome, reply.status, reply)


def _told(call: Call, reply: Reply) -> Usage | None:
    """The usage, with what else of a stream has a price where it may have any: putting a stream together takes time."""
    usage = reply.usage
    if usage is None or reply.events is None or not (call.endpoint == "responses" or "service_tier" in call.params):
        return usage
    return Usage.of_body(reply.body) or usage


def of_error(call: Call, error: BaseException, seen: Reply | None) -> Outcome:
    """The outcome of an attempt that brought an error.

    Args:
        call: The call as it was sent.
        error: What was raised.
        seen: What had arrived of its stream; None if nothing.
    """
    outcome = "error" if isinstance(error, Exception) else "cancelled"
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else 0
    if seen is not None and seen.usage is not None:
        return Outcome("actual", seen.usage, outcome, seen.status, seen)
    background = bool(call.params.get("background"))
    if seen is not None and not background and (text := seen_text(seen)):
        return Outcome("estimate", observed(call, text), outcome, seen.status, seen)
    if isinstance(error, StackError) and error.reply is None:
        return Outcome("nothing", _NOTHING, outcome, status, seen)
    # A stale connection is no proof: the server may have read the request before it closed.
    if isinstance(error, openai.OpenAIError) and delivery(error) in (Delivery.NOT_SENT, Delivery.ANSWERED):
        return Outcome("nothing", _NOTHING, outcome, status, seen)
    return Outcome("reserved", _NOTHING, outcome, status, seen)


def seen_text(reply: Reply) -> str:
    """All that a reply says, of every choice, calls of tools included."""
    body = reply.body
    if not isinstance(body, Mapping):
        return ""
    found: list[str] = []
    for name in ("choices", "output"):
        _collect(body.get(name), found)
    return " ".join(found)


_SAID = frozenset({"content", "text", "refusal", "arguments", "input", "reasoning_content", "reasoning", "transcript"})


def _collect(value: object, found: list[str], *, said: bool = False) -> None:
    if isinstance(value, str):
        if said and value:
            found.append(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            _collect(inner, found, said=name in _SAID)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, found, said=said)
