"""What chat completions cannot do is refused by its name, before anything is sent."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from llmstack.errors import OptionError, UnsupportedError
from llmstack.events import CallFinished
from llmstack.testing import LocalServer
from llmstack.transports import ChatTransport
from tests.core.side import Side
from tests.transports.chat_rig import MODEL, chat_rig, play


def test_what_chat_cannot_do_is_refused_before_it_is_sent(side: Side, server: LocalServer) -> None:
    """All of it by name, with what to do instead; the error pickles and holds no content."""
    rig = chat_rig(side, server)

    async def program() -> UnsupportedError:
        with pytest.raises(UnsupportedError) as caught:
            await side.do(
                rig.client.responses.create(
                    model=MODEL, input="private words", previous_response_id="resp_1", tools=[{"type": "web_search"}]
                )
            )
        return caught.value

    error = play(side, program, rig)
    assert error.message == (
        "parameters `previous_response_id` needs a server that keeps state: send the whole conversation as `input`, or "
        "give the transport a store; `tools[0]` ('web_search') is a tool of the Responses API's own, and chat "
        "completions have none: give a function instead"
    )
    assert error.call is not None
    assert error.call.endpoint == "responses"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert server.count() == 0


OTHERS: dict[str, Any] = {
    "retrieve": lambda responses: responses.retrieve("resp_1"),
    "delete": lambda responses: responses.delete("resp_1"),
    "cancel": lambda responses: responses.cancel("resp_1"),
    "input_items": lambda responses: responses.input_items.list("resp_1"),
    "compact": lambda responses: responses.compact(model=MODEL, input="Hi"),
    "input_tokens": lambda responses: responses.input_tokens.count(model=MODEL, input="Hi"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_there_is_of_responses_is_refused(side: Side, server: LocalServer, name: str) -> None:
    """By its name."""
    rig = chat_rig(side, server)

    async def program() -> None:
        with pytest.raises(UnsupportedError, match=rf"^responses\.{name} needs a server of the Responses API"):
            await side.do(OTHERS[name](rig.client.responses))

    play(side, program, rig)
    assert server.count() == 0


def test_a_program_may_do_without(side: Side, server: LocalServer, caplog: pytest.LogCaptureFixture) -> None:
    """Told once in the log, and each time in the call's notes."""
    rig = chat_rig(side, server, transport=ChatTransport(lossy="warn"))

    async def program() -> None:
        for _ in range(2):
            await side.do(rig.client.responses.create(model=MODEL, input="Hello", truncation="auto"))

    play(side, program, rig)
    (told,) = [record.getMessage() for record in caplog.records if record.name == "llmstack.transports"]
    assert told.startswith("parameter `truncation` needs a server that shortens conversations")
    assert [event.notes for event in rig.recorder.of(CallFinished)] == [{"dropped": ["truncation"]}] * 2
    assert all("truncation" not in request.json for request in server.requests)


def test_what_the_call_makes_no_sense_without_is_refused_all_the_same(side: Side, server: LocalServer) -> None:
    """Only that is named then."""
    rig = chat_rig(side, server, transport=ChatTransport(lossy="warn"))

    async def program() -> None:
        with pytest.raises(UnsupportedError, match=r"^parameter `conversation` needs[^;]*$"):
            await side.do(
                rig.client.responses.create(model=MODEL, input="Hello", conversation="conv_1", truncation="auto")
            )

    play(side, program, rig)


@pytest.mark.parametrize("option", ["lossy", "max_tokens_field", "system_role"])
def test_an_option_has_its_values(option: str) -> None:
    """And names them."""
    with pytest.raises(OptionError, match=rf"^ChatTransport\({option}=\.\.\.\) takes '.+' or '.+', not 'x'$"):
        ChatTransport(**{option: "x"})  # type: ignore[arg-type]
