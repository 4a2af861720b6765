"""openai-agents on top, over each transport."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import agents
import openai
import pytest
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, RunConfig, Runner
from agents.retry import ModelRetrySettings

from llmstack.errors import BudgetExceededError
from llmstack.testing import Cassette, LocalServer
from llmstack.transports import ChatTransport, MemoryResponses
from tests.frameworks.rig import ANSWER, PLAIN, QUESTION, SPENT, City, Rig, Said
from tests.frameworks.ways import OWN_CHAT, OWN_RESPONSES, Way, every_way, every_way_in_both_modes, plain_and_streamed
from tests.transports.chat_rig import CHAT_PATH
from tests.transports.test_same_program import openai_there


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    """Runs are told to OpenAI unless the program says no."""
    agents.set_tracing_disabled(disabled=True)


def agent_of(rig: Rig, **more: Any) -> Agent[None]:
    """An agent that knows the tool."""
    kind: Any = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}[rig.way.api]
    return Agent(
        name="Guide",
        instructions="Be brief",
        tools=[agents.function_tool(rig.weather)],
        model=kind(model=rig.model, openai_client=rig.aclient),
        # A stream of chat completions tells its usage only where it is asked to.
        model_settings=ModelSettings(include_usage=True),
        **more,
    )


def said_by(run: Any, pieces: list[str]) -> Said:
    """What a run says, which made two requests."""
    usage = run.context_wrapper.usage
    assert usage.requests == 2
    assert "".join(pieces) == run.final_output
    return Said(pieces, (usage.input_tokens, usage.output_tokens))


async def converse(agent: Agent[None], *, streamed: bool) -> Said:
    """A run with a tool."""
    if not streamed:
        run = await Runner.run(agent, QUESTION)
        return said_by(run, [run.final_output])
    running = Runner.run_streamed(agent, QUESTION)
    events: list[Any] = [event async for event in running.stream_events()]
    names = [event.name for event in events if event.type == "run_item_stream_event"]
    assert names == ["tool_called", "tool_output", "message_output_created"]
    raw = [event.data for event in events if event.type == "raw_response_event"]
    return said_by(running, [event.delta for event in raw if event.type == "response.output_text.delta"])


@every_way_in_both_modes
async def test_an_agent_calls_its_tool_and_goes_on(server: LocalServer, way: Way, streamed: bool) -> None:  # noqa: FBT001
    """And the same again is answered by the cache."""
    async with Rig(server, way) as rig:
        agent = agent_of(rig)
        await rig.assert_answered_twice(lambda: converse(agent, streamed=streamed), streamed=streamed)


@every_way
def test_a_run_is_waited_for(server: LocalServer, way: Way) -> None:
    """`run_sync`, which sends by the async client too."""
    with Rig(server, way).looping() as rig:
        agent = agent_of(rig)

        def converse() -> Said:
            run = Runner.run_sync(agent, QUESTION)
            return said_by(run, [run.final_output])

        rig.assert_conversation(converse(), streamed=False)
        rig.assert_repeated(converse())


@every_way_in_both_modes
async def test_an_answer_has_the_form_asked_for(server: LocalServer, way: Way, streamed: bool) -> None:  # noqa: FBT001
    """A type for the output."""
    async with Rig(server, way) as rig:
        agent = agent_of(rig, output_type=City)
        if streamed:
            run: Any = Runner.run_streamed(agent, PLAIN)
            assert [event async for event in run.stream_events()]
        else:
            run = await Runner.run(agent, PLAIN)
        assert run.final_output == City(name=PLAIN)
        rig.assert_sent(1, streamed=streamed)


@pytest.mark.parametrize("way", [OWN_CHAT, OWN_RESPONSES], ids=str)
async def test_retries_of_its_own_are_not_multiplied(server: LocalServer, way: Way) -> None:
    """It asks again after the stack has given up, and has the stack ask once only then."""
    again = ModelRetrySettings(max_retries=1, backoff={"initial_delay": 0.0}, policy=lambda _: True)
    async with Rig(server, way) as rig:
        server.next(500, headers={"retry-after-ms": "1"}, times=4)
        with pytest.raises(openai.InternalServerError):
            await Runner.run(agent_of(rig), PLAIN, run_config=RunConfig(model_settings=ModelSettings(retry=again)))
        assert [(event.outcome, event.attempts) for event in rig.finished] == [("error", 3), ("error", 1)]


@every_way
async def test_what_the_stack_refuses_is_told_as_it_is(server: LocalServer, way: Way) -> None:
    """No error of the framework's is in its place."""
    async with Rig(server, way, limit=SPENT) as rig:
        agent = agent_of(rig)
        with pytest.raises(BudgetExceededError):
            await Runner.run(agent, PLAIN)
        with pytest.raises(BudgetExceededError):
            await converse(agent, streamed=True)
        assert server.count() == 0


async def test_a_run_is_recorded_and_replayed(server: LocalServer, tmp_path: Path) -> None:
    """It names each run to OpenAI's prompt cache, by a number of its own that a cassette need not have."""
    there = Way("responses", openai_there, OWN_RESPONSES.path)
    for _ in range(2):
        async with Rig(server, there) as rig:
            with Cassette(tmp_path / "run.yaml", scrub=["prompt_cache_key"]):
                said = await converse(agent_of(rig), streamed=True)
            assert (said.text, server.count()) == (ANSWER, 2)
    assert server.requests[0].json["prompt_cache_key"]


@plain_and_streamed
async def test_a_run_goes_on_from_the_last_response(server: LocalServer, streamed: bool) -> None:  # noqa: FBT001
    """Served by chat completions, where responses are kept."""
    async with Rig(server, OWN_RESPONSES, ChatTransport(responses=MemoryResponses())) as rig:
        agent = agent_of(rig)
        run: Any
        if streamed:
            run = Runner.run_streamed(agent, QUESTION)
            assert [event async for event in run.stream_events()]
        else:
            run = await Runner.run(agent, QUESTION)
        assert (run.final_output, rig.asked) == (ANSWER, [QUESTION])
        again = await Runner.run(agent, "Thanks", previous_response_id=run.last_response_id)
        assert again.final_output == "You said: Thanks"
    assert {request.path for request in server.requests} == {CHAT_PATH}
    roles = [message["role"] for message in server.requests[-1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
