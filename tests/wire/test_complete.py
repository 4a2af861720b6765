"""Answers that come to many threads at once, before any has been parsed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from llmstack.testing import LocalServer

THREADS = 16

PROGRAM = """
import json, sys, threading, traceback
import llmstack
from llmstack import Stack

base_url, threads, endpoint = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ask, failed = [{"role": "user", "content": "hi"}], []
together = threading.Barrier(threads)

def work():
    together.wait()
    try:
        if endpoint == "responses":
            client.responses.create(model="gpt-5-mini", input="hi")
        elif endpoint == "stream":
            list(client.chat.completions.create(model="gpt-5-mini", messages=ask, stream=True))
        elif endpoint == "raw":
            client.chat.completions.with_raw_response.create(model="gpt-5-mini", messages=ask).parse()
        else:
            client.chat.completions.create(model="gpt-5-mini", messages=ask)
    except Exception:
        failed.append(traceback.format_exc())

with llmstack.OpenAI(base_url=base_url, api_key="k", stack=Stack([]), timeout=60) as client:
    sys.setswitchinterval(1e-5)  # seconds: threads take turns in the middle of everything
    workers = [threading.Thread(target=work) for _ in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
print(json.dumps(failed))
"""


@pytest.mark.parametrize("endpoint", ["chat", "raw", "stream", "responses"])
def test_the_first_answers_of_many_threads_are_all_parsed(local_server: LocalServer, endpoint: str) -> None:
    """Each gets its model, though the SDK's models are built only now."""
    program = [sys.executable, "-c", PROGRAM, local_server.base_url, str(THREADS), endpoint]
    done = subprocess.run(program, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout) == []  # whether threads meet is a matter of luck: mostly some do
