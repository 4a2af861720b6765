"""The ASGI application: receive, record, look for an order, answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from llmstack.testing._api.answer import Answer, JsonAnswer
from llmstack.testing._api.api import Api
from llmstack.testing._api.errors import error_body
from llmstack.testing._server.alteration import altered, replacement
from llmstack.testing._server.connection import CONNECTION, Connection
from llmstack.testing._server.delivery import Delivery
from llmstack.testing._server.faults import Fault, FaultQueue
from llmstack.testing._server.payload import render, usual_headers
from llmstack.testing._server.records import ReceivedRequest, Recorder
from llmstack.testing._server.scripting import Script, scripted_answer

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope


class Application:
    """One server's application. ``script`` may be set at any time."""

    def __init__(self, recorder: Recorder, faults: FaultQueue) -> None:
        self._recorder = recorder
        self._faults = faults
        self._api = Api()
        self.script: Script | None = None

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return
        extensions: Any = scope.get("extensions")
        connection: Connection = extensions[CONNECTION]
        body = await _read(receive)
        if body is None:
            return
        request = ReceivedRequest(
            method=scope["method"],
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=_joined(scope["headers"]),
            body=body,
            at=time.monotonic(),
            connection=connection.number,
        )
        # first the order, then the record: who sees the record may rely on the order being taken
        fault = self._faults.take(request.path)
        self._recorder.received(request)
        answer = altered(self._answer(request, fault), fault)
        number = self._recorder.next_answer()
        headers = usual_headers(number, azure=request.path.startswith("/openai/"))
        payload = render(answer, fault, headers)
        await Delivery(payload, fault, connection, receive, send).run()

    def _answer(self, request: ReceivedRequest, fault: Fault) -> Answer:
        replaced = replacement(fault)
        if replaced is not None:
            return replaced
        try:
            scripted = scripted_answer(self.script, request) if self.script else None
            if scripted is not None:
                return scripted
            return self._api.answer(request.method, request.path, request.query, request.headers, request.body)
        except Exception as error:  # noqa: BLE001 -- a broken script, or a gap in this server: the test must see it
            message = f"the local server failed: {type(error).__name__}: {error}"
            return JsonAnswer(error_body(500, message=message), 500)


async def _read(receive: ASGIReceiveCallable) -> bytes | None:
    """The whole body, or ``None`` if the client left before it had sent it."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


def _joined(headers: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
