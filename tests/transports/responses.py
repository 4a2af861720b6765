"""What the tests of the Responses transport share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import llmstack
from llmstack import Stack
from llmstack.middleware import Retry
from llmstack.testing import FakeClock, LocalServer, Recorder
from llmstack.transports import ResponsesTransport
from tests.clients.differential import KEY
from tests.clients.stacks import passthrough
from tests.core.side import Side


class ResponsesSide(Side):
    """Programs on a stack whose chat completions are served by the Responses API."""

    def _stack(self, layers: Iterable[object], *, bare: bool, **more: Any) -> Any:
        inner = more.pop("transport", None)
        return super()._stack(layers, bare=bare, transport=ResponsesTransport(inner), **more)


def stacks() -> tuple[Stack, Stack]:
    """With no plugin, and with some that change nothing."""
    layers = [passthrough, Retry(), Recorder()]
    return Stack([], transport=ResponsesTransport()), Stack(layers, transport=ResponsesTransport())


def client_of(server: LocalServer, *layers: Any, **more: Any) -> llmstack.OpenAI:
    transport = more.pop("transport", None) or ResponsesTransport()
    stack = Stack(layers, transport=transport, clock=FakeClock())
    return llmstack.OpenAI(base_url=server.base_url, api_key=KEY, stack=stack, **more)


def scripted(transport: ResponsesTransport, *layers: Any) -> llmstack.OpenAI:
    return llmstack.OpenAI(api_key=KEY, stack=Stack(layers, transport=transport))
