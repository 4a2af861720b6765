"""The OpenAI Agents SDK on top: its Responses model, served by chat completions."""

from __future__ import annotations

import pytest

import llmstack
from llmstack import Stack
from llmstack.testing import LocalServer
from llmstack.testing.local_server import TOOL_MARKER
from llmstack.transports import ChatTransport, MemoryResponses
from tests.transports.chat_rig import CHAT_PATH, MODEL

agents = pytest.importorskip("agents", reason="needs the package openai-agents")


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The one event loop that the agents know."""
    return str(request.param)


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_an_agent_calls_its_tool_and_goes_on(server: LocalServer, streamed: bool) -> None:  # noqa: FBT001
    """A run with a tool, plain and streamed; and another one that goes on from its last response."""
    agents.set_tracing_disabled(disabled=True)
    asked: list[str] = []

    @agents.function_tool
    def weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    stack = Stack([], transport=ChatTransport(responses=MemoryResponses()))
    async with llmstack.AsyncOpenAI(api_key="sk-test-not-a-key", base_url=server.base_url, stack=stack) as client:
        model = agents.OpenAIResponsesModel(model=MODEL, openai_client=client)
        agent = agents.Agent(name="Guide", instructions="Be brief", tools=[weather], model=model)
        if streamed:
            run = agents.Runner.run_streamed(agent, f"{TOOL_MARKER} Rome")
            names = [event.name async for event in run.stream_events() if event.type == "run_item_stream_event"]
            assert names == ["tool_called", "tool_output", "message_output_created"]
        else:
            run = await agents.Runner.run(agent, f"{TOOL_MARKER} Rome")
        assert (run.final_output, asked) == ("Tool said: sunny", [f"{TOOL_MARKER} Rome"])
        usage = run.context_wrapper.usage
        assert (usage.requests, usage.total_tokens > 0) == (2, True)
        again = await agents.Runner.run(agent, "Thanks", previous_response_id=run.last_response_id)
        assert again.final_output == "You said: Thanks"
    assert {request.path for request in server.requests} == {CHAT_PATH}
    roles = [message["role"] for message in server.requests[-1].json["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
