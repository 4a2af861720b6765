"""Logging: one line for every call."""

import logging
from typing import Any

import openai
import pytest
import structlog

import llmstack
from llmstack import OpenAI, Stack
from llmstack.middleware import Logging, Retry
from llmstack.testing import FakeClock, ScriptedTransport, Status

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "private words"}]}


def ask(script, **more):
    """One call through Retry and Logging."""
    stack = Stack([Retry(), Logging()], transport=ScriptedTransport(script), clock=FakeClock())
    return OpenAI(api_key="sk-test-not-a-key", stack=stack).chat.completions.create(**ASK, **more)


def test_a_call_is_one_line_at_info(caplog):
    """With tokens, attempts and tags, without content or key."""
    with caplog.at_level(logging.INFO, "llmstack"), llmstack.options(tenant="acme", tags={"team": "search"}):
        ask([Status(500), "secret answer"])
    (record,) = caplog.records
    fields = record.llmstack  # type: ignore[attr-defined]
    assert record.message.startswith("llm.call call_id=")
    assert fields["endpoint"] == "chat.completions"
    assert fields["attempts"] == 2
    assert fields["gen_ai.usage.output_tokens"] == 2
    assert fields["tenant"] == "acme"
    assert fields["tags"] == {"team": "search"}
    for secret in ("private", "secret", "sk-test"):
        assert secret not in record.message


def test_attempts_and_retries_are_lines_at_debug(caplog):
    """For those who look closely."""
    with caplog.at_level(logging.DEBUG, "llmstack"):
        ask([Status(500), "hi"])
    assert [record.message.split()[0] for record in caplog.records] == [
        "llm.attempt",
        "llm.retry",
        "llm.attempt",
        "llm.call",
    ]


def test_a_failed_call_is_a_warning(caplog):
    """With the kind of error."""
    with caplog.at_level(logging.INFO, "llmstack"), pytest.raises(openai.BadRequestError):
        ask([Status(400)])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.llmstack["error.type"] == "BadRequestError"  # type: ignore[attr-defined]


def test_a_library_is_quiet_by_default(capfd):
    """Nothing on stderr in a program that configured nothing."""
    ask(["hi"])
    assert capfd.readouterr() == ("", "")


def test_structlog_gets_the_lines_if_the_program_configured_it():
    """In the program's own format."""
    try:
        structlog.configure()
        with structlog.testing.capture_logs() as lines:
            ask(["hi"])
    finally:
        structlog.reset_defaults()
    (line,) = [line for line in lines if line["event"] == "llm.call"]
    assert line["gen_ai.request.model"] == "m"
    assert line["log_level"] == "info"
