"""A server that answers with whatever bytes it is told, in whatever pieces, and remembers what it was sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Said:
    """One answer.

    Attributes:
        pieces: What is written, one after the other.
        then: ``"keep"`` the connection, ``"close"`` it, or ``"reset"`` it.
        pause: Seconds between two pieces.
    """

    pieces: tuple[bytes, ...]
    then: str = "keep"
    pause: float = 0.0


@dataclass
class RawServer:
    """Serves any number of connections; the answers are given in order, the last one again and again."""

    answers: Sequence[Said]
    requests: list[bytes] = field(default_factory=list)
    url: str = ""
    tls: ssl.SSLContext | None = None
    accepted: int = 0
    together: threading.Barrier | None = None
    """If given, so many requests must have come before they are answered."""

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.accepted += 1
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            stack.enter_context(connection)
            if self.tls is not None:
                connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
            while (request := _request(connection)) is not None:
                said = self.answers[min(len(self.requests), len(self.answers) - 1)]
                self.requests.append(request)
                if self.together is not None:
                    self.together.wait(30)
                for piece in said.pieces:
                    connection.sendall(piece)
                    if said.pause:
                        time.sleep(said.pause)
                if said.then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if said.then != "keep":
                    return


def _request(connection: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def raw_server(*answers: Said, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """A server for as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(answers, tls=tls)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
