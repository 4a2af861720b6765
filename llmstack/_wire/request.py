"""From the SDK's request to a `Call`, and back with what the layers changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from llmstack._core.call import EMPTY, Call, RawMode
from llmstack._core.options import EMPTY_OPTIONS, HEADER_PREFIX, current_options, options_from_headers
from llmstack._wire.body import BodyReplay
from llmstack._wire.endpoint import endpoint_of
from llmstack._wire.sdk import (
    DEFAULT_MAX_RETRIES,
    RAW_RESPONSE_HEADER,
    FinalRequestOptions,
    NotGiven,
    final_cast,
    merged_body,
    omit,
)

_RAW_MODES: dict[Any, RawMode] = {"true": "raw", "stream": "stream"}


@dataclass(frozen=True, slots=True, repr=False)
class SDKRequest:
    """What the SDK asked its client for; a call carries it, opaque to plugins.

    Attributes:
        client: The client that was asked.
        cast_to: The type to parse into.
        options: The SDK's own request options; never copied deeply, they may hold open files.
        stream_cls: The stream class for ``stream=True``.
        original: The call as it entered the stack, to see what the layers changed.
        replay: How a body of files can be sent again; None for a body of JSON.
    """

    client: Any
    cast_to: Any
    options: FinalRequestOptions
    stream_cls: Any
    replay: BodyReplay | None
    headers: Any
    params: Any
    query: Any
    timeout: Any
    max_retries: int | None


def call_of(client: Any, cast_to: Any, options: FinalRequestOptions, *, stream: bool, stream_cls: Any) -> Call:
    """Make the `Call` for what the SDK asks of its client.

    Raises:
        ValueError: If an ``x-llmstack-*`` header cannot be read.
    """
    cast_to = final_cast(client, cast_to, options)
    given = options.headers if isinstance(options.headers, dict) else (options.headers or {})
    raw = EMPTY_RAW if isinstance(given, NotGiven) else _RAW_MODES.get(given.get(RAW_RESPONSE_HEADER), "")
    headers = EMPTY if isinstance(given, NotGiven) or not given else given
    call_options = current_options()
    if client.llmstack_default_options:
        call_options = EMPTY_OPTIONS.merged(client.llmstack_default_options).merged(call_options)
    if any(name.lower().startswith(HEADER_PREFIX) for name in headers):
        call_options = call_options.merged(options_from_headers(headers))
        headers = {k: v for k, v in headers.items() if not k.lower().startswith(HEADER_PREFIX)}
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


EMPTY_RAW: RawMode = ""


def _max_retries(client: Any, options: FinalRequestOptions) -> int | None:
    if not isinstance(options.max_retries, NotGiven):
        return options.max_retries
    retries = client.max_retries
    # The SDK does not tell its default from the same number given by hand.
    return None if retries == DEFAULT_MAX_RETRIES else cast("int", retries)


def options_of(call: Call) -> FinalRequestOptions:
    """The SDK's request options for a call: its own object if no layer changed anything, else a changed copy."""
    request: SDKRequest = call.request
    options = request.options
    changes: dict[str, Any] = {}
    if call.params is not request.params:
        changes |= {"json_data": dict(call.params), "extra_json": None}
    headers = call.headers
    if call.progress.attempts > 1 and "x-stainless-retry-count" not in {name.lower() for name in headers}:
        headers = {**headers, "x-stainless-retry-count": str(call.progress.attempts - 1)}
    if request.client.llmstack_default_options:
        headers = {**dict.fromkeys(request.client.llmstack_default_headers, omit), **headers}
    if headers is not options.headers and not (headers is EMPTY and not options.headers):
        changes["headers"] = headers
    if call.query is not request.query:
        changes["params"] = dict(call.query)
    if call.path != options.url:
        changes["url"] = call.path
    if call.timeout is not request.timeout:
        changes["timeout"] = call.timeout
    if call.max_retries != request.max_retries:
        changes["max_retries"] = call.max_retries
    return options.model_copy(update=changes) if changes else options
