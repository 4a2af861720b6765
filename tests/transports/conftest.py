"""What the tests of the transports share with those of the core."""

from collections.abc import Iterator

import pytest

from llmstack import OpenAI, Stack
from llmstack.testing import LocalServer
from tests.core.conftest import server, side
from tests.transports.pools import KEY
from tests.transports.responses import ResponsesSide

__all__ = ["server", "side"]


@pytest.fixture(params=["sync", "asyncio", "trio"])
def responses_side(request: pytest.FixtureRequest) -> Iterator[ResponsesSide]:
    """Each of the three ways, its chat completions served by the Responses API; nothing may be left of any call."""
    side = ResponsesSide(request.param)
    yield side
    side.assert_clean()


@pytest.fixture
def client(server: LocalServer) -> Iterator[OpenAI]:
    """One of ours without plugins, that sends once."""
    with OpenAI(base_url=server.base_url, api_key=KEY, stack=Stack([]), max_retries=0) as client:
        yield client
