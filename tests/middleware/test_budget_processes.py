"""One budget, many processes: what is spent never exceeds the limit."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmstack.effects import drive
from llmstack.middleware import Budget
from llmstack.testing import LocalServer

PROCESSES, THREADS, CALLS = 8, 16, 2
LIMIT = 0.02
"""Dollars; a call reserves about 1,000 of its 20,000 micro-dollars, and costs a hundredth of that."""

PROGRAM = """
import json, sys, threading, traceback
import llmstack
from llmstack import Stack
from llmstack.errors import BudgetExceededError
from llmstack.middleware import Budget, Retry

base_url, store, threads, calls, limit = sys.argv[1:]
prices = {"gpt-5-mini": {"input": "1", "output": "10"}}
budget = Budget([f"${limit}/ever"], store=store, prices=prices)
sent, untrue, failed = [], [], []

def work():
    for _ in range(int(calls)):
        try:
            client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=100
            )
            sent.append(1)
        except BudgetExceededError as error:
            # A refusal is true: what was left is less than what was asked for.
            if error.spent + error.reserved + error.asked <= float(limit):
                untrue.append(str(error))
        except Exception:
            failed.append(traceback.format_exc())

with llmstack.OpenAI(base_url=base_url, api_key="k", stack=Stack([budget, Retry()]), timeout=60) as client:
    workers = [threading.Thread(target=work) for _ in range(int(threads))]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
budget.close()
print(json.dumps({"sent": len(sent), "untrue": untrue, "failed": failed}))
"""


@pytest.mark.slow
def test_eight_processes_of_sixteen_threads_share_one_budget(server: LocalServer, tmp_path: Path) -> None:
    """Nothing is overspent, nothing stays held, each request has its row, and refusals are true."""
    store = f"sqlite:///{tmp_path}/llm.db"
    arguments = [server.base_url, store, str(THREADS), str(CALLS), str(LIMIT)]
    workers = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    told: list[dict[str, Any]] = []
    for worker in workers:
        out, errors = worker.communicate(timeout=100)
        assert worker.returncode == 0, errors.decode()
        told.append(json.loads(out))
    budget = Budget([f"${LIMIT}/ever"], store=store)
    (status,) = budget.status()
    rows = drive(budget.ledger.history())
    budget.close()
    assert [failure for one in told for failure in one["failed"]] == []
    assert [one["untrue"] for one in told] == [[]] * PROCESSES
    assert status.reserved == 0
    assert Decimal(0) < status.spent <= Decimal(str(LIMIT))
    assert status.spent == sum(Decimal(row.cost or 0) for row in rows) / 10**9
    assert len(rows) == sum(one["sent"] for one in told) == server.count("/chat/completions")
    assert PROCESSES < len(rows) < PROCESSES * THREADS * CALLS  # some were sent, and some refused
