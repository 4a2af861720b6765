"""The SDK's internals that llmstack touches, in one file; those that it can do without are in `sdk_hot`.

Everything else uses the SDK's public API. These names are the same in openai 3.3 and 3.52 (the suite runs at both
ends); should one of them be missing, importing this file says so at once, instead of failing inside a call.
"""

from __future__ import annotations

import inspect
import re
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args, get_origin

import anyio
import httpx2
import openai
from openai import APIConnectionError, APIError, APIResponseValidationError, APITimeoutError, NotGiven, Omit
from openai._base_client import AsyncAPIClient, BaseClient, SyncAPIClient
from openai._constants import DEFAULT_MAX_RETRIES, RAW_RESPONSE_HEADER
from openai._models import FinalRequestOptions
from openai._resource import AsyncAPIResource, SyncAPIResource

from llmstack._wire.complete import complete

__all__ = [
    "DEFAULT_MAX_RETRIES",
    "RAW_RESPONSE_HEADER",
    "AsyncAPIResource",
    "FinalRequestOptions",
    "NoTimeLeft",
    "NotGiven",
    "Omit",
    "SyncAPIResource",
    "api_error",
    "body_error",
    "client_settings",
    "client_state",
    "final_cast",
    "is_legacy_httpx",
    "last_error",
    "merged_body",
    "names_secret",
    "on_its_own",
    "own_headers",
    "own_stream_class",
    "process",
    "secrets_in",
    "secrets_of",
    "secrets_sent",
    "sends_idempotency_key",
    "status_error",
    "translated",
    "validation_error",
]

for _owner, _names in (
    (BaseClient, ("_calculate_retry_timeout", "_maybe_override_cast_to", "_process_response_data")),
    (SyncAPIClient, ("request", "_prepare_request", "_send_request", "_process_response", "_sleep_for_retry")),
    (AsyncAPIClient, ("request", "_prepare_request", "_send_request", "_process_response", "_sleep_for_retry")),
    (openai.OpenAI, ("_make_status_error_from_response",)),
    (openai.Stream, ("__stream__", "_iter_events")),
    (openai.AsyncStream, ("__stream__", "_iter_events")),
):
    for _name in _names:
        if not hasattr(_owner, _name):
            _message = f"openai {openai.__version__} has no {_owner.__name__}.{_name}: llmstack needs openai>=3.3,<4"
            raise ImportError(_message)
_SECRET_NAME = re.compile(
    rb"(?i)(?<!idempotency)(?:^|[-_])(?:authorization|auth|(?:api)?[-_]?key|token|secret|password|sig|signature)$"
)
_wanted = {"cast_to", "options", "response", "stream", "stream_cls", "retries_taken"}
if not _wanted <= set(inspect.signature(vars(SyncAPIClient)["_process_response"]).parameters):
    _message = f"openai {openai.__version__} processes responses in another way: llmstack needs openai>=3.3,<4"
    raise ImportError(_message)


def final_cast(client: Any, cast_to: Any, options: FinalRequestOptions) -> Any:
    """The type to parse into, after what ``with_streaming_response`` asks for by a header (which is taken off)."""
    return client._maybe_override_cast_to(cast_to, options)  # noqa: SLF001 - see the head


def process(
    client: Any,
    response: Any,
    *,
    cast_to: Any,
    options: FinalRequestOptions,
    stream: bool,
    stream_cls: Any,
    retries_taken: int,
) -> Any:
    """Turn an HTTP response into what the program gets, exactly as the SDK does. A coroutine for async clients."""
    complete(stream_cls if stream and stream_cls else cast_to)
    return client._process_response(  # noqa: SLF001 - see the head
        cast_to=cast_to,
        options=options,
        response=response,
        stream=stream,
        stream_cls=stream_cls,
        retries_taken=retries_taken,
    )


def merged_body(options: FinalRequestOptions) -> Mapping[str, Any] | None:
    """The JSON body that will be sent, ``extra_body`` merged in; None if the body is not a JSON object.

    Merging is the SDK's: one level deep, and a value of `Omit` takes the key away.
    """
    body, extra = options.json_data, options.extra_json
    if extra is None:
        return body if isinstance(body, Mapping) else None
    if body is not None and not isinstance(body, Mapping):
        return None
    merged: dict[str, Any] = {**(body or {}), **extra}
    return {name: value for name, value in merged.items() if not isinstance(value, Omit)}


