"""All that a ledger must do."""

from __future__ import annotations

from llmstack.testing._stores.history import HistoryConformance
from llmstack.testing._stores.leases import LeaseConformance
from llmstack.testing._stores.reserve import ReserveConformance
from llmstack.testing._stores.settle import SettleConformance

__all__ = ["LedgerConformance"]


class LedgerConformance(ReserveConformance, SettleConformance, LeaseConformance, HistoryConformance):
    """What every `llmstack.stores.Ledger` must do, as tests. Needs pytest.

    A subclass, whose name begins with ``Test``, has a fixture `store` that gives a new ledger, empty and not used yet.
    Each test runs in a sync program, on asyncio and on trio (where that is installed). The ledger is closed after it.

    A ledger that takes the time from its flows (`llmstack.effects.monotonic`, `llmstack.effects.now`) sees the test's
    clock; one that has a clock of its own overrides `pass_time`, and perhaps `lease`.
    """
