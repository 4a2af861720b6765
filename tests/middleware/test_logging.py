"""Logging: one line for every call, and what it says."""

import io
import json
import logging
from decimal import Decimal
from typing import Any

import openai
import pytest

import llmstack
from llmstack import AsyncOpenAI, OpenAI, Stack, hookimpl
from llmstack.errors import OptionError, RefusedError
from llmstack.events import (
    AttemptFinished,
    CallFinished,
    CircuitClosed,
    CircuitOpened,
    RetryScheduled,
    RetryStopped,
)
from llmstack.middleware import Logging, Retry
from llmstack.middleware._logging.fields import kind_of
from llmstack.middleware.logging import call_fields
from llmstack.testing import FakeClock, LocalServer, ScriptedTransport, Status

ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "private words"}]}
CALL = llmstack.CallInfo(
    id="call_1", method="POST", path="/x", endpoint="", model=None, stream=False, tenant=None, tags={}
)


class Log:
    """A Logging plugin that writes JSON, and what it has written."""

    def __init__(self, level="DEBUG", **options):
        self.stream = io.StringIO()
        self.plugin = Logging(format="json", level=level, stream=self.stream, **options)

    def lines(self, name=None):
        """The lines, of one kind if it is named."""
        assert self.plugin.flush()
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if name in (None, line["event"])]

    @property
    def call(self):
        """The one line of the only call."""
        (line,) = self.lines("llm.call")
        return line


class Prices:
    """A plugin that knows one price."""

    @hookimpl
    def llmstack_price(self, model, usage, call):
        """A hundredth of a dollar for a thousand tokens."""
        return Decimal("0.00001") * usage.total_tokens


def stack_of(script, *plugins):
    """A stack whose calls follow a script."""
    return Stack(plugins, transport=ScriptedTransport(script), clock=FakeClock())


def client_of(script, *plugins):
    """A client of such a stack."""
    return OpenAI(api_key="sk-test-not-a-key", stack=stack_of(script, *plugins))


def ask(script, *plugins, **more):
    """One call."""
    return client_of(script, *plugins).chat.completions.create(**ASK, **more)


def test_a_call_is_one_line_with_all_its_facts():
    """Against a real server: who was asked, what it cost, how long it took."""
    log = Log(level="INFO")
    with LocalServer() as server, llmstack.options(tenant="acme", tags={"team": "search"}):
        server.next(503)
        usage = {
            "prompt_tokens": 30,
            "completion_tokens": 20,
            "total_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 7, "audio_tokens": 2},
        }
        server.next(usage=usage)
        stack = Stack([Retry(), log.plugin, Prices()], clock=FakeClock())
        with OpenAI(api_key="sk-test-not-a-key", base_url=server.base_url, stack=stack) as client:
            answer = client.chat.completions.create(**ASK)
        port = server.port
    line = log.call
    assert log.lines() == [line]
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("call_id").startswith("call_")
    assert line.pop("request_id") == answer._request_id  # noqa: SLF001 - the SDK's documented name
    assert 0 <= line.pop("duration") < 60
    assert line == {
        "level": "info",
        "event": "llm.call",
        "endpoint": "chat.completions",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "server.address": "127.0.0.1",
        "server.port": port,
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ["stop"],
        "outcome": "ok",
        "http.response.status_code": 200,
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 12,
        "gen_ai.usage.reasoning.output_tokens": 7,
        "gen_ai.usage.audio.input_tokens": 3,
        "gen_ai.usage.audio.output_tokens": 2,
        "cost_usd": 0.0005,
        "attempts": 2,
        "tenant": "acme",
        "tags": {"team": "search"},
    }


async def test_an_async_call_is_logged_the_same():
    """The same line, on both event loops."""
    log = Log()
    client = AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack_of(["hello there"], log.plugin))
    await client.chat.completions.create(**ASK)
    await client.stack.aclose()
    assert log.call["gen_ai.usage.output_tokens"] == 2
    assert log.call["gen_ai.provider.name"] == "openai"


def test_a_stream_is_logged_when_it_has_ended():
    """With the time to its first chunk."""
    log = Log()
    with client_of(["hello there"], log.plugin).chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
        assert log.lines("llm.call") == []
        list(stream)
    line = log.call
    assert line["gen_ai.request.stream"] is True
    assert line["gen_ai.response.time_to_first_chunk"] >= 0
    assert line["outcome"] == "ok"
    (attempt,) = log.lines("llm.attempt")
    assert attempt["gen_ai.response.time_to_first_chunk"] >= 0


