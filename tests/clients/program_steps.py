"""What programs are made of: their steps, and the types that they ask for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import openai
import pydantic

from tests.clients.calls import found, made

Steps = Generator[Any, Any, Any]


class City(pydantic.BaseModel):
    """Structured output."""

    name: str


class Anything(openai.BaseModel):
    """A program's own type for an answer."""

    id: str
    object: str = ""


def is_async(client: Any) -> bool:
    return isinstance(client, openai.AsyncOpenAI)


def prepared(client: Any, *calls: Any) -> Steps:
    """Make what a program needs."""
    for path, arguments in calls:
        yield found(client, path)(**made(arguments))
