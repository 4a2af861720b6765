"""The ways that a framework's call may go: what it asks by, a transport, and the path that the server sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from llmstack import Transport
from llmstack.testing import LocalServer
from tests.transports import test_same_program as there

T = TypeVar("T", bound=Callable[..., object])


@dataclass(frozen=True)
class Way:
    """One of them.

    Attributes:
        api: What the framework asks by: ``chat`` (completions) or ``responses``.
        transport: Makes the transport; None for the client's own connection.
        path: Where the server is asked.
    """

    api: str
    transport: Callable[[LocalServer], Transport] | None
    path: str

    def make(self, server: LocalServer) -> Transport | None:
        """The transport."""
        return self.transport and self.transport(server)

    def __str__(self) -> str:
        return f"{self.api}-{self.transport.__name__ if self.transport else 'own'}"


OWN_CHAT, OWN_RESPONSES = Way("chat", None, "/v1/chat/completions"), Way("responses", None, "/v1/responses")
CHAT = [OWN_CHAT, *(Way("chat", make, path) for make, path in there.CHAT_PATHS.items())]
RESPONSES = [
    OWN_RESPONSES,
    *(Way("responses", make, path) for make, path in there.RESPONSES_PATHS.items()),
    Way("responses", there.azure_by_deployment, "/openai/responses"),
]

every_way = pytest.mark.parametrize("way", [*CHAT, *RESPONSES], ids=str)
plain_and_streamed = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])


def every_way_in_both_modes(test: T) -> T:
    """Each way, plain and streamed."""
    return every_way(plain_and_streamed(test))
