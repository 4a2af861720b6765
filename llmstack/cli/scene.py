"""Scenes: the calls of the demo, each with what must come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import llmstack
from llmstack.cli.program import Program
from llmstack.events import Outcome

if TYPE_CHECKING:
    from llmstack.testing.local_server import LocalServer

Step = Literal["", "answer", "refusal"]
"""What must be seen on the way of a call besides its requests."""

LIMIT = "$0.01/day for team=search"
"""What the demo's Budget allows."""
HELLO = "Say hello in five words."
_CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One thing to see.

    Attributes:
        title: What it is.
        code: The program's line, shortened.
        play: Makes the calls.
        note: What there is to notice; empty if it speaks for itself.
        prepare: Orders the local server's misbehaviour.
        calls: How many calls are made.
        outcome: How each of them must end.
        statuses: What each of their requests must bring.
        turn: What must be seen on the way.
        streamed: True if the text appears piece by piece.
        observed: True if what Logging and Sentry wrote is shown.
        live: True if it may be played to the real service: cheap, and without a fault to order.
    """

    title: str
    code: str
    play: Callable[[Program], None]
    note: str = ""
    prepare: Callable[[LocalServer], object] | None = None
    calls: int = 1
    outcome: Outcome = "ok"
    statuses: Sequence[int] = (200,)
    turn: Step = ""
    streamed: bool = False
    observed: bool = False
    live: bool = True


def scenes(*, live: bool) -> list[Scene]:
    """The scenes in their order; with `live` those that the real service can play."""
    return [
        scene
        for scene in (*_plain(), *_faulty(), *_endpoints(), *_unsent(), *_elsewhere(), *_refused())
        if scene.live or not live
    ]


def _plain() -> Iterable[Scene]:
    yield Scene(
        title="A chat call",
        code="client.chat.completions.create(model=..., messages=[...])",
        play=lambda program: program.ask(HELLO),
    )
    yield Scene(
        title="Three at once, async",
        code="await asyncio.gather(ask(...), ask(...), ask(...))",
        note="The same layers, written once, serve the async client.",
        play=lambda program: program.ask_all("Name a colour.", "Name a river.", "Name a tree."),
        prepare=lambda server: server.next(path=_CHAT, times=3, delay=0.1),
        calls=3,
    )
    yield Scene(
        title="A stream, read to its end",
        code="for chunk in client.chat.completions.create(..., stream=True): ...",
        note="When it has ended the layers get one complete reply, with its tokens.",
        play=lambda program: program.stream("Count slowly from one to ten."),
        prepare=lambda server: server.next(path=_CHAT, event_delay=0.03),
        streamed=True,
    )
    yield Scene(
        title="A stream, stopped early",
        code="for chunk in stream: ...; break",
        note="The connection goes back at once, and the layers hear what was read.",
        play=lambda program: program.stream("Tell a long story.", pieces=2),
        prepare=lambda server: server.next(path=_CHAT, event_delay=0.03),
        outcome="incomplete",
        streamed=True,
    )


def _faulty() -> Iterable[Scene]:
    yield Scene(
        title="Too many requests, retried",
        code="client.chat.completions.create(...)",
        note="The server said how long to wait: retry-after-ms: 150.",
        play=lambda program: program.ask("What is a retry?"),
        prepare=lambda server: server.next(429, path=_CHAT, headers={"retry-after-ms": "150"}),
        statuses=(429, 200),
        observed=True,
        live=False,
    )
    yield Scene(
        title="A stream, broken at once",
        code="for chunk in client.chat.completions.create(..., stream=True): ...",
        note="Nothing had reached the program, so it sees one whole stream.",
        play=lambda program: program.stream("Can you hear me?"),
        prepare=lambda server: server.next(path=_CHAT, fault="cut", after=1),
        statuses=(200, 200),
        streamed=True,
        live=False,
    )
    yield Scene(
        title="A stream, broken midway",
        code="for chunk in client.chat.completions.create(..., stream=True): ...",
        note="Words had reached the program: sent again they would come twice.",
        play=lambda program: program.stream("Tell me how it ends."),
        prepare=lambda server: server.next(path=_CHAT, fault="cut", after=5, event_delay=0.03),
        outcome="error",
        streamed=True,
        observed=True,
        live=False,
    )


def _endpoints() -> Iterable[Scene]:
    yield Scene(
        title="Embeddings",
        code="client.embeddings.create(model=..., input=[...])",
        note="Every endpoint passes the stack, not only chat.",
        play=lambda program: program.embed("a cat", "a dog"),
        live=False,
    )
    yield Scene(
        title="The Responses API",
        code="client.responses.create(model=..., input=...)",
        play=lambda program: program.respond("What is a stack?"),
    )


def _unsent() -> Iterable[Scene]:
    yield Scene(
        title="The first question again",
        code="client.chat.completions.create(model=..., messages=[...])",
        note="The cache has the answer: no request, no cost.",
        play=lambda program: program.ask(HELLO),
        statuses=(),
        turn="answer",
    )
    yield Scene(
        title="More than a budget allows",
        code='with llmstack.options(tags={"team": "search"}): client.chat...',
        note=f"The limit is {LIMIT}. What a call may cost at most is reserved before it is sent.",
        play=_write_a_novel,
        outcome="refused",
        statuses=(),
        turn="refusal",
        live=False,
    )


def _elsewhere() -> Iterable[Scene]:
    yield Scene(
        title="One call, three transports",
        code="OpenAI(stack=stack.with_transport(...)).chat.completions.create(...)",
        note="OpenAI's chat completions, its Responses API, an Azure resource.",
        play=lambda program: program.ask_everywhere("Which way did this go?"),
        calls=3,
        live=False,
    )
    yield Scene(
        title="Responses by chat completions",
        code="OpenAI(stack=stack.with_transport(ChatTransport())).responses.create(...)",
        note="For servers that have nothing else.",
        play=lambda program: program.respond("Which way did that go?", over="chat"),
        live=False,
    )


def _refused() -> Iterable[Scene]:
    yield Scene(
        title="A refused call",
        code="client.responses.create(model=..., input=...)",
        note="Code that catches openai.OpenAIError catches a refusal too.",
        play=lambda program: program.respond("What is my password?"),
        outcome="refused",
        statuses=(),
        turn="refusal",
    )


def _write_a_novel(program: Program) -> None:
    with llmstack.options(tags={"team": "search"}):
        program.ask("Write a novel.", max_completion_tokens=100_000)
