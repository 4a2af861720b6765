"""What every store must do, as tests. Needs pytest, which the rest of the kit does not; `LedgerMachine` hypothesis."""

import pytest

pytest.register_assert_rewrite(
    "llmstack.testing._stores.cache",
    "llmstack.testing._stores.history",
    "llmstack.testing._stores.leases",
    "llmstack.testing._stores.machine",
    "llmstack.testing._stores.reserve",
    "llmstack.testing._stores.settle",
)
