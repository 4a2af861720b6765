"""What the tests of the core share."""

from collections.abc import Iterator

import pytest

from llmstack.testing import LocalServer
from tests.core.side import Side


@pytest.fixture(params=["sync", "asyncio", "trio"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """Each of the three ways; afterwards nothing may be left of any call."""
    side = Side(request.param)
    yield side
    side.assert_clean()


@pytest.fixture(scope="session")
def running_server() -> Iterator[LocalServer]:
    """One server for all tests: starting it takes longer than most of them."""
    with LocalServer() as server:
        yield server


@pytest.fixture
def server(running_server: LocalServer) -> Iterator[LocalServer]:
    """A server without memories or orders."""
    running_server.reset()
    yield running_server
    running_server.reset()
