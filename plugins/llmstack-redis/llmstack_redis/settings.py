"""Settings: what a store's URL says."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from llmstack.secrets import register

__all__ = ["OPTIONS", "Settings", "read_url"]

Kind = Literal["server", "unix", "sentinel", "cluster"]

_PORTS: Final = {"server": 6379, "cluster": 6379, "sentinel": 26379, "unix": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a store's Redis is, and how it is used.

    Attributes:
        kind: One server, its socket file, a master that sentinels know, or a cluster.
        tls: Whether connections are encrypted.
        addresses: Host and port of the server, the sentinels, or the cluster's first nodes.
        path: The socket file.
        service: What the sentinels call the master.
        db: The number of the database.
        username: Who logs in; None for the default user.
        password: Its password.
        sentinel_username: Who logs in at the sentinels.
        sentinel_password: Its password there.
        prefix: What all keys begin with.
        timeout: Seconds that one operation may take in all.
        connections: Connections at most, for each process and event loop.
        init: Whether a process that has not seen a ledger yet may begin one in a Redis that has none.
        history_days: Days that a ledger's rows are kept.
        max_entry_bytes: The largest entry that a cache keeps.
        options: What redis-py takes besides.
    """

    kind: Kind
    tls: bool = False
    addresses: tuple[tuple[str, int], ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    prefix: str = "llmstack"
    timeout: float = 0.25
    connections: int = 32
    init: bool = True
    history_days: float = 90.0
    max_entry_bytes: int = 4_000_000
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> tuple[object, ...]:
        """Tells one ledger from another."""
        return (self.kind, self.addresses, self.path, self.service, self.db, self.prefix)


def read_url(url: str) -> Settings:
    """The settings of a URL.

    Args:
        url: Such as ``"redis://localhost/0"``, ``"redis+unix:///run/redis.sock?db=1"``,
            ``"redis+sentinel://host1,host2:26379/service/0"`` or ``"rediss+cluster://host1,host2:7000"``.

    Raises:
        ValueError: If something is wrong with it; the message does not quote it.
    """
    parts = urlsplit(url)
    scheme, _, rest = parts.scheme.partition("+")
    kind: Any = rest or "server"
    if scheme not in ("redis", "rediss") or kind not in _PORTS or parts.scheme == "rediss+unix":
        raise ValueError("the scheme must be redis or rediss, perhaps with +sentinel or +cluster, or redis+unix")
    if parts.fragment:
        raise ValueError("a '#' in the user name or password must be written as %23")
    given: dict[str, Any] = {**_query(parts.query), **_credentials(parts)}
    chosen = {name: given.pop(name) for name in list(given) if name in _OWN or name in ("username", "password")}
    register(chosen.get("password"), chosen.get("sentinel_password"), given.get("ssl_password"))
    if kind == "unix":
        where: dict[str, Any] = {"path": unquote(parts.path)}
        if not parts.path.strip("/") or parts.netloc.rpartition("@")[2]:
            raise ValueError("the socket's file must be given with three slashes: redis+unix:///run/redis.sock")
    else:
        where = _where(kind, parts)
        if "db" in where and "db" in chosen:
            raise ValueError("the database is named twice: in the path and by the option 'db'")
    settings = Settings(kind=kind, tls=scheme == "rediss", options=given, **where, **chosen)
    if kind == "cluster" and settings.db:
        raise ValueError("a cluster has only database 0")
    if not settings.tls and any(name.startswith("ssl_") for name in given):
        raise ValueError("options that begin with ssl_ need rediss://")
    return settings


def _credentials(parts: SplitResult) -> dict[str, str]:
    user, at, _ = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    found = {"username": unquote(name), "password": unquote(password)} if at else {}
    return {key: value for key, value in found.items() if value}


def _where(kind: Kind, parts: SplitResult) -> dict[str, Any]:
    hosts = parts.netloc.rpartition("@")[2]
    if kind == "server" and "," in hosts:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    found: dict[str, Any] = {"addresses": tuple(_address(host, _PORTS[kind]) for host in hosts.split(","))}
    path = [unquote(piece) for piece in parts.path.strip("/").split("/") if piece]
    if kind == "sentinel":
        if not path:
            raise ValueError("the master's name is missing: redis+sentinel://host:26379/NAME/0")
        found["service"] = path.pop(0)
    if len(path) > 1:
        raise ValueError("the path must be the number of the database and nothing else")
    if path:
        found["db"] = _named("path", _whole, path[0])
    return found


def _address(text: str, port: int) -> tuple[str, int]:
    """Host and port; an IPv6 address stands in brackets."""
    parts = urlsplit(f"//{text}")
    try:
        return parts.hostname or "localhost", parts.port or port
    except ValueError:
        raise ValueError("the port must be a number from 1 to 65535") from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):  # noqa: PLR2004 - what fits a Redis integer with ease
        raise ValueError("it must be a whole number")
    return int(text)


def _positive(text: str) -> int:
    if not _whole(text):
        raise ValueError("it must be at least 1")
    return int(text)


def _amount(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1_000_000:  # noqa: PLR2004 - far more than any of them may sensibly be
        raise ValueError("it must be a number above 0")
    return number


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("it must be yes or no")
    return text == "yes"


def _prefix(text: str) -> str:
    if not text or len(text) > 100 or set(text) & set("{}*?[]\\ \r\n"):  # noqa: PLR2004 - a short one costs less in each key
        raise ValueError("it must be 1 to 100 characters, without spaces, braces or any of *?[]\\")
    return text


_OWN: Final[Mapping[str, Callable[[str], Any]]] = {
    "db": _whole,
    "prefix": _prefix,
    "timeout": _amount,
    "connections": _positive,
    "init": _flag,
    "history_days": _amount,
    "max_entry_bytes": _positive,
    "sentinel_username": str,
    "sentinel_password": str,
}
_PASSED_ON: Final[Mapping[str, Callable[[str], Any]]] = {
    "client_name": str,
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_check_hostname": _flag,
}
OPTIONS: Final = {**_OWN, **_PASSED_ON}
"""What a URL may say behind its question mark, and what makes a value of each text."""


def _query(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in OPTIONS:
            close = difflib.get_close_matches(name, OPTIONS, 1)  # itself it may be a piece of an unquoted password
            meant = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(OPTIONS))}"
            raise ValueError(f"one of the options is unknown; {meant}")
        if name in found:
            raise ValueError(f"the option {name!r} is given twice")
        found[name] = _named(f"option {name!r}", OPTIONS[name], value)
    return found


def _named(what: str, kind: Callable[[str], Any], value: str) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise ValueError(f"the {what}: {error}") from None
