"""What was seen to leak, or to be told twice."""

import asyncio
import io
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
import sentry_sdk
import structlog
from sentry_sdk.integrations.logging import LoggingIntegration

import llmstack
from llmstack import OpenAI, Stack, hookimpl, secrets
from llmstack._core import secret
from llmstack.errors import RefusedError
from llmstack.middleware import Logging
from llmstack.middleware.sentry import Sentry
from llmstack.testing import ScriptedTransport, Status
from tests.middleware.sentry_rig import ASK, PROMPT, aclient, client, sentry

__all__ = ["sentry"]

KEY = "0123456789abcdef" + "fedcba9876543210"  # as Azure's look: nothing but its value tells that it is a key
QUOTING = Status(400, {"error": {"message": f"no {PROMPT} {KEY}", "code": f"no {PROMPT}", "type": "x"}})


def asked(script, *plugins):
    return OpenAI(api_key=KEY, stack=Stack(plugins, transport=ScriptedTransport(script)))


def kinds(sentry):
    return [event["exception"]["values"][-1]["mechanism"]["type"] for event in sentry.transport.errors]


async def test_one_error_also_if_the_call_was_made_in_a_task_of_its_own(sentry):
    sentry.init()
    calls = aclient([Status(400), Status(400)])
    tasks = [asyncio.ensure_future(calls.chat.completions.create(**ASK)) for _ in range(2)]
    for error in await asyncio.gather(*tasks, return_exceptions=True):
        sentry_sdk.capture_exception(error)
    assert kinds(sentry) == ["llmstack"] * 2


test_one_error_also_if_the_call_was_made_in_a_task_of_its_own.pytestmark = [  # type: ignore[attr-defined]
    pytest.mark.parametrize("anyio_backend", ["asyncio"])
]


def test_one_error_also_if_the_call_was_made_in_another_thread_or_before_another_failed(sentry):
    sentry.init()
    calls = client([Status(400), Status(404)])
    errors = []
    with ThreadPoolExecutor() as pool:
        for _ in range(2):
            with pytest.raises(openai.APIError) as caught:
                pool.submit(lambda: calls.chat.completions.create(**ASK)).result()
            errors.append(caught.value)
    for error in errors:
        sentry_sdk.capture_exception(error)
    assert kinds(sentry) == ["llmstack"] * 2


def test_keys_in_tenant_model_and_code_reach_no_span_and_no_fingerprint(sentry):
    sentry.init()
    bad = Status(400, {"error": {"message": "x", "code": KEY, "type": "x"}})
    answer = {"model": f"m {KEY}", "choices": [{"finish_reason": KEY, "message": {"content": "a"}}]}
    with llmstack.options(tenant=f"t {KEY}"), sentry_sdk.start_transaction(name="page"):
        calls = asked([answer, bad], Sentry())
        calls.chat.completions.create(model=f"m {KEY}", messages=[])
        with pytest.raises(openai.BadRequestError):
            calls.chat.completions.create(model="m", messages=[])
    assert KEY not in sentry.transport.text


def test_a_long_name_takes_a_bounded_place(sentry):
    sentry.init()
    with sentry_sdk.start_transaction(name="page"):
        asked([{"model": "r" * 99_999, "choices": []}], Sentry()).chat.completions.create(
            model="m" * 99_999, messages=[]
        )
    assert len(sentry.transport.text) < 10_000


def test_a_key_that_straddles_the_cut_of_content_is_masked(sentry):
    sentry.init(send_default_pii=True)
    messages: Any = [{"role": "user", "content": "." * (10_000 - len(KEY) + 1) + KEY}]
    with sentry_sdk.start_transaction(name="page"):
        asked(["a"], Sentry(content=True)).chat.completions.create(model="m", messages=messages)
    assert KEY[:8] not in sentry.transport.text


