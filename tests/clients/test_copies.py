"""Copies and subclasses of a client keep its stack, and are what the SDK's are."""

# ruff: noqa: SLF001 -- what is equal inside is compared too

from __future__ import annotations

import threading
from typing import Any

import openai
import pytest

import llmstack
from llmstack import Call, Flow, Next, Reply, Stack
from llmstack.testing import LocalServer, Recorder, ScriptedTransport
from tests.clients.calls import chat

KEY = "sk-test-not-a-key"
KINDS = ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI")
AZURE = {"azure_endpoint": "http://azure.invalid", "api_version": "2024-10-21"}


def make(kind: str, **options: Any) -> Any:
    more = AZURE if "Azure" in kind else {"base_url": "http://api.invalid/v1"}
    return getattr(llmstack, kind)(api_key=KEY, **more, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_copies_keep_the_stack(kind: str) -> None:
    """By ``copy`` and by ``with_options``, however often."""
    stack = Stack([])
    client = make(kind, stack=stack)
    for copied in (client.copy(), client.with_options(timeout=3), client.copy().with_options(max_retries=5).copy()):
        assert copied.stack is stack
        assert type(copied) is type(client)
        assert copied._client is client._client
    assert client.with_options(max_retries=5).copy().max_retries == 5


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_may_have_another_stack(kind: str) -> None:
    """The original keeps its own."""
    first, second = Stack([]), Stack([])
    client = make(kind, stack=first)
    assert client.copy(stack=second).stack is second
    assert client.with_options(stack=second).copy().stack is second
    assert client.stack is first


@pytest.mark.parametrize("kind", KINDS)
def test_our_clients_are_the_sdks(kind: str) -> None:
    """And the Azure ones are ours of the plain kind, as with the SDK."""
    client = make(kind, stack=Stack([]))
    plain = "AsyncOpenAI" if kind.startswith("Async") else "OpenAI"
    for module in (openai, llmstack):
        assert isinstance(client, getattr(module, kind))
        assert isinstance(client, getattr(module, plain))
    assert type(client).__name__ == kind


def test_with_options_is_ours_on_the_class() -> None:
    """The SDK binds it to its own ``copy`` in the class body."""
    for kind in KINDS:
        ours = getattr(llmstack, kind)
        assert ours.with_options is ours.copy


def test_a_subclass_with_arguments_of_its_own_survives_copies() -> None:
    """By the SDK's own means, ``_extra_kwargs``."""

    class Mine(llmstack.OpenAI):
        def __init__(self, *, mine: str = "", **options: Any) -> None:
            super().__init__(**options)
            self.mine = mine

        def copy(self, **changes: Any) -> Any:
            return super().copy(_extra_kwargs={"mine": self.mine}, **changes)

        with_options = copy

    stack = Stack([])
    client = Mine(mine="x", api_key=KEY, stack=stack)
    copied = client.with_options(timeout=3).copy()
    assert (copied.mine, copied.stack, type(copied)) == ("x", stack, Mine)


def test_calls_of_a_copy_pass_the_stack() -> None:
    """One event a call, whichever copy makes it."""
    recorder = Recorder()
    transport = ScriptedTransport(default="Hello")
    client = make("OpenAI", stack=Stack([recorder], transport=transport))
    client.with_options(timeout=3).chat.completions.create(**chat())
    client.copy(default_headers={"x-a": "1"}).copy().chat.completions.create(**chat())
    assert len(transport.calls) == 2
    assert transport.calls[0].timeout == 3


def test_the_stack_of_a_copy_is_not_the_originals() -> None:
    """Swapping it changes the copy only."""

    def silent(call: Call, next: Next) -> Flow[Reply]:
        return Reply({"id": "x", "choices": []})
        yield

    transport = ScriptedTransport(default="Hello")
    client = make("OpenAI", stack=Stack([], transport=transport))
    assert client.copy(stack=Stack([silent])).chat.completions.create(**chat()).id == "x"
    assert transport.calls == []
    client.chat.completions.create(**chat())
    assert len(transport.calls) == 1


def test_worker_threads_pass_the_stack() -> None:
    """The SDK uploads several files from threads of its own: every request is a call."""
    recorder = Recorder()
    with (
        LocalServer() as server,
        llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([recorder])) as client,
    ):
        store = client.vector_stores.create(name="notes")
        files: Any = [(f"{number}.txt", b"text") for number in range(5)]
        batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=files)
        assert batch.file_counts.completed == 5
        assert len([event for event in recorder.events if type(event).__name__ == "CallFinished"]) == server.count()


def test_many_threads_share_a_client() -> None:
    """16 threads of 20 calls each: everyone gets the answer to its own question."""
    wrong: list[str] = []
    with LocalServer() as server, llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([])) as client:

        def work(name: int) -> None:
            for number in range(20):
                said = client.chat.completions.create(**chat(f"{name}.{number}")).choices[0].message.content
                if said != f"You said: {name}.{number}":
                    wrong.append(str(said))

        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert server.count() == 320
