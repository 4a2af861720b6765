"""Validation of models: those that end, what is known of them, and where it holds."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import openai
import pytest

from llmstack import AzureOpenAI, Stack
from llmstack.errors import ValidationError
from llmstack.events import IssuesFound
from llmstack.middleware.validation import Validation
from llmstack.testing import Recorder, ScriptedTransport
from tests.middleware.validation_rig import KEY, Bench

HI = {"role": "user", "content": "hi"}
LONG = "one two three four five " * 5000  # some 25,000 tokens


def text(content, **more):
    """A request's body."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def ending(date, **more):
    """A model that no other test uses, and its shutdown."""
    model = f"model-{uuid.uuid4()}"
    return model, Validation(shutdowns={model: {"date": date, "successor": "better"}}, **more)


def test_a_model_that_ends_is_told_once(caplog):
    """By one event and one line in the log, with what to use instead."""
    model, validation = ending("2999-01-01")
    bench = Bench(validation)
    with caplog.at_level(logging.WARNING, logger="llmstack"):
        for _ in range(3):
            bench.chat(model=model)
    message = f"{model} will be shut down on 2999-01-01; use better"
    assert [(issue.path, issue.message, issue.rule) for issue in bench.warnings] == [("model", message, "lifecycle")]
    assert [record.getMessage() for record in caplog.records] == [message]
    again = Bench(validation)
    again.chat(model=model)
    assert again.recorder.of(IssuesFound) == []


PROGRAM = """
import logging, sys
from llmstack import OpenAI, Stack
from llmstack.testing import ScriptedTransport

if sys.argv[1:] == ["logs"]:
    logging.basicConfig(format="%(message)s")
client = OpenAI(api_key="sk-test-not-a-key", stack=Stack.default().with_transport(ScriptedTransport(default="hi")))
for _ in range(3):
    client.chat.completions.create(model="gpt-3.5-turbo-0301", messages=[{"role": "user", "content": "hi"}])
"""


def test_a_program_that_configures_no_logging_hears_nothing():
    """The default stack gives no Python warning and prints nothing; with logging it is one line for the process."""

    def said(*arguments: str) -> list[str]:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return (done.stdout + done.stderr).splitlines()

    assert said() == []
    assert said("logs") == ["gpt-3.5-turbo-0301 was shut down on 2024-09-13; use gpt-5.6-terra"]


def test_it_is_told_once_also_by_many_threads_at_a_time():
    """No two of them win."""
    model, validation = ending("2999-01-01")
    bench = Bench(validation)
    start = threading.Barrier(8)

    def work():
        start.wait()
        bench.chat(model=model)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.warnings) == 1


def test_a_model_that_has_ended_can_be_refused():
    """Each time; one that will end is only told."""
    model, validation = ending("2001-01-01", lifecycle="block")
    bench = Bench(validation)
    for _ in range(2):
        with pytest.raises(ValidationError, match="was shut down on 2001-01-01; use better"):
            bench.chat(model=model)
    model, validation = ending("2999-01-01", lifecycle="block")
    bench = Bench(validation)
    bench.chat(model=model)
    assert len(bench.warnings) == 1


def test_the_stacks_clock_tells_the_day():
    """Not the machine's."""
    model, validation = ending("2001-09-09", lifecycle="block")
    bench = Bench(validation)
    bench.clock.advance(-bench.clock.time() + 999_907_199)  # 2001-09-07, 23:59:59
    bench.chat(model=model)
    bench.clock.advance(86_401)
    with pytest.raises(ValidationError):
        bench.chat(model=model)


def test_a_fine_tuned_model_ends_with_its_base():
    """As OpenAI says of them."""
    bench = Bench(Validation(lifecycle="block", shutdowns={"base-model": {"date": "2001-01-01"}}))
    with pytest.raises(ValidationError, match="ft:base-model:acme::1 was shut down"):
        bench.chat(model="ft:base-model:acme::1")


def test_the_built_in_table_knows_openais_models_and_can_be_overruled():
    """{} says that a model goes on."""
    bench = Bench(Validation(lifecycle="block"))
    bench.clock.advance(366 * 86_400)
    with pytest.raises(ValidationError, match=r"gpt-3\.5-turbo-0301 was shut down on 2024-09-13; use "):
        bench.chat(model="gpt-3.5-turbo-0301")
    bench = Bench(Validation(lifecycle="block", shutdowns={"gpt-3.5-turbo-0301": {}}))
    bench.clock.advance(366 * 86_400)
    bench.chat(model="gpt-3.5-turbo-0301")


