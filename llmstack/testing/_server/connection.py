"""uvicorn's HTTP/1.1 protocol, with a handle on the connection below it."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from llmstack.testing._server.records import Recorder

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
    from uvicorn.config import Config
    from uvicorn.server import ServerState


CONNECTION = "llmstack.connection"
"""Where the connection stands among the ASGI scope's extensions."""

# a server that misbehaves on order must not fill the log of the program under test
_SILENT = logging.getLogger("llmstack.testing.local_server")
_SILENT.setLevel(logging.CRITICAL + 1)


class Connection(H11Protocol):
    """One client's connection.

    Beside speaking HTTP it can say anything at all, and end in any way: that is what the faults below HTTP need. After
    any of them the connection is of no further use.
    """

    def __init__(
        self, config: Config, server_state: ServerState, recorder: Recorder, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, app_state={}, _loop=loop)
        self.logger = _SILENT
        self.access_log = False
        self.number = 0
        self._recorder = recorder
        self._ended_here = False
        self.app = self._with_self(config.loaded_app)

    def _with_self(self, app: Any) -> ASGI3Application:
        async def called(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            extended: Any = {**scope, "extensions": {CONNECTION: self}}
            await app(extended, receive, send)

        return called

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # asyncio does this only for sockets that were made with the protocol spelt out; without it headers and body,
        # written apart, arrive 40 ms apart
        handle: socket.socket = transport.get_extra_info("socket")
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self._recorder.connected()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        # none before the first request, whatever uvicorn's annotation says: hence the cast
        cycle = cast("RequestResponseCycle | None", self.cycle)
        unanswered = cycle is not None and not cycle.response_complete
        super().connection_lost(exc)
        self._recorder.disconnected(self.number, cut_short=unanswered and not self._ended_here)

    def write_raw(self, data: bytes) -> None:
        """Send bytes past HTTP."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def end(self) -> None:
        """Close after what was written (FIN)."""
        self._ended_here = True
        self.transport.close()

    async def reset(self) -> None:
        """Send what was written, then break off (RST)."""
        self._ended_here = True
        # a transport has no event for an empty buffer
        while not self.transport.is_closing() and self.transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        handle: socket.socket = self.transport.get_extra_info("socket")
        # lingering for zero seconds is how a socket is made to reset
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def abort(self) -> None:
        """Close at once: the server stops."""
        self._ended_here = True
        self.transport.abort()
