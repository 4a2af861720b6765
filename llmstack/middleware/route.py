"""Route: ask another model, or another provider, when one cannot answer."""

from __future__ import annotations

import math
import random as randomness
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from llmstack import Call, Clock, Configurable, Flow, Next, Reply, Seconds, Stack, Stage, Transport, hookimpl
from llmstack.errors import OptionError
from llmstack.middleware._route.board import Board
from llmstack.middleware._route.event import HopAnswered, HopFailed
from llmstack.middleware._route.health import TargetStatus
from llmstack.middleware._route.home import Homes
from llmstack.middleware._route.journey import HEADER, Journey, Setting
from llmstack.middleware._route.kind import DEFAULT, KINDS, Kind, kind_of
from llmstack.middleware._route.order import STRATEGIES, Strategy
from llmstack.middleware._route.rule import Rule, first_fitting, prompt_tokens
from llmstack.middleware._route.target import Target, check_hop, parsed_all

__all__ = [
    "DEFAULT",
    "HEADER",
    "KINDS",
    "HopAnswered",
    "HopFailed",
    "Kind",
    "Route",
    "Rule",
    "Strategy",
    "Target",
    "TargetStatus",
    "kind_of",
    "prompt_tokens",
]

Some = str | Target | Sequence[str | Target]
"""One target or several."""

Choice = Some | None | Flow[Some | None]
"""What a function that chooses gives: targets, None for those of the route, or a flow that gives one of these."""


