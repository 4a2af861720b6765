"""Sessions of aiohttp, asked without the HTTP client that stands on them.

The SDK's adapter makes a request, a response and three sets of headers of its own for each call, and takes each piece
of a body through five async generators. A plain "200 OK" needs none of it. Whatever else comes the adapter is given, as
if it had asked by itself.
"""

from __future__ import annotations

from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from llmstack._wire.genuine import OPENAI, is_genuine
from llmstack._wire.superseded import all_of
from llmstack.transports.patience import sent_in_time
from llmstack.transports.sent import Asked, Sent

if TYPE_CHECKING:
    import httpx2
    from aiohttp import ClientResponse, ClientSession, TraceConfig

    from llmstack.transports.prepared import Outgoing

__all__ = ["as_adapted", "asked", "session_of", "sessioned"]

_ADAPTER: Final = "openai._vendor.httpx_aiohttp.transport"


def sessioned(transport: Any) -> None:
    """Let the session of one of the SDK's adapters to aiohttp be asked by us, if the adapter is as we know it.

    Args:
        transport: The transport of an HTTP client.
    """
    base: Any = type(transport)
    if base.__module__ != _ADAPTER or not {"client", "proxy"} <= vars(transport).keys():
        return
    if is_genuine(getattr(base, "handle_async_request", None), OPENAI) and hasattr(base, "get_client"):
        transport.__class__ = _resumable(base)
        transport.llmstack_sessions = {}


@cache
def _resumable(base: Any) -> Any:
    """The SDK's adapter, which can also be handed a request that was sent already."""

    async def handle_async_request(self: Any, request: httpx2.Request) -> Any:
        handed = Asked.take(request)
        if handed is None:
            return await sent_in_time(partial(usual, self), request)
        resumed = object.__new__(base)
        vars(resumed).update(vars(self), client=partial(_Given, handed))
        return await sent_in_time(partial(usual, resumed), request)

    async def aclose(self: Any) -> None:
        for session in self.llmstack_sessions.values():
            session.detach()
        await base.aclose(self)

    usual = base.handle_async_request
    about = {"__module__": base.__module__, "__doc__": base.__doc__, "llmstack_usual": staticmethod(usual)}
    return type(base.__name__, (base,), {**about, "handle_async_request": handle_async_request, "aclose": aclose})


class _Given:
    """Stands in for a session: it has asked already."""

    def __init__(self, handed: Sent) -> None:
        self._handed = handed

    def request(self, **_: Any) -> _Given:
        return self

    async def __aenter__(self) -> Any:
        return self._handed.result()


def session_of(transport: Any, superseded: frozenset[str]) -> ClientSession | None:
    """The session that an adapter asks, without what is superseded of those that trace its requests.

    Args:
        transport: The transport of an HTTP client.
        superseded: Packages whose traces are passed over.

    Returns:
        None if it is another transport, or requests must go through it.
    """
    sessions: dict[Any, Any] | None = vars(transport).get("llmstack_sessions")
    if sessions is None or transport.proxy is not None:
        return None
    base: Any = type(transport).__base__
    if base.handle_async_request is not transport.llmstack_usual:
        return None  # somebody has put something of theirs there
    session: Any = transport.client
    if not isinstance(session, _aiohttp().ClientSession):
        session = transport.client = transport.get_client()
    traces = session.trace_configs
    if not (superseded and traces):
        return session  # type: ignore[no-any-return]
    kept = [trace for trace in traces if not all_of(_listeners(trace), superseded)]
    if len(kept) == len(traces):
        return session  # type: ignore[no-any-return]
    quiet = sessions.get(superseded)
    if quiet is None or quiet.connector is not session.connector:
        # The same connections and cookies. What traces each new session has put itself into this one, too.
        quiet = sessions[superseded] = _aiohttp().ClientSession(
            connector=session.connector, connector_owner=False, cookie_jar=session.cookie_jar
        )
    if quiet.trace_configs != kept:
        quiet.trace_configs[:] = kept
    return quiet  # type: ignore[no-any-return]


def _listeners(trace: TraceConfig) -> list[Any]:
    return [one for name in dir(type(trace)) if name.startswith("on_") for one in getattr(trace, name)]


async def asked(session: ClientSession, out: Outgoing) -> ClientResponse:
    """Send a request, as the SDK's adapter does.

    Args:
        session: Who sends it.
        out: The request.

    Returns:
        The answer, whose body is yet to be read.
    """
    kind, timeouts = out.kind, out.timeouts
    headers = {name.decode().lower(): value.decode() for name, value in kind.fields}
    if len(headers) != len(kind.fields):  # some have several values
        headers = dict(kind.request.headers)
    headers["content-length"] = str(len(out.body))
    return await session.request(
        kind.request.method,
        str(kind.request.url),
        headers=headers,
        data=out.body,
        allow_redirects=False,
        auto_decompress=False,
        compress=False,
        timeout=_aiohttp().ClientTimeout(
            sock_connect=timeouts.get("connect"), sock_read=timeouts.get("read"), connect=timeouts.get("pool")
        ),
    )


def as_adapted(error: Exception) -> Exception:
    """An error of aiohttp's as the SDK's adapter raises it; any other as it is."""
    adapter = import_module(_ADAPTER)
    try:
        with adapter.map_aiohttp_exceptions():
            raise error  # noqa: TRY301 - that is how it is asked
    except Exception as mapped:  # noqa: BLE001 - that is what is wanted
        return mapped
    finally:
        del error  # it holds this frame


@cache
def _aiohttp() -> Any:
    """The library, which is an extra."""
    return import_module("aiohttp")
