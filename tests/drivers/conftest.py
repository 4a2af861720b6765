"""What the tests of the drivers share with those of the core."""

from tests.core.conftest import nothing_left_behind, running_server, server, side

__all__ = ["nothing_left_behind", "running_server", "server", "side"]
