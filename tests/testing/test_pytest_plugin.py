"""The pytest plugin, as programs meet it: in a pytest of its own, found by its entry point."""

import json
import socket
import subprocess
import sys
from typing import Any

import anyio
import pytest

from llmstack import OpenAI, Stack
from llmstack.middleware import Retry
from llmstack.testing import NetworkBlockedError, Recorder, no_network
from tests.core.side import MESSAGES

pytest_plugins = ["pytester"]

ASKED: Any = {"model": "m", "messages": MESSAGES}
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:langsmith_plugin")


@pytest.fixture
def program(pytester):
    """Runs a test file in a pytest of its own."""

    def run(code, *arguments, ini=""):
        pytester.makepyfile(code)
        pytester.makeini(f"[pytest]\n{ini}")
        return pytester.runpytest_subprocess(*QUIET, *arguments)

    return run


def test_the_fixtures_work_together(program):
    """Each for one test."""
    result = program(
        """
        from llmstack import OpenAI, Stack
        from llmstack.middleware import Retry
        from llmstack.testing import Status

        ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

        def test_script(scripted_transport, events, frozen_clock, no_network):
            transport = scripted_transport(Status(429, headers={"retry-after": "7"}), "Hello")
            stack = Stack([Retry(), events], transport=transport, clock=frozen_clock)
            with OpenAI(api_key="sk-example-of-a-test", stack=stack) as client:
                assert client.chat.completions.create(**ASKED).choices[0].message.content == "Hello"
            assert frozen_clock.sleeps == [7.0]
            assert events.finished.attempts == 2

        def test_server(local_server):
            local_server.next(503, times=None)
            url = local_server.base_url
            with OpenAI(api_key="sk-example-of-a-test", base_url=url, stack=Stack([]), max_retries=0) as client:
                try:
                    client.chat.completions.create(**ASKED)
                except Exception as error:
                    assert error.status_code == 503
            assert local_server.count() == 1

        def test_server_without_memory(local_server):
            assert local_server.count() == 0
            with OpenAI(api_key="sk-example-of-a-test", base_url=local_server.base_url, stack=Stack([])) as client:
                assert client.chat.completions.create(**ASKED).choices
        """
    )
    result.assert_outcomes(passed=3)


def test_a_stream_left_open_fails_the_test(program):
    """Whoever forgets to close it."""
    result = program(
        """
        from llmstack import OpenAI, Stack

        kept = []

        def test_leak(scripted_transport):
            stack = Stack([], transport=scripted_transport("Hello you"))
            client = OpenAI(api_key="sk-example-of-a-test", stack=stack)
            messages = [{"role": "user", "content": "Hi"}]
            kept.append(client.chat.completions.create(model="m", messages=messages, stream=True))
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 stream(s) of a scripted transport left open*"])


def test_fixtures_of_the_same_name_win(program, pytester):
    """A program's own are its own."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def events():
            return ["mine"]
        """
    )
    program("def test_mine(events): assert events == ['mine']").assert_outcomes(passed=1)


def test_who_does_not_use_it_does_not_feel_it(program):
    """Nothing is imported, nothing is patched, no fixture runs."""
    result = program(
        """
        import socket, sys

        CONNECT = socket.socket.connect

        def test_nothing(request):
            heavy = {"openai", "httpx2", "pydantic", "pluggy_of_ours", "yaml", "uvicorn", "llmstack.testing.network"}
            assert not heavy & set(sys.modules)
            assert not [name for name in sys.modules if name.startswith("llmstack._")]
            assert [name for name in request.fixturenames if name != "request"] == []
            assert socket.socket.connect is CONNECT
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=1)


def test_it_can_be_left_out(program):
    """By the name of its entry point."""
    result = program("def test_nothing(local_server): pass", "-p", "no:llmstack")
    result.assert_outcomes(errors=1)


BLOCKED = """
import socket
import pytest
from openai import APIConnectionError, OpenAI as Bare
from llmstack import OpenAI, Stack

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

def test_out():
    socket.create_connection(("api.example.com", 443))

def test_by_address():
    socket.create_connection(("192.0.2.1", 443))

@pytest.mark.parametrize("kind", [OpenAI, Bare])
def test_by_client(kind):
    more = {"stack": Stack([])} if kind is OpenAI else {}
    with kind(api_key="sk-example-of-a-test", base_url="http://api.example.com/v1", max_retries=0, **more) as client:
        client.chat.completions.create(**ASKED)

def test_here(local_server):
    with OpenAI(api_key="sk-example-of-a-test", base_url=local_server.base_url, stack=Stack([])) as client:
        assert client.chat.completions.create(**ASKED).choices
"""


def test_the_network_is_blocked_for_all_if_asked_for(program):
    """The error names host and test; this machine may be reached."""
    result = program(BLOCKED, ini="llmstack_block_network = true")
    result.assert_outcomes(passed=1, failed=4)
    told = "*NetworkBlockedError: test_the_network_is_blocked_for_all_if_asked_for.py::{} wanted to reach {}, but*"
    result.stdout.fnmatch_lines([told.format("test_out", "api.example.com:443")])
    result.stdout.fnmatch_lines([told.format("test_by_address", "192.0.2.1:443")])
    result.stdout.fnmatch_lines([told.format("test_by_client[[]OpenAI0]", "api.example.com:80")])


def test_everything_is_put_back():
    """Also where blocks nest."""
    before = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
    look_up = socket.getaddrinfo
    with no_network("outer"), no_network("inner"), pytest.raises(NetworkBlockedError, match=r"^inner wanted to reach"):
        socket.create_connection(("api.example.com", 443))
    assert socket.getaddrinfo is look_up
    assert {name: getattr(socket.socket, name) for name in before} == before


@pytest.mark.parametrize("address", [("192.0.2.1", 9), ("2001:db8::1", 9)])
def test_no_way_out_of_a_socket(address):
    """Whatever its kind."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with no_network("t"), socket.socket(family, socket.SOCK_DGRAM) as sock:
        for way in (sock.connect, sock.connect_ex, lambda a: sock.sendto(b"", a), lambda a: sock.sendto(b"", 0, a)):
            with pytest.raises(NetworkBlockedError, match="t wanted to reach"):
                way(address)
        with pytest.raises(NetworkBlockedError):
            socket.gethostbyname("example.com")


async def test_async_programs_are_blocked_too():
    """On both event loops."""
    with no_network("t"), pytest.raises(NetworkBlockedError, match=r"api\.example\.com"):
        await anyio.connect_tcp("api.example.com", 443)


def test_it_is_no_passing_failure(server):
    """Neither the SDK nor Retry takes it for a lost connection, and tries again."""
    stack = Stack([Retry(), recorder := Recorder()])
    url = "http://api.example.com/v1"
    with no_network("t"), OpenAI(api_key="sk-example-of-a-test", base_url=url, stack=stack) as client:
        with pytest.raises(NetworkBlockedError):
            client.chat.completions.create(**ASKED)
        assert recorder.finished.attempts == 1
        here = client.with_options(base_url=server.base_url)
        assert here.chat.completions.create(**ASKED).choices


def test_loading_it_is_cheap():
    """pytest and the standard library, nothing else."""
    code = (
        "import sys, json, pytest; before = set(sys.modules); import llmstack.testing.pytest_plugin;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(json.loads(done.stdout)) <= {"llmstack", *sys.stdlib_module_names}