@pytest.mark.parametrize("api", ["auto", "openai"])
def test_azure_has_a_calendar_of_its_own(api):
    """And names of its own."""
    recorder = Recorder()
    stack = Stack([Validation(lifecycle="block", api=api), recorder], transport=ScriptedTransport(default="hello"))
    client = AzureOpenAI(
        api_key=KEY, api_version="2024-10-21", azure_endpoint="https://acme.openai.azure.com", stack=stack
    )
    client.chat.completions.create(model="gpt-3.5-turbo-0301", messages=[HI])  # type: ignore[list-item]
    assert recorder.of(IssuesFound) == []


def test_a_models_name_forges_no_log_lines(caplog):
    """Customers may name fine-tuned models as they like."""
    bench = Bench(Validation(shutdowns={"base": {"date": "2001-01-01"}}))
    bench.chat(model="ft:base:\nERROR all is lost:" + "x" * 1000)
    (record,) = caplog.records
    assert record.getMessage().startswith("'ft:base:\\nERROR all is lost:xxx")
    assert len(record.getMessage()) < 300


@pytest.mark.parametrize("host", ["localhost:8000", "example.com", "acme.openai.azure.com"])
def test_what_is_known_of_openais_models_says_nothing_of_others(host):
    """A local server may call whatever it serves gpt-4; the program's own tables hold anywhere."""
    bench = Bench(Validation(lifecycle="block"), base_url=f"http://{host}/v1")
    bench.clock.advance(366 * 86_400)
    bench.send("chat", text(LONG, model="gpt-4"))
    bench.send("chat", text("hi", model="gpt-3.5-turbo-0301"))
    assert bench.warnings == []
    own = Validation(lifecycle="block", shutdowns={"gpt-4": {"date": "2001-01-01"}}, context_windows={"gpt-4": 100})
    bench = Bench(own, base_url=f"http://{host}/v1")
    with pytest.raises(ValidationError, match="was shut down"):
        bench.send("chat", text(LONG, model="gpt-4"))
    assert [issue.rule for issue in bench.warnings] == ["context_window"]


def test_behind_a_gateway_to_openai_its_models_are_known():
    """The program says so."""
    gateway = Bench(Validation(api="openai", lifecycle="block"), base_url="http://gateway.example.com/v1")
    gateway.clock.advance(366 * 86_400)
    with pytest.raises(ValidationError, match="was shut down"):
        gateway.send("chat", text("hi", model="gpt-3.5-turbo-0301"))


def test_many_names_of_models_do_not_fill_the_memory(monkeypatch):
    """What is remembered of them is bounded, whoever names them."""
    from llmstack.middleware._validation.catalog import _shutdown

    monkeypatch.setattr("llmstack.middleware._validation.lifecycle._told", set())
    monkeypatch.setattr("llmstack.middleware._validation.lifecycle._MOST", 3)
    bench = Bench(Validation(shutdowns={"base": {"date": "2001-01-01"}}))
    for i in range(10):
        bench.chat(model=f"ft:base:acme::{i}")
    assert len(bench.warnings) == 3
    kept = _shutdown.cache_info().currsize
    Bench().chat(model="x" * 10_000)
    assert _shutdown.cache_info().currsize == kept


def announced() -> dict[str, str]:
    """The dates that the SDK's own docstrings name."""
    said: dict[str, str] = {}
    for file in Path(openai.__file__).parent.glob("types/**/*.py"):
        for doc in re.findall(r'"""(.*?)"""', file.read_text(encoding="utf-8"), re.DOTALL):
            for names, date in re.findall(
                r'((?:"[^"]+",? )*"[^"]+"): Announced shutdown date: (\d{4}-\d\d-\d\d)', " ".join(doc.split())
            ):
                said.update(dict.fromkeys(re.findall(r'"([^"]+)"', names), date))
    return said


def test_the_table_has_every_date_that_the_sdk_names():
    """The same ones."""
    from llmstack.middleware._validation.catalog import _data

    if tuple(map(int, openai.__version__.split(".")[:2])) < (3, 52):
        pytest.skip("dates have been moved since")
    said = announced()
    assert len(said) > 80
    assert {model: str(_data()[0][model].date) for model in said if model in _data()[0]} == said


def test_every_date_and_successor_of_the_table_can_be_read():
    """Successors are none of the models that have ended by the time of the table."""
    from llmstack.middleware._validation.catalog import _data

    shutdowns, windows = _data()
    assert len(shutdowns) > 80
    assert all(shutdown.successor not in shutdowns for shutdown in shutdowns.values())
    assert all(window >= 8000 for window in windows.values())
