"""Chunks that are not parsed as most are: they come in their place, and cost what they cost, however many there are."""

from __future__ import annotations

import httpx2

from llmstack import AsyncOpenAI, Stack

PLAIN = '{"id":"c","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"content":"%s"}}]}'
ODD = PLAIN.replace('"id":', r'"\u0069d":')
"""A name that is written as nobody writes it: the SDK has to say what it is."""


async def test_odd_chunks_keep_their_place_and_leave_nothing_behind() -> None:
    """Each is put aside until the SDK has made it; what waits behind it is read from where it was."""
    sent = [(ODD if i % 3 else PLAIN) % i for i in range(30)]
    body = "".join(f"data: {data}\n\n" for data in [*sent, "[DONE]"]).encode()
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: answer))
    async with AsyncOpenAI(
        api_key="sk-fake-fake-fake", base_url="https://x.example.com/v1", stack=Stack([]), http_client=http
    ) as client:
        stream = await client.chat.completions.create(model="m", messages=[], stream=True)
        texts, sources = [], set()
        async for chunk in stream:
            texts.append(chunk.choices[0].delta.content)
            sources.add(id(stream._tap.pending))  # type: ignore[attr-defined] # noqa: SLF001
    assert texts == [str(i) for i in range(30)]
    assert len(sources) == 1
