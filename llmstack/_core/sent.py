"""Sent: what has become of one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmstack._core.reply import Reply


@dataclass(eq=False, slots=True)
class Sent:
    """One request of a call, as it becomes known while a layer around attempts waits for its end.

    Where a call sends several requests at once, what is known of the call says nothing of one of them.

    Attributes:
        number: Which request of the call it is, from 1; 0 if it has not been sent.
        reply: What arrived of its answer, also if it then broke off or was no answer; None if nothing did.
    """

    number: int = 0
    reply: Reply | None = None