@pytest.mark.tells
@pytest.mark.parametrize("enable_logs", [True, False])
@pytest.mark.parametrize("through", ["logging", "structlog"])
def test_content_for_the_log_does_not_go_to_sentry(sentry, caplog, through, enable_logs):
    sentry.init(LoggingIntegration(), enable_logs=enable_logs)
    if through == "structlog":
        structlog.configure(
            processors=[structlog.processors.KeyValueRenderer()],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
        )
    try:
        with caplog.at_level(logging.INFO, "llmstack"):
            log = Logging(content="full")
            asked([f"you said: {PROMPT}"], log, Sentry()).chat.completions.create(**ASK)
            assert log.flush()
    finally:
        structlog.reset_defaults()
    assert PROMPT in caplog.text
    sentry.look()
    sentry_sdk.flush()
    assert PROMPT not in sentry.transport.text


@pytest.mark.tells
def test_a_log_line_about_our_error_is_cleaned_too(sentry):
    sentry.init(LoggingIntegration(), include_local_variables=False)
    with pytest.raises(openai.BadRequestError) as caught:
        asked([QUOTING], Sentry(errors=False)).chat.completions.create(**ASK)
    logging.getLogger("app").error("failed: %s", caught.value, exc_info=caught.value)
    assert "failed: " in sentry.transport.text
    assert PROMPT not in sentry.transport.text


def test_a_code_that_is_a_sentence_is_not_logged():
    stream = io.StringIO()
    log = Logging(format="json", level="DEBUG", stream=stream)
    with pytest.raises(openai.BadRequestError):
        asked([QUOTING], log).chat.completions.create(**ASK)
    assert log.flush()
    assert PROMPT not in stream.getvalue()


def test_one_odd_note_does_not_cost_the_line():
    class Odd:
        def __str__(self):
            raise ValueError

    def noting(call, next):
        call.note(odd=Odd(), endless=10**5000)
        return (yield from next(call))

    stream = io.StringIO()
    log = Logging(format="json", stream=stream)
    asked(["a"], log, noting).chat.completions.create(**ASK)
    assert log.flush()
    assert "[cannot be logged: ValueError]" in stream.getvalue()


def test_no_repr_of_an_event_and_no_warning_about_an_observer_quotes_the_error(caplog):
    heard = []

    class Hearing:
        @hookimpl
        def llmstack_event(self, event):
            heard.append(event)
            if getattr(event, "error", None) is not None:
                raise RuntimeError(f"cannot send {event.error}")

    with pytest.raises(openai.BadRequestError):
        asked([QUOTING], Hearing()).chat.completions.create(**ASK)
    assert "failed with RuntimeError" in caplog.text
    for text in (repr(heard), caplog.text):
        assert PROMPT not in text
        assert KEY not in text


def test_an_address_given_for_a_call_tells_no_query_and_no_password():
    heard = []

    class Hearing:
        @hookimpl
        def llmstack_event(self, event):
            heard.append(event)

    shown = []

    def look(call, next):
        shown.append(repr(call))
        raise RefusedError("no")
        yield

    calls = OpenAI(api_key=KEY, base_url=f"http://h/v1?key={KEY}", stack=Stack([Hearing(), look]))
    with pytest.raises(RefusedError) as caught:
        calls.get("http://user:password99@h/x?sig=signature99", cast_to=object)
    for text in (repr(heard), str(caught.value), *shown):
        for hidden in ("password99", "signature99", KEY):
            assert hidden not in text


def test_secrets_are_all_remembered_and_all_masked(monkeypatch):
    monkeypatch.setattr(secret, "_known", {})
    secrets.register("secret-1", "secret-1-and-more")
    assert secrets.mask("secret-1-and-more") == "***"
    together = threading.Barrier(8)

    def register(thread):
        together.wait()
        for number in range(30):
            secrets.register(f"secret-{thread}-{number}")

    threads = [threading.Thread(target=register, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secret._known) == 2 + 8 * 30  # noqa: SLF001 - what is known is nobody else's to ask
