"""The quick way for a call: a prepared request on a connection that is open already."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any, Final

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.incoming import HttpIncoming
from llmstack.transports.arriving import Arriving
from llmstack.transports.asking import over_session
from llmstack.transports.connection import LoopClient
from llmstack.transports.conversation import converse, extensions, tell, whole
from llmstack.transports.flowing import Flowing, Requested, Watching, flowing_response
from llmstack.transports.handover import Handover
from llmstack.transports.lean import Line, borrowed
from llmstack.transports.opening import opened
from llmstack.transports.prepared import Outgoing, outgoing
from llmstack.transports.sent import Sent
from llmstack.transports.usual import lines_of, takes_prepared

__all__ = ["answered"]

_NOTHING: Final = frozenset[str]()
_log: Final = logging.getLogger("httpcore2.http11")


def answered(call: Call, client: Any, options: Any, watch: Watching) -> Flow[Reply | Incoming | Handover | Sent | None]:
    """Send a call without building its request anew: over an idle connection, or through the HTTP client.

    Args:
        call: The call.
        client: The SDK's client that sends it.
        options: The SDK's options for it.
        watch: Makes the watch over a stream.

    Returns:
        The answer; or, once something is not as it mostly is, what the SDK goes on from; None if nothing was sent: the
        SDK does it all.
    """
    http = client._client  # noqa: SLF001 - the SDK's HTTP client
    out = outgoing(client, options, call.params) if call.raw != "stream" and takes_prepared(http) else None
    if out is None:
        return None
    if type(http) is LoopClient and http.present() is None:
        yield Run(http.settle, http.settle)
    superseded = client.llmstack_superseded if call.model else _NOTHING
    lines = None if call.raw or _log.isEnabledFor(logging.DEBUG) else lines_of(http, superseded)
    if lines is None:
        return (yield from _through(http, out, call, watch))
    if not isinstance(lines, tuple):
        return (yield from over_session(lines, out, call, watch))
    try:
        line = borrowed(*lines, out.kind.origin) or (yield from opened(*lines, out.kind.origin, out.timeouts))
    except Exception as error:  # noqa: BLE001 - the SDK meets it again
        return Handover(None, out, trouble=error)
    if line is None:
        return (yield from _through(http, out, call, watch))
    return (yield from _over(line, out, call, watch))


def _through(http: Any, out: Outgoing, call: Call, watch: Watching) -> Flow[Reply | Incoming | Sent]:
    """Send through the HTTP client."""
    send = partial(http.send, out.request(), stream=call.stream)
    try:
        response = yield Run(send, send)
    except Exception as error:  # noqa: BLE001 - the SDK meets it again
        return Sent(out, error=error)
    if not response.is_success:
        return Sent(out, response)
    if call.stream:
        # What watches must not hold the response: it would be a cycle, and one that is dropped must close at once.
        request = response.request
        return HttpIncoming(response, watch(response.status_code, response.headers, lambda: request))
    return Reply(content=response.content, headers=response.headers, status=response.status_code, native=response)


def _over(line: Line, out: Outgoing, call: Call, watch: Watching) -> Flow[Reply | Incoming | Handover]:
    started = time.perf_counter()
    found = yield from converse(line, out)
    if isinstance(found, Handover):
        return found
    head, received = found
    if not call.stream:
        return (yield from whole(line, out, head, received, started))
    if "content-encoding" in head.headers:
        return Handover(line, out, received)
    tell(out, head.reason)
    requested = Requested(out)
    response = flowing_response(requested, head.fields, extensions(line.stream, head))
    arriving = Arriving(line, head, received[head.after :], requested.timeouts)
    return Flowing(arriving, requested, response, watch(200, head.headers, requested), started)
