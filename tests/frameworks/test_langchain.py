"""langchain-openai on top, over each transport."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from llmstack.errors import BudgetExceededError
from llmstack.middleware.budget import CostBooked
from llmstack.testing import LocalServer
from tests.frameworks.rig import PLAIN, QUESTION, SPENT, City, Rig, Said
from tests.frameworks.ways import OWN_CHAT, OWN_RESPONSES, Way, every_way, every_way_in_both_modes

sync_and_async = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


def model_of(rig: Rig) -> ChatOpenAI:
    """A chat model that has both clients; it needs no key."""
    return ChatOpenAI(
        model=rig.model,
        client=rig.client.chat.completions,
        async_client=rig.aclient.chat.completions,
        root_client=rig.client,
        root_async_client=rig.aclient,
        use_responses_api=rig.way.api == "responses",
        stream_usage=True,
    )


async def ask(model: Any, told: Any, *, asynchronous: bool, streamed: bool) -> list[Any]:
    """The answer, in the pieces that it comes in."""
    if streamed:
        return [piece async for piece in model.astream(told)] if asynchronous else list(model.stream(told))
    return [await model.ainvoke(told) if asynchronous else model.invoke(told)]


def whole(pieces: list[Any]) -> Any:
    """The message that they are."""
    message = pieces[0]
    for piece in pieces[1:]:
        message += piece
    return message


async def converse(rig: Rig, **how: bool) -> Said:
    """Ask, run the tool, tell its result."""
    weather = tool(rig.weather)
    model = model_of(rig).bind_tools([weather])
    told: list[Any] = [HumanMessage(QUESTION)]
    wants = whole(await ask(model, told, **how))
    (call,) = wants.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": QUESTION})
    told += [wants, weather.invoke(call)]
    pieces = await ask(model, told, **how)
    usages = [message.usage_metadata for message in (wants, whole(pieces))]
    tokens = sum(usage["input_tokens"] for usage in usages), sum(usage["output_tokens"] for usage in usages)
    return Said([piece.text for piece in pieces if piece.text], tokens)


@every_way_in_both_modes
@sync_and_async
async def test_a_tool_is_called_and_its_result_told(
    server: LocalServer,
    way: Way,
    streamed: bool,  # noqa: FBT001
    asynchronous: bool,  # noqa: FBT001
) -> None:
    """And the same again is answered by the cache."""
    async with Rig(server, way) as rig:
        how = {"asynchronous": asynchronous, "streamed": streamed}
        await rig.assert_answered_twice(lambda: converse(rig, **how), streamed=streamed)


# The SDK's parsed models warn when they are written down, whatever they come from; langchain-openai writes them down.
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")
@every_way_in_both_modes
@sync_and_async
async def test_an_answer_has_the_form_asked_for(
    server: LocalServer,
    way: Way,
    streamed: bool,  # noqa: FBT001
    asynchronous: bool,  # noqa: FBT001
) -> None:
    """By the SDK's own helpers: `parse` and `stream`, of the client's and not of its completions."""
    async with Rig(server, way) as rig:
        model = model_of(rig).with_structured_output(City, method="json_schema")
        pieces = await ask(model, PLAIN, asynchronous=asynchronous, streamed=streamed)
        assert pieces[-1] == City(name=PLAIN)
        rig.assert_sent(1, streamed=streamed)


@pytest.mark.parametrize("way", [OWN_CHAT, OWN_RESPONSES], ids=str)
def test_a_stream_that_is_left_is_paid_and_not_kept(server: LocalServer, way: Way) -> None:
    """The program stops at the first word."""
    with Rig(server, way) as rig:
        pieces = model_of(rig).stream(PLAIN)
        assert next(piece.text for piece in pieces if piece.text)
        del pieces
        (finished,) = rig.finished
        assert (finished.outcome, finished.cached) == ("incomplete", False)
        (booked,) = rig.recorder.of(CostBooked)
        (status,) = rig.budget.status()
        assert (status.spent, status.reserved) == (booked.cost, 0) != (0, 0)
        assert model_of(rig).invoke(PLAIN).text == f"You said: {PLAIN}"
        assert server.count() == 2


@every_way
async def test_what_the_stack_refuses_is_told_as_it_is(server: LocalServer, way: Way) -> None:
    """No error of the framework's is in its place."""
    async with Rig(server, way, limit=SPENT) as rig:
        with pytest.raises(BudgetExceededError):
            model_of(rig).invoke(PLAIN)
        with pytest.raises(BudgetExceededError):
            await ask(model_of(rig), PLAIN, asynchronous=True, streamed=True)
        assert server.count() == 0


def test_root_clients_alone_are_passed_by(server: LocalServer) -> None:
    """Why all four are to be given: it makes clients of its own otherwise."""
    with Rig(server, OWN_CHAT) as rig:
        model = ChatOpenAI(
            model=rig.model, root_client=rig.client, root_async_client=rig.aclient, api_key=lambda: "sk-test"
        )
        assert model.root_client is not rig.client
        assert model.root_async_client is not rig.aclient
        model.root_client.close()
