"""A conversation that goes on from a response which was kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmstack._core.call import Call
from llmstack._core.reply import Reply
from llmstack.errors import UnsupportedError
from llmstack.transports._translation.responses_events import ResponseEvents
from llmstack.transports._translation.responses_input import input_items
from llmstack.transports._translation.responses_store import ResponseStore, StoredResponse

__all__ = ["Continuation", "KeptEvents", "retrieved"]

_log = logging.getLogger("llmstack.transports")

_LONGEST: Final = 200
"""Characters of an id told in a message."""


class Continuation:
    """What a call goes on from, and where its own response is kept.

    Attributes:
        params: The call's parameters.
        before: The items of the conversation before the call's input; empty if it begins one.
    """

    __slots__ = ("_store", "_tenant", "before", "params")

    def __init__(self, call: Call, store: ResponseStore | None) -> None:
        """Look up what the call goes on from.

        Args:
            call: A call that creates a response.
            store: Where responses are kept; None for nowhere.

        Raises:
            llmstack.errors.UnsupportedError: If it is not there.
        """
        self.params = call.params
        self._store = store
        self._tenant = call.options.tenant
        self.before: Sequence[Mapping[str, Any]] = ()
        previous = call.params.get("previous_response_id")
        if store is not None and previous is not None:
            self.before = _stored(call, store, str(previous)).items

    def keep(self, response: Mapping[str, Any]) -> None:
        """Keep the response, unless the program does not want that, or it failed."""
        if self._store is None or self.params.get("store") is False or response["status"] == "failed":
            return
        stored = StoredResponse(response, (*self.before, *input_items(self.params.get("input"))))
        try:
            self._store.put(response["id"], stored, tenant=self._tenant)
        except Exception as error:  # noqa: BLE001 - the answer has been paid for, and the program is to get it
            # Not its text: it may quote what was to be kept.
            _log.warning("a response could not be kept: %s in %s", type(error).__name__, type(self._store).__name__)


class KeptEvents(ResponseEvents):
    """The events of a response that is kept once it is whole."""

    __slots__ = ("_conversation",)

    def __init__(self, conversation: Continuation, *, salt: str) -> None:
        """Start before the first chunk."""
        super().__init__(conversation.params, salt=salt)
        self._conversation = conversation

    def end(self) -> list[dict[str, Any]]:
        """Take the end of the stream."""
        events = super().end()
        if self.response is not None:
            self._conversation.keep(self.response)
        return events


def retrieved(call: Call, store: ResponseStore | None) -> Reply:
    """Answer a call about a response that was made before.

    Args:
        call: The call.
        store: Where responses are kept; None for nowhere.

    Returns:
        The response, if that is what was asked for.

    Raises:
        llmstack.errors.UnsupportedError: If it is not there, or something else was asked for.
    """
    verb = {"GET": "retrieve", "DELETE": "delete"}.get(call.method, call.method)
    what = f"responses.{verb}" if call.endpoint == "responses" else call.endpoint
    if what != "responses.retrieve" or store is None:
        why = "needs a server of the Responses API, and this transport speaks to one of chat completions"
        more = ": give it a store, ChatTransport(responses=MemoryResponses())" if verb == "retrieve" else ""
        raise UnsupportedError(f"{what} {why}{more}", call=call.info)
    if call.stream:
        raise UnsupportedError("a kept response can be retrieved, but not as a stream", call=call.info)
    return Reply(_stored(call, store, call.path.partition("?")[0].rpartition("/")[2]).response)


def _stored(call: Call, store: ResponseStore, name: str) -> StoredResponse:
    stored = store.get(name, tenant=call.options.tenant)
    if stored is None:
        kept = f"no response {name[:_LONGEST]!r} is kept here for this tenant, or no longer"
        raise UnsupportedError(f"{kept}: send the whole conversation as `input`", call=call.info)
    return stored
