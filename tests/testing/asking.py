"""How the tests of the local server ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llmstack.testing import LocalServer

MODEL = "gpt-5-mini"
HELLO: list[Any] = [{"role": "user", "content": "Hello there"}]


def strict(server: LocalServer) -> OpenAI:
    """A client to which an answer of another shape than the SDK's types say is an error."""
    key = "sk-test-not-a-key"
    return OpenAI(base_url=server.base_url, api_key=key, max_retries=0, _strict_response_validation=True)


def ask(client: OpenAI) -> ChatCompletion:
    return client.chat.completions.create(model=MODEL, messages=HELLO)


def stream(client: OpenAI) -> Iterator[ChatCompletionChunk]:
    return iter(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))


def drain(chunks: Iterator[ChatCompletionChunk]) -> tuple[list[ChatCompletionChunk], Exception | None]:
    """The chunks that arrived, and what ended them if it was not their end."""
    seen: list[ChatCompletionChunk] = []
    try:
        for chunk in chunks:
            seen.append(chunk)  # noqa: PERF402 -- those before the exception are wanted too
    except Exception as error:  # noqa: BLE001 -- which one it is, the caller asserts
        return seen, error
    return seen, None
