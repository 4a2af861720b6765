"""Tools and the choice among them."""

from typing import Any

import pytest

from llmstack.transports._translation.responses_tools import chat_tool_choice, chat_tools
from llmstack.transports._translation.untranslatable import Losses, Untranslatable

Json = dict[str, Any]

TOOLS: list[tuple[Json, Json]] = [
    ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    (
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None},
        {"type": "function", "function": {"name": "f"}},
    ),
    (
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False},
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False},
        },
    ),
    (
        {"type": "function", "name": "f", "allowed_callers": ["direct"], "defer_loading": False, "async": False},
        {"type": "function", "function": {"name": "f"}},
    ),
    ({"type": "custom", "name": "c"}, {"type": "custom", "custom": {"name": "c"}}),
    (
        {"type": "custom", "name": "c", "description": "d", "format": {"type": "text"}},
        {"type": "custom", "custom": {"name": "c", "description": "d", "format": {"type": "text"}}},
    ),
    (
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
        {
            "type": "custom",
            "custom": {
                "name": "c",
                "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}},
            },
        },
    ),
]


@pytest.mark.parametrize(("tool", "expected"), TOOLS)
def test_a_tool(tool, expected):
    """Flat in the one API, nested in the other."""
    losses = Losses()
    assert chat_tools([tool], losses) == [expected]
    assert losses.settle("refuse") == ()


BUILT_IN = [
    "apply_patch", "code_interpreter", "computer", "computer_use_preview", "file_search", "image_generation",
    "local_shell", "mcp", "namespace", "programmatic_tool_calling", "shell", "tool_search", "web_search",
    "web_search_preview",
]  # fmt: skip


@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_built_in_tool_is_named(kind):
    """And may be left out, if the program allows it; so may be the wish to use it."""
    losses = Losses()
    assert chat_tools([{"type": kind}], losses) == []
    assert chat_tool_choice({"type": kind}, losses) is None
    with pytest.raises(Untranslatable, match=kind) as caught:
        losses.settle("refuse")
    assert [loss.path for loss in caught.value.losses] == ["tools[0]", "tool_choice"]
    assert [loss.path for loss in losses.settle("warn")] == ["tools[0]", "tool_choice"]


@pytest.mark.parametrize(
    "more",
    [
        {"async": True},
        {"allowed_callers": ["programmatic"]},
        {"defer_loading": True},
        {"output_schema": {"type": "object"}},
    ],
    ids=repr,
)
def test_what_chat_cannot_say_of_a_tool_is_named(more):
    """The tool itself stays."""
    losses = Losses()
    assert chat_tools([{"type": "function", "name": "f", **more}], losses) == [
        {"type": "function", "function": {"name": "f"}}
    ]
    (name,) = more
    assert [loss.path for loss in losses.settle("warn")] == [f"tools[0].{name}"]


CHOICES: list[tuple[Any, Any]] = [
    (None, None),
    ("auto", "auto"),
    ("none", "none"),
    ("required", "required"),
    ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ({"type": "custom", "name": "c"}, {"type": "custom", "custom": {"name": "c"}}),
    (
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}, {"type": "custom", "name": "c"}],
        },
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [
                    {"type": "function", "function": {"name": "f"}},
                    {"type": "custom", "custom": {"name": "c"}},
                ],
            },
        },
    ),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_a_choice(choice, expected):
    """All forms."""
    losses = Losses()
    assert chat_tool_choice(choice, losses) == expected
    assert losses.settle("refuse") == ()


def test_a_built_in_tool_among_the_allowed_is_named():
    """The others stay allowed."""
    losses = Losses()
    choice = {"type": "allowed_tools", "tools": [{"type": "mcp"}, {"type": "function", "name": "f"}]}
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}
    assert chat_tool_choice(choice, losses) == {"type": "allowed_tools", "allowed_tools": allowed}
    assert [loss.path for loss in losses.settle("warn")] == ["tool_choice.tools[0]"]
