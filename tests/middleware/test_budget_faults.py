"""Budget when things go wrong: cancelled at any await, a ledger that is slow, fails, or comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from llmstack import Call, CallInfo, Flow, Next, Reply, Usage, hookimpl
from llmstack.effects import drive, parallel, run
from llmstack.errors import (
    BudgetExceededError,
    BudgetUnavailableError,
    PluginError,
    StoreError,
    UnknownReservationError,
)
from llmstack.events import AttemptFinished, CallFinished
from llmstack.middleware import Budget, Retry
from llmstack.middleware.budget import BudgetUnavailable
from llmstack.stores import Bucket, Ledger, Record, open_store
from llmstack.testing import LocalServer
from tests.core.one_call import error_of
from tests.core.side import Rig, Side, trio_complains
from tests.drivers.test_cancellation import WAYS, Strikes, Way, closed_early, opened, plain, read
from tests.middleware.budget_rig import PRICES, Bench

pytestmark = trio_complains


async def _suspend() -> None:
    await anyio.lowlevel.checkpoint()


def _nothing() -> None:
    pass


class Slow:
    """A ledger that takes its time: before each operation, and after it, a task may be cancelled."""

    def __init__(self) -> None:
        self._ledger = open_store("memory://").ledger()

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._ledger, name)
        if name in ("close", "aclose"):
            return operation

        def slowly(*args: Any, **more: Any) -> Flow[Any]:
            yield from run(_nothing, _suspend)
            result = yield from operation(*args, **more)
            yield from run(_nothing, _suspend)
            return result

        return slowly


class Failing:
    """A ledger that is down while `down` says so."""

    def __init__(self, *down: str) -> None:
        self._ledger = open_store("memory://").ledger()
        self.down = set(down)
        self.tried: list[str] = []

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._ledger, name)

        def may_fail(*args: Any, **more: Any) -> Flow[Any]:
            self.tried.append(name)
            if name in self.down:
                raise StoreError("the disk is full", store="fake")
            return (yield from operation(*args, **more))

        return operation if name in ("close", "aclose") else may_fail


def balance(ledger: Any, clock: Any = None) -> tuple[int, int]:
    """What the account of the day holds."""
    (found,) = drive(ledger.spent([Bucket("usd/day", 0)]), clock=clock)
    return found.spent, found.held


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("program", [plain, read, opened, closed_early], ids=lambda program: program.__name__)
@pytest.mark.parametrize("inner", ["alone", "retry", "race"])
def test_cancelled_at_every_await(server: LocalServer, program: Any, way: Way, inner: str) -> None:
    """Nothing stays reserved, each attempt has its row, and what the rows say is what was spent."""
    side = Side(way.loop)
    ledgers: list[tuple[Slow, Rig]] = []

    def race(call: Call, next: Next) -> Flow[Reply]:
        replies = yield from parallel(next(call), next(call))
        return replies[0]

    def rig() -> Rig:
        for ledger, before in ledgers:
            check(ledger, before)
        ledgers.clear()
        server.reset()
        layers: list[Any] = []
        if inner == "retry":
            server.next(503)
            layers = [Retry()]
        elif inner == "race":
            layers = [race]
        ledger = Slow()
        store: Any = ledger
        budget = Budget(["$100/day"], store=store, prices={"*": PRICES["gpt-5-mini"]})
        made = side.local(server, [budget, *layers], max_retries=2)
        ledgers.append((ledger, made))
        return made

    side.run(Strikes(side, rig, program, way).everywhere)
    check(*ledgers[0])


def check(ledger: Slow, rig: Rig) -> None:
    """The books of one run."""
    spent, held = balance(ledger)
    rows = drive(ledger.history())
    assert held == 0
    assert spent == sum(row.cost or 0 for row in rows)
    assert len(rows) == len(rig.recorder.of(AttemptFinished))
    assert len(rig.recorder.of(CallFinished)) == 1


@pytest.fixture
def failing() -> Failing:
    """A ledger that can be made to fail."""
    return Failing()


def bench_of(server: LocalServer, ledger: Any, **options: Any) -> Bench:
    """A bench on that ledger."""
    return Bench(server, ["$1/day"], store=ledger, **options)


def test_a_ledger_that_is_down_refuses(server: LocalServer, failing: Failing) -> None:
    """Nothing is sent that could not be counted."""
    failing.down = {"reserve"}
    bench = bench_of(server, failing)
    with pytest.raises(BudgetUnavailableError, match=r"the disk is full.*nothing was sent") as refused:
        bench.ask()
    assert isinstance(refused.value.__cause__, StoreError)
    assert server.count() == 0
    (event,) = bench.events(BudgetUnavailable)
    assert (event.operation, event.passed) == ("reserve", False)
    failing.down = set()
    bench.ask()
    bench.close()


def test_a_ledger_that_is_down_lets_pass_if_told_to(server: LocalServer, failing: Failing) -> None:
    """Its row is written when the ledger is back."""
    failing.down = {"reserve", "add", "release"}
    bench = bench_of(server, failing, on_error="open")
    bench.ask()
    assert [event.passed for event in bench.events(BudgetUnavailable)] == [True, True]
    assert bench.rows() == []
    failing.down = set()
    bench.ask()
    assert [row.outcome for row in bench.rows()] == ["ok", "ok"]
    bench.close()


def test_what_could_not_be_settled_is_settled_later(server: LocalServer, failing: Failing) -> None:
    """The program gets its answer all the same."""
    failing.down = {"settle"}
    bench = bench_of(server, failing)
    bench.ask()
    assert [event.operation for event in bench.events(BudgetUnavailable)] == ["settle"]
    assert balance(failing, bench.clock)[0] == 0 < balance(failing, bench.clock)[1]
    failing.down = set()
    bench.ask()
    spent, held = balance(failing, bench.clock)
    assert held == 0
    assert spent == sum(row.cost or 0 for row in bench.rows())
    assert len(bench.rows()) == 2
    bench.close()


def test_what_could_not_be_settled_is_settled_when_the_stack_is_closed(server: LocalServer, failing: Failing) -> None:
    """If no other call comes."""
    failing.down = {"settle"}
    bench = bench_of(server, failing)
    bench.ask()
    failing.down = set()
    bench.close()
    assert balance(failing, bench.clock)[1] == 0 < balance(failing, bench.clock)[0]


def test_a_ledger_that_has_lost_a_reservation_still_gets_the_row(server: LocalServer) -> None:
    """Nothing can be counted, but nothing is tried for ever either."""

    class Forgetful(Failing):
        def settle(self, *args: Any) -> Flow[Any]:
            raise UnknownReservationError("flushed", store="fake")
            yield  # type: ignore[unreachable]

    ledger = Forgetful()
    bench = bench_of(server, ledger)
    bench.ask()
    assert bench.row().cost
    assert bench.events(BudgetUnavailable) == []
    bench.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_closes_the_books(server: LocalServer, error: type[BaseException]) -> None:
    """And gets through."""

    def interrupted(call: Call, next: Next) -> Flow[Reply]:
        def around(call: Call, next: Next) -> Flow[Reply]:
            yield from next(call)
            raise error

        return (yield from next(call.around_attempts(around)))

    bench = Bench(server, ["$1/day"], interrupted)
    with pytest.raises(error):
        bench.ask()
    assert bench.held() == [0]
    assert bench.row().outcome == "cancelled"
    assert bench.cost() > 0
    bench.close()


def test_threads_spend_no_dollar_twice(server: LocalServer) -> None:
    """Sixteen of them, and room for ten calls."""
    bench = Bench(server, ["10 calls/day"])
    refused: list[BudgetExceededError] = []

    def work() -> None:
        for _ in range(3):
            try:
                bench.ask()
            except BudgetExceededError as error:
                refused.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (status,) = bench.budget.status()
    assert (status.spent, status.reserved, len(refused), server.count()) == (10, 0, 38, 10)
    bench.close()


@pytest.fixture
def sqlite_ledger(tmp_path: Any) -> Iterator[Ledger]:
    """A ledger in a file."""
    ledger = open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
    yield ledger
    ledger.close()


def test_rows_hold_no_words_and_no_key(server: LocalServer) -> None:
    """Whatever is asked, and whatever goes wrong."""
    bench = Bench(server, ["$1/day"])
    client = bench.client.with_options(api_key="sk-test-not-a-key")
    server.next(status=400, message="private words")
    messages: Any = [{"role": "user", "content": "private words"}]
    for _ in range(2):
        try:
            client.chat.completions.create(model="gpt-5-mini", messages=messages)
        except Exception:  # noqa: BLE001, S112 - what it is does not matter
            continue
    told = repr([*bench.rows(), *bench.budget.status(), bench.budget, *bench.recorder.events])
    assert "private words" not in told
    assert "not-a-key" not in told
    assert all(isinstance(row, Record) for row in bench.rows())
    bench.close()


def test_a_price_that_is_no_decimal_is_told(side: Side) -> None:
    """Money is never a float, also where a plugin says what a model costs."""

    class Prices:
        name = "prices"

        @hookimpl
        def llmstack_price(self, model: str, usage: Usage, call: CallInfo) -> Any:
            return 0.5

    rig = side.rig([Budget(["$1/day"]), Prices()], ["Hello"])
    error = error_of(side, rig, PluginError)
    assert "a price must be a Decimal, in US dollars, not float; see the hook llmstack_price" in str(error.__cause__)
