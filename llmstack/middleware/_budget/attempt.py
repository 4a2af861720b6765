"""Attempt: one request, reserved before it is sent and settled after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from llmstack import Call, Flow, Next, Reply, Usage
from llmstack.effects import emit, monotonic, now
from llmstack.errors import BudgetExceededError, BudgetUnavailableError, StoreError, UnknownPriceError
from llmstack.middleware._budget.account import Account, Entry
from llmstack.middleware._budget.alert import Alerts
from llmstack.middleware._budget.event import BudgetDegraded, BudgetExceeded, BudgetUnavailable, CostBooked
from llmstack.middleware._budget.limit import Limit
from llmstack.middleware._budget.money import dollars, nano
from llmstack.middleware._budget.need import most
from llmstack.middleware._budget.outcome import Outcome, of_error, of_reply
from llmstack.middleware._budget.plan import Draw, Plan, plan_of
from llmstack.middleware._budget.status import moment
from llmstack.stores import Balance, Granted, Refused, Reservation

_GUESSED_INPUT: Final = Decimal(10) / 1_000_000
_GUESSED_OUTPUT: Final = Decimal(40) / 1_000_000
"""US dollars for a token of a model whose price nobody knows: what the dearest of the common ones cost."""

_NONE: Final = Usage()


@dataclass(frozen=True, slots=True)
class Rules:
    """How Budget was set up; see there."""

    limits: tuple[Limit, ...]
    on_exceed: Literal["block", "warn", "degrade"]
    degrade: Mapping[str, str]
    unknown_price: Literal["deny", "estimate"]
    fails_open: bool
    assumed_output: int | None
    lease: float


class Attempts:
    """What Budget puts around every attempt."""

    def __init__(self, rules: Rules, account: Account, alerts: Alerts) -> None:
        """Take the rules and the books."""
        self._rules = rules
        self._account = account
        self._alerts = alerts

    def __call__(self, call: Call, next: Next) -> Flow[Reply]:
        """Reserve, send, settle."""
        at = yield from now()
        holding: list[Plan] = []
        try:
            plan, reserved = yield from self._admitted(call, at, holding)
            started = yield from monotonic()
        except GeneratorExit:
            raise  # nothing can be asked for any more; the lease will end
        except BaseException:
            for held in holding:
                yield from self._account.withdraw(held.record())
            raise
        booked: list[Outcome] = []
        try:
            reply = yield from next(plan.call)
            yield from self._book(plan, of_reply(plan.call, reply), started, booked, reserved=reserved)
        except GeneratorExit:
            raise
        except BaseException as error:
            if not booked:
                outcome = of_error(plan.call, error, None if plan.call.sent is None else plan.call.sent.reply)
                yield from self._book(plan, outcome, started, booked, reserved=reserved)
            raise
        return reply.replace(no_store=True) if plan.degraded_from else reply

    # Before -----------------------------------------------------------------------------------------------------

    def _admitted(self, call: Call, at: float, holding: list[Plan]) -> Flow[tuple[Plan, bool]]:
        """The plan that the limits allow, and whether it is reserved: `holding` has it from that moment on."""
        first: tuple[Plan, Draw, Balance] | None = None
        for candidate in self._candidates(call):
            plan = self._planned(candidate, at)
            if candidate is not call:
                plan = replace(plan, degraded_from=call.model or "")
            if not plan.draws:
                return plan, False
            answer = yield from self._reserved(plan, plan.draws, holding)
            if not isinstance(answer, Refused):
                if first is not None and plan.degraded_from:
                    yield from self._degraded(plan, first[1])
                return plan, answer is not None
            first = first or (plan, plan.draws[answer.charge], answer.balance)
        assert first is not None  # noqa: S101 - there is always a candidate, the call itself
        plan, draw, balance = first
        refusal = _refusal(plan, draw, balance)
        passed = self._rules.on_exceed == "warn"
        yield from emit(_exceeded(plan, refusal, passed=passed))
        if not passed:
            raise refusal
        answer = yield from self._reserved(plan, (), holding)
        return plan, answer is not None

    def _candidates(self, call: Call) -> list[Call]:
        """The call, and the cheaper ones that may take its place."""
        candidates = [call]
        if self._rules.on_exceed != "degrade":
            return candidates
        models = [call.model or ""]
        while (cheaper := _cheaper(models[-1], self._rules.degrade)) is not None and cheaper not in models:
            models.append(cheaper)
            candidates.append(call.with_params(model=cheaper))
        return candidates

    def _planned(self, call: Call, at: float) -> Plan:
        limits = [limit for limit in self._rules.limits if limit.fits(call)]
        if not limits:
            return plan_of(call, (), at, _NONE, None, guessed=False)
        need = most(call, self._rules.assumed_output)
        price = call.price(need)
        guessed = price is None and any(limit.unit == "usd" for limit in limits)
        if guessed:
            if self._rules.unknown_price == "deny":
                raise UnknownPriceError(
                    f"nobody knows what {call.model or call.endpoint!r} costs, and there is a limit in dollars; give "
                    f"its price in Budget(prices=...), or choose unknown_price='estimate'"
                )
            price = _guess(need)
        return plan_of(call, limits, at, need, price, guessed=guessed)

    def _reserved(self, plan: Plan, limited: Sequence[Draw], holding: list[Plan]) -> Flow[Granted | Refused | None]:
        """Reserve; None if the ledger cannot be used and the call may go on without."""
        charges = tuple(draw.charge for draw in limited) or plan.unlimited()
        reservation = Reservation(plan.id, charges, self._rules.lease, plan.record(), sent=True)
        try:
            answer = yield from self._account.reserve(reservation)
            holding.append(plan)  # first of all, so that an interruption finds it there
        except StoreError as error:
            alert = f"the ledger of the budget cannot be used: {error.message}"
            passed = self._rules.fails_open
            yield from emit(
                BudgetUnavailable(call=plan.call.info, operation="reserve", passed=passed, error=error, alert=alert)
            )
            if passed:
                return None
            raise BudgetUnavailableError(f"{alert}; nothing was sent (on_error='closed')") from error
        if isinstance(answer, Refused):
            holding.clear()  # there is nothing to withdraw
        return answer

    def _degraded(self, plan: Plan, draw: Draw) -> Flow[None]:
        plan.call.note(degraded_from=plan.degraded_from, degraded_to=plan.call.model)
        yield from emit(
            BudgetDegraded(
                call=plan.call.info,
                limit=str(draw.limit),
                asked_model=plan.degraded_from,
                sent_model=plan.call.model or "",
            )
        )

    # After ------------------------------------------------------------------------------------------------------

    def _book(
        self, plan: Plan, outcome: Outcome, started: float, booked: list[Outcome], *, reserved: bool
    ) -> Flow[None]:
        entry = self._entry(plan, outcome, (yield from monotonic()) - started, reserved=reserved)
        booked.append(outcome)  # from here on the account sees to it, whatever strikes
        result = yield from self._account.book(entry)
        record = entry.record
        if isinstance(result, StoreError):
            alert = f"the ledger of the budget cannot be used: {result.message}; what was spent is kept for later"
            yield from emit(
                BudgetUnavailable(call=plan.call.info, operation="settle", passed=True, error=result, alert=alert)
            )
        elif entry.amounts is not None and result:
            for alert_event in self._alerts.crossed(plan, entry.amounts, result):
                yield from emit(alert_event)
        yield from emit(
            CostBooked(
                call=plan.call.info,
                number=record.number,
                model=record.model,
                cost=None if record.cost is None else dollars(record.cost),
                reserved=dollars(plan.cost or 0),
                estimated=record.estimated,
            )
        )

    def _entry(self, plan: Plan, outcome: Outcome, latency: float, *, reserved: bool) -> Entry:
        reply = outcome.reply
        told: dict[str, Any] = {
            "number": 1 if plan.call.sent is None else max(plan.call.sent.number, 1),
            "outcome": outcome.outcome,
            "status": outcome.status,
            "answered_by": "" if reply is None else reply.model or "",
            "request_id": "" if reply is None else reply.request_id or "",
            "latency": latency,
        }
        if outcome.kind == "nothing":
            return Entry(plan.record(**told, cost=0), None, reserved)
        if outcome.kind == "reserved":
            cost = plan.cost if plan.draws else self._most_cost(plan)
            told |= {"cost": cost, "reserved": cost or 0, "estimated": "reserved"}
            return Entry(plan.record(**told), [draw.charge.amount for draw in plan.draws], reserved)
        cost, guessed = _cost(plan, outcome)
        estimated = "price" if guessed else "usage" if outcome.kind == "estimate" else ""
        record = plan.record(**told, tokens=_tokens(outcome.usage), cost=cost, estimated=estimated)
        return Entry(record, plan.amounts(outcome.usage, cost or 0), reserved)

    def _most_cost(self, plan: Plan) -> int | None:
        """What an attempt might have cost that nothing was reserved for."""
        price = plan.call.price(most(plan.call, self._rules.assumed_output))
        return None if price is None else nano(price)


def _cost(plan: Plan, outcome: Outcome) -> tuple[int | None, bool]:
    """What it cost in nano-dollars, and whether the price is a guess."""
    # The name that the provider answers with says more than the one asked for: an Azure deployment may have any name.
    answered = None if outcome.reply is None else outcome.reply.model
    price = plan.call.price(outcome.usage, answered) if answered else None
    if price is None:
        price = plan.call.price(outcome.usage)
    if price is not None:
        return nano(price), False
    return (nano(_guess(outcome.usage)), True) if plan.guessed else (None, False)


def _guess(usage: Usage) -> Decimal:
    return usage.input_tokens * _GUESSED_INPUT + usage.output_tokens * _GUESSED_OUTPUT


def _cheaper(model: str, degrade: Mapping[str, str]) -> str | None:
    if model in degrade:
        return degrade[model]
    return next((cheaper for pattern, cheaper in degrade.items() if fnmatchcase(model, pattern)), None)


_KINDS: Final = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cached_tokens",
    "reasoning": "reasoning_tokens",
    "input_audio": "input_audio_tokens",
    "output_audio": "output_audio_tokens",
    "input_image": "input_image_tokens",
}


def _tokens(usage: Usage) -> dict[str, int]:
    return {kind: tokens for kind, name in _KINDS.items() if (tokens := getattr(usage, name))}


def _refusal(plan: Plan, draw: Draw, balance: Balance) -> BudgetExceededError:
    limit, asked = draw.limit, draw.charge.amount
    scope = limit.scope(plan.call)
    whose = ", ".join(f"{name} {value!r}" for name, value in scope.items())
    resets_at = moment(draw.span.resets_at)
    message = (
        f"the budget {limit}{whose and f' of {whose}'} has no room for this call: {limit.shown(balance.spent)} spent, "
        f"{limit.shown(balance.held)} reserved by calls under way, and it may take up to {limit.shown(asked)}; "
        f"the window ends at {resets_at:%Y-%m-%d %H:%M} UTC. A lower max_completion_tokens reserves less"
    )
    return BudgetExceededError(
        message,
        limit=str(limit),
        scope=scope,
        spent=limit.exact(balance.spent),
        reserved=limit.exact(balance.held),
        asked=limit.exact(asked),
        resets_at=resets_at,
        plugin="budget",
        call=plan.call.info,
    )


def _exceeded(plan: Plan, refusal: BudgetExceededError, *, passed: bool) -> BudgetExceeded:
    assert refusal.resets_at is not None  # noqa: S101 - made above
    return BudgetExceeded(
        call=plan.call.info,
        limit=refusal.limit,
        scope=refusal.scope,
        spent=refusal.spent,
        reserved=refusal.reserved,
        asked=refusal.asked,
        resets_at=refusal.resets_at,
        passed=passed,
        alert=refusal.message,
    )
