"""Budget: what may be spent, and what has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC
from decimal import Decimal
from typing import Any, Literal

import anyio

from llmstack import (
    Call,
    CallInfo,
    Clock,
    Configurable,
    Flow,
    Next,
    Options,
    Reply,
    Seconds,
    Stack,
    Stage,
    Usage,
    hookimpl,
)
from llmstack.background import Background
from llmstack.effects import adrive, drive, now
from llmstack.errors import StoreError
from llmstack.events import CallFinished, Event
from llmstack.middleware._budget.account import Account, Entry
from llmstack.middleware._budget.alert import Alerts
from llmstack.middleware._budget.attempt import Attempts, Rules
from llmstack.middleware._budget.event import (
    BudgetAlert,
    BudgetDegraded,
    BudgetExceeded,
    BudgetUnavailable,
    CostBooked,
)
from llmstack.middleware._budget.identity import fresh
from llmstack.middleware._budget.limit import Limit
from llmstack.middleware._budget.money import nano
from llmstack.middleware._budget.need import is_billed
from llmstack.middleware._budget.setting import check
from llmstack.middleware._budget.spending import Spending, Sums, added_up
from llmstack.middleware._budget.status import LimitStatus, statuses
from llmstack.middleware._budget.window import Window
from llmstack.prices import ModelPrice, Prices
from llmstack.stores import Ledger, Record, open_store

__all__ = [
    "Budget",
    "BudgetAlert",
    "BudgetDegraded",
    "BudgetExceeded",
    "BudgetUnavailable",
    "CostBooked",
    "Limit",
    "LimitStatus",
    "Spending",
    "Sums",
    "Window",
    "added_up",
]


class Budget(Configurable):
    """Reserves before each request what it may cost at most, and settles afterwards what it did cost.

    Args:
        limits: Such as ``["$5/day", "$0.50/day per user", "1M tokens/hour per team", "9 calls/24h for model=gpt-5*"]``,
            or `Limit` objects. A request must fit all that hold for it. Without any, Budget only keeps the books.
        store: Where the ledger is: a URL, such as ``"sqlite:///var/lib/app/llm.db"``, or a `llmstack.stores.Ledger`.
        on_exceed: ``"block"``: `BudgetExceededError`; ``"warn"``: it is sent, and an event tells of it; ``"degrade"``:
            it is sent to the cheaper model that `degrade` names, if that fits.
        degrade: The cheaper model by model (or pattern), such as ``{"gpt-5": "gpt-5-mini"}``; followed as a chain.
        alerts: Shares of a limit at which a `BudgetAlert` event is sent, once in each window.
        unknown_price: For a model whose price nobody knows, where a limit is in dollars: ``"deny"``:
            `UnknownPriceError`; ``"estimate"``: it counts $10 for a million tokens read and $40 for a million written.
        on_error: When the ledger cannot be asked: ``"closed"``: `BudgetUnavailableError`; ``"open"``: the call is sent,
            and its row is written when the ledger is back.
        prices: Prices of your own by model (or pattern), which go first; see `llmstack.prices`.
        max_output_tokens: Tokens reserved for an answer that the call does not limit; None for the model's own maximum.
            A longer answer is paid and booked all the same.
        zone: The time zone of calendar windows, such as ``"Europe/Berlin"``.
        lease: Seconds for which a request may be under way before its reservation is charged as a whole; a settlement
            that comes later corrects that.
        stream_usage: Whether streams are asked for their usage. False for servers that do not know how to tell it: the
            cost is then estimated. None: if there is a limit.

    Raises:
        ValueError: If an option cannot be.
    """

    name = "budget"
    stage = Stage.BUDGET

    def __init__(  # noqa: PLR0913 - each is an option of its own, all have defaults
        self,
        limits: Sequence[str | Limit] = (),
        *,
        store: str | Ledger = "memory://",
        on_exceed: Literal["block", "warn", "degrade"] = "block",
        degrade: Mapping[str, str] | None = None,
        alerts: Sequence[float] = (0.5, 0.8, 0.95),
        unknown_price: Literal["deny", "estimate"] = "deny",
        on_error: Literal["closed", "open"] = "closed",
        prices: Mapping[str, ModelPrice | Mapping[str, Any]] | None = None,
        max_output_tokens: int | None = None,
        zone: str = "UTC",
        lease: Seconds = 900.0,
        stream_usage: bool | None = None,
    ) -> None:
        check(on_exceed, degrade, alerts, unknown_price, on_error, max_output_tokens, lease)
        if isinstance(limits, str):
            raise ValueError(f'limits must be a list, such as ["{limits}"], not one text')  # noqa: TRY004
        self._limits = tuple(Limit.parse(limit, zone) if isinstance(limit, str) else limit for limit in limits)
        self._store = store
        self._opened: Ledger | None = None if isinstance(store, str) else store
        self._clock: Clock | None = None
        self._prices = Prices(prices or {})
        self._stream_usage = bool(self._limits) if stream_usage is None else stream_usage
        self._account = Account(lambda: self.ledger)
        rules = Rules(
            limits=self._limits,
            on_exceed=on_exceed,
            degrade=dict(degrade or {}),
            unknown_price=unknown_price,
            fails_open=on_error == "open",
            assumed_output=max_output_tokens,
            lease=lease,
        )
        self._attempts = Attempts(rules, self._account, Alerts(alerts))
        self._background = Background("llmstack-budget")

    # Hooks ------------------------------------------------------------------------------------------------------

    def attach(self, stack: Stack) -> None:
        """Find the store among those that the stack's plugins offer, and the time it goes by."""
        self._clock = stack.clock
        if self._opened is None and isinstance(self._store, str):
            self._opened = stack.open_store(self._store).ledger()

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Put the books around every attempt of what is billed."""
        if not is_billed(call):
            return (yield from next(call))
        if self._stream_usage:
            call = call.with_usage()
        return (yield from next(call.around_attempts(self._attempts)))

    @hookimpl
    def llmstack_price(self, model: str, usage: Usage, call: CallInfo | None) -> Decimal | None:
        """What a usage costs, by the program's own prices or the published ones."""
        return self._prices.cost(model, usage, host="" if call is None else call.host)

    @hookimpl
    def llmstack_event(self, event: Event) -> None:
        """Keep in the books what an answer from a cache has saved."""
        if isinstance(event, CallFinished) and event.cached and event.attempts == 0 and event.usage is not None:
            if self.in_memory:  # it takes less time than handing it over
                drive(self._saved(event), clock=self._clock)
            else:
                self._background.submit(lambda: drive(self._saved(event), clock=self._clock))

    def _saved(self, event: CallFinished) -> Flow[None]:
        info, usage = event.call, event.usage or Usage()
        price = self._prices.cost(event.model or info.model or "", usage, host=info.host)
        record = Record(
            id=fresh("hit"),
            call=info.id,
            at=(yield from now()),
            endpoint=info.endpoint,
            model=info.model or "",
            answered_by=event.model or "",
            host=info.host,
            tenant=info.tenant or "",
            tags=dict(info.tags),
            outcome="cached",
            status=event.status or 200,
            tokens={"input": usage.input_tokens, "output": usage.output_tokens},
            cost=0,
            saved=0 if price is None else nano(price),
            latency=event.duration,
        )
        yield from self._account.book(Entry(record, None, reserved=False))

    # For the program --------------------------------------------------------------------------------------------

    @property
    def in_memory(self) -> bool:
        """Whether the ledger ends with this process."""
        return isinstance(self._store, str) and self._store.startswith("memory:")

    @property
    def ledger(self) -> Ledger:
        """The ledger; `llmstack.effects.drive` runs what it offers, such as ``drive(budget.ledger.history())``."""
        if self._opened is None:
            self._opened = open_store(str(self._store)).ledger()
        return self._opened

    def status(
        self, *, tenant: str | None = None, tags: Mapping[str, str] | None = None, model: str = "", endpoint: str = ""
    ) -> list[LimitStatus]:
        """How much is used of the limits that would hold for a call of this tenant, tags, model and endpoint.

        Raises:
            llmstack.errors.StoreError: If the ledger cannot be used.
        """
        return drive(self._statuses(tenant, tags, model, endpoint), clock=self._clock)

    async def astatus(
        self, *, tenant: str | None = None, tags: Mapping[str, str] | None = None, model: str = "", endpoint: str = ""
    ) -> list[LimitStatus]:
        """The same in an async program."""
        return await adrive(self._statuses(tenant, tags, model, endpoint), clock=self._clock)

    def spending(self, by: str = "model", *, since: float = 0.0, until: float | None = None) -> list[Spending]:
        """What was spent, by model, tenant, day or tag; the same as ``llmstack usage`` shows.

        Args:
            by: ``"model"``, ``"tenant"``, ``"endpoint"``, ``"host"``, ``"outcome"``, ``"day"``, else the name of a tag.
            since: Seconds since the epoch, from which on.
            until: Seconds since the epoch, before which; None for now.

        Raises:
            llmstack.errors.StoreError: If the ledger cannot be used.
        """
        sums = Sums([by], UTC)
        drive(added_up(self.ledger, sums, since, until), clock=self._clock)
        return sums.groups(by)

    def _statuses(
        self, tenant: str | None, tags: Mapping[str, str] | None, model: str, endpoint: str
    ) -> Flow[list[LimitStatus]]:
        options = Options(tenant=tenant, tags=dict(tags or {}))
        call = Call(path="/", endpoint=endpoint, params={"model": model}, options=options)
        return (yield from statuses(self.ledger, self._limits, call, (yield from now())))

    def _tidied(self) -> Flow[None]:
        """Write what is kept, and let the ledger forget the windows that are over; its rows stay."""
        yield from self._account.catch_up(self._account.kept)
        with suppress(StoreError):
            yield from self.ledger.prune(0.0)

    # Closing ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what is still to be written, and give the ledger back."""
        self._background.flush(_PATIENCE)
        if self._opened is not None:
            drive(self._tidied(), clock=self._clock)
            self._opened.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        await anyio.to_thread.run_sync(self._background.flush, _PATIENCE)
        if self._opened is not None:
            await adrive(self._tidied(), clock=self._clock)
            await self._opened.aclose()


_PATIENCE = 2.0
"""Seconds that closing waits for rows that are being written."""
