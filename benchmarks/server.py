"""A server that answers with bytes made beforehand, as quickly as asyncio can: `python -m benchmarks.server [core]`.

It prints its port and serves until its standard input is closed. A path under ``/paced`` streams an event at a time.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from typing import cast

from benchmarks.answers import BURSTS, STREAM_HEAD, STREAMS, WHOLE, chunked, paced

PACE = 0.02
"""Seconds between the events of a paced stream."""

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pending = b""

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._pending, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._pending) < size:
                return
            request, self._pending = self._pending[:size], self._pending[size:]
            self._answer(request.split(b" ", 2)[1], request)

    def _answer(self, path: bytes, request: bytes) -> None:
        streamed = b'"stream":true' in request or b'"stream": true' in request
        before, _, after = path.partition(b"/v1")
        which = after, b'"include_usage":true' in request
        if not streamed:
            self._transport.write(WHOLE[after])
        elif before == b"/paced":
            self._transport.write(STREAM_HEAD)
            self._go_on([*map(chunked, paced(STREAMS[which])), chunked(b"")])
        else:
            self._transport.write(BURSTS[which])

    def _go_on(self, events: list[bytes]) -> None:
        if self._transport.is_closing() or not events:
            return
        self._transport.write(events[0])
        asyncio.get_running_loop().call_later(PACE, self._go_on, events[1:])


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    if sys.argv[1:] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(serve())