class Route(Configurable):
    """Sends each call to one of several targets, and to the next one if that cannot answer.

    Args:
        targets: Where calls go: texts such as ``"gpt-5"``, ``"azure/gpt-5"``, ``"azure/*"`` (the model asked for), or
            `Target` objects. A mapping has such a list for each model that may be asked for, or pattern; calls for
            other models pass as they are.
        transports: Transports by the names that targets use. The route closes them.
        strategy: Which target is asked first. ``"fallback"``: as written; ``"round_robin"``: in turn, by weight;
            ``"weighted"``: at random, by weight; ``"least_busy"``: the one with the fewest calls; ``"latency"``: the
            quickest lately; ``"remaining"``: the one with most left of its rate limit.
        on: Kinds of failure after which the next target is asked; see `Kind`.
        cooldown: Seconds for which a target that fails is left alone, unless it says so itself. Then one call is let
            through as a probe.
        failures: Failures in a row (5xx, time-outs, connections) after which a target is left alone; after others,
            such as a rate limit, it is at once.
        hedge_after: Seconds without an answer after which the next target is asked as well; None for never. Streams
            are not hedged.
        affinity: Name of a tag, or ``"tenant"``: calls of the same value keep to the same target.
        choose: What picks other targets for a call: a function of the `Call`, which may be a generator that asks for
            effects, or a list of `Rule`.
        larger: For a model, the one with a larger context window to ask when a prompt does not fit.
        retries: Requests after the first that a `Retry` further in makes at each target; None for its own number.
            Without a `Retry` the SDK makes them, unseen by all plugins.
        timeout: Seconds for each request; None for the client's time-out.
        retry_ambiguous: Whether to ask another target also where the request may have been executed, and billed,
            although no answer came.
        endpoints: Endpoints whose calls are routed.
        random: Randomness, for tests.

    Raises:
        ValueError: If an option cannot be.
    """

    name = "route"
    stage = Stage.ROUTE
    automatic = False  # without targets there is nothing to choose from

    def __init__(  # noqa: PLR0913 - each is an option of its own, all have defaults
        self,
        targets: Sequence[str | Target] | Mapping[str, Sequence[str | Target]] = (),
        *,
        transports: Mapping[str, Transport] | None = None,
        strategy: Strategy = "fallback",
        on: Sequence[Kind] = DEFAULT,
        cooldown: Seconds = 30,
        failures: int = 3,
        hedge_after: Seconds | None = None,
        affinity: str | None = None,
        choose: Callable[[Call], Choice] | Sequence[Rule] | None = None,
        larger: Mapping[str, str | Target] | None = None,
        retries: int | None = None,
        timeout: Seconds | None = None,
        retry_ambiguous: bool = True,
        endpoints: Sequence[str] = ("chat.completions", "responses", "completions"),
        random: randomness.Random | None = None,
    ) -> None:
        _check(strategy, on, cooldown, failures, hedge_after)
        check_hop(retries, timeout)
        if not targets and choose is None:
            raise ValueError("a route needs targets, such as ['gpt-5', 'gpt-5-mini'], or `choose`")
        if isinstance(targets, str):
            raise ValueError(f'targets must be a list, such as ["{targets}"], not one text')  # noqa: TRY004
        self._given = targets
        self._own = dict(transports or {})
        self._affinity = affinity
        self._choose = choose
        self._larger = dict(larger or {})
        self._endpoints = frozenset(endpoints)
        self._setting = Setting(
            on=frozenset(on),
            retry_ambiguous=retry_ambiguous,
            hedge_after=hedge_after,
            larger={},
            retries=retries,
            timeout=timeout,
            transports={},
        )
        self._table: list[tuple[str, tuple[Target, ...]]] = []
        self._board = Board(cooldown, failures, strategy, random or randomness.Random())  # noqa: S311 - no secret
        self._homes = Homes()
        self._clock: Clock | None = None

    # Hooks ------------------------------------------------------------------------------------------------------

    def attach(self, stack: Stack) -> None:
        """Find the transports that targets name: the route's own, and those of the stack.

        Raises:
            llmstack.errors.OptionError: If a target cannot be.
        """
        self._clock = stack.clock
        transports: dict[str, Transport] = {**getattr(stack, "transports", {}), **self._own}
        given = self._given
        written = given if isinstance(given, Mapping) else {"*": given} if given else {}
        self._table = [(model, self._checked("targets", targets, transports)) for model, targets in written.items()]
        larger = {model: self._checked("larger", target, transports)[0] for model, target in self._larger.items()}
        rules = () if self._choose is None or callable(self._choose) else self._choose
        ruled = [self._checked("choose", rule.to, transports) for rule in rules]
        known = [*larger.values(), *(target for some in (*ruled, *(to for _, to in self._table)) for target in some)]
        named = {target.transport for target in known}
        if "*" not in written:  # calls for other models pass as they are, to the stack's own transport
            named.add(None)
        self._homes.several = callable(self._choose) or len(named) > 1
        self._setting = replace(self._setting, larger=larger, transports=transports)

    def _checked(self, option: str, given: Some, transports: Mapping[str, Transport]) -> tuple[Target, ...]:
        try:
            return parsed_all(given, transports)
        except ValueError as error:
            raise OptionError(f"{option}: {error}", plugin=self.name) from error

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Ask the targets of a call, one after the other."""
        if call.method != "POST" or call.endpoint not in self._endpoints:
            return (yield from next(call))
        targets = yield from self._targets(call)
        if not targets:
            reply = yield from next(call)
            self._homes.remember(call, reply, None)
            return reply
        journey = Journey(call, next, self._board, self._homes, self._setting)
        return (yield from journey.run(targets, self._session(call)))

    def _targets(self, call: Call) -> Flow[Sequence[Target]]:
        chosen: Any = None
        if callable(self._choose):
            chosen = self._choose(call)
            if isinstance(chosen, Generator):
                chosen = yield from chosen
        elif self._choose is not None:
            chosen = first_fitting(self._choose, call)
        if chosen is not None:
            return self._checked("choose", chosen, self._setting.transports)
        model = call.model or ""
        exact = next((targets for asked, targets in self._table if asked == model), None)
        return exact or next((targets for asked, targets in self._table if fnmatchcase(model, asked)), ())

    def _session(self, call: Call) -> str | None:
        if self._affinity is None:
            return None
        return call.options.tags.get(self._affinity) or (call.options.tenant if self._affinity == "tenant" else None)

    # For the program --------------------------------------------------------------------------------------------

    def status(self) -> dict[str, TargetStatus]:
        """How each target is doing, by its name."""
        now = time.monotonic() if self._clock is None else self._clock.monotonic()
        return self._board.status([target for _, targets in self._table for target in targets], now)

    def close(self) -> None:
        """Close the transports that the route was given."""
        with ExitStack() as closing:
            for transport in self._own.values():
                closing.callback(Stack(transport=transport).close)

    async def aclose(self) -> None:
        """The same in an async program."""
        async with AsyncExitStack() as closing:
            for transport in self._own.values():
                closing.push_async_callback(Stack(transport=transport).aclose)


def _check(strategy: str, on: Sequence[str], cooldown: float, failures: int, hedge_after: float | None) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r}")
    for kind in on:
        if kind not in KINDS:
            raise ValueError(f"on has {kind!r}, which is no kind of failure; there are: {', '.join(KINDS)}")
    if not 0 < cooldown < math.inf:
        raise ValueError(f"cooldown must be a number of seconds greater than 0, not {cooldown}")
    if failures < 1:
        raise ValueError(f"failures must be at least 1, not {failures}")
    if hedge_after is not None and not 0 <= hedge_after < math.inf:
        raise ValueError(f"hedge_after must be a number of seconds, 0 or more, not {hedge_after}")
