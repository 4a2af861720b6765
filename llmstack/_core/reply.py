"""Reply: a complete answer, as the layers see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn, Self, cast

from pydantic_core import from_json

from llmstack._core.pace import Pace
from llmstack._core.usage import Usage, is_object

_UNREAD: Any = object()
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Reply:
    """A complete answer to a call: for a streamed call, put together from its chunks.

    Frozen: a layer that answers otherwise returns another one, new or made by `replace`. The JSON is parsed only
    when somebody looks at it, once.

    Attributes:
        status: HTTP status, 200 if the reply did not come by HTTP.
        headers: Response headers, names in lower case.
        cached: True if the reply did not come from the provider now.
        events: The events of a streamed reply as they came, to be replayed; None if it was not streamed.
        native: What the transport got (such as an ``httpx2.Response``); None once the content was changed.
        no_store: True if no cache may keep it, since it is no answer to just what was asked: another model's, say. The
            name is that of HTTP (RFC 9111, section 5.2.2.5).
        pace: How quickly it is replayed where the program asked for a stream and this is none; None for at once.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_content",
        "_usage",
        "cached",
        "events",
        "headers",
        "native",
        "no_store",
        "pace",
        "status",
    )

    status: int
    headers: Mapping[str, str]
    cached: bool
    events: Sequence[Any] | None
    native: Any
    no_store: bool
    pace: Pace | None
    _body: Any
    _complete: bool | Callable[[], bool]
    _content: bytes | None
    _usage: Any

    def __init__(  # noqa: PLR0913 - a value object: each argument is one attribute
        self,
        body: Any = _UNREAD,
        *,
        content: bytes | None = None,
        read: Any = None,
        status: int = 200,
        headers: Mapping[str, str] = NO_HEADERS,
        complete: bool | Callable[[], bool] = True,
        cached: bool = False,
        events: Sequence[Any] | None = None,
        native: Any = None,
        no_store: bool = False,
        pace: Pace | None = None,
        usage: Usage | Callable[[], Usage | None] | None = _UNREAD,
    ) -> None:
        """Make a reply from its JSON object (`body`) or from JSON text as bytes (`content`).

        Args:
            body: The JSON value, such as a chat completion as a dict; or a function that gives it when first asked.
            content: The JSON text, instead of `body`.
            read: The JSON value of `content`, if whoever makes the reply has parsed it already.
            status: HTTP status.
            headers: Response headers.
            complete: False if the answer was cut short; or a function that tells it when first asked.
            cached: True if it did not come from the provider now.
            events: The streamed events it was put together from.
            native: What the transport got.
            no_store: True if no cache may keep it.
            pace: How quickly it is replayed as a stream.
            usage: Tokens, or a function that gives them when first asked; read from the body if not given.

        Raises:
            TypeError: If both `body` and `content` are given, or `read` without `content`.
        """
        if body is not _UNREAD and content is not None:
            message = "a Reply takes its JSON as `body` (an object) or as `content` (bytes), not both"
            raise TypeError(message)
        if read is not None and content is None:
            message = "a Reply takes `read` beside `content`, whose value it is; an object by itself is its `body`"
            raise TypeError(message)
        put = object.__setattr__
        put(self, "_body", body if read is None else read)
        put(self, "_content", content)
        put(self, "_usage", usage)
        put(self, "status", status)
        put(self, "headers", headers)
        put(self, "_complete", complete)
        put(self, "cached", cached)
        put(self, "events", events)
        put(self, "native", native)
        put(self, "no_store", no_store)
        put(self, "pace", pace)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """Refuse: a reply is frozen; use `replace`."""
        message = f"a Reply is frozen: make a changed copy with reply.replace({name}=...)"
        raise AttributeError(message)

    def __repr__(self) -> str:
        """Shape only, never the content."""
        flags = "".join(f" {name}" for name, on in (("cached", self.cached), ("incomplete", not self.complete)) if on)
        return f"<Reply {self.status}{flags}>"

    @property
    def complete(self) -> bool:
        """False if the reply was cut short: the stream broke, or the program stopped reading."""
        if callable(self._complete):
            object.__setattr__(self, "_complete", self._complete())
        return cast("bool", self._complete)

    @property
    def body(self) -> Any:
        """The JSON value (mostly a dict); None if there is none or it is no JSON (audio, a file, broken text).

        It is shared by all who look at this reply: do not change it, answer with `replace(body=...)`.
        """
        if self._body is _UNREAD:
            object.__setattr__(self, "_body", _parse(self._content))
        elif callable(self._body):
            object.__setattr__(self, "_body", self._body())
        return self._body

    @property
    def content(self) -> bytes | None:
        """The JSON text as bytes; the raw bytes of a reply that is no JSON; None if there are none."""
        if self._content is None and self.body is not None:
            object.__setattr__(self, "_content", _encoded(self.body))
        content: bytes | None = self._content
        return content

    @property
    def usage(self) -> Usage | None:
        """Tokens as reported by the provider; None if it reported none."""
        if self._usage is _UNREAD:
            object.__setattr__(self, "_usage", Usage.of_body(self.body))
        elif callable(self._usage):
            object.__setattr__(self, "_usage", self._usage())
        return cast("Usage | None", self._usage)

    @property
    def model(self) -> str | None:
        """The model that answered, as the provider names it."""
        model = self._field("model")
        return model if isinstance(model, str) else None

    @property
    def request_id(self) -> str | None:
        """The provider's ``x-request-id``."""
        return self.headers.get("x-request-id")

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended (``"stop"``, ``"length"`` …); for Responses their ``status``."""
        choices = self._field("choices")
        if isinstance(choices, list) and choices and is_object(choices[0]):
            reason = choices[0].get("finish_reason")
        else:
            reason = self._field("status")
        return reason if isinstance(reason, str) else None

    @property
    def text(self) -> str:
        """The answer's text: the first choice's content, or all output text of a Responses reply; may be empty."""
        return answer_text(self.body)

    def replace(
        self,
        *,
        body: Any = _UNREAD,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        complete: bool | None = None,
        cached: bool | None = None,
        no_store: bool | None = None,
    ) -> Self:
        """A copy with the given fields changed.

        A new `body` replaces content, events and the transport's own object: the program then gets the new one.
        """
        changed = body is not _UNREAD
        copy = type(self)(
            body,
            content=None if changed else self._content,
            status=self.status if status is None else status,
            headers=self.headers if headers is None else headers,
            complete=self._complete if complete is None else complete,
            cached=self.cached if cached is None else cached,
            events=None if changed else self.events,
            native=None if changed else self.native,
            no_store=self.no_store if no_store is None else no_store,
            pace=self.pace,
        )
        if not changed:  # what has been read is not read anew
            object.__setattr__(copy, "_body", self._body)
            object.__setattr__(copy, "_usage", self._usage)
        return copy

    def with_usage(self, usage: Usage | None) -> Self:
        """A copy that reports another usage (an estimate where the provider reported none); content unchanged."""
        copy = self.replace()
        object.__setattr__(copy, "_usage", usage)
        return copy

    def with_events(self, events: Sequence[Any]) -> Self:
        """A copy whose streamed events are these; the engine's, for streams that were filtered."""
        copy = self.replace()
        object.__setattr__(copy, "events", events)
        return copy

    def _field(self, name: str) -> Any:
        body = self.body
        return body.get(name) if is_object(body) else None


def _encoded(body: Any) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a surrogate pair is text in JSON, but none in UTF-8: escaped it passes
        return json.dumps(body, separators=(",", ":")).encode()


def _parse(content: bytes | None) -> Any:
    if not content:
        return None
    try:
        return from_json(content)
    except ValueError:
        return None


def answer_text(body: object) -> str:
    """The text of a chat completion, legacy completion or Responses body; empty for anything else."""
    if not isinstance(body, Mapping):
        return ""
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        message = choices[0].get("message")
        text = message.get("content") if isinstance(message, Mapping) else choices[0].get("text")
        return text if isinstance(text, str) else ""
    output = body.get("output")
    parts = [
        part.get("text")
        for item in (output if isinstance(output, list) else ())
        if isinstance(item, Mapping) and item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, Mapping) and part.get("type") == "output_text"
    ]
    return "".join(part for part in parts if isinstance(part, str))
