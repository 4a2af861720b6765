"""A log that raises, blocks or is flooded is not felt by any call."""

import io
import json
import logging
import subprocess
import sys
import threading
from typing import Any

import anyio
import pytest
import structlog

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.middleware import Logging
from llmstack.testing import LocalServer, ScriptedTransport

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "private words"}]}
KEY = "sk-test-not-a-key"


class Blocked(io.StringIO):
    """A stream whose writes block until it is released."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()

    def write(self, text):
        self.entered.set()
        self.gate.wait()
        return super().write(text)


class Broken(io.StringIO):
    """A stream that cannot be written."""

    def write(self, text):
        raise OSError(28, "No space left on device")


@pytest.fixture
def blocked():
    """Such a stream, released at the end."""
    stream = Blocked()
    yield stream
    stream.gate.set()


def stack_of(plugin):
    """A stack that always answers."""
    return Stack([plugin], transport=ScriptedTransport(default="hi there"))


def test_a_log_that_blocks_holds_up_no_call(blocked, monkeypatch):
    """What does not fit is dropped and counted; the rest is written when it can be."""
    plugin = Logging(format="json", stream=blocked)
    client = OpenAI(api_key=KEY, stack=stack_of(plugin))
    client.chat.completions.create(**ASK)
    assert blocked.entered.wait(5.0)
    monkeypatch.setattr(plugin._background, "capacity", 20)  # noqa: SLF001 - ten thousand calls would take long
    for _ in range(30):
        client.chat.completions.create(**ASK)
    with client.chat.completions.create(**ASK, stream=True) as stream:
        assert list(stream)
    assert plugin.dropped == 11
    assert plugin.flush(timeout=0.01) is False
    blocked.gate.set()
    assert plugin.flush()
    assert len(blocked.getvalue().splitlines()) == 21


async def test_a_log_that_blocks_holds_up_no_event_loop(blocked):
    """Nor does closing the stack, as long as it waits."""
    plugin = Logging(format="json", stream=blocked)
    client = AsyncOpenAI(api_key=KEY, stack=stack_of(plugin))
    with anyio.fail_after(5):
        for _ in range(20):
            await client.chat.completions.create(**ASK)
    assert blocked.entered.wait(5.0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.stack.aclose)
        await anyio.lowlevel.checkpoint()
        blocked.gate.set()
    assert len(blocked.getvalue().splitlines()) == 20


async def test_a_log_that_raises_is_counted_and_told_once(caplog):
    """To the standard logger, without any content."""
    plugin = Logging(format="json", stream=Broken(), content="full")
    for _ in range(3):
        reply = await AsyncOpenAI(api_key=KEY, stack=stack_of(plugin)).chat.completions.create(**ASK)
        assert reply.choices[0].message.content == "hi there"
    await plugin.aclose()
    assert plugin.failures == 6
    (record,) = caplog.records
    assert "llmstack-logging: OSError: [Errno 28] No space left on device" in record.getMessage()
    assert "private" not in record.getMessage()


def test_a_standard_handler_that_raises_is_no_recursion():
    """Though the complaint goes to the same handler."""

    class Raising(logging.Handler):
        count = 0

        def emit(self, record):
            self.count += 1
            raise RuntimeError("broken")

    handler, plugin = Raising(), Logging()
    logger = logging.getLogger("llmstack")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        for _ in range(3):
            OpenAI(api_key=KEY, stack=stack_of(plugin)).chat.completions.create(**ASK)
        assert plugin.flush()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert plugin.failures == 3
    assert handler.count == 4  # three lines and one complaint


def test_a_structlog_processor_that_raises_is_counted(caplog):
    """The program's own chain, too."""

    def fail(logger, method, line):
        raise ZeroDivisionError

    plugin = Logging()
    structlog.configure(processors=[fail])
    try:
        OpenAI(api_key=KEY, stack=stack_of(plugin)).chat.completions.create(**ASK)
        assert plugin.flush()
    finally:
        structlog.reset_defaults()
    assert plugin.failures >= 1
    assert "ZeroDivisionError" in caplog.records[0].getMessage()


def test_a_closed_stream_is_counted():
    """As when a test or a server has closed stderr."""
    stream = io.StringIO()
    stream.close()
    plugin = Logging(format="console", stream=stream)
    OpenAI(api_key=KEY, stack=stack_of(plugin)).chat.completions.create(**ASK)
    assert plugin.flush()
    assert plugin.failures == 1


def test_sixteen_threads_write_every_line_whole_and_once():
    """Each with what its own thread bound to the context."""
    stream = io.StringIO()
    plugin = Logging(format="json", stream=stream)
    client = OpenAI(api_key=KEY, stack=stack_of(plugin))

    def work(thread):
        with structlog.contextvars.bound_contextvars(thread=thread):
            for _ in range(40):
                client.chat.completions.create(**ASK)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert plugin.flush(timeout=30)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len({line["call_id"] for line in lines}) == len(lines) == 16 * 40
    for number in range(16):
        assert sum(line["thread"] == number for line in lines) == 40


def test_a_program_that_ends_writes_the_line_of_its_last_call():
    """And that of a stream it left open, which is closed then."""
    program = (
        "from llmstack import OpenAI, Stack\n"
        "from llmstack.middleware import Logging\n"
        "client = OpenAI(stack=Stack([Logging(format='json')]))\n"
        "messages = [{'role': 'user', 'content': 'hello'}]\n"
        "client.chat.completions.create(model='m', messages=messages)\n"
        "stream = client.chat.completions.create(model='m', messages=messages, stream=True)\n"
        "next(stream)\n"
    )
    with LocalServer() as server:
        environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    late = not (3, 12) <= sys.version_info < (3, 12, 2)  # which start no thread while a program ends
    assert [line["outcome"] for line in lines] == (["ok", "incomplete"] if late else ["ok"])
