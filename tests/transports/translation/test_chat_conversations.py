"""Any conversation as a Responses input: nothing that was said is lost, and all stays in order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.transports.translation.chat_items import LATE, items, valid

texts = st.text(alphabet="abc \u20ac", min_size=1, max_size=8)
parts = st.one_of(
    texts.map(lambda text: {"type": "text", "text": text}),
    texts.map(lambda text: {"type": "image_url", "image_url": {"url": text}}),
    texts.map(lambda text: {"type": "file", "file": {"file_id": text}}),
)
calls = st.builds(
    lambda name, text, custom: (
        {"type": "custom", "custom": {"name": name, "input": text}}
        if custom
        else {"type": "function", "function": {"name": name, "arguments": text}}
    ),
    texts,
    texts,
    st.booleans(),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Conversations as a program has them: each call of a tool is answered."""
    messages: list[dict[str, Any]] = []
    for turn in range(draw(st.integers(0, 4))):
        role = draw(st.sampled_from(["system", "developer", "user"]))
        messages.append(
            {"role": role, "content": draw(texts if role != "user" else texts | st.lists(parts, max_size=3))}
        )
        made = [{"id": f"call_{turn}_{at}", **call} for at, call in enumerate(draw(st.lists(calls, max_size=3)))]
        answer: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | texts)}
        if made:
            answer["tool_calls"] = made
        messages.append(answer)
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": draw(texts)} for call in made]
    return messages


@given(conversations())
def test_nothing_that_was_said_is_lost_and_all_stays_in_order(messages):
    """Whatever was said is there, and an output follows the call that it answers, of its own kind."""
    found = items(*messages)
    if LATE:
        valid(found)
    assert _strings(found) == _strings(messages)
    kinds = {item["call_id"]: item["type"] for item in found if item["type"].endswith("_call")}
    for item in found:
        if item["type"].endswith("_output"):
            assert item["type"] == f"{kinds[item['call_id']]}_output"


_FIRST = ("id", "call_id", "tool_call_id", "content", "name")
"""What is compared first of an object, as the order of its keys means nothing; then the rest."""


def _strings(value: Any) -> list[str]:
    """What was said and named, in order; without roles and types."""
    if isinstance(value, dict):
        ranked = [*(key for key in _FIRST if key in value), *(key for key in value if key not in _FIRST)]
        kept = [value[key] for key in ranked if key not in ("type", "role", "detail")]
        return [text for entry in kept for text in _strings(entry)]
    if isinstance(value, list):
        return [text for entry in value for text in _strings(entry)]
    return [value] if isinstance(value, str) and value else []
