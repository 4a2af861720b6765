"""Calls that are recorded on a cassette and played from it."""

from typing import Any

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.testing import Cassette, FakeClock
from tests.core.side import KEY, Side

PROMPT = "Tell me of the sea\nand of \N{SNOWMAN} and \N{PILE OF POO}"
ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}


def client_of(side, base_url, layers=(), **more) -> Any:
    kind = AsyncOpenAI if side.asynchronous else OpenAI
    stack = Stack(layers, clock=FakeClock(), **more)
    return kind(api_key=KEY, base_url=base_url, stack=stack, max_retries=0, timeout=20)


def record(server, file, **more):
    """The text of a cassette of three calls."""
    with Cassette(file, **more), client_of(Side("sync"), server.base_url) as client:
        client.chat.completions.create(**ASKED)
        list(client.chat.completions.create(**ASKED, stream=True))
        client.audio.speech.create(model="tts-1", voice="alloy", input="x")
    return file.read_text()


def ask(base_url, file, *words, mode: Any = "once", **more):
    """The cassette that has heard these words."""
    with Cassette(file, mode=mode) as cassette, client_of(Side("sync"), base_url) as client:
        for word in words:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": word}], **more)
    return cassette
