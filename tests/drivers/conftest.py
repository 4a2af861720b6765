"""What the tests of the drivers share with those of the core."""

from tests.core.conftest import server, side

__all__ = ["server", "side"]
