"""Where Logging's lines go: structlog, standard logging, a stream; with what the program bound to the context."""

import asyncio
import io
import json
import logging
import sys
import threading
from typing import Any

import openai
import pytest
import structlog

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.middleware import Logging, Retry
from llmstack.testing import FakeClock, ScriptedTransport, Status

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "private words"}]}


def ask(plugin, script=("hi",)):
    """One call, and its lines written."""
    stack = Stack([Retry(), plugin], transport=ScriptedTransport(script), clock=FakeClock())
    try:
        OpenAI(api_key="sk-test-not-a-key", stack=stack).chat.completions.create(**ASK)
    finally:
        assert plugin.flush()


@pytest.fixture
def configured():
    """Structlog as a program configures it, undone at the end; gives the lines written."""
    lines: list[dict[str, Any]] = []

    def keep(logger, method, line):
        lines.append({**line, "thread": threading.current_thread().name})
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    yield lines
    structlog.reset_defaults()


@pytest.fixture
def bound():
    """Facts that the program bound to the context."""
    with structlog.contextvars.bound_contextvars(request="r-1", user=7, endpoint="theirs", event="theirs"):
        yield


def test_a_library_is_quiet_by_default(capfd):
    """Nothing on stderr in a program that configured nothing, not even for a failed call."""
    with pytest.raises(openai.BadRequestError):
        ask(Logging(), [Status(400)])
    ask(Logging())
    assert capfd.readouterr() == ("", "")


def test_a_disabled_level_starts_no_thread():
    """It costs next to nothing."""
    logging.getLogger("llmstack").setLevel(logging.CRITICAL)
    try:
        before = threading.active_count()
        stack = Stack([Logging()], transport=ScriptedTransport(["hi"]))
        OpenAI(api_key="sk-test-not-a-key", stack=stack).chat.completions.create(**ASK)
        assert threading.active_count() == before
    finally:
        logging.getLogger("llmstack").setLevel(logging.NOTSET)


def test_standard_logging_gets_a_text_and_the_fields(caplog):
    """The text in the message, the fields as a dict in the record's `llmstack`."""
    with caplog.at_level(logging.DEBUG, "llmstack"):
        ask(Logging(), [Status(500), "secret answer"])
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split()[0] for message in messages] == ["llm.attempt", "llm.retry", "llm.attempt", "llm.call"]
    record = caplog.records[-1]
    assert record.levelno == logging.INFO
    assert record.llmstack["gen_ai.usage.output_tokens"] == 2
    assert messages[-1].startswith(f"llm.call call_id={record.llmstack['call_id']} endpoint=chat.completions ")
    assert ' gen_ai.response.finish_reasons=["stop"] outcome=ok ' in messages[-1]
    assert not any(word in message for message in messages for word in ("private", "secret", "sk-test"))


def test_a_record_has_the_time_and_thread_of_the_call(caplog):
    """Though it is handled later, by another."""
    seen = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(threading.current_thread().name)
    logging.getLogger("llmstack").addHandler(handler)
    plugin = Logging()
    try:
        with caplog.at_level(logging.INFO, "llmstack"):
            thread = threading.Thread(target=lambda: ask(plugin), name="caller")
            thread.start()
            thread.join()
    finally:
        logging.getLogger("llmstack").removeHandler(handler)
    assert [record.threadName for record in caplog.records] == ["caller"]
    assert seen == ["llmstack-logging"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="records know their task since Python 3.12")
def test_a_record_has_the_name_of_the_task(caplog):
    """Of the one that made the call."""
    plugin = Logging()

    async def program():
        stack = Stack([plugin], transport=ScriptedTransport(["hi"]))
        client = AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack)
        await asyncio.create_task(client.chat.completions.create(**ASK), name="asking")

    with caplog.at_level(logging.INFO, "llmstack"):
        asyncio.run(program())
        assert plugin.flush()
    assert [record.taskName for record in caplog.records] == ["asking"]


@pytest.mark.usefixtures("bound")
def test_bound_context_appears_in_standard_logging(caplog):
    """What is bound never replaces what a line says itself."""
    with caplog.at_level(logging.INFO, "llmstack"):
        ask(Logging())
    (record,) = caplog.records
    assert record.llmstack["request"] == "r-1"
    assert record.llmstack["endpoint"] == "chat.completions"
    assert record.getMessage().endswith(" request=r-1 user=7")


