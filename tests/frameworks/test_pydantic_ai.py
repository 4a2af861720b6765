"""pydantic-ai on top, over each transport."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider

from llmstack.errors import BudgetExceededError, UnsupportedError
from llmstack.testing import LocalServer
from llmstack.transports import ChatTransport
from tests.frameworks.rig import PLAIN, QUESTION, SPENT, City, Rig, Said
from tests.frameworks.ways import OWN_CHAT, OWN_RESPONSES, Way, every_way, every_way_in_both_modes
from tests.transports.chat_rig import CHAT_PATH

SERVED_BY_CHAT = OpenAIModelProfile(openai_supports_encrypted_reasoning_content=False)
"""Of what chat completions have no counterpart for, all that is asked for unless one says no."""


def agent_of(rig: Rig, **more: Any) -> Agent[None, Any]:
    """An agent that knows the tool."""
    provider = OpenAIProvider(openai_client=rig.aclient)
    if rig.way.api == "chat":
        model: Any = OpenAIChatModel(rig.model, provider=provider)
    else:
        profile = SERVED_BY_CHAT if "chat" in rig.way.path else None
        model = OpenAIResponsesModel(rig.model, provider=provider, profile=profile)
    return Agent(model, tools=[rig.weather], instructions="Be brief", **more)


def said_by(run: Any, pieces: list[str]) -> Said:
    """What a run says, which made two requests."""
    usage = run.usage
    assert (usage.requests, usage.tool_calls) == (2, 1)
    return Said(pieces, (usage.input_tokens, usage.output_tokens))


async def converse(agent: Agent[None, Any], *, streamed: bool) -> Said:
    """A run with a tool."""
    if not streamed:
        run = await agent.run(QUESTION)
        return said_by(run, [run.output])
    async with agent.run_stream(QUESTION) as stream:
        return said_by(stream, [piece async for piece in stream.stream_text(delta=True, debounce_by=None)])


def converse_and_wait(agent: Agent[None, Any], *, streamed: bool) -> Said:
    """The same by what is no coroutine, which sends by the async client too."""
    if not streamed:
        run = agent.run_sync(QUESTION)
        return said_by(run, [run.output])
    stream = agent.run_stream_sync(QUESTION)
    return said_by(stream, list(stream.stream_text(delta=True, debounce_by=None)))


@every_way_in_both_modes
async def test_an_agent_calls_its_tool_and_goes_on(server: LocalServer, way: Way, streamed: bool) -> None:  # noqa: FBT001
    """And the same again is answered by the cache."""
    async with Rig(server, way) as rig:
        agent = agent_of(rig)
        await rig.assert_answered_twice(lambda: converse(agent, streamed=streamed), streamed=streamed)


@every_way_in_both_modes
def test_a_run_is_waited_for(server: LocalServer, way: Way, streamed: bool) -> None:  # noqa: FBT001
    """`run_sync` and `run_stream_sync`."""
    with Rig(server, way).looping() as rig:
        agent = agent_of(rig)
        rig.assert_conversation(converse_and_wait(agent, streamed=streamed), streamed=streamed)
        rig.assert_repeated(converse_and_wait(agent, streamed=streamed))


@every_way_in_both_modes
async def test_an_answer_has_the_form_asked_for(server: LocalServer, way: Way, streamed: bool) -> None:  # noqa: FBT001
    """By the API's own structured output."""
    async with Rig(server, way) as rig:
        agent = agent_of(rig, output_type=NativeOutput(City))
        if streamed:
            async with agent.run_stream(PLAIN) as stream:
                assert await stream.get_output() == City(name=PLAIN)
        else:
            assert (await agent.run(PLAIN)).output == City(name=PLAIN)
        rig.assert_sent(1, streamed=streamed)


@every_way
async def test_what_the_stack_refuses_is_told_as_it_is(server: LocalServer, way: Way) -> None:
    """No error of the framework's is in its place."""
    async with Rig(server, way, limit=SPENT) as rig:
        agent = agent_of(rig)
        with pytest.raises(BudgetExceededError):
            await agent.run(PLAIN)
        with pytest.raises(BudgetExceededError):
            await converse(agent, streamed=True)
        assert server.count() == 0


async def test_what_chat_completions_cannot_give_is_refused_by_name(server: LocalServer) -> None:
    """The reasoning, enciphered, which it asks for by itself where the model is known to reason."""
    async with Rig(server, OWN_RESPONSES, ChatTransport()) as rig:
        model = OpenAIResponsesModel(rig.model, provider=OpenAIProvider(openai_client=rig.aclient))
        with pytest.raises(UnsupportedError, match=r"`include` asks for 'reasoning\.encrypted_content'"):
            await Agent(model).run(PLAIN)
        assert server.count() == 0


async def test_what_chat_completions_cannot_give_is_left_out_where_asked(server: LocalServer) -> None:
    """And told of."""
    async with Rig(server, OWN_RESPONSES, ChatTransport(lossy="warn")) as rig:
        model = OpenAIResponsesModel(rig.model, provider=OpenAIProvider(openai_client=rig.aclient))
        assert (await Agent(model).run(PLAIN)).output == f"You said: {PLAIN}"
        assert rig.recorder.finished.notes["dropped"] == ["include"]
        assert [request.path for request in server.requests] == [CHAT_PATH]


@pytest.mark.parametrize("way", [OWN_CHAT, OWN_RESPONSES], ids=str)
async def test_the_retries_of_a_run_are_those_of_the_stack(server: LocalServer, way: Way) -> None:
    """A number of its own reaches them: it sends by a copy of the client then, on the same connections."""
    async with Rig(server, way) as rig:
        agent = agent_of(rig)
        server.next(500, headers={"retry-after-ms": "1"})
        assert (await agent.run(PLAIN, model_settings={"max_retries": 1})).output == f"You said: {PLAIN}"
        server.next(500, headers={"retry-after-ms": "1"})
        with pytest.raises(ModelHTTPError):
            await agent.run(QUESTION, model_settings={"max_retries": 0})
        assert [(event.outcome, event.attempts) for event in rig.finished] == [("ok", 2), ("error", 1)]
