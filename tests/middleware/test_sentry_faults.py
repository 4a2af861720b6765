"""Sentry asleep, broken, closed or streaming its spans: the call does not feel it."""

import os
import subprocess
import sys
from typing import Any

import openai
import pytest
import sentry_sdk

from llmstack.middleware._sentry import span as sentry_span
from llmstack.testing import Status
from tests.middleware.sentry_rig import ANSWER, ASK, Recording, client, failures, held, sentry

__all__ = ["sentry"]


def answer_of(asked):
    """What a call brings."""
    return asked.chat.completions.create(**ASK).choices[0].message.content


def test_it_sleeps_until_the_program_initialises_sentry(sentry):
    """And wakes for the next call of the same client."""
    asked = client([ANSWER, ANSWER])
    with sentry_sdk.start_transaction(name="page"):
        assert answer_of(asked) == ANSWER
    sentry.init()
    with sentry_sdk.start_transaction(name="page"):
        assert answer_of(asked) == ANSWER
    assert len(sentry.transport.ours) == 1


PROGRAM = """
import sys
from llmstack import OpenAI, Stack
from llmstack.middleware.sentry import Sentry
from llmstack.testing import ScriptedTransport

for content in (False, True):
    stack = Stack([Sentry(content=content)], transport=ScriptedTransport(["hi"]))
    client = OpenAI(api_key="k", stack=stack)
    client.chat.completions.create(model="m", messages=[])
    assert stack.observer_failures == {}
assert not [name for name in sys.modules if name.startswith("sentry_sdk")]
"""


def test_it_imports_nothing_of_sentry():
    """A program that does not use Sentry pays nothing for it, and need not have it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert (done.returncode, done.stderr) == (0, "")


class Broken(Recording):
    """A transport that raises."""

    def capture_envelope(self, envelope: Any) -> None:
        """Fail."""
        message = "Sentry is down"
        raise OSError(message)


@pytest.mark.parametrize("content", [False, True])
def test_a_transport_that_raises_is_not_felt(sentry, content):
    """Neither by a call that succeeds nor by the error of one that fails."""
    sentry.transport = Broken()
    sentry.init(send_default_pii=True)
    asked = client([ANSWER, Status(400)], content=content)
    assert answer_of(asked) == ANSWER
    with pytest.raises(openai.BadRequestError):
        answer_of(asked)
    assert held(asked) == 0


def test_callbacks_that_raise_are_not_felt(sentry):
    """Sentry keeps them from us."""

    def fails(*_):
        message = "no"
        raise RuntimeError(message)

    sentry.init(before_send=fails, before_send_transaction=fails, before_breadcrumb=fails, traces_sampler=fails)
    asked = client([Status(503), Status(400)])
    with pytest.raises(openai.BadRequestError):
        answer_of(asked)
    assert held(asked) == 0


def test_sentry_may_be_closed_in_the_midst_of_a_call(sentry):
    """What was held is let go of."""
    sentry.init()
    asked = client([[{"choices": [{"index": 0, "delta": {"content": "a"}}]}, "[DONE]"], ANSWER])
    with sentry_sdk.start_transaction(name="page"):
        stream = asked.chat.completions.create(**ASK, stream=True)
        next(stream)
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)
        list(stream)
    assert held(asked) == 0
    assert answer_of(asked) == ANSWER
    assert failures(asked) == {}


def test_what_is_held_is_bounded(sentry, monkeypatch):
    """Streams that never end push the oldest out; their later end is passed over."""
    monkeypatch.setattr(sentry_span, "_MOST", 3)
    sentry.init()
    asked = client([[{"choices": [{"index": 0, "delta": {"content": "a"}}]}, "[DONE]"]] * 9)
    with sentry_sdk.start_transaction(name="page"):
        streams = [asked.chat.completions.create(**ASK, stream=True) for _ in range(9)]
        assert held(asked) == 6
        for stream in streams:
            stream.close()
    assert held(asked) == 0
    assert failures(asked) == {}


def test_an_unsampled_transaction_holds_no_spans(sentry):
    """What would not be sent is not made."""
    sentry.init(traces_sample_rate=0.0)
    asked = client([[{"choices": [{"index": 0, "delta": {"content": "a"}}]}, "[DONE]"]])
    with sentry_sdk.start_transaction(name="page"), asked.chat.completions.create(**ASK, stream=True) as stream:
        next(stream)
        assert held(asked) == 1
    assert held(asked) == 0
    assert sentry.transport.items("transaction") == []


def streamed(rig):
    """The spans that were sent one by one, with plain attributes."""
    sentry_sdk.flush()
    items = [item for batch in rig.transport.items("span") for item in batch["items"]]
    for item in items:
        item["attributes"] = {name: value["value"] for name, value in item["attributes"].items()}
    return items


def test_span_streaming_is_served_alike(sentry):
    """The same names and attributes, by Sentry's other API."""
    from sentry_sdk import traces

    sentry.init(_experiments={"trace_lifecycle": "stream"})
    asked = client([Status(503), ANSWER])
    with traces.start_span(name="page") as page:
        answer_of(asked)
        assert traces.get_current_span() is page
    first, second, last = streamed(sentry)
    assert last["name"] == "page"
    assert [first["status"], second["status"]] == ["error", "ok"]
    assert first["parent_span_id"] == second["parent_span_id"] == last["span_id"]
    assert second["name"] == "chat gpt-5"
    assert (
        second["attributes"].items()
        >= {
            "sentry.op": "gen_ai.chat",
            "sentry.origin": "auto.ai.llmstack",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.usage.total_tokens": 5,
            "llmstack.attempt": 2,
        }.items()
    )
    assert second["attributes"]["gen_ai.response.finish_reasons"] == ["stop"]
    assert held(asked) == 0


def test_span_streaming_without_a_span_around_and_with_an_error(sentry):
    """The attempt is a trace of its own, and the error belongs to it."""
    sentry.init(_experiments={"trace_lifecycle": "stream"})
    with pytest.raises(openai.BadRequestError):
        answer_of(client([Status(400)]))
    (span,) = streamed(sentry)
    assert "parent_span_id" not in span
    trace = sentry.transport.error["contexts"]["trace"]
    assert (trace["trace_id"], trace["span_id"]) == (span["trace_id"], span["span_id"])


def test_ai_spans_sent_apart_from_their_transaction(sentry):
    """``stream_gen_ai_spans``, the default of newer versions, takes them for what they are."""
    sentry.init(stream_gen_ai_spans=True)
    with sentry_sdk.start_transaction(name="page"):
        answer_of(client([ANSWER]))
    (span,) = streamed(sentry)
    assert span["attributes"]["gen_ai.usage.total_tokens"] == 5
    assert span["attributes"]["llmstack.host"] == "api.openai.com"  # Sentry takes `server.address` for itself
    assert sentry.transport.spans == []


def test_what_was_not_read_to_its_end_is_no_failure_where_spans_are_sent_apart(sentry):
    """That form knows only ``ok`` and ``error``; `llmstack.outcome` says the rest."""
    sentry.init(stream_gen_ai_spans=True)
    asked = client([ANSWER, Status(400)])
    with sentry_sdk.start_transaction(name="page"):
        with asked.chat.completions.create(**ASK, stream=True) as stream:
            next(stream)
        with pytest.raises(openai.BadRequestError):
            answer_of(asked)
    left, failed = streamed(sentry)
    assert (left["status"], left["attributes"]["llmstack.outcome"]) == ("ok", "incomplete")
    assert (failed["status"], failed["attributes"]["llmstack.outcome"]) == ("error", "error")
