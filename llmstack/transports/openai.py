"""The OpenAI transport: sends through the SDK, over the client's connection or to a place of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

import httpx2  # noqa: TC002 - what a config file says is checked by the annotations
from openai import NOT_GIVEN, APITimeoutError, NotGiven, OpenAIError

from llmstack._core.call import Call
from llmstack._core.configurable import Configurable
from llmstack._core.effects import Flow, Run
from llmstack._core.place import Place
from llmstack._core.quantity import Seconds
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.incoming import HttpIncoming
from llmstack._wire.request import SDKRequest, bare_request, options_of_one, with_retries
from llmstack._wire.sdk import FinalRequestOptions, api_error, translated
from llmstack._wire.watch import BodyWatch, EventWatch
from llmstack.errors import UnsupportedError
from llmstack.transports._own.account import Account
from llmstack.transports._own.key import KeyFunction
from llmstack.transports._own.place import Own
from llmstack.transports.deadline import Limit, limited
from llmstack.transports.handover import Handover
from llmstack.transports.sent import Sent
from llmstack.transports.swift import answered


class OpenAITransport(Configurable):
    """Sends to OpenAI, or to any server like it.

    Without arguments each call goes through the client that made it: its connection pool, key, base URL and headers.
    That is the transport of a stack that names none. With any argument all calls, whatever client makes them, go to
    one place with one key, over connections of the transport's own; nothing that the client would have added travels
    there, nor do keys in the ``extra_headers`` and ``extra_query`` of a call.

        transport = OpenAITransport(base_url="https://llm.example.com/v1", api_key="...")
        client = OpenAI(stack=Stack([Retry()], transport=transport))

    It asks the SDK for the raw HTTP response, so what the program gets in the end is parsed by the SDK itself.

    Args:
        api_key: The key, or a function that gives it (async for async clients, if it likes); ``OPENAI_API_KEY`` if not
            given.
        base_url: Where to send; ``OPENAI_BASE_URL`` if not given, else OpenAI.
        organization: Header ``OpenAI-Organization``. ``OPENAI_ORG_ID`` goes with ``OPENAI_API_KEY`` only.
        project: Header ``OpenAI-Project``. ``OPENAI_PROJECT_ID`` goes with ``OPENAI_API_KEY`` only.
        default_headers: Headers of every request.
        default_query: Query of every request.
        timeout: Seconds (or an ``httpx2.Timeout``) for requests of calls that bring no time-out; that of their client
            if not given.
        http_client: The HTTP client for sync calls; it is used as it is, and not closed.
        async_http_client: The same for async calls.

    Raises:
        llmstack.errors.OptionError: If there is no key, the address is none, or an HTTP client is of the wrong kind.
    """

    name = "openai"

    def __init__(  # noqa: PLR0913 - the SDK's names for the same things
        self,
        *,
        api_key: str | KeyFunction | None = None,
        base_url: str | httpx2.URL | None = None,
        organization: str | None = None,
        project: str | None = None,
        default_headers: Mapping[str, str] | None = None,
        default_query: Mapping[str, object] | None = None,
        timeout: Seconds | httpx2.Timeout | NotGiven | None = NOT_GIVEN,
        http_client: httpx2.Client | None = None,
        async_http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        account = (api_key, base_url, organization, project, default_headers, default_query)
        self._own: Own | None = None
        if any(given is not None for given in (*account, http_client, async_http_client)) or timeout is not NOT_GIVEN:
            whose = Account.of(
                api_key=api_key,
                base_url=base_url,
                organization=organization,
                project=project,
                headers=dict(default_headers or {}),
                query=dict(default_query or {}),
            )
            self._own = Own(
                whose.place(),
                whose.client,
                timeout=timeout,
                http_client=http_client,
                async_http_client=async_http_client,
            )

    @classmethod
    def over(cls, own: Own) -> Self:
        """A transport to a place that is set up already; for transports of other kinds."""
        transport = cls()
        transport._own = own
        return transport

    @property
    def place(self) -> Place | None:
        """Where it sends; None for where the client points."""
        return None if self._own is None else self._own.place

    def __repr__(self) -> str:
        """Where it sends, without keys."""
        return f"{type(self).__name__}({'' if self._own is None else repr(self._own.place.base_url)})"

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send one request; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            openai.APIError: What the SDK raises for this answer; ``APITimeoutError`` at the call's deadline.
            llmstack.errors.BodyConsumedError: On a second send of a one-shot body.
            llmstack.errors.UnsupportedError: If the call names an address that is not the transport's own.
        """
        request: SDKRequest | None = call.request
        if request is None:
            message = "the openai transport sends calls made by a client only; this call was made by hand"
            raise UnsupportedError(message, call=call.info)
        if request.replay is not None and call.progress.attempts > 1:
            request.replay.rewind(call.info)
        own = self._own
        if own is None:
            options = _timed(options_of_one(call), call)
            quick = yield from answered(call, request.client, options, partial(_watch, call))
            if quick is not None and not isinstance(quick, (Handover, Sent)):
                return quick
            options = with_retries(options, call)
            send = partial(request.client.llmstack_send, options, stream=call.stream, before=quick)
            result = yield from _sent(call, Run(send, send), quick)
        else:
            call = own.directed(call)
            options = _timed(own.options(call), call)
            send, asend = (partial(way, options, stream=call.stream) for way in (own.send, own.asend))
            result = yield from _sent(call, Run(send, asend), None)
        # Under with_raw_response and with_streaming_response the SDK wraps the response.
        response: Any = getattr(result, "http_response", result)
        if not (call.stream or call.raw == "stream"):
            content = response.content
            return Reply(content=content, status=response.status_code, headers=response.headers, native=response)
        if not call.stream:
            _bound_silence(call, lambda: response.request)
            return HttpIncoming(response, BodyWatch(response.status_code, response.headers))
        # What watches must not hold the response: it would be a cycle, and one that is dropped must close at once.
        request = response.request
        return HttpIncoming(response, _watch(call, response.status_code, response.headers, lambda: request))

    def close(self) -> None:
        """Close the transport's own connections; those of clients are theirs. Nothing can be sent to its place then."""
        if self._own is not None:
            self._own.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        if self._own is not None:
            await self._own.aclose()


