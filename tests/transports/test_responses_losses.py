"""Chat completions served by the Responses API: what cannot be asked is refused, or dropped with a warning."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest

from llmstack.errors import OptionError, UnsupportedError
from llmstack.events import CallFinished
from llmstack.middleware import Retry
from llmstack.testing import Recorder, ScriptedTransport
from llmstack.transports import ResponsesTransport
from tests.clients.calls import MODEL, chat
from tests.clients.stacks import passthrough
from tests.core.side import texts
from tests.transports.responses import ResponsesSide, scripted


def test_a_parameter_without_counterpart_refuses_the_call(responses_side: ResponsesSide) -> None:
    """Nothing is sent; the error names all of them and what to do, and no word of the conversation."""
    rig = responses_side.rig([Retry()], [])

    async def program() -> None:
        with pytest.raises(UnsupportedError) as caught:
            await responses_side.do(rig.create(n=2, stop=["private words"]))
        again = pickle.loads(pickle.dumps(caught.value))
        missing = "has no counterpart in the Responses API"
        advice = 'drop them, or use ResponsesTransport(lossy="warn")'
        assert caught.value.message == f"parameters `n` {missing}; `stop` {missing}; {advice}"
        assert again.message == caught.value.message
        assert caught.value.call is not None
        with pytest.raises(UnsupportedError, match=r"parameter `seed` has no .*; drop it, or use"):
            await responses_side.do(rig.create(seed=1, stream=True))

    responses_side.run(program)
    assert rig.sent == []


def test_what_a_call_cannot_do_without_is_refused_in_any_case() -> None:
    """And no such advice is given."""
    messages: Any = [{"role": "assistant", "audio": {"id": "audio_1"}}]
    client = scripted(ResponsesTransport(ScriptedTransport(), lossy="warn"))
    with client, pytest.raises(UnsupportedError, match=r"`messages\[0\].audio` is an answer in audio") as caught:
        client.chat.completions.create(model=MODEL, messages=messages)
    assert "lossy" not in str(caught.value)


def test_lossy_drops_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Once for each parameter in the log, each time in the notes; the other parameters are sent."""
    inner = ScriptedTransport(default="Hello")
    recorder = Recorder()
    named: list[Any] = [{"role": "user", "name": "private words", "content": "Hi"}] * 2
    with (
        caplog.at_level(logging.WARNING, "llmstack.transports"),
        scripted(ResponsesTransport(inner, lossy="warn"), recorder) as client,
    ):
        for _ in range(2):
            client.chat.completions.create(model=MODEL, messages=named, seed=1, temperature=0.5)
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}])
    assert [record.getMessage() for record in caplog.records] == [
        "parameter `seed` has no counterpart in the Responses API: dropped; told once for each parameter",
        "parameter `messages[0].name` has no counterpart in the Responses API: dropped; told once for each parameter",
    ]
    dropped = ["seed", "messages[0].name", "messages[1].name"]
    assert [event.notes.get("dropped") for event in recorder.of(CallFinished)] == [dropped, dropped, None]
    assert inner.calls[0].params == {
        "model": MODEL,
        "temperature": 0.5,
        "input": [{"type": "message", "role": "user", "content": "Hi"}] * 2,
        "store": False,
    }


def test_a_stream_of_which_several_choices_were_dropped_is_complete() -> None:
    """One is all there can be."""
    recorder = Recorder()
    transport = ResponsesTransport(ScriptedTransport(default="Hello"), lossy="warn")
    with scripted(transport, passthrough, recorder) as client:
        ask = chat(n=3, stream=True)
        with client.chat.completions.create(**ask) as stream:
            assert texts(stream) == "Hello"
    assert recorder.finished.outcome == "ok"


@pytest.mark.parametrize("lossy", ["ignore", None, True])
def test_another_way_to_lose_is_an_error(lossy: Any) -> None:
    """When the transport is made."""
    with pytest.raises(OptionError, match="takes 'refuse' or 'warn'"):
        ResponsesTransport(lossy=lossy)
