"""Whose rules hold: what only OpenAI refuses is a warning at other servers."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack.middleware.validation import Validation
from tests.middleware.validation_chats import CALLED, HI, RESULTS, chat
from tests.middleware.validation_rig import Bench

ELSEWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "no limit": ("chat", chat(max_tokens=-1)),
    "hot": ("chat", chat(temperature=5)),
    "many stops": ("chat", chat(stop=list("abcdefgh"))),
    "names with dots": ("chat", chat(tools=[{"type": "function", "function": {"name": "shop.buy"}}])),
    "bare parts": ("chat", chat({"role": "user", "content": ["hi", {"image_url": {"url": "x"}}]})),
    "a dangling call": ("chat", chat(CALLED)),
    "no messages": ("chat", {"model": "m", "messages": []}),
    "messages to embed, as vLLM takes them": ("embeddings", {"model": "m", "messages": [HI]}),
    "an object to embed, as llama.cpp takes it": ("embeddings", {"model": "m", "input": {"prompt_string": "x"}}),
    "nothing to embed": ("embeddings", {"model": "m", "input": []}),
    "nothing to judge": ("moderations", {"input": []}),
    "a prompt instead of messages, as OpenRouter takes it": ("chat", {"model": "m", "prompt": "x"}),
    "a response to nothing": ("responses", {"model": "m", "previous_input_messages": [HI]}),
    "speech of another parameter": ("speech", {"model": "m", "text": "x"}),
    "a picture of another parameter": ("images", {"model": "m", "text_prompts": ["x"]}),
    "long speech": ("speech", {"model": "m", "voice": "af_sky", "input": "x" * 9000}),
    "empty embeddings": ("embeddings", {"model": "m", "input": [""] * 3000}),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_only_openai_refuses_is_a_warning_at_other_servers(name):
    """vLLM, llama.cpp and others have wider limits; api="openai" says that they have not."""
    bench = Bench(base_url="http://localhost:8000/v1")
    bench.send(*ELSEWHERE[name])
    assert bench.warnings
    assert {issue.severity for issue in bench.warnings} == {"warn"}
    assert Bench(Validation(api="openai"), base_url="http://localhost:8000/v1").refused(*ELSEWHERE[name]).issues


def test_two_calls_of_one_id_are_only_told():
    """A model has made them; OpenAI is said to take them."""
    bench = Bench()
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}] * 2
    bench.send("chat", chat({"role": "assistant", "tool_calls": calls}, RESULTS[1]))
    assert [(issue.path, issue.severity) for issue in bench.warnings] == [("messages[0].tool_calls[1].id", "warn")]


@pytest.mark.parametrize("params", [{"model": "m"}, {"model": "m", "messages": [{"content": "x"}]}])
def test_what_no_server_can_serve_is_refused_everywhere(params):
    """Wherever it goes."""
    assert Bench(base_url="http://localhost:8000/v1").refused("chat", params).issues


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("api.openai.com", True),
        ("eu.api.openai.com", True),
        ("API.OpenAI.com:443", True),
        ("acme.openai.azure.com", False),
        ("notapi.openai.com", False),
        ("example.com", False),
    ],
)
def test_the_host_tells_whose_rules_hold(host, refused):
    """OpenAI's at OpenAI; a deployment at Azure may be a model of others, which takes more."""
    bench = Bench(base_url=f"https://{host}/v1")
    if refused:
        bench.refused("chat", chat(temperature=3))
    else:
        bench.send("chat", chat(temperature=3))
