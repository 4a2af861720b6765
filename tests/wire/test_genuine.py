"""What is put around the functions of a library is told from them, however much it looks like them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import httpx2
import openai
import pytest
from openai._base_client import BaseClient, SyncAPIClient

from llmstack import OpenAI, Stack
from llmstack._wire.genuine import OPENAI, OURS, are_these, is_genuine, is_one_of
from llmstack.testing import LocalServer
from tests.wire.proxy import Proxy

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

PROGRAM = """
import functools, json, sys
import httpx2, openai
from openai._base_client import BaseClient, SyncAPIClient

told = []

def around(function):
    @functools.wraps(function)
    def wrapper(*args, **more):
        told.append(function.__name__)
        return function(*args, **more)
    return wrapper

for owner, name in ((openai.OpenAI, "post"), (BaseClient, "_build_request"), (BaseClient, "_process_response_data"),
                    (httpx2.Client, "build_request"), (httpx2.Client, "send")):
    setattr(owner, name, around(vars(owner).get(name) or getattr(owner, name)))

from llmstack import OpenAI, Stack

with OpenAI(api_key="sk-test-not-a-key", base_url=sys.argv[1], stack=Stack([])) as client:
    for _ in range(3):
        told.clear()
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
print(json.dumps(sorted(set(told))))
"""


def test_a_function_is_genuine_where_it_was_written() -> None:
    """A proxy is not, nor is what is no function."""
    assert is_genuine(openai.OpenAI.post, OPENAI)
    assert is_genuine(is_genuine, OPENAI, OURS)
    assert not is_genuine(is_genuine, OPENAI)
    assert not is_genuine(Proxy(openai.OpenAI.post, []), OPENAI)
    assert not is_genuine(len, OPENAI)
    assert not is_genuine(None, OPENAI)


def test_to_be_equal_is_not_to_be_the_same() -> None:
    """Each must be what it was."""
    proxy: Any = Proxy(is_genuine, [])
    assert proxy == is_genuine
    assert are_these([is_genuine, len], [is_genuine, len])
    assert not are_these([proxy, len], [is_genuine, len])
    assert is_one_of([is_genuine], [[len], [is_genuine]])
    assert not is_one_of([proxy], [[len], [is_genuine]])


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (openai.OpenAI, "post"),
        (BaseClient, "_build_request"),
        (BaseClient, "_process_response_data"),
        (SyncAPIClient, "_process_response"),
        (httpx2.Client, "build_request"),
        (httpx2.Client, "send"),
        (httpx2.HTTPTransport, "handle_request"),
    ],
)
def test_a_proxy_around_what_the_quick_ways_leave_out_is_called(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that comes when a client has made calls already."""
    told: list[str] = []
    with LocalServer() as server:
        given: dict[str, Any] = {"api_key": "sk-test-not-a-key", "base_url": server.base_url, "stack": Stack([])}
        with OpenAI(**given) as client:
            for _ in range(2):
                client.chat.completions.create(**ASK)
        monkeypatch.setattr(owner, name, Proxy(getattr(owner, name), told))
        for _ in range(2):
            with OpenAI(**given) as client:
                told.clear()
                client.chat.completions.create(**ASK)
                client.chat.completions.create(**ASK)
            assert told.count(name) == 2


def test_what_was_there_before_us_is_called() -> None:
    """Instrumentation is switched on at the start of a program, mostly before anything else is imported."""
    with LocalServer() as server:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.base_url], capture_output=True, text=True, timeout=60, check=True
        )
    assert json.loads(ran.stdout) == ["_build_request", "_process_response_data", "build_request", "post", "send"]
