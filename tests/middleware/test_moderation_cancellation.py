"""A task may be cancelled at any await of a moderated call: nothing leaks, every book closes."""

from __future__ import annotations

from typing import Any

import pytest

from llmstack.middleware.moderation import Moderation
from llmstack.testing import LocalServer
from tests.core.side import Rig, Side, trio_complains
from tests.drivers.test_cancellation import WAYS, Strikes, Way, plain, read
from tests.middleware.moderation_rig import ObjectsLater, service

pytestmark = trio_complains

SETTINGS: dict[str, dict[str, Any]] = {
    "before": {},
    "parallel": {"mode": "parallel"},
    "held": {"output": True},
    "window": {"output": True, "window": 8},
    "parallel-window": {"mode": "parallel", "output": True, "window": 8, "checkers": True},
    "flag": {"action": "flag", "output": True},
}


def moderation(setting: str) -> Moderation:
    """The plugin, without memory of earlier calls."""
    options = dict(SETTINGS[setting])
    if options.pop("checkers", False):
        options["checkers"] = [ObjectsLater()]
    return Moderation(cache_size=0, **options)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, read], ids=lambda program: program.__name__)
def test_cancelled_at_every_await(server: LocalServer, program: Any, way: Way, setting: str) -> None:
    """Over a real connection: none is left in use, every attempt and every call is in the books."""
    side = Side(way.loop)
    strikes = Strikes(side, lambda: side.local(server, [moderation(setting)]), program, way)
    side.run(strikes.everywhere)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("stream", [False, True])
def test_the_books_are_whole(side: Side, setting: str, stream: bool) -> None:  # noqa: FBT001
    """One row for each request, all of them ended, verdicts and answer alike."""
    rig: Rig = side.rig([moderation(setting)], default=service())

    async def program() -> None:
        got = await side.do(rig.create(stream=stream))
        if stream:
            await side.read(got)

    side.run(program)
    assert sorted(event.number for event in rig.attempts) == list(range(1, len(rig.sent) + 1))
    assert {event.outcome for event in rig.attempts} == {"ok"}
    assert rig.finished.attempts == len(rig.sent)
    assert rig.finished.outcome == "ok"
