"""Own: a transport's own place, and the SDK's clients that send there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import anyio
import httpx2
from openai import NotGiven

from llmstack._core.call import Call
from llmstack._core.place import Place
from llmstack._drivers.loop import current_loop
from llmstack._wire.request import SDKRequest, options_of
from llmstack._wire.sdk import FinalRequestOptions
from llmstack.errors import OptionError, UnsupportedError
from llmstack.transports._own.portable import origin, portable
from llmstack.transports.connection import LoopClient, ProcessClient
from llmstack.transports.guarding import guarded

__all__ = ["Own"]

Kind = Literal["sync", "async"]

_OPTIONS: Final = {"sync": "http_client", "async": "async_http_client"}


class Own:
    """Sends the requests of any client to one place, over connections that are made when first needed.

    They are as the connections of a client: each process and each event loop has its own.

    Attributes:
        place: The place.
    """

    def __init__(
        self,
        place: Place,
        make: Callable[[bool, Any], Any],
        *,
        timeout: Any,
        http_client: httpx2.Client | None,
        async_http_client: httpx2.AsyncClient | None,
    ) -> None:
        """Send to a place.

        Args:
            place: The place.
            make: Makes a client of the SDK's (a `SyncSending` or an `AsyncSending`): told whether it is to be async,
                and the HTTP client that it is to use.
            timeout: Seconds (or an ``httpx2.Timeout``) for calls that bring none; `NotGiven` for their client's.
            http_client: The program's own HTTP client, for sync calls; it is left open.
            async_http_client: The same for async calls.

        Raises:
            OptionError: If an HTTP client is of the wrong kind.
        """
        self.place = place
        self._make = make
        self._timeout = timeout
        self._url = httpx2.URL(place.base_url)
        self._given: dict[Kind, Any] = {}
        self._opened: dict[Kind, Any] = {}
        self._clients: dict[Kind, Any] = {}
        self._closed = False
        self._take("sync", http_client, httpx2.Client)
        self._take("async", async_http_client, httpx2.AsyncClient)

    def _take(self, kind: Kind, given: object, wanted: type) -> None:
        if given is None:
            return
        if not isinstance(given, wanted):
            message = f"{_OPTIONS[kind]}= takes an httpx2.{wanted.__name__}, not {type(given).__name__}"
            raise OptionError(message)
        self._given[kind] = given

    # Requests ---------------------------------------------------------------------------------------------------

    def directed(self, call: Call) -> Call:
        """The call as it may go to this place: without keys that are meant for another one.

        Raises:
            UnsupportedError: If it names an address that is another.
        """
        changes: dict[str, Any] = {}
        headers, query, path = portable(call.headers), portable(call.query), self._path(call)
        if headers is not call.headers:
            changes["headers"] = headers
        if query is not call.query:
            changes["query"] = query
        if path != call.path:
            changes["path"] = path
        if call.base_url != self.place.base_url:
            changes["base_url"] = self.place.base_url
        request: SDKRequest = call.request
        from_client = call.timeout is request.timeout and isinstance(request.options.timeout, NotGiven)
        if from_client and not isinstance(self._timeout, NotGiven):
            changes["timeout"] = self._timeout
        return call.replace(**changes) if changes else call

    def _path(self, call: Call) -> str:
        if call.path.startswith("/"):
            return call.path
        url = httpx2.URL(call.path)
        if url.is_relative_url or origin(url) == origin(self._url):
            return call.path
        theirs = call.request.client.base_url
        if origin(url) == origin(theirs) and url.raw_path.startswith(theirs.raw_path):
            return "/" + url.raw_path.removeprefix(theirs.raw_path).decode("ascii")
        message = f"the call is addressed to {url.host}, but this transport sends to {self._url.host} only"
        raise UnsupportedError(message, call=call.info)

    def options(self, call: Call) -> FinalRequestOptions:
        """The SDK's options for a directed call: what its client would have added is said for the request."""
        options = options_of(call)
        changes: dict[str, Any] = {}
        if isinstance(options.timeout, NotGiven):
            changes["timeout"] = call.timeout
        if isinstance(options.max_retries, NotGiven):
            changes["max_retries"] = call.request.client.max_retries
        return options.model_copy(update=changes) if changes else options

    def send(self, options: FinalRequestOptions, *, stream: bool) -> Any:
        """Send; gives the raw HTTP response."""
        return self._client("sync").llmstack_send(options, stream=stream)

    async def asend(self, options: FinalRequestOptions, *, stream: bool) -> Any:
        """The same in an async program."""
        return await self._client("async").llmstack_send(options, stream=stream)

    # Connections ------------------------------------------------------------------------------------------------

    def _client(self, kind: Kind) -> Any:
        client = self._clients.get(kind)
        if client is not None:
            return client
        if self._closed:
            raise UnsupportedError(f"the transport to {self._url.host} has been closed")
        # Two threads may both make one: neither has a connection yet, and the first to come here is kept. (A lock
        # would be held for ever in a process forked meanwhile.)
        client = self._make(kind == "async", self._http(kind))
        if kind in self._opened:
            http = self._opened[kind]
            http.timeout, http.base_url = client.timeout, client.base_url  # as the SDK sets up the one that it makes
        return self._clients.setdefault(kind, client)

    def _http(self, kind: Kind) -> Any:
        if kind in self._given:
            return guarded(self._given[kind])
        if self._given:
            (other,) = self._given
            message = (
                f"this transport was given an {_OPTIONS[other]} for {other} clients: {kind} clients would go past it. "
                f"Give it an {_OPTIONS[kind]}, too"
            )
            raise UnsupportedError(message)
        if kind not in self._opened:
            fresh: Any = ProcessClient() if kind == "sync" else LoopClient()
            self._opened.setdefault(kind, guarded(fresh))
        return self._opened[kind]

    def close(self) -> None:
        """Close the connections; those of async programs in the event loops that they belong to."""
        self._closed = True
        self._clients.clear()
        if (http := self._opened.pop("sync", None)) is not None:
            http.close()
        if (http := self._opened.pop("async", None)) is not None:
            try:
                loop = current_loop()
            except RuntimeError:  # none runs here
                anyio.run(http.aclose)
            else:
                loop.spawn(http.aclose)

    async def aclose(self) -> None:
        """The same in an async program."""
        self._closed = True
        self._clients.clear()
        if (http := self._opened.pop("sync", None)) is not None:
            http.close()
        if (http := self._opened.pop("async", None)) is not None:
            await http.aclose()
