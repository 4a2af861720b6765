"""What the tests of the middleware share with those of the core, and among themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.conftest import server, side
from tests.middleware.cache_asker import Asker
from tests.middleware.cache_rig import url_of
from tests.middleware.retry_server import mode

__all__ = ["asker", "mode", "server", "side"]


@pytest.fixture
def asker() -> Iterator[Asker]:
    """A client whose calls are looked at by a cache, and not sent."""
    asker = Asker()
    yield asker
    asker.client.close()


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store of each kind."""
    return url_of(request.param, tmp_path)