def _sent(call: Call, send: Run, before: Handover | Sent | None) -> Flow[Any]:
    """Send through the SDK's client, or let it go on with what was sent."""
    try:
        return (yield send)
    except OpenAIError:
        raise
    except Exception as error:  # noqa: BLE001 - raised again, or its translation
        # The body of an error status broke off: the SDK lets its HTTP library's error out.
        ours = translated(error, bare_request(call)) if call.verify or call.deadline is not None else error
        try:
            if ours is error:
                raise
            raise ours from error
        finally:
            del ours  # it holds this frame
    finally:
        if before is not None:
            yield from before.abandoned()


def _watch(call: Call, status: int, headers: Mapping[str, str], requested: Callable[[], Any]) -> EventWatch:
    _bound_silence(call, requested)
    return EventWatch(call, status, headers, lambda payload: api_error(payload, requested()))


def _timed(options: FinalRequestOptions, call: Call) -> FinalRequestOptions:
    """The options with time-outs that end at the call's deadline.

    Raises:
        openai.APITimeoutError: If it has passed.
    """
    deadline, now = call.deadline, call.progress.now
    if deadline is None or now is None:
        return options
    if deadline <= now():
        raise APITimeoutError(request=bare_request(call))
    # Not a method of the call: what the connection holds on to must not hold the call.
    return options.model_copy(update={"timeout": limited(call.timeout, lambda: deadline - now())})


def _bound_silence(call: Call, requested: Callable[[], Any]) -> None:
    """Let the body's reads take so long at most; the HTTP client looks this up when it begins to read the body."""
    seconds = call.idle_timeout
    if seconds is None:
        return
    timeouts = requested().extensions.get("timeout")
    if isinstance(timeouts, dict):
        present = timeouts.get("read")
        timeouts["read"] = Limit(seconds, present.left) if isinstance(present, Limit) else seconds
