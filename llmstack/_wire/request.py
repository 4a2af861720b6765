"""From the SDK's request to a `Call`, and back with what the layers changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, cast

import httpx2

from llmstack._core.call import EMPTY, Call, RawMode
from llmstack._core.call_info import new_id
from llmstack._core.options import HEADER_PREFIX, current_options, options_from_headers
from llmstack._wire.body import BodyReplay
from llmstack._wire.credential import credential_of, settings_of
from llmstack._wire.endpoint import endpoint_of
from llmstack._wire.sdk import (
    DEFAULT_MAX_RETRIES,
    RAW_RESPONSE_HEADER,
    FinalRequestOptions,
    NotGiven,
    final_cast,
    merged_body,
    sends_idempotency_key,
)
from llmstack.errors import UnsupportedError

RAW_VALUES: dict[RawMode, str] = {"raw": "true", "stream": "stream"}
"""How the SDK writes each raw mode into its header."""
_RAW_NAME = RAW_RESPONSE_HEADER.lower()


@dataclass(frozen=True, slots=True, repr=False)
class SDKRequest:
    """What the SDK asked its client for; a call carries it, opaque to plugins.

    Attributes:
        client: The client that was asked.
        cast_to: The type to parse into.
        options: The SDK's own request options; never copied deeply, they may hold open files.
        stream_cls: The stream class for ``stream=True``.
        replay: How a body of files can be sent again; None for a body of JSON.
        headers: The call's headers as it entered the stack, to see what the layers changed; as are
        params: its parameters,
        query: its query,
        timeout: its time-out and
        max_retries: its retries.
    """

    client: Any
    cast_to: Any
    options: FinalRequestOptions
    stream_cls: Any
    replay: BodyReplay | None
    headers: Mapping[str, Any]
    params: Mapping[str, Any]
    query: Mapping[str, Any]
    timeout: Any
    max_retries: int | None

    @property
    def credential(self) -> str:
        """See `Call.credential`."""
        return credential_of(self.client)

    @property
    def settings(self) -> str:
        """See `Call.settings`."""
        return settings_of(self.client)

    def aside(self, path: str, params: Mapping[str, Any], headers: Mapping[str, Any]) -> SDKRequest:
        """The request for what a layer asks on behalf of a call: without the files and the body that it came with."""
        query: dict[str, object] = {}
        changes: dict[str, Any] = {"method": "post", "url": path, "params": query, "headers": headers}
        changes |= {"json_data": params, "extra_json": None, "files": None, "content": None}
        # A key of its own: a server must not take the one for a repetition of the other.
        key = f"stainless-python-retry-{new_id()}" if sends_idempotency_key(self.client) else None
        changes |= {"idempotency_key": key, "post_parser": NotGiven()}
        return replace(
            self,
            cast_to=object,
            options=self.options.model_copy(update=changes),
            stream_cls=None,
            replay=None,
            headers=headers,
            params=params,
            query=query,
        )


def call_of(client: Any, cast_to: Any, options: FinalRequestOptions, *, stream: bool, stream_cls: Any) -> Call:
    """Make the `Call` for what the SDK asks of its client.

    Raises:
        ValueError: If an ``x-llmstack-*`` header cannot be read.
    """
    cast_to = final_cast(client, cast_to, options)
    headers: Mapping[str, Any] = options.headers or EMPTY
    raw = _raw_mode(headers) if headers else ""
    call_options = current_options()
    if client.llmstack_default_options:
        call_options = client.llmstack_default_options.merged(call_options)
    if any(name.lower().startswith(HEADER_PREFIX) for name in headers):
        call_options = call_options.merged(options_from_headers(headers))
        headers = without_options(headers)
    params = merged_body(options) or EMPTY
    replay = None
    if options.content is not None or options.files:
        replay = BodyReplay(options.content, options.files)
    timeout = client.timeout if isinstance(options.timeout, NotGiven) else options.timeout
    max_retries = _max_retries(client, options)
    request = SDKRequest(
        client, cast_to, options, stream_cls, replay, headers, params, options.params, timeout, max_retries
    )
    return Call(
        method=options.method.upper(),
        path=options.url,
        endpoint=endpoint_of(options.url),
        params=params,
        query=options.params,
        headers=headers,
        stream=stream,
        raw=raw,
        options=call_options,
        base_url=client.llmstack_base_url,
        timeout=timeout,
        max_retries=max_retries,
        replayable=replay is None or replay.replayable,
        request=request,
    )


def _raw_mode(headers: Mapping[str, Any]) -> RawMode:
    """How the program wants the answer; the SDK takes any value for the one mode that is not the other's."""
    if headers.get(RAW_RESPONSE_HEADER) == RAW_VALUES["stream"]:
        return "stream"
    wanted = any(name.lower() == _RAW_NAME and value and isinstance(value, str) for name, value in headers.items())
    return "raw" if wanted else ""


