"""An answer as headers and pieces of bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate

from llmstack.testing._api.answer import Answer, BytesAnswer, EventAnswer
from llmstack.testing._server.faults import Fault

_REQUESTS_A_MINUTE = 10_000
_TOKENS_A_MINUTE = 2_000_000

# faults that act in the midst of a body that is no stream
_IN_HALVES = frozenset({"stall", "cut", "reset"})


@dataclass(frozen=True, slots=True)
class Payload:
    """What goes out.

    Attributes:
        status: The HTTP status.
        headers: The headers by lower-case name.
        pieces: The body; of a stream, an event each.
    """

    status: int
    headers: Mapping[str, str]
    pieces: tuple[bytes, ...]

    def header_list(self) -> list[tuple[bytes, bytes]]:
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]


def render(answer: Answer, fault: Fault, usual_headers: Mapping[str, str]) -> Payload:
    """``answer`` in bytes, with ``usual_headers`` below its own and those of ``fault`` above all."""
    status, content_type, pieces = _bytes_of(answer)
    pieces = _shortened(pieces, fault, streamed=isinstance(answer, EventAnswer))
    headers = {**usual_headers, **answer.headers, "content-type": content_type}
    if isinstance(answer, EventAnswer):
        headers["cache-control"] = "no-cache"
    else:
        headers["content-length"] = str(sum(map(len, pieces)))
    for name, value in (fault.headers or {}).items():
        if value is None:
            headers.pop(name.lower(), None)
        else:
            headers[name.lower()] = value
    return Payload(fault.status if fault.status is not None else status, headers, pieces)


def _bytes_of(answer: Answer) -> tuple[int, str, tuple[bytes, ...]]:
    if isinstance(answer, EventAnswer):
        return 200, "text/event-stream; charset=utf-8", tuple(event.encode() for event in answer.events)
    if isinstance(answer, BytesAnswer):
        return answer.status, answer.content_type, (answer.content,)
    return answer.status, "application/json", (json.dumps(answer.data, ensure_ascii=False).encode(),)


def _shortened(pieces: tuple[bytes, ...], fault: Fault, *, streamed: bool) -> tuple[bytes, ...]:
    if streamed and fault.fault == "truncated_sse":
        at = fault.events_before
        return (*pieces[:at], *(piece[: len(piece) // 2] for piece in pieces[at : at + 1]))
    if streamed:
        return pieces
    whole = b"".join(pieces)
    half = len(whole) // 2
    if fault.fault == "truncated_json":
        return (whole[:half],)
    return (whole[:half], whole[half:]) if fault.fault in _IN_HALVES else pieces


def usual_headers(number: int, *, azure: bool) -> dict[str, str]:
    """The headers OpenAI sends with answer ``number``; Azure adds its own.

    ``remaining`` falls by one request, and by a hundred tokens, with every answer, and starts again at the bottom.
    """
    headers = {
        "date": formatdate(usegmt=True),
        "x-request-id": f"req_{number}",
        "openai-processing-ms": "7",
        "openai-version": "2020-10-01",
        "openai-organization": "org-test",
        "x-ratelimit-limit-requests": str(_REQUESTS_A_MINUTE),
        "x-ratelimit-limit-tokens": str(_TOKENS_A_MINUTE),
        "x-ratelimit-remaining-requests": str(_REQUESTS_A_MINUTE - number % _REQUESTS_A_MINUTE),
        "x-ratelimit-remaining-tokens": str(_TOKENS_A_MINUTE - 100 * number % _TOKENS_A_MINUTE),
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "3ms",
    }
    if azure:
        headers |= {"apim-request-id": f"00000000-0000-0000-0000-{number:012d}", "x-ms-region": "Test Region"}
    return headers
