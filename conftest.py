"""The code in README.md and docs/ runs with the tests, against the local server."""

from collections.abc import Iterator

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from llmstack.testing import LocalServer


@pytest.fixture(scope="session")
def documented_service() -> Iterator[LocalServer]:
    """The service that the documentation's programs talk to."""
    with LocalServer() as server:
        yield server


@pytest.fixture
def service(documented_service: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which ``OpenAI()`` finds it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-key")
    monkeypatch.setenv("OPENAI_BASE_URL", documented_service.base_url)


pytest_collect_file = Sybil(parsers=[PythonCodeBlockParser()], patterns=["*.md"], fixtures=["service"]).pytest()
