"""Sending a payload, with the faults of transmission."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from llmstack.testing._server.connection import Connection
from llmstack.testing._server.faults import Fault
from llmstack.testing._server.payload import Payload

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable


_GARBAGE = b"\x16\x03\x01 220 mail.example ESMTP ready\r\n\x00\xff\xfe\r\n\r\n"
_MISSING_BYTES = 64


class _ClientGoneError(Exception):
    """The client closed its connection; there is nobody to answer."""


class Delivery:
    """One answer on its way to one client."""

    def __init__(
        self,
        payload: Payload,
        fault: Fault,
        connection: Connection,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        self._payload = payload
        self._fault = fault
        self._connection = connection
        self._receive = receive
        self._send = send
        self._gone: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Send the payload as the fault demands; return when there is nothing more to do for this request."""
        deliver: dict[str, Callable[[], Awaitable[None]]] = {
            "bad_length": self._bad_length,
            "close": self._close,
            "cut": self._cut,
            "drip": self._drip,
            "garbage": self._garbage,
            "reset": self._reset,
        }
        fault = self._fault
        try:
            if fault.delay:
                await self._unless_gone(asyncio.sleep(fault.delay))
            if fault.fault == "hang":
                await self._unless_gone(fault.gate.passed())
            elif fault.fault != "stall":
                fault.gate.reach()
            await deliver.get(fault.fault or "", self._whole)()
        except _ClientGoneError:
            return
        finally:
            if self._gone is not None:
                self._gone.cancel()

    async def _unless_gone(self, work: Coroutine[Any, Any, None]) -> None:
        """Await ``work``, but stop at once if the client goes away."""
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._receive())
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _ClientGoneError
        finally:
            task.cancel()

    async def _until_closed(self) -> None:
        """Wait until the connection this side closed is gone, or uvicorn takes the request for forgotten."""
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._receive())
        await asyncio.wait({self._gone})

    async def _start(self, **other_headers: str) -> None:
        headers = {**dict(self._payload.header_list()), **{k.encode(): v.encode() for k, v in other_headers.items()}}
        await self._send(
            {
                "type": "http.response.start",
                "status": self._payload.status,
                "headers": list(headers.items()),
                "trailers": False,
            }
        )

    async def _piece(self, data: bytes, *, last: bool = False) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _first_events(self, number: int) -> None:
        """Start the response and send the first events, stalled and delayed as ordered."""
        await self._start()
        for position, piece in enumerate(self._payload.pieces[:number]):
            if position and self._fault.event_delay:
                await self._unless_gone(asyncio.sleep(self._fault.event_delay))
            await self._hold(position)
            await self._piece(piece)
        if number >= len(self._payload.pieces):
            await self._hold(len(self._payload.pieces))

    async def _hold(self, position: int) -> None:
        held_at = min(self._fault.events_before, len(self._payload.pieces))
        if self._fault.fault == "stall" and position == held_at:
            await self._unless_gone(self._fault.gate.passed())

    async def _whole(self) -> None:
        await self._first_events(len(self._payload.pieces))
        await self._piece(b"", last=True)

    async def _close(self) -> None:
        self._connection.end()
        await self._until_closed()

    async def _garbage(self) -> None:
        self._connection.write_raw(_GARBAGE)
        await self._close()

    async def _reset(self) -> None:
        if self._fault.after is not None:
            await self._first_events(self._fault.after)
        await self._connection.reset()
        await self._until_closed()

    async def _cut(self) -> None:
        """Close in the midst of a chunk of the transfer encoding, or of a body of announced length."""
        at = self._fault.events_before
        await self._first_events(at)
        if "content-length" not in self._payload.headers:
            rest = b"".join(self._payload.pieces[at : at + 1]) or b"data: {}\n\n"
            self._connection.write_raw(b"%x\r\n" % len(rest) + rest[: len(rest) // 2])
        await self._close()

    async def _bad_length(self) -> None:
        body = b"".join(self._payload.pieces)
        await self._start(**{"content-length": str(len(body) + _MISSING_BYTES)})
        await self._piece(body)
        await self._close()

    async def _drip(self) -> None:
        if self._fault.part == "headers":
            await self._drip_headers()
            return
        await self._start()
        for number in b"".join(self._payload.pieces):
            await self._piece(bytes((number,)))
            await self._unless_gone(asyncio.sleep(self._fault.interval))
        await self._piece(b"", last=True)

    async def _drip_headers(self) -> None:
        """Past uvicorn, which sends headers in one go; so the connection cannot be kept."""
        status = self._payload.status
        reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        body = b"".join(self._payload.pieces)
        headers = {**self._payload.headers, "content-length": str(len(body)), "connection": "close"}
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        for number in "\r\n".join(lines).encode("latin-1"):
            self._connection.write_raw(bytes((number,)))
            await self._unless_gone(asyncio.sleep(self._fault.interval))
        self._connection.write_raw(body)
        await self._close()