async def test_a_stream_that_is_left_early_is_logged_as_incomplete():
    """At INFO: the program may leave whenever it likes."""
    log = Log()
    client = AsyncOpenAI(api_key="sk-test-not-a-key", stack=stack_of(["hello there you"], log.plugin))
    async with await client.chat.completions.create(**ASK, stream=True) as stream:
        await anext(aiter(stream))
    await client.stack.aclose()
    assert (log.call["outcome"], log.call["level"]) == ("incomplete", "info")


def test_attempts_and_retries_are_lines_at_debug():
    """For those who look closely; all of one call have its id."""
    log = Log()
    ask([Status(500), "hi"], Retry(), log.plugin)
    lines = log.lines()
    assert [line["event"] for line in lines] == ["llm.attempt", "llm.retry", "llm.attempt", "llm.call"]
    assert [line["level"] for line in lines] == ["debug", "debug", "debug", "info"]
    assert len({line["call_id"] for line in lines}) == 1
    failed, retry, good, _ = lines
    assert (failed["attempt"], failed["outcome"], failed["error.type"]) == (1, "error", "InternalServerError")
    assert retry["attempt"] == 1
    assert retry["delay"] > 0
    assert (good["attempt"], good["outcome"], good["gen_ai.usage.output_tokens"]) == (2, "ok", 1)


def test_a_failed_call_is_a_warning_with_the_kind_and_code_of_its_error():
    """Never ERROR, and never the error's text."""
    log = Log(level="INFO")
    body = {"error": {"message": "about private words", "code": "insufficient_quota", "type": "x"}}
    with pytest.raises(openai.RateLimitError):
        ask([Status(429, body)], log.plugin)
    line = log.call
    assert (line["level"], line["outcome"]) == ("warning", "error")
    assert (line["error.type"], line["error_code"]) == ("RateLimitError", "insufficient_quota")
    assert line["http.response.status_code"] == 429
    assert "private" not in log.stream.getvalue()


def test_a_refused_call_is_a_warning_without_an_attempt():
    """With the kind of refusal."""
    log = Log()

    def refuse(call, next):
        raise RefusedError("no", call=call.info, plugin="refuse")
        yield

    with pytest.raises(RefusedError):
        ask([], log.plugin, refuse)
    (line,) = log.lines()
    assert (line["level"], line["outcome"], line["attempts"]) == ("warning", "refused", 0)


def test_what_other_layers_noted_is_told():
    """The cache's outcome under `cache`, the rest under `notes`."""
    log = Log()

    def note(call, next):
        call.note(cache="stale", saved_usd=Decimal("0.5"), ids=("a", 1))
        return (yield from next(call))

    ask(["hi"], log.plugin, note)
    assert log.call["cache"] == "stale"
    assert log.call["notes"] == {"saved_usd": "0.5", "ids": ["a", 1]}


def test_a_cached_reply_is_a_hit_that_cost_nothing():
    """Also if the layer that had it noted nothing."""
    log = Log()

    def memory(call, next):
        if False:
            yield
        return llmstack.Reply({"model": "m", "choices": [], "usage": {"prompt_tokens": 1}}, cached=True)

    ask([], log.plugin, memory)
    assert (log.call["cache"], log.call["cost_usd"], log.call["attempts"]) == ("hit", 0.0, 0)


