"""The answers in a reply: each text that has to be JSON, where it is, and whether it was cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from llmstack import Call

__all__ = ["Answer", "answers", "asked_again", "asked_format"]

_CUT: Final = {
    "length": "was cut off at the limit of output tokens",
    "max_output_tokens": "was cut off at the limit of output tokens",
    "content_filter": "was cut off by the content filter",
}
"""By the reason that the provider gives."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One text that has to be JSON.

    Attributes:
        path: Where it is in the reply, such as ``"choices[0].message.content"``.
        text: The text.
        cut: Why it is not whole; empty if it is.
    """

    path: str
    text: str
    cut: str = ""


def asked_format(call: Call) -> Mapping[str, Any] | None:
    """The format that a call asks for, if that is JSON.

    Args:
        call: The call.

    Returns:
        Its `json_schema` or `json_object` format; None if it asks for none.
    """
    asked: Any = None
    if call.endpoint == "chat.completions":
        asked = call.params.get("response_format")
    elif call.endpoint == "responses":
        text = call.params.get("text")
        asked = text.get("format") if isinstance(text, Mapping) else None
    return asked if isinstance(asked, Mapping) and asked.get("type") in ("json_schema", "json_object") else None


def answers(body: Any) -> list[Answer]:
    """The texts of a reply that have to be JSON: not refusals, and none of what calls tools.

    Args:
        body: A chat completion or a Responses body.

    Returns:
        The texts.
    """
    if not isinstance(body, Mapping):
        return []
    if isinstance(body.get("choices"), list):
        found = [_choice(place, choice) for place, choice in enumerate(body["choices"]) if isinstance(choice, Mapping)]
        return [answer for answer in found if answer is not None]
    return list(_output(body))


def _choice(place: int, choice: Mapping[str, Any]) -> Answer | None:
    message = choice.get("message")
    if not isinstance(message, Mapping) or message.get("refusal"):
        return None
    if message.get("tool_calls") or message.get("function_call"):
        return None
    content = message.get("content")
    cut = _CUT.get(str(choice.get("finish_reason")), "")
    return Answer(f"choices[{place}].message.content", content if isinstance(content, str) else "", cut)


def _output(body: Mapping[str, Any]) -> Iterator[Answer]:
    status, output = body.get("status"), body.get("output")
    if status not in ("completed", "incomplete", None) or not isinstance(output, list):
        return  # it has failed, or is not ready
    details = body.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    cut = _CUT.get(str(reason), "was cut off") if status == "incomplete" else ""
    items = [item for item in output if isinstance(item, Mapping)]
    if any(str(item.get("type")).endswith("_call") and item.get("status") != "failed" and "call_id" in item
           for item in items):  # fmt: skip
        return  # the program's turn: the answer comes after it
    empty = True
    for place, item in enumerate(output):
        if not isinstance(item, Mapping) or item.get("type") != "message" or not isinstance(item.get("content"), list):
            continue
        for at, part in enumerate(item["content"]):
            empty = False
            if isinstance(part, Mapping) and part.get("type") == "output_text" and isinstance(part.get("text"), str):
                yield Answer(f"output[{place}].content[{at}].text", part["text"], cut)
    if empty:
        yield Answer("output", "", cut)


def asked_again(call: Call, answer: str, problems: str) -> Call:
    """The call once more, with the answer that does not fit and what is wrong with it at the end of its conversation.

    Args:
        call: The call, as it was sent.
        answer: The answer.
        problems: What is wrong with it, for the model to read.

    Returns:
        The call to send.
    """
    said = [{"role": "assistant", "content": answer}] if answer else []
    turn = [*said, {"role": "user", "content": problems}]
    if call.endpoint == "chat.completions":
        return call.with_params(messages=[*(call.params.get("messages") or ()), *turn])
    if call.params.get("conversation"):
        return call.with_params(input=turn[-1:])  # the provider has the question and the answer there
    asked: Any = call.params.get("input")
    before = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked or ())
    return call.with_params(input=[*before, *turn])
