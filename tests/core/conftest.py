"""What the tests of the core share."""

from collections.abc import Iterator

import pytest

from llmstack.testing import LocalServer
from tests.core.races import no_thread_is_left
from tests.core.side import Side

__all__ = ["no_thread_is_left", "server", "side"]


@pytest.fixture(params=["sync", "asyncio", "trio"])
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    """Each of the three ways; afterwards nothing may be left of any call."""
    side = Side(request.param)
    yield side
    side.assert_clean()


@pytest.fixture
def server(local_server: LocalServer) -> LocalServer:
    """The server of the testing kit, without memories or orders."""
    return local_server