@pytest.mark.parametrize(
    ("event", "level", "expected"),
    [
        (
            RetryScheduled(call=CALL, number=2, delay=0.25, error=TimeoutError()),
            logging.DEBUG,
            {"attempt": 2, "delay": 0.25, "error.type": "TimeoutError"},
        ),
        (
            RetryStopped(call=CALL, number=3, reason="budget", error=TimeoutError()),
            logging.DEBUG,
            {"attempt": 3, "reason": "budget", "error.type": "TimeoutError"},
        ),
        (
            CircuitOpened(call=CALL, retry_after=30.0, failures=8, calls=10),
            logging.WARNING,
            {"state": "open", "retry_after": 30.0, "failures": 8, "calls": 10},
        ),
        (CircuitClosed(call=CALL), logging.INFO, {"state": "closed"}),
        (AttemptFinished(call=CALL, number=1, outcome="cancelled"), logging.DEBUG, {"outcome": "cancelled"}),
        (CallFinished(call=CALL, outcome="cancelled"), logging.INFO, {"outcome": "cancelled", "attempts": 0}),
        (CallFinished(call=CALL, outcome="refused"), logging.WARNING, {"outcome": "refused"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_event_has_its_level_and_fields(event, level, expected):
    """Those of the table in the documentation."""
    kind = kind_of(event)
    assert kind is not None
    assert kind.level(event) == level
    said = {name: value for name, value in kind.fields(event).items() if value is not None}
    assert said.items() >= {"call_id": "call_1", "endpoint": "/x", **expected}.items()


@pytest.mark.parametrize(
    ("host", "provider", "address", "port"),
    [
        ("api.openai.com", "openai", "api.openai.com", None),
        ("eu.api.openai.com", "openai", "eu.api.openai.com", None),
        ("acme.openai.azure.com", "azure.ai.openai", "acme.openai.azure.com", None),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai", "us-central1-aiplatform.googleapis.com", None),
        ("notapi.openai.com", None, "notapi.openai.com", None),
        ("localhost:8000", None, "localhost", 8000),
        ("[::1]:8000", None, "::1", 8000),
        ("[::1]", None, "::1", None),
        ("", None, None, None),
    ],
)
def test_the_server_and_its_provider_are_told_where_known(host, provider, address, port):
    """By the names of the conventions."""
    from dataclasses import replace

    fields = call_fields(CallFinished(call=replace(CALL, host=host), outcome="ok"))
    assert fields["gen_ai.provider.name"] == provider
    assert (fields["server.address"], fields["server.port"]) == (address, port)


def test_a_sample_keeps_whole_calls_by_their_id():
    """A call's lines go together, and the share is about right."""
    log = Log(sample=0.25)
    client = client_of(["hi"] * 400, log.plugin)
    for _ in range(400):
        client.chat.completions.create(**ASK)
    called = {line["call_id"] for line in log.lines("llm.call")}
    assert called == {line["call_id"] for line in log.lines("llm.attempt")}
    assert 60 < len(called) < 140


def test_a_sample_keeps_every_failure_and_every_retried_call():
    """Only calls that went well at once are thinned out."""
    log = Log(sample=0.0)
    client = client_of(["hi", Status(500), "hi", Status(400), "hi"], Retry(), log.plugin)
    client.chat.completions.create(**ASK)
    client.chat.completions.create(**ASK)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**ASK)
    client.chat.completions.create(**ASK)
    assert [(line["event"], line.get("outcome")) for line in log.lines()] == [
        ("llm.attempt", "error"),
        ("llm.retry", None),
        ("llm.call", "ok"),
        ("llm.attempt", "error"),
        ("llm.call", "error"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "xml"}, 'format must be "json" or "console", or be left out, not \'xml\''),
        ({"format": "json", "level": "LOUD"}, "level must be one of DEBUG, INFO, WARNING, not 'LOUD'"),
        ({"level": "DEBUG"}, 'level goes with format="json" or "console"'),
        ({"stream": "stdout"}, 'stream goes with format="json" or "console"'),
        ({"format": "json", "stream": "file"}, 'stream must be "stderr", "stdout" or an open text stream'),
        ({"sample": 1.5}, "sample must be a share from 0 to 1"),
        ({"sample": float("nan")}, "sample must be a share from 0 to 1"),
        ({"content": "all"}, 'content must be "redacted" or "full"'),
        ({"content": "full", "content_limit": 0}, "content_limit must be at least 1 character"),
    ],
)
def test_a_wrong_option_says_what_to_change(options, message):
    """When the plugin is made."""
    with pytest.raises(ValueError, match=message):
        Logging(**options)


def test_a_config_file_sets_the_options(tmp_path, capsys):
    """Checked against the constructor."""
    path = tmp_path / "llmstack.toml"
    path.write_text(
        'plugins = ["logging"]\n[logging]\nformat = "json"\nlevel = "debug"\nstream = "stdout"\nsample = 1\n'
    )
    stack = Stack.from_config(path).with_transport(ScriptedTransport(["hi"]))
    OpenAI(api_key="sk-test-not-a-key", stack=stack).chat.completions.create(**ASK)
    stack.close()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["llm.attempt", "llm.call"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('format = "xml"', r'\[logging\] format must be "json" or "console", not "xml"'),
        ("sample = 2", "sample must be a"),
    ],
)
def test_a_wrong_option_in_a_config_file_names_it(tmp_path, text, message):
    """With the file's name."""
    path = tmp_path / "llmstack.toml"
    path.write_text(f'plugins = ["logging"]\n[logging]\n{text}\n')
    with pytest.raises(OptionError, match=message):
        Stack.from_config(path)
