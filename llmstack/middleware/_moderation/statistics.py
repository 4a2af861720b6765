"""Statistics: how often what was judged, over all calls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from llmstack.middleware._moderation.verdict import Finding

__all__ = ["ModerationStatistics", "Tally"]


@dataclass(frozen=True, slots=True)
class ModerationStatistics:
    """How often what was judged since the plugin was made.

    Attributes:
        judged: Verdicts, one for each source asked about an input or an output.
        cached: Those of them that were known from before.
        flagged: Those that flagged something.
        blocked: Inputs and outputs that were not let pass.
        unavailable: How often a verdict could not be had.
        categories: How often each category was flagged.
        sources: How often each source flagged.
    """

    judged: int = 0
    cached: int = 0
    flagged: int = 0
    blocked: int = 0
    unavailable: int = 0
    categories: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, int] = field(default_factory=dict)


class Tally:
    """Counts, for all threads."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._categories: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()

    def found(self, finding: Finding) -> None:
        """A source has given its verdict."""
        with self._lock:
            self._counts["judged"] += 1
            self._counts["cached"] += finding.cached
            if finding.verdict.flagged:
                self._counts["flagged"] += 1
                self._categories.update(finding.verdict.categories)
                self._sources[finding.source] += 1

    def blocked(self) -> None:
        """Something was not let pass."""
        with self._lock:
            self._counts["blocked"] += 1

    def unavailable(self) -> None:
        """A verdict could not be had."""
        with self._lock:
            self._counts["unavailable"] += 1

    def read(self) -> ModerationStatistics:
        """The counts so far."""
        with self._lock:
            categories, sources = MappingProxyType(dict(self._categories)), MappingProxyType(dict(self._sources))
            return ModerationStatistics(**self._counts, categories=categories, sources=sources)
