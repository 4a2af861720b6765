"""Requests whose head is known beforehand: all but their body, and how long that is, is the same as before.

The SDK joins the address, merges four sets of headers and copies its options twice for each request, 130 µs in all.
Here it does so once for each kind of request; what it made is kept until something changes of which it was made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import httpcore2
import httpx2

from llmstack._core.secret import register
from llmstack._wire.bodytext import json_bytes
from llmstack._wire.sdk import NotGiven, secrets_sent
from llmstack._wire.sdk_hot import builds_as_usual, built, state_of

__all__ = ["Outgoing", "as_it_is", "outgoing"]

_target: Final = re.compile(rb"[!-~]+").fullmatch
_plain: Final = re.compile(rb"[!-~](?:[\t !-~]*[!-~])?").fullmatch
_token: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_MEANINGFUL: Final = frozenset({b"cookie", b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade"})
"""Headers that ask more of the connection than to be sent."""
_MOST: Final = 64
"""Kinds of requests that are remembered for a client."""


@dataclass(frozen=True, slots=True, repr=False)
class _Kind:
    """All of a kind of request but its body.

    Attributes:
        before: The request line and the headers up to the length of the body.
        after: What follows that.
        fields: The headers, as ``httpx2`` has them.
        at: Where among them the length is.
        request: A request of the kind.
        origin: Where it goes.
    """

    before: bytes
    after: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    at: int
    request: httpx2.Request
    origin: httpcore2.Origin


class Outgoing(NamedTuple):
    """A request that is ready to be sent."""

    kind: _Kind
    body: bytes

    @property
    def data(self) -> bytes:
        """Its bytes."""
        kind, body = self
        return b"%b%d%b%b" % (kind.before, len(body), kind.after, body)

    @property
    def timeouts(self) -> dict[str, Any]:
        """Seconds for each kind of operation."""
        timeouts: dict[str, Any] = self.kind.request.extensions["timeout"]
        return timeouts

    def request(self) -> httpx2.Request:
        """The same as the HTTP library's object."""
        kind, body = self
        name = kind.fields[kind.at][0]
        fields = [*kind.fields[: kind.at], (name, str(len(body)).encode()), *kind.fields[kind.at + 1 :]]
        like = kind.request
        # Its own: the time-outs of one request may be changed.
        bounds = {"timeout": dict(self.timeouts)}
        return httpx2.Request(like.method, like.url, headers=fields, content=body, extensions=bounds)

    def is_like(self, request: httpx2.Request) -> bool:
        """Whether a request asks the same of the same place."""
        like = self.kind.request
        same = request.method == like.method and request.url == like.url
        return same and type(request.stream) is httpx2.ByteStream and request.read() == self.body


def outgoing(client: Any, options: Any, params: Mapping[str, Any]) -> Outgoing | None:
    """The request that the SDK would build, from what it built before.

    Args:
        client: The client that sends it.
        options: The SDK's options for it.
        params: Its JSON body.

    Returns:
        The request; None if the SDK must build it.
    """
    try:
        if not params or not builds_as_usual(client) or not _is_ordinary(options):
            return None
        headers = options.headers or {}
        timeout = "client" if isinstance(options.timeout, NotGiven) else options.timeout
        # Its type, too: 1 and 1.0 are equal, and not written alike.
        key = (options.url, type(timeout), timeout, tuple(headers.items()), tuple(options.security.items()))
        http = client._client  # noqa: SLF001 - the HTTP client
        state = (*state_of(client), http.headers.raw)
        known = vars(client).get("_llmstack_prepared")
        if known is None or known[0] != state:
            known = client._llmstack_prepared = (state, {})  # noqa: SLF001 - our own
        kinds: dict[Any, _Kind | None] = known[1]
        if key not in kinds:
            if len(kinds) >= _MOST:
                kinds.clear()
            request = built(client, options)
            register(*secrets_sent(request))
            # Without the body: it is kept.
            blank = httpx2.Request(
                request.method, request.url, headers=request.headers.raw, extensions=request.extensions
            )
            kinds[key] = _kind(blank) if _is_measured(request) else None
        kind = kinds[key]
        # The text of it as the SDK makes it; what it cannot write, it says itself.
        return None if kind is None else Outgoing(kind, json_bytes(params))
    except Exception:  # noqa: BLE001 - whatever it is, the SDK meets it too
        return None


def _is_ordinary(options: Any) -> bool:
    """Whether a request is the posting of JSON to a path."""
    return (
        options.method == "post"
        and options.content is None
        and not options.files
        and not options.params
        and options.follow_redirects is None
        and not isinstance(options.timeout, httpx2.Timeout)  # it may know of a deadline, and that is of one call
        and "://" not in options.url
    )


def as_it_is(request: httpx2.Request) -> Outgoing | None:
    """A request that somebody has built, ready to be sent; None if it is not a plain one with a body of bytes."""
    if not _is_measured(request):
        return None
    kind = _kind(request)
    return None if kind is None else Outgoing(kind, request.read())


def _is_measured(request: httpx2.Request) -> bool:
    """Whether the body is bytes, and as long as is said: a program may have given that header, too."""
    if type(request.stream) is not httpx2.ByteStream:
        return False
    return request.headers.get("content-length") == str(len(request.read()))


def _kind(request: httpx2.Request) -> _Kind | None:
    fields = tuple(request.headers.raw)
    url = request.url
    names = [name.lower() for name, _ in fields]
    if request.method != "POST" or not _is_bounded(request) or url.scheme not in ("http", "https") or url.userinfo:
        return None
    if not _target(url.raw_path) or names.count(b"content-length") != 1 or not _MEANINGFUL.isdisjoint(names):
        return None
    if any(name.lower() == b"connection" and value.lower() != b"keep-alive" for name, value in fields):
        return None
    if not all(_token(name) and (not value or _plain(value)) for name, value in fields):
        return None
    at = names.index(b"content-length")
    # The host first, as the SDK's HTTP library writes it.
    ordered = sorted(range(len(fields)), key=lambda i: names[i] != b"host")
    lines = [b"%b: %b\r\n" % fields[i] for i in ordered]
    place = ordered.index(at)
    line = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), url.raw_path)
    before = line + b"".join(lines[:place]) + fields[at][0] + b": "
    after = b"\r\n" + b"".join(lines[place + 1 :]) + b"\r\n"
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    origin = httpcore2.Origin(url.raw_scheme, url.raw_host, port)
    return _Kind(before, after, fields, at, request, origin)


def _is_bounded(request: httpx2.Request) -> bool:
    """Whether nothing but time-outs was asked of the HTTP library besides: no tracing, no other target or host name."""
    return request.extensions.keys() == {"timeout"} and isinstance(request.extensions["timeout"], dict)
