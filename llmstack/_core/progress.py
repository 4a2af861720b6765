"""Progress: what becomes known of a call while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from decimal import Decimal

    from llmstack._core.call_info import CallInfo
    from llmstack._core.reply import Reply
    from llmstack._core.usage import Usage


class Progress:
    """What is known of a call only while it runs; shared by all copies of it.

    `Call` is frozen and copied freely on its way in, yet "has the user seen content?" must have one answer. This
    is the one mutable thing a call carries.
    """

    __slots__ = (
        *("attempts", "committed", "first_content_at", "foreign", "home", "notes", "now", "price", "reply"),
        *("priced", "sends", "started_at", "transport"),
    )

    def __init__(self) -> None:
        # The stack's clock; None for a call that is not under way.
        self.now: Callable[[], float] | None = None
        # What the stack's plugins say that a usage costs; None for a call that is not under way.
        self.price: Callable[[str, Usage, CallInfo], Decimal | None] | None = None
        # What was asked of it last, and the answer: usage, model, host, price.
        self.priced: tuple[Usage, str, str, Decimal | None] | None = None
        # The name of the stack's transport; empty for a call that is not under way.
        self.transport = ""
        # Where the client points, for what is sent by a transport without a place of its own.
        self.home = ""
        self.committed = False
        self.attempts = 0
        # The numbers of the requests that were sent.
        self.sends: list[int] = []
        self.started_at = 0.0
        self.first_content_at: float | None = None
        # Errors that came from below the layers: they pass all layers unwrapped.
        self.foreign: list[BaseException] = []
        # The last answer paid for, so that an error raised after it can carry it.
        self.reply: Reply | None = None
        self.notes: dict[str, Any] = {}

    def cost(self, usage: Usage, model: str, info: CallInfo) -> Decimal | None:
        """What a usage of a model costs in US dollars; None if no plugin knows, or the call is not under way."""
        if self.price is None:
            return None
        # The books of a budget and the call's last event ask the same.
        known = self.priced
        if known is None or known[0] is not usage or known[1:3] != (model, info.host):
            known = self.priced = (usage, model, info.host, self.price(model, usage, info))
        return known[3]

    def aside(self) -> Self:
        """That of a request which is made on behalf of the call: it begins now, in the same surroundings."""
        fresh = type(self)()
        fresh.now, fresh.price, fresh.transport, fresh.home = self.now, self.price, self.transport, self.home
        return fresh
