"""Program: what the demo's program does with its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmstack import AsyncOpenAI, OpenAI


@dataclass(slots=True)
class Program:
    """The program that makes the calls.

    Attributes:
        client: Its client.
        model: The model it asks.
        open_async: Makes its async client.
        others: Clients of the same stack that ends in other transports, by their names.
        show: Called with each piece of a stream as it arrives.
        got: What it has received in the present scene.
    """

    client: OpenAI
    model: str
    open_async: Callable[[], AsyncOpenAI]
    show: Callable[[str], None]
    others: Mapping[str, OpenAI] = field(default_factory=dict)
    got: list[str] = field(default_factory=list)

    def ask(self, text: str, **more: Any) -> None:
        """One chat completion; `more` goes with it."""
        self.got.append(_answer(self.client, self.model, text, more))

    def ask_everywhere(self, text: str) -> None:
        """The same chat completion over every transport that serves it in a way of its own."""
        for client in (self.client, self.others["responses"], self.others["azure"]):
            self.got.append(_answer(client, self.model, text, {}))

    def ask_all(self, *texts: str) -> None:
        """Several at once, in an async program."""

        async def ask(client: AsyncOpenAI, text: str) -> str:
            reply = await client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": text}])
            return reply.choices[0].message.content or ""

        async def program() -> None:
            async with self.open_async() as client:
                self.got += await asyncio.gather(*(ask(client, text) for text in texts))

        asyncio.run(program())

    def stream(self, text: str, *, pieces: int | None = None) -> None:
        """A streamed chat completion, read to its end or only so many pieces of it."""
        messages: Any = [{"role": "user", "content": text}]
        usage: Any = {"include_usage": True}
        with self.client.chat.completions.create(
            model=self.model, messages=messages, stream=True, stream_options=usage
        ) as stream:
            for chunk in stream:
                piece = chunk.choices[0].delta.content if chunk.choices else None
                if not piece:
                    continue
                self.got.append(piece)
                self.show(piece)
                if len(self.got) == pieces:
                    break

    def respond(self, text: str, *, over: str = "") -> None:
        """One call of the Responses API, if wanted over one of the other transports."""
        client = self.others[over] if over else self.client
        self.got.append(client.responses.create(model=self.model, input=text).output_text)

    def embed(self, *texts: str) -> None:
        """Vectors of some texts."""
        reply = self.client.embeddings.create(model="text-embedding-3-small", input=list(texts))
        self.got += [f"a vector of {len(item.embedding)} numbers" for item in reply.data]


def _answer(client: OpenAI, model: str, text: str, more: Mapping[str, Any]) -> str:
    reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)
    return reply.choices[0].message.content or ""
