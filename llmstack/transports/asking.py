"""A call over a session of aiohttp: its answer, read without the HTTP client."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.late import LateResponse
from llmstack.transports.conversation import response_of, tell
from llmstack.transports.flowing import Flowing, Requested, Watching, flowing_response
from llmstack.transports.head import ODD
from llmstack.transports.patience import Silence
from llmstack.transports.prepared import Outgoing
from llmstack.transports.sent import Asked
from llmstack.transports.session import as_adapted, asked

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

__all__ = ["over_session"]

_READ: Final = 16 * 1024
"""Bytes read at once, as by the SDK's adapter."""
_DRAIN: Final = 0.1
"""Seconds that the end of a body may take to arrive once its end marker has; see `HttpIncoming`."""


def over_session(session: ClientSession, out: Outgoing, call: Call, watch: Watching) -> Flow[Reply | Incoming | Asked]:
    """Send a call over a session.

    Args:
        session: The session.
        out: The request.
        call: The call.
        watch: Makes the watch over a stream.

    Returns:
        The answer; or, if it is no plain "200 OK", or none, what the SDK goes on from.
    """
    started = time.perf_counter()
    ask = partial(asked, session, out)
    try:
        response: ClientResponse = yield Run(ask, ask)
    except Exception as error:  # noqa: BLE001 - the SDK meets it again
        return Asked(out, error=error)
    try:
        headers = _plain_headers(response)
        if headers is None or (call.stream and "content-encoding" in headers):
            return Asked(out, response)
        about = _about(response)
        if call.stream:
            requested = Requested(out)
            native = flowing_response(requested, response.raw_headers, about)
            tell(out, about.get("reason_phrase", b""))
            body = _Body(response, Silence(requested.timeouts))
            return Flowing(body, requested, native, watch(200, headers, requested), started)
        read = partial(_content, response)
        content = yield Run(read, read)
        elapsed = time.perf_counter() - started
        late = LateResponse(partial(response_of, out, response.raw_headers, about, content, elapsed))
        if "content-encoding" in headers:
            content = late.content
    except Exception as error:  # noqa: BLE001 - the SDK meets it again
        if not response.content.at_eof():
            return Asked(out, response)  # it raises it once more
        response.close()
        return Asked(out, error=error)
    except BaseException:
        response.close()
        raise
    tell(out, about.get("reason_phrase", b""))
    return Reply(content=content, headers=headers, native=late)


async def _content(response: ClientResponse) -> bytes:
    """The whole body; the connection is given back."""
    content = await response.content.read()
    await response.__aexit__(None, None, None)
    return content


def _about(response: ClientResponse) -> dict[str, Any]:
    """What the SDK's adapter tells of a response besides."""
    about: dict[str, Any] = {"http_version": b"HTTP/1.1"}
    if response.reason:
        about["reason_phrase"] = response.reason.encode()
    return about


def _plain_headers(response: ClientResponse) -> dict[str, str] | None:
    """The headers of an answer by name in lower case; None if it is no plain "200 OK"."""
    if response.status != 200 or not (response.reason or "").isascii():  # noqa: PLR2004 - its only meaning
        return None
    headers: dict[str, str] = {}
    for raw, value in response.raw_headers:
        if not value.isascii():
            return None
        name, text = raw.decode().lower(), value.decode()
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers if ODD.isdisjoint(headers) else None


class _Body:
    """The body of a stream on its way. Its errors are those of the HTTP library."""

    __slots__ = ("_response", "_silence")

    def __init__(self, response: ClientResponse, silence: Silence) -> None:
        self._response: ClientResponse | None = response
        self._silence = silence

    def read(self) -> bytes | None:
        raise RuntimeError("aiohttp is for async programs")

    async def aread(self) -> bytes | None:
        """The next bytes, None at the end."""
        response = self._response
        if response is None:
            return None
        try:
            reading = response.content.read(_READ)
            return await (reading if self._silence.usual else self._silence.during(reading)) or None
        except Exception as error:  # noqa: BLE001 - raised again, as the HTTP library's
            ours = as_adapted(error)
            try:
                if ours is error:
                    raise
                raise ours from error
            finally:
                del ours  # it holds this frame
        except GeneratorExit:
            self._response = None
            response.close()
            raise

    def close(self, *, drain: bool = False) -> None:  # noqa: ARG002 - nobody can wait here
        """Close the connection."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    async def aclose(self, *, drain: bool = False) -> None:
        """Give the connection back; with `drain` the end of the body is waited for, a moment at most."""
        if drain:
            with contextlib.suppress(Exception), anyio.move_on_after(_DRAIN):
                while await self.aread() is not None:
                    pass
        response, self._response = self._response, None
        if response is not None:
            await response.__aexit__(None, None, None)
