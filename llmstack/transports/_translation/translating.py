"""What a transport does that speaks one API to the program and the other to the transport inside it."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import anyio

from llmstack._core.call import Call
from llmstack._core.configurable import Configurable
from llmstack._core.place import Place
from llmstack._core.reply import NO_HEADERS, Reply
from llmstack._core.transport import Incoming, Transport, place_of
from llmstack._wire.fault import bare_response
from llmstack._wire.request import RAW_VALUES, bare_request
from llmstack._wire.sdk import RAW_RESPONSE_HEADER, api_error
from llmstack._wire.watch import EventWatch
from llmstack.errors import OptionError, UnsupportedError
from llmstack.transports._translation.incoming import Dialect, TranslatedIncoming, Translator
from llmstack.transports._translation.untranslatable import LOSSY, Loss, Losses, Lossy, Untranslatable
from llmstack.transports.openai import OpenAITransport

__all__ = ["Translating", "one_of", "rewritten", "translated_stream", "whole"]

_log = logging.getLogger("llmstack.transports")
_place = re.compile(r"\[\d+\]").sub

_MOST_TOLD: Final = 1000
"""Parameters told of: a program may build its requests from anything."""


class Translating(Configurable):
    """A transport around another one, to which it passes calls translated."""

    def __init__(self, inner: Transport | None, *, lossy: Lossy) -> None:
        """Translate calls for another transport.

        Args:
            inner: Where translated calls are sent; None for the connection of the client that makes the call.
            lossy: What to do about a parameter without counterpart: ``"refuse"`` or ``"warn"``.

        Raises:
            llmstack.errors.OptionError: If `lossy` is neither.
        """
        one_of(type(self), "lossy", lossy, LOSSY)
        self._inner: Transport = inner or OpenAITransport()
        self._lossy: Lossy = lossy
        self._told: set[str] = set()
        self._lock = threading.Lock()

    @property
    def place(self) -> Place | None:
        """Where the inner transport sends; None for where the client points."""
        return place_of(self._inner)

    def close(self) -> None:
        """Close the inner transport, if it can be closed."""
        if (close := getattr(self._inner, "close", None)) is not None:
            close()
        elif (aclose := getattr(self._inner, "aclose", None)) is not None:
            anyio.run(aclose)

    async def aclose(self) -> None:
        """Close the inner transport, if it can be closed, in an async program."""
        if (aclose := getattr(self._inner, "aclose", None)) is not None:
            await aclose()
        elif (close := getattr(self._inner, "close", None)) is not None:
            close()

    def _settle(self, losses: Losses, call: Call) -> None:
        """Refuse the call, or tell what was left out: once in the log, each time in the call's notes.

        Raises:
            llmstack.errors.UnsupportedError: If something may not be left out.
        """
        try:
            dropped = losses.settle(self._lossy)
        except Untranslatable as error:
            raise UnsupportedError(self._refusal(error), call=call.info) from None
        if dropped:
            call.note(dropped=[loss.path for loss in dropped])
        for loss in dropped:
            if self._is_first(loss):
                _log.warning("parameter %s: dropped; told once for each parameter", loss)

    def _refusal(self, error: Untranslatable) -> str:
        many = len(error.losses) > 1
        advice = ""
        if error.droppable:
            advice = f'; drop {"them" if many else "it"}, or use {type(self).__name__}(lossy="warn")'
        return f"parameter{'s' if many else ''} {error}{advice}"

    def _is_first(self, loss: Loss) -> bool:
        parameter = _place("[]", loss.path)
        with self._lock:
            first = parameter not in self._told and len(self._told) < _MOST_TOLD
            if first:
                self._told.add(parameter)
        return first


def one_of(owner: type, name: str, value: object, allowed: Sequence[str]) -> None:
    """Check an option.

    Raises:
        llmstack.errors.OptionError: If it has none of the values that it may have.
    """
    if value not in allowed:
        raise OptionError(f"{owner.__name__}({name}=...) takes {' or '.join(map(repr, allowed))}, not {value!r}")


def whole(call: Call) -> Call:
    """The call with its body read at once: what a program reads piece by piece must be whole to be translated."""
    if call.stream or call.raw != "stream":
        return call
    headers = {name: value for name, value in call.headers.items() if name != RAW_RESPONSE_HEADER}
    return call.replace(headers=headers, raw="")


def rewritten(call: Call, reply: Reply, body: Any) -> Reply:
    """A reply with another body.

    Args:
        call: The program's call.
        reply: What the inner transport brought.
        body: The JSON that the program is to get.

    Returns:
        The reply. Its raw response is of the request that was sent, which counts the SDK's retries, and as it was
        timed.
    """
    changed = reply.replace(body=body)
    if reply.native is None:
        return changed
    try:
        request, elapsed = reply.native.request, reply.native.elapsed
    except (AttributeError, RuntimeError):
        return changed  # it was made by hand: of no request, and not timed
    if call.raw:
        request.headers[RAW_RESPONSE_HEADER] = RAW_VALUES[call.raw]  # how the SDK knows what the program wants
    response = bare_response(reply.status, reply.headers, request, changed.content or b"")
    response.elapsed = elapsed
    head: dict[str, Any] = {"status": reply.status, "headers": reply.headers}
    return Reply(body, **head, complete=reply.complete, cached=reply.cached, native=response)


def translated_stream(call: Call, incoming: Incoming, translator: Translator, dialect: Dialect) -> Incoming:
    """What is arriving, translated event by event.

    Args:
        call: The program's call.
        incoming: What the inner transport brought.
        translator: Translates.
        dialect: How the program's API writes its events.
    """
    native = incoming.native
    request = bare_request(call) if native is None else native.request
    status, headers = (200, NO_HEADERS) if native is None else (native.status_code, native.headers)
    watch = EventWatch(call, status, headers, partial(api_error, request=request))
    return TranslatedIncoming(incoming, watch, translator, dialect)
