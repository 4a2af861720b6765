"""What the tests of the kit share: a server that runs for all, a client that never retries, a file for a cassette."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from llmstack.testing import LocalServer
from tests.core.conftest import server

__all__ = ["client", "server"]


@pytest.fixture
def client(server: LocalServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a cassette is to lie, in a folder that is not there yet."""
    return tmp_path / "cassettes" / "calls.yaml"


@pytest.fixture
def gone() -> str:
    """A server's address where nobody listens any more."""
    with LocalServer() as server:
        return server.base_url