def without_options(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Headers without those that carry options for the stack."""
    return {name: value for name, value in headers.items() if not name.lower().startswith(HEADER_PREFIX)}


def _max_retries(client: Any, options: FinalRequestOptions) -> int | None:
    if not isinstance(options.max_retries, NotGiven):
        return options.max_retries
    retries = client.max_retries
    # The SDK does not tell its default from the same number given by hand.
    return None if retries == DEFAULT_MAX_RETRIES else cast("int", retries)


def options_of(call: Call) -> FinalRequestOptions:
    """The SDK's request options for a call: its own object if no layer changed anything, else a changed copy.

    Raises:
        UnsupportedError: If a layer set parameters of a body that is no JSON object.
    """
    return with_retries(options_of_one(call), call)


def with_retries(options: FinalRequestOptions, call: Call) -> FinalRequestOptions:
    """Options that say how often the SDK itself is to try again."""
    # Early SDKs would send what is left of a one-shot body.
    max_retries = call.max_retries if call.replayable else 0
    same = max_retries == call.request.max_retries
    return options if same else options.model_copy(update={"max_retries": max_retries})


def options_of_one(call: Call) -> FinalRequestOptions:
    """The same for one request, whatever becomes of it; mostly the SDK's own object, where Retry asks for no others.

    Raises:
        UnsupportedError: If a layer set parameters of a body that is no JSON object.
    """
    request: SDKRequest = call.request
    options = request.options
    changes = _body_changes(call, request) if call.params is not request.params else {}
    headers = call.headers
    if call.progress.attempts > 1 and "x-stainless-retry-count" not in {name.lower() for name in headers}:
        headers = {**headers, "x-stainless-retry-count": str(call.progress.attempts - 1)}
    if headers is not (options.headers or EMPTY):
        # A layer that gave other headers did not mean to change how the program gets its answer.
        marked = {} if not call.raw or RAW_RESPONSE_HEADER in headers else {RAW_RESPONSE_HEADER: RAW_VALUES[call.raw]}
        changes["headers"] = {**headers, **marked}
    if call.query is not request.query:
        changes["params"] = dict(call.query)
    if call.path != options.url:
        changes["url"] = call.path
    if call.timeout is not request.timeout:
        changes["timeout"] = call.timeout
    if call.method != "GET" and sends_idempotency_key(request.client):
        # Without one the SDK would make another for each attempt that is not its own.
        changes["idempotency_key"] = options.idempotency_key or f"stainless-python-retry-{call.id}"
    return options.model_copy(update=changes) if changes else options


def bare_request(call: Call) -> httpx2.Request:
    """A request for a response, or an error, that no request was sent for; without credentials."""
    headers = {RAW_RESPONSE_HEADER: RAW_VALUES[call.raw]} if call.raw else {}
    url = httpx2.URL(call.base_url or "http://llmstack.invalid/").join(call.path.lstrip("/"))
    return httpx2.Request(call.method, url, headers=headers)


def _body_changes(call: Call, request: SDKRequest) -> dict[str, Any]:
    options = request.options
    if options.content is not None or not isinstance(options.json_data, (Mapping, NoneType)):
        message = "the body of this request is no JSON object, so a plugin cannot set parameters of it"
        raise UnsupportedError(message, call=call.info)
    return {"json_data": dict(call.params), "extra_json": None}