def own_stream_class(stream_cls: Any, ours: Any, theirs: Any) -> Any:
    """Our stream class in place of the SDK's, with the same chunk type; a program's own subclass is left alone."""
    if stream_cls is None:
        return None
    return ours[get_args(stream_cls)] if get_origin(stream_cls) is theirs else stream_cls


def api_error(payload: Any, request: Any, *, otherwise: str = "An error occurred during streaming") -> APIError:
    """The error that the SDK raises for an error event in a stream; `otherwise` is said if the payload says nothing."""
    message = payload.get("message") if isinstance(payload, Mapping) else None
    if not message or not isinstance(message, str):
        message = otherwise
    return APIError(message=message, request=request, body=payload)


def body_error(payload: Any, response: Any) -> APIError:
    """The error for a 200 whose body reports one; it knows its ``request_id`` as the SDK's status errors do."""
    error = api_error(payload, response.request, otherwise="The answer reports an error.")
    error.request_id = response.headers.get("x-request-id")  # type: ignore[attr-defined]
    return error


def validation_error(message: str, *, response: Any, body: object) -> APIResponseValidationError:
    """The error for a 200 whose body is no answer; it knows its ``request_id`` as the SDK's status errors do."""
    error = APIResponseValidationError(response, body, message=message)
    error.request_id = response.headers.get("x-request-id")  # type: ignore[attr-defined]
    return error


def translated(error: Exception, request: Any) -> Exception:
    """A connection error while reading a body, as the SDK's own class; any other error as it is."""
    legacy = sys.modules.get("httpx")
    libraries = (httpx2,) if legacy is None else (httpx2, legacy)
    if isinstance(error, tuple(library.TimeoutException for library in libraries)):
        return APITimeoutError(request=request)
    lost = (ssl.SSLError, anyio.EndOfStream, *(library.RequestError for library in libraries))
    return APIConnectionError(request=request) if isinstance(error, lost) else error


class NoTimeLeft(Exception):  # noqa: N818 - never seen by a program
    """Raised from where the SDK works out how long to wait before one of its own retries."""


def last_error(client: Any, signal: NoTimeLeft, options: FinalRequestOptions, response: Any) -> Exception:
    """The error of the attempt that the SDK was about to follow by another, as it raises it after the last one."""
    if response is not None:
        error: Exception = client._make_status_error_from_response(response)  # noqa: SLF001 - see the head
        return error
    cause = signal.__context__
    request = httpx2.Request(options.method, client.base_url.join(options.url.lstrip("/")))
    return translated(cause, request) if isinstance(cause, Exception) else APITimeoutError(request=request)


def status_error(response: Any) -> Exception:
    """The error that the SDK raises for a response whose status is no success; its body has been read."""
    client: Any = openai.OpenAI.__new__(openai.OpenAI)  # the SDK makes it of the response alone
    error: Exception = client._make_status_error_from_response(response)  # noqa: SLF001 - see the head
    return error


def own_headers(client: Any) -> Mapping[str, Any]:
    """The default headers that the program gave its client, by argument or in ``OPENAI_CUSTOM_HEADERS``."""
    return client._custom_headers or {}  # noqa: SLF001 - see the head


