"""What the tests of the transports share with those of the core."""

from collections.abc import Iterator

import pytest

from tests.core.conftest import server, side
from tests.transports.responses import ResponsesSide

__all__ = ["server", "side"]


@pytest.fixture(params=["sync", "asyncio", "trio"])
def responses_side(request: pytest.FixtureRequest) -> Iterator[ResponsesSide]:
    """Each of the three ways, its chat completions served by the Responses API; nothing may be left of any call."""
    side = ResponsesSide(request.param)
    yield side
    side.assert_clean()
