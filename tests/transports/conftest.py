"""What the tests of the transports share with those of the core."""

from tests.core.conftest import running_server, server, side

__all__ = ["running_server", "server", "side"]
