"""No network: a block's sockets reach this machine only.

    with no_network("test_prices"):
        ...

Standard library only: pytest loads this for every program that has llmstack installed.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["NetworkBlockedError", "no_network"]

_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", ""})


class NetworkBlockedError(BaseException):
    """A test wanted to reach another machine.

    No `Exception`: nothing in a program that makes the best of a failure shall take this for one.

    Attributes:
        host: The host, and the port if there is one.
        test: The test.
    """

    def __init__(self, host: str, test: str) -> None:
        """Make the error."""
        super().__init__(host, test)
        self.host = host
        self.test = test

    def __str__(self) -> str:
        """Who wanted to go where, and what to do."""
        return (
            f"{self.test} wanted to reach {self.host}, but the network is blocked in tests: point the client at "
            f"`local_server`, give its stack a `scripted_transport`, or mark the test with llm_cassette"
        )


_blocks: list[str] = []
"""The tests that have blocked the network, the last one last."""
_lock = threading.Lock()
_originals: dict[tuple[Any, str], Any] = {}


@contextmanager
def no_network(test: str = "this program") -> Generator[None]:
    """Let no socket of this process reach another machine while the block runs.

    Loopback addresses, ``localhost`` and Unix sockets may be reached; the names of other hosts are not even looked up.
    Blocks nest. Programs started by the block are not watched.

    Args:
        test: Who is named in the error.

    Raises:
        NetworkBlockedError: Inside the block, from whatever wants to connect.
    """
    with _lock:
        _blocks.append(test)
        if len(_blocks) == 1:
            _install()
    try:
        yield
    finally:
        with _lock:
            _blocks.pop()
            if not _blocks:
                _remove()


def _install() -> None:
    for name in ("connect", "connect_ex", "sendto"):
        # Where an address is the last argument, or the only one.
        _put(socket.socket, name, _guarded(getattr(socket.socket, name), _socket_host))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        _put(socket, name, _guarded(getattr(socket, name), _looked_up))


def _put(owner: Any, name: str, replacement: Any) -> None:
    _originals[owner, name] = owner.__dict__.get(name)
    setattr(owner, name, replacement)


def _remove() -> None:
    for (owner, name), original in _originals.items():
        if original is None:  # it was inherited
            delattr(owner, name)
        else:
            setattr(owner, name, original)
    _originals.clear()


def _guarded(function: Callable[..., Any], host_of: Callable[..., str | None]) -> Callable[..., Any]:
    def guarded(*args: Any, **more: Any) -> Any:
        host = host_of(*args, **more)
        if host is not None:
            test = _blocks[-1] if _blocks else "a test that has ended"
            raise NetworkBlockedError(host, test)
        return function(*args, **more)

    return guarded


def _socket_host(sock: socket.socket, *args: Any) -> str | None:
    """Where a socket is about to go; None if it may."""
    address = args[-1] if args else None
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return None
    host, port = address[:2]
    return None if _is_here(host) else f"{_shown(host)}:{port}"


def _looked_up(host: Any = None, *args: Any, **_: Any) -> str | None:
    """Which name is about to be looked up; None if it may be."""
    if host is None or _is_here(host):
        return None
    port = args[0] if args else None
    return _shown(host) if port in (None, 0, "") else f"{_shown(host)}:{port}"


def _shown(host: Any) -> str:
    return host.decode(errors="replace") if isinstance(host, bytes) else str(host)


def _is_here(host: Any) -> bool:
    name = _shown(host).partition("%")[0].lower().rstrip(".")
    if name in _NAMES:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