def on_its_own(client: Any, headers: Mapping[str, str], *, token: str | None = None, provider: Any = None) -> None:
    """Take off what the SDK put on a client from the environment: it belongs to another account.

    Args:
        client: The client.
        headers: The headers that it is to have.
        token: For Azure clients: the token that they are to have.
        provider: The same: the function that gives tokens.
    """
    client.organization = client.project = client.admin_api_key = client.webhook_secret = None
    client._custom_headers = dict(headers)  # noqa: SLF001 - see the head
    if hasattr(client, "_azure_ad_token"):
        client._azure_ad_token = token  # noqa: SLF001 - see the head
        client._azure_ad_token_provider = provider  # noqa: SLF001 - see the head


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client adds to each of its requests.

    Attributes:
        keys: Its keys by name, as far as they are known.
        sources: Where other keys come from: functions, clients that fetch them.
        extra: Name and value of its other headers and its query; some of them may be keys, too.
    """

    keys: tuple[tuple[str, str], ...]
    sources: tuple[Any, ...]
    extra: tuple[tuple[str, str], ...]


def client_settings(client: Any) -> ClientSettings:
    """What a client adds to each of its requests."""
    names = ("api_key", "admin_api_key", "_azure_ad_token")
    given = [(name, getattr(client, name, None)) for name in names]
    function = getattr(client, "_api_key_provider", None)
    keys = [(name, key) for name, key in given if isinstance(key, str) and not (function and name == "api_key")]
    sources = [function, getattr(client, "_azure_ad_token_provider", None)]
    if any(getattr(client, name, None) is not None for name in ("workload_identity", "_provider")):
        sources.append(client)
    headers = {"openai-organization": client.organization, "openai-project": client.project}
    headers |= {name.lower(): value for name, value in own_headers(client).items()}
    query = {f"query-{name}": value for name, value in client.default_query.items()}
    address = [(f"@{i}", secret) for i, secret in enumerate(secrets_in(client.base_url))]
    return ClientSettings(
        keys=(*keys, *address),
        sources=tuple(source for source in sources if source is not None),
        extra=tuple((name, _told(value)) for name, value in (headers | query).items() if value is not None),
    )


def client_state(client: Any) -> tuple[Any, ...]:
    """What `client_settings` are made of: as long as this stays the same, so do they."""
    state = vars(client)
    headers, query = state.get("_custom_headers"), state.get("_custom_query")
    return (*map(state.get, _SETTINGS), dict(headers or {}), dict(query or {}))


_SETTINGS = ("api_key", "_api_key_provider", "admin_api_key", "_azure_ad_token", "_azure_ad_token_provider",
             "organization", "project", "workload_identity", "_provider", "_base_url")  # fmt: skip


def _told(value: object) -> str:
    """The value of a header; leaving one out is a value, too."""
    return "(omitted)" if isinstance(value, Omit) else str(value)


def secrets_of(client: Any) -> list[str]:
    """The secrets that a client was made with: keys, and the password of its address."""
    names = ("api_key", "admin_api_key", "webhook_secret", "_azure_ad_token")
    given = [getattr(client, name, None) for name in names]
    return [secret for secret in given if isinstance(secret, str)] + secrets_in(client.base_url)


def secrets_sent(request: Any) -> list[str]:
    """The keys in the headers of a request: those that come from a provider function are known from here only."""
    told = [value for name, value in request.headers.raw if _names_secret(name)]
    # Without the scheme, such as "Bearer" or "Basic".
    return [value.rpartition(b" ")[2].decode("latin-1") for value in told] + secrets_in(request.url)


def secrets_in(url: Any) -> list[str]:
    """The password in an address, as it is and as it is written there, and the keys in its query."""
    if not url.userinfo and not url.query:
        return []
    written = url.userinfo.decode("ascii", "replace").partition(":")[2]
    return [
        url.password or "",
        written,
        *(value for name, value in url.params.multi_items() if _names_secret(name.encode())),
    ]


def names_secret(name: str) -> bool:
    """Whether a header, or a field of a query, is named as one that holds a key."""
    return _names_secret(name.encode("utf-8", "replace"))


@lru_cache(maxsize=256)
def _names_secret(name: bytes) -> bool:
    return _SECRET_NAME.search(name) is not None


def sends_idempotency_key(client: Any) -> bool:
    """True for a client (of a program's own making) that names a header for idempotency keys."""
    return client._idempotency_header is not None  # noqa: SLF001 - see the head


def is_legacy_httpx(http_client: object) -> bool:
    """True for a client of the old ``httpx`` package; openai 3 stands on ``httpx2``."""
    legacy = sys.modules.get("httpx")
    return legacy is not None and isinstance(http_client, (legacy.Client, legacy.AsyncClient))
