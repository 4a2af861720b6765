"""The event loop of a server, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.server import ServerState

from llmstack.testing._server.connection import Connection
from llmstack.testing._server.records import Recorder

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application


_BACKLOG = 1024
# a test may leave a pooled connection idle as long as it likes
_KEEP_ALIVE = 24 * 60 * 60


class ServerThread:
    """Serves an application from construction until `stop`.

    uvicorn's own `Server` looks for its end ten times a second and closes with pauses; tests start and stop servers
    by the hundred, so this one takes only uvicorn's protocol.
    """

    def __init__(self, app: ASGI3Application, recorder: Recorder, host: str, port: int) -> None:
        self._recorder = recorder
        # bound here, so that a port in use is the caller's exception
        self._socket = socket.create_server((host, port), backlog=_BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            log_config=None,
        )
        self._config.load()
        self._state = ServerState()
        # not the policy's choice: the faults need plain sockets under the transports
        self._loop = asyncio.SelectorEventLoop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"local-server-{self.port}", daemon=True)
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Break all connections, close the port, end the thread. It is harmless to call this twice."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop closed meanwhile
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        listener = await self._loop.create_server(self._connection, sock=self._socket, backlog=_BACKLOG)
        self._ready.set()
        await self._stopping.wait()
        # accept no more, but let what is being accepted come through: a listener closed now would leave it open
        self._loop.remove_reader(self._socket)
        while self._state.connections or len(asyncio.all_tasks(self._loop)) > 1:
            self._break_off()
            await asyncio.sleep(0)
        listener.close()
        await listener.wait_closed()

    def _break_off(self) -> None:
        # connections first: uvicorn answers a cancelled request with a 500, if there is a connection to send it on
        for connection in tuple(self._state.connections):
            cast("Connection", connection).abort()
        # these only: a connection being accepted, cancelled before it began, would leave its socket open
        for task in tuple(self._state.tasks):
            task.cancel()

    def _connection(self) -> Connection:
        return Connection(self._config, self._state, self._recorder, self._loop)
