"""Orders to answer otherwise: what they say, and who takes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from llmstack.testing._server.gate import Gate

FaultKind: TypeAlias = Literal[
    "bad_json_event",
    "bad_length",
    "close",
    "content_filter",
    "cut",
    "drip",
    "empty",
    "error_body",
    "error_event",
    "garbage",
    "hang",
    "html",
    "no_finish",
    "reset",
    "stall",
    "truncated_json",
    "truncated_sse",
    "usage",
    "wrong_shape",
]

FAULT_KINDS: frozenset[str] = frozenset(get_args(FaultKind))

# of the orders that act after some events, how many those are unless told
_USUAL_AFTER: dict[str, int] = {
    "bad_json_event": 1,
    "content_filter": 2,
    "cut": 1,
    "error_event": 1,
    "stall": 1,
    "truncated_sse": 1,
}


class FaultOptions(TypedDict, total=False):
    """The keyword arguments of `LocalServer.next`; see `Fault` for what each means."""

    fault: FaultKind | None
    headers: Mapping[str, str | None] | None
    body: Any
    code: str | None
    message: str | None
    error: Any
    usage: Mapping[str, object] | Literal["kept", "missing"] | None
    after: int | None
    part: Literal["body", "headers"]
    interval: float
    delay: float
    event_delay: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One order: how the next matching request is answered.

    Attributes:
        status: The HTTP status. From 400 up, and without ``body``, the answer is OpenAI's usual error for it.
        path: Only requests whose path ends so take the order.
        fault: The kind of misbehaviour.
        headers: Laid over the usual headers, by lower-case name; ``None`` leaves a header out.
        body: Instead of the usual body: a dict or list goes out as JSON, ``str`` and ``bytes`` as they are.
        code: ``error.code`` of an error; known ones bring their message, ``content_filter`` Azure's whole shape.
        message: ``error.message`` of an error.
        error: What an ``error_event`` carries under ``error``: an object or a string.
        usage: Laid over the usage; ``None`` makes it null, ``"missing"`` leaves it out.
        after: After how many events a fault acts. Of an answer that is no stream, half the body counts as one.
        part: What a ``drip`` drips.
        interval: Seconds between the bytes of a ``drip``.
        delay: Seconds before the answer begins.
        event_delay: Seconds before each event but the first.
        gate: Where a ``hang`` or ``stall`` waits.
    """

    status: int | None = None
    path: str | None = None
    fault: FaultKind | None = None
    headers: Mapping[str, str | None] | None = None
    body: Any = None
    code: str | None = None
    message: str | None = None
    error: Any = None
    usage: Mapping[str, object] | Literal["kept", "missing"] | None = "kept"
    after: int | None = None
    part: Literal["body", "headers"] = "body"
    interval: float = 0.05
    delay: float = 0.0
    event_delay: float = 0.0
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in FAULT_KINDS:
            msg = f"unknown fault {self.fault!r}; known are {', '.join(sorted(FAULT_KINDS))}"
            raise ValueError(msg)
        if self.after is not None and self.after < 0:
            msg = f"after must not be negative, got {self.after}"
            raise ValueError(msg)

    @property
    def events_before(self) -> int:
        """After how many events the fault acts."""
        return self.after if self.after is not None else _USUAL_AFTER.get(self.fault or "", 0)


NO_FAULT = Fault()


class FaultQueue:
    """Orders in the order given; each waits for a request that matches. Usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: list[tuple[Fault, int | None]] = []
        self._held: list[Gate] = []

    def put(self, fault: Fault, times: int | None) -> None:
        """Append ``fault`` for ``times`` requests, or for all that come if ``None``."""
        if times is not None and times < 1:
            msg = f"times must be at least 1, got {times}"
            raise ValueError(msg)
        with self._lock:
            self._orders.append((fault, times))
            self._held.append(fault.gate)

    def take(self, path: str) -> Fault:
        """The first order a request to ``path`` matches, used up by it; `NO_FAULT` if there is none."""
        with self._lock:
            for position, (fault, times) in enumerate(self._orders):
                if fault.path is not None and not path.endswith(fault.path):
                    continue
                if times is not None and times <= 1:
                    del self._orders[position]
                elif times is not None:
                    self._orders[position] = (fault, times - 1)
                return fault
        return NO_FAULT

    def clear(self) -> None:
        """Drop the orders that no request has taken, and release what is held."""
        with self._lock:
            self._orders.clear()
            held, self._held = self._held, []
        for gate in held:
            gate.release()
