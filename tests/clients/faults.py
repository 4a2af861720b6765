"""What may go wrong with an exchange, and programs of one exchange in every mode."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import openai
from openai import _streaming

from llmstack.testing import LocalServer
from tests.clients.calls import chat
from tests.clients.differential import Attempt, Items, Within

Order = Callable[[LocalServer], Any]


def order(*given: Any, **options: Any) -> Order:
    return lambda server: server.next(*given, **options)


def plain(client: Any) -> Generator[Any, Any, Any]:
    yield Attempt(lambda: client.chat.completions.create(**chat()))
    yield client.models.retrieve("m")


def raw(client: Any) -> Generator[Any, Any, Any]:
    response = yield Attempt(lambda: client.chat.completions.with_raw_response.create(**chat()))
    if not isinstance(response, Exception):
        yield Attempt(response.parse)
    yield client.models.retrieve("m")


def streaming(client: Any) -> Generator[Any, Any, Any]:
    def read(response: Any) -> Generator[Any, Any, Any]:
        yield response
        yield Attempt(response.parse)

    yield Within(client.chat.completions.with_streaming_response.create(**chat()), read)


def read_on(client: Any, stream: Any, *, most: int) -> Generator[Any, Any, Any]:
    """Chunk by chunk, to the end or the first error; what would read the next one."""
    following = stream.__anext__ if isinstance(client, openai.AsyncOpenAI) else stream.__next__
    for _ in range(most):
        chunk = yield Attempt(following)
        if isinstance(chunk, Exception):
            break
    return following


def streamed(client: Any) -> Generator[Any, Any, Any]:
    stream = yield Attempt(lambda: client.chat.completions.create(**chat(stream=True)))
    if isinstance(stream, Exception):
        return
    following = yield from read_on(client, stream, most=12)
    yield Attempt(following)
    yield stream.close()
    yield stream


def responses_streamed(client: Any) -> Generator[Any, Any, Any]:
    stream = yield Attempt(lambda: client.responses.create(model="m", input="Hi", stream=True))
    if isinstance(stream, Exception):
        return
    yield from read_on(client, stream, most=20)
    yield stream.close()


def helper(client: Any) -> Generator[Any, Any, Any]:
    def read(stream: Any) -> Generator[Any, Any, Any]:
        yield Items(stream)

    yield Within(client.chat.completions.stream(**chat()), read)


WHOLE = (plain, raw, streaming)
STREAMS = (streamed, responses_streamed, helper)

STATUSES: dict[str, Order] = {
    "400": order(400),
    "400 content filter": order(400, code="content_filter"),
    "401": order(401),
    "403": order(403),
    "404": order(404),
    "408": order(408),
    "409": order(409),
    "413": order(413),
    "418": order(418),
    "422": order(422),
    "429": order(429, headers={"retry-after": "1"}),
    "429 no quota": order(429, code="insufficient_quota"),
    "500": order(500),
    "503": order(503, headers={"x-request-id": None}),
    "529": order(529),
    "error of text": order(500, body="upstream said no"),
    "error of a list": order(500, body=[1, 2]),
    "error that is a string": order(400, body={"error": "no"}),
    "error without a message": order(400, body={"error": {"code": "odd", "param": 3, "type": None}}),
    "error of null": order(400, body={"error": None}),
    "error of nothing": order(502, fault="empty"),
    "error of html": order(502, fault="html"),
    "redirect": order(307, headers={"location": "/v1/models/other"}, body={}),
    "redirect to nowhere": order(302, body={}),
}

BODIES: dict[str, Order] = {
    "html": order(fault="html"),
    "empty": order(fault="empty"),
    "truncated": order(fault="truncated_json"),
    "wrong shape": order(fault="wrong_shape"),
    "error in a 200": order(fault="error_body"),
    "no usage": order(fault="usage", usage=None),
    "odd usage": order(fault="usage", usage={"total_tokens": "many", "prompt_tokens": -1}),
    "null": order(200, body=b"null", headers={"content-type": "application/json"}),
    "a list": order(200, body=[1]),
    "a number": order(200, body=b"3", headers={"content-type": "application/json"}),
    "no utf-8": order(200, body=b'{"id": "\xff"}', headers={"content-type": "application/json"}),
    "another charset": order(
        200, body='{"id": "\xe9"}'.encode("latin-1"), headers={"content-type": "application/json; charset=latin-1"}
    ),
    "json called text": order(200, body=b'{"id": "x"}', headers={"content-type": "text/plain"}),
    "json of no type": order(200, body=b'{"id": "x"}', headers={"content-type": None}),
    "unknown fields": order(200, body={"id": "x", "new": {"a": [1]}, "choices": [{"index": "0", "odd": 1}]}),
    "nan": order(200, body=b'{"id": NaN}', headers={"content-type": "application/json"}),
    "empty 204": order(204, body=b""),
}

LINES: dict[str, Order] = {
    "closed": order(fault="close"),
    "reset": order(fault="reset"),
    "garbage": order(fault="garbage"),
    "too long a length": order(fault="bad_length"),
    "cut": order(fault="cut"),
}

EVENTS: dict[str, Order] = {
    "cut": order(fault="cut", after=3),
    "cut at once": order(fault="cut", after=0),
    "reset": order(fault="reset", after=3),
    "no finish": order(fault="no_finish"),
    "bad json": order(fault="bad_json_event", after=3),
    "bad json first": order(fault="bad_json_event", after=0),
    "error event": order(fault="error_event", after=3, code="server_error"),
    "error event first": order(fault="error_event", after=0),
    "error event of text": order(fault="error_event", after=3, error="no"),
    "truncated": order(fault="truncated_sse", after=3),
    "content filter": order(fault="content_filter"),
    "wrong shape": order(fault="wrong_shape"),
}

FAULTS = STATUSES | BODIES | LINES
STREAM_FAULTS = {
    **EVENTS,
    **{f"line {name}": fault for name, fault in LINES.items()},
    **{name: STATUSES[name] for name in ("400", "429", "500", "error of html")},
}

# Early SDKs let the errors of their HTTP library out of streams; ours are always the SDK's.
WRAPS_ERRORS_OF_STREAMS = hasattr(_streaming, "request_exceptions")
