"""Bench: where a plugin is tried, again and again, each time a fresh one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import SkipTest

from llmstack._core.call import Call
from llmstack._plugins.registry import Registry, as_plugin, plugin_name
from llmstack.errors import RegistrationError
from llmstack.testing._conformance.sample import Sample
from llmstack.testing._conformance.situation import ANSWERED, STOPPED, Situation
from llmstack.testing._conformance.trial import WAYS, Seen, Trial, play

__all__ = ["Bench", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A trial that is over.

    Attributes:
        trial: The trial.
        seen: What the program saw.
    """

    trial: Trial
    seen: Seen


class Bench:
    """Tries a plugin.

    Attributes:
        samples: The calls that it is tried with.
    """

    def __init__(self, make: Callable[..., Any], samples: Sequence[Sample], aside: Callable[[Call], Any]) -> None:
        """Take what makes the plugin.

        Args:
            make: Gives a fresh plugin.
            samples: The calls.
            aside: Answers the requests that the plugin makes by itself.
        """
        self._make = make
        self._aside = aside
        self.samples = samples

    def fresh(self) -> Any:
        """A fresh plugin.

        Raises:
            unittest.SkipTest: If it cannot be registered: another check tells that.
        """
        plugin = as_plugin(self._make())
        try:
            Registry([(plugin_name(plugin), plugin)])
        except RegistrationError as error:
            raise SkipTest("the plugin cannot be registered, see test_hooks_are_right") from error
        return plugin

    def trial(self, sample: Sample, situation: Situation, way: str, **more: Any) -> Trial:
        """A trial with a fresh plugin; the arguments are those of `Trial`."""
        plugin = more.pop("plugin", self)
        tried = self.fresh() if plugin is self else plugin
        return Trial(tried, sample, situation, way, aside=self._aside, **more)

    def outcomes(self, situations: Iterable[Situation], **more: Any) -> list[Outcome]:
        """Try the plugin in these situations, by all clients, plain and streamed.

        Samples after the first are tried only where the provider answers: what differs then is the endpoint.
        """
        cases = list(self._cases(situations))
        found: list[Outcome] = []

        async def program(way: str) -> None:
            for sample, situation, stream in cases:
                trial = self.trial(sample, situation, way, stream=stream, **more)
                found.append(Outcome(trial, await trial.seen()))

        for way in WAYS:
            play(way, lambda way=way: program(way))  # type: ignore[misc]
        return found

    def _cases(self, situations: Iterable[Situation]) -> Iterator[tuple[Sample, Situation, bool]]:
        for situation in situations:
            for number, sample in enumerate(self.samples):
                if number and situation not in (ANSWERED, STOPPED):
                    continue
                if not situation.streamed:
                    yield sample, situation, False
                if sample.streams:
                    yield sample, situation, True
