"""A server that answers every request with the same bytes, as quickly as asyncio can: `python -m benchmarks.server`.

It prints its port and serves until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any, cast

WORDS = 200
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5-mini", "service_tier": "default", "system_fingerprint": "fp"}
_USAGE = {"prompt_tokens": 20, "completion_tokens": WORDS, "total_tokens": 20 + WORDS}


def _whole() -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": "word " * WORDS, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()


def _events() -> bytes:
    deltas: list[dict[str, str]] = [
        {"role": "assistant", "content": ""},
        *({"content": "word "} for _ in range(WORDS)),
        {},
    ]
    lines = []
    for i, delta in enumerate(deltas):
        choice = {
            "index": 0,
            "delta": delta,
            "finish_reason": "stop" if i == len(deltas) - 1 else None,
            "logprobs": None,
        }
        chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
        lines.append(f"data: {json.dumps(chunk)}\n\n")
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def _response(body: bytes, kind: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nx-request-id: req_1\r\n\r\n"
    return head.encode() + body


WHOLE = _response(_whole(), "application/json")
STREAM = _response(_events(), "text/event-stream; charset=utf-8")


class Connection(asyncio.Protocol):
    """One connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pending = b""

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._pending, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._pending) < size:
                return
            request, self._pending = self._pending[:size], self._pending[size:]
            streamed = b'"stream":true' in request or b'"stream": true' in request
            self._transport.write(STREAM if streamed else WHOLE)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
