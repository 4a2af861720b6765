"""instructor on top, over each transport. A tool of its is a model of pydantic, which the model fills in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from llmstack.errors import BudgetExceededError
from llmstack.testing import LocalServer
from tests.core.side import Side, texts
from tests.frameworks.rig import PLAIN, QUESTION, SPENT, City, Rig, Said
from tests.frameworks.ways import Way, every_way, plain_and_streamed

instructor: Any = import_module("instructor")  # type checkers look at another environment, see conftest.py

CALL = "call_1"
sides = pytest.mark.parametrize("side", [Side("sync"), Side("asyncio"), Side("trio")], ids=lambda side: side.name)


class Weather(BaseModel):
    """Tell the weather."""

    city: str


class Capital(City):
    """What the model fills in wrongly at first."""

    @field_validator("name")
    @classmethod
    def known(cls, name: str) -> str:
        """The program finds fault with the first answer."""
        if name == PLAIN:
            raise ValueError("tell why")
        return name


def client_of(rig: Rig, side: Side) -> Any:
    """Its client; a response asks for tools otherwise than a chat."""
    mode = {"chat": instructor.Mode.TOOLS, "responses": instructor.Mode.RESPONSES_TOOLS}[rig.way.api]
    return instructor.from_openai(rig.aclient if side.asynchronous else rig.client, mode=mode, model=rig.model)


def told(rig: Rig, wants: Weather) -> list[dict[str, Any]]:
    """The conversation up to the tool's result."""
    asked = {"role": "user", "content": QUESTION}
    result = rig.weather(wants.city)
    if rig.way.api == "responses":  # there it takes no items of tools, and tells what came of them as a text, too
        rig.answer = "You said: sunny"
        return [asked, {"role": "assistant", "content": wants.model_dump_json()}, {"role": "user", "content": result}]
    function = {"name": "Weather", "arguments": wants.model_dump_json()}
    call = {"id": CALL, "type": "function", "function": function}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    return [asked, said, {"role": "tool", "tool_call_id": CALL, "content": result}]


def tokens(usage: Any) -> tuple[int, int]:
    """Read and written."""
    if hasattr(usage, "input_tokens"):
        return usage.input_tokens, usage.output_tokens
    return usage.prompt_tokens, usage.completion_tokens


async def converse(rig: Rig, side: Side) -> Said:
    """Let the model fill in the tool, tell its result."""
    client = client_of(rig, side)
    question = [{"role": "user", "content": QUESTION}]
    wants, first = await side.do(client.create_with_completion(messages=question, response_model=Weather))
    last = await side.do(client.create(messages=told(rig, wants), response_model=None))
    text = last.output_text if rig.way.api == "responses" else last.choices[0].message.content
    (read, written), (more_read, more_written) = tokens(first.usage), tokens(last.usage)
    return Said([text], (read + more_read, written + more_written))


async def converse_streaming(rig: Rig, side: Side) -> Said:
    """The same, where the tool is seen while it is filled in."""
    client = client_of(rig, side)
    question = [{"role": "user", "content": QUESTION}]
    partial = await side.read(client.create_partial(messages=question, response_model=Weather))
    stream = await side.do(client.create(messages=told(rig, partial[-1]), response_model=None, stream=True))
    pieces = await side.read(stream)
    if rig.way.api == "responses":
        return Said([piece.delta for piece in pieces if piece.type == "response.output_text.delta"], None)
    return Said([word for piece in pieces if (word := texts([piece]))], None)


def play(server: LocalServer, way: Way, side: Side, program: Callable[[Rig], Awaitable[None]], **more: Any) -> None:
    """Run a program, and close the clients that it used."""

    async def playing() -> None:
        rig = Rig(server, way, **more)
        if side.asynchronous:
            async with rig:
                await program(rig)
        else:
            with rig:
                await program(rig)

    side.run(playing)


@every_way
@plain_and_streamed
@sides
def test_a_tool_is_filled_in_and_its_result_told(
    server: LocalServer,
    way: Way,
    streamed: bool,  # noqa: FBT001
    side: Side,
) -> None:
    """And the same again is answered by the cache."""

    async def program(rig: Rig) -> None:
        speak = converse_streaming if streamed else converse
        rig.assert_conversation(await speak(rig, side), streamed=streamed)
        rig.assert_repeated(await speak(rig, side))

    play(server, way, side, program)


@every_way
@sides
def test_a_form_filled_in_wrongly_is_asked_for_again(server: LocalServer, way: Way, side: Side) -> None:
    """What was wrong goes back as the tool's result; both calls are paid."""

    async def program(rig: Rig) -> None:
        question = [{"role": "user", "content": PLAIN}]
        capital = await side.do(client_of(rig, side).create(messages=question, response_model=Capital, max_retries=1))
        assert "tell why" in capital.name  # the server's model says what was said last
        rig.assert_sent(2, streamed=False)

    play(server, way, side, program)


@every_way
@sides
def test_what_the_stack_refuses_is_told(server: LocalServer, way: Way, side: Side) -> None:
    """As the cause of an error of its own, and at once: it is not asked for again."""

    async def program(rig: Rig) -> None:
        question = [{"role": "user", "content": PLAIN}]
        with pytest.raises(import_module("instructor.core").InstructorRetryException) as caught:
            await side.do(client_of(rig, side).create(messages=question, response_model=City))
        assert isinstance(caught.value.__cause__, BudgetExceededError)
        assert (len(rig.finished), server.count()) == (1, 0)

    play(server, way, side, program, limit=SPENT)
