"""Calls with Retry to a real server, and what became of them."""

from __future__ import annotations

from typing import Any

import openai
import pytest
import tenacity

from llmstack.events import RetryStopped
from llmstack.middleware import Retry
from llmstack.testing import LocalServer
from tests.core.side import Rig, Side, texts

WAIT = tenacity.wait_fixed(1.5)
HELLO = "You said: Say hello"


@pytest.fixture(params=["plain", "streamed"])
def mode(request: pytest.FixtureRequest) -> str:
    """A call for one answer, or for a stream of it."""
    return request.param


def rig(side: Side, server: LocalServer, retry: Retry | None = None, **more: Any) -> Rig:
    """A client with Retry. The SDK's default number of retries leaves the number to it."""
    options: dict[str, Any] = {"max_retries": 2, "timeout": 20, **more}
    return side.local(server, [retry or Retry(wait=WAIT)], **options)


def ask(side: Side, rig: Rig, mode: str) -> Any:
    """One call; its text, or the error it raised."""

    async def program() -> Any:
        try:
            if mode == "plain":
                return (await side.do(rig.create())).choices[0].message.content
            return texts(await side.read(await side.do(rig.create(stream=True))))
        except openai.OpenAIError as error:
            return error
        finally:
            await side.do(rig.client.close())

    return side.run(program)


def reasons(rig: Rig) -> list[str]:
    """Why there were no more attempts."""
    return [event.reason for event in rig.recorder.of(RetryStopped)]
