"""The frameworks on this machine alone: no network, nothing told to anybody."""

from __future__ import annotations

import pytest

from tests.core.conftest import server
from tests.frameworks.environment import FRAMEWORKS

__all__ = ["server"]

pytest.register_assert_rewrite("tests.frameworks.rig")
collect_ignore = [file for file, framework in FRAMEWORKS.items() if not framework.fits_here]


@pytest.fixture(autouse=True)
def alone(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever wants to reach another machine fails; and there is no key that a framework could take by itself."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that all of them know."""
    return "asyncio"
