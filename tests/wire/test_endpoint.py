"""Endpoint names: every path template of the installed SDK with awkward ids, and everything around a path."""

from __future__ import annotations

import ast
import re
import timeit
from pathlib import Path

import openai
import pytest

from llmstack._wire.endpoint import endpoint_of

CALLS = {"path_template", "_get", "_post", "_put", "_patch", "_delete", "_get_api_list"}
IDS = ["abcdef", "file-abc123", "ABC", "1", "x_y", "gpt-5", "ft:gpt-4o:org::id", "a%2Fb", "v1", "openai", "deployments"]


def templates() -> list[str]:
    """Every path in the SDK's resources, `{name}` for its parameters."""
    found = set()
    for file in Path(openai.__file__).parent.joinpath("resources").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(path := node.args[0], ast.Constant):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in CALLS:
                    found.add(path.value)
    return sorted(found)


TEMPLATES = templates()
WORDS = sorted({part for path in TEMPLATES for part in path.partition("?")[0].split("/") if part.isidentifier()})


def siblings(template: str) -> set[str]:
    """The static words that the SDK has in the place of a template's last parameter: nobody could tell them apart."""
    found = set()
    shape = re.sub(r"\{\w+\}", "{}", template.partition("?")[0]).split("/")
    for other in TEMPLATES:
        parts = re.sub(r"\{\w+\}", "{}", other.partition("?")[0]).split("/")
        for at, part in enumerate(shape):
            if part == "{}" and parts[:at] == shape[:at] and len(parts) > at and parts[at] != "{}":
                found.add(parts[at])
    return found


def test_the_sdk_has_templates() -> None:
    """The scan finds them, so that the next test means something."""
    assert len(TEMPLATES) > 150
    assert {"/chat/completions", "/files/{file_id}/content", "/responses/{response_id}"} <= set(TEMPLATES)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_of_the_sdk(template: str) -> None:
    """The static words, whatever the ids: letters only, or even words of other paths."""
    path = template.partition("?")[0]
    want = ".".join(part for part in path.split("/") if part and not part.startswith("{"))
    taken = siblings(template)
    for id_ in IDS + [word for word in WORDS if word not in taken]:
        assert endpoint_of(re.sub(r"\{\w+\}", id_, template)) == want
    assert endpoint_of("/v1" + re.sub(r"\{\w+\}", "x", template)) == want


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("/chat/completions", "chat.completions"),
        ("chat/completions", "chat.completions"),
        ("/chat/completions/", "chat.completions"),
        ("//chat//completions", "chat.completions"),
        ("/chat/completions?api-version=2024-10-21&x=/files/1", "chat.completions"),
        ("/chat/completions#x", "chat.completions"),
        ("/v1/chat/completions", "chat.completions"),
        ("/v1beta/openai/chat/completions", "chat.completions"),
        ("/responses/resp_abc/input_items", "responses.input_items"),
        ("/files/file-1/content", "files.content"),
        ("/files/files/content", "files.content"),
        ("/files/content/content", "files.content"),
        ("/threads/t1/runs/r1/submit_tool_outputs", "threads.runs.submit_tool_outputs"),
        ("/threads/runs", "threads.runs"),
        ("/threads/runs/messages", "threads.messages"),
        ("/fine_tuning/jobs/j/events", "fine_tuning.jobs.events"),
        ("/models", "models"),
        ("/models/gpt-5", "models"),
        ("/models/org/name", "models"),
        ("/models/org/chat/completions", "models"),
        ("/deployments/gpt-5/chat/completions", "chat.completions"),
        ("/openai/deployments/chat/chat/completions", "chat.completions"),
        ("/openai/deployments/NAME/images/generations?api-version=1", "images.generations"),
        ("/openai/responses/resp_1/cancel", "responses.cancel"),
        ("https://api.openai.com/v1/chat/completions", "chat.completions"),
        ("https://x.openai.azure.com/openai/deployments/d/embeddings?api-version=1", "embeddings"),
        ("https://x.openai.azure.com/openai/v1/responses/resp_1", "responses"),
        ("http://localhost:8080/files/file_1/content", "files.content"),
        ("https://gateway.example/v1/account/gate/openai/chat/completions", "chat.completions"),
        ("https://gateway.example/tenant-1/v1/threads/t/runs", "threads.runs"),
        ("https://api.example/my/custom/thing", "my.custom.thing"),
        ("https://api.openai.com", ""),
        ("https://api.openai.com/v1", ""),
        ("/my/custom/thing", "my.custom.thing"),
        ("/my/custom-thing/abc123/do", "my.custom-thing.do"),
        ("/files/file-1/new_verb", "files.new_verb"),
        ("/files/file-1/content/part_1/more", "files.content.more"),
        ("/chat/other", "chat.other"),
        ("", ""),
        ("/", ""),
    ],
)
def test_around_the_path(path: str, want: str) -> None:
    """Prefixes, URLs, queries, unknown paths."""
    assert endpoint_of(path) == want


def test_cost_and_memory() -> None:
    """Quick when known, and bounded however many ids there are."""
    endpoint_of("/chat/completions")
    assert min(timeit.repeat(lambda: endpoint_of("/chat/completions"), number=1000, repeat=5)) / 1000 < 3e-6
    for at in range(5000):
        endpoint_of(f"/files/file-{at}/content")
    assert endpoint_of.cache_info().currsize <= 2048
