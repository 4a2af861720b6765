"""What the tests of the local server share: a server that runs for all of them, and a client that never retries."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from llmstack.testing import LocalServer
from tests.core.conftest import server

__all__ = ["client", "server"]


@pytest.fixture
def client(server: LocalServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", max_retries=0, timeout=20) as client:
        yield client