@pytest.mark.usefixtures("bound")
def test_structlog_gets_the_lines_if_the_program_configured_it(configured, caplog):
    """Through the program's own processors, and its level; standard logging gets none."""
    with caplog.at_level(logging.DEBUG, "llmstack"):
        ask(Logging(), [Status(500), "hi"])
    (line,) = configured
    assert (line["event"], line["level"]) == ("llm.call", "info")
    assert (line["gen_ai.request.model"], line["attempts"], line["endpoint"]) == ("m", 2, "chat.completions")
    assert (line["request"], line["user"]) == ("r-1", 7)
    assert line["thread"] == "llmstack-logging"
    assert caplog.records == []


def test_structlog_may_be_configured_after_the_plugin_was_made(configured, caplog):
    """It is asked at each line."""
    plugin = Logging()
    structlog.reset_defaults()
    with caplog.at_level(logging.INFO, "llmstack"):
        ask(plugin)
    assert len(caplog.records) == 1
    structlog.configure()
    with structlog.testing.capture_logs() as lines:
        ask(plugin)
    assert [(line["event"], line["log_level"]) for line in lines if line["event"] == "llm.call"] == [
        ("llm.call", "info")
    ]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "wrapper",
    [structlog.stdlib.BoundLogger, structlog.stdlib.AsyncBoundLogger, structlog.BoundLogger],
    ids=lambda wrapper: f"{wrapper.__module__}.{wrapper.__name__}",
)
@pytest.mark.usefixtures("configured")
def test_structlog_on_top_of_standard_logging(wrapper, caplog):
    """With the wrappers that a program may have chosen."""
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=wrapper,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    with caplog.at_level(logging.INFO, "llmstack"):
        ask(Logging())
    (record,) = caplog.records
    assert record.name == "llmstack"
    assert json.loads(record.getMessage())["event"] == "llm.call"


@pytest.mark.usefixtures("bound")
def test_json_lines_need_no_logging_configured(capsys):
    """On stderr as it is when the line is written, whatever the program's logging is."""
    plugin = Logging(format="json")
    ask(plugin, [Status(500), "hi"])
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [json.loads(text) for text in err.splitlines()]
    assert list(line)[:4] == ["timestamp", "level", "event", "call_id"]
    assert (line["event"], line["request"], line["user"]) == ("llm.call", "r-1", 7)
    assert not structlog.is_configured()


def test_console_lines_are_for_people():
    """Coloured only on a terminal."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    plain, coloured = io.StringIO(), Terminal()
    for stream in (plain, coloured):
        ask(Logging(format="console", stream=stream))
    (line,) = plain.getvalue().splitlines()
    assert "[info     ] llm.call" in line
    assert " outcome=ok " in line
    assert "\x1b[" not in line
    assert "\x1b[" in coloured.getvalue()


def test_no_colour_is_obeyed(monkeypatch):
    """As https://no-color.org asks."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    stream.isatty = lambda: True
    ask(Logging(format="console", stream=stream))
    assert "\x1b[" not in stream.getvalue()


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_stream_that_cannot_write_a_character_gets_it_escaped(style):
    """No line is lost to an encoding."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with structlog.contextvars.bound_contextvars(city="Zürich"):
        ask(Logging(format=style, stream=stream))
    written = raw.getvalue().decode()
    assert r"Z\u00fcrich" in written or r"Z\xfcrich" in written


def test_a_program_without_stderr_is_no_trouble(monkeypatch):
    """As on Windows without a console."""
    plugin = Logging(format="json")
    monkeypatch.setattr(sys, "stderr", None)
    ask(plugin)
    assert plugin.failures == 0


def test_only_a_plugin_that_logs_content_is_a_layer():
    """One that only listens costs a call nothing on its way."""
    stack = Stack([Logging(), Logging(content="redacted")], transport=ScriptedTransport())
    listening, layer, _ = stack.explain().splitlines()
    assert listening.endswith("(hears events only)")
    assert not layer.endswith("(hears events only)")


async def test_closing_a_stack_writes_what_is_left_and_the_plugin_goes_on():
    """A stack may be shared and used again."""
    stream = io.StringIO()
    stack = Stack([Logging(format="json", stream=stream)], transport=ScriptedTransport(["a", "b"]))
    client = AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack)
    for count in (1, 2):
        await client.chat.completions.create(**ASK)
        await stack.aclose()
        assert len(stream.getvalue().splitlines()) == count
    await stack.aclose()
