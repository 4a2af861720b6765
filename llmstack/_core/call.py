"""Call: what one request of the program is, before any HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import getrandbits
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self
from urllib.parse import urlsplit, urlunsplit

from llmstack._core.options import Options
from llmstack._core.usage_chunk import STREAMS_USAGE_ON_REQUEST, HideUsage, asking_for_usage, asks_for_usage

if TYPE_CHECKING:
    from llmstack._core.effects import Flow
    from llmstack._core.reply import Reply

Chunk = Mapping[str, Any]
"""One streamed event's JSON object."""

RawMode = Literal["", "raw", "stream"]
"""How the program asked for the answer: parsed, ``with_raw_response`` or ``with_streaming_response``."""

_LONGEST_MODEL = 100
"""Characters of a model's name told in a message: a program may let others choose it."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


def _bare(path: str) -> str:
    """A path, or a whole address, without query and credentials."""
    if "?" not in path and "@" not in path and "#" not in path:
        return path
    parts = urlsplit(path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


_OF_BODIES = frozenset({"accept", "content-type", "content-length", "idempotency-key", "openai-beta"})


def _belongs_to_body(name: str) -> bool:
    """Whether a header belongs to a call's own body or answer; all others, such as keys, are the program's."""
    lowered = name.lower()
    return lowered in _OF_BODIES or lowered.startswith("x-stainless-")


@lru_cache(maxsize=256)
def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


class ChunkFilter(Protocol):
    """Rewrites the chunks of one streamed reply, between the wire and the program.

    If it has a method ``start()`` as well, that is run while the request is being sent; it may be a flow.
    """

    def feed(self, chunk: Chunk, /) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """Take one chunk, return the chunks to deliver now (none, one or several)."""
        ...

    def end(self) -> Sequence[Chunk] | Flow[Sequence[Chunk]]:
        """The stream has ended: return what was kept back and may be delivered."""
        ...


class Progress:
    """What is known of a call only while it runs; shared by all copies of it.

    `Call` is frozen and copied freely on its way in, yet "has the user seen content?" must have one answer. This
    is the one mutable thing a call carries.
    """

    __slots__ = ("attempts", "committed", "first_content_at", "foreign", "notes", "now", "reply", "sends", "started_at")

    def __init__(self) -> None:
        # The stack's clock; None for a call that is not under way.
        self.now: Callable[[], float] | None = None
        self.committed = False
        self.attempts = 0
        # The numbers of the requests that were sent.
        self.sends: list[int] = []
        self.started_at = 0.0
        self.first_content_at: float | None = None
        # Errors that came from below the layers: they pass all layers unwrapped.
        self.foreign: list[BaseException] = []
        # The last answer paid for, so that an error raised after it can carry it.
        self.reply: Reply | None = None
        self.notes: dict[str, Any] = {}


def new_id() -> str:
    """A fresh call id: ``call_`` and 96 random bits in hex."""
    return f"call_{getrandbits(96):024x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInfo:
    """What may be told of a call anywhere (errors, logs): no content, no key, no header. It pickles.

    Attributes:
        id: The call's unique id.
        method: HTTP method.
        path: Path under the base URL, without a query.
        endpoint: The API's name for it, such as ``"chat.completions"``.
        model: The model asked for; None where the endpoint has none.
        stream: True if a stream was asked for.
        tenant: On whose behalf the call is made.
        tags: The program's labels.
        host: Where it goes, such as ``"api.openai.com"``.
    """

    id: str
    method: str
    path: str
    endpoint: str
    model: str | None
    stream: bool
    tenant: str | None
    tags: Mapping[str, str]
    host: str = ""

    def __str__(self) -> str:
        """The call as an error message names it."""
        model = f" model={self.model[:_LONGEST_MODEL]!r}" if self.model else ""
        return f"{self.endpoint or self.path} ({self.method} {self.path}{model}, {self.id})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """One request of the program on its way through the layers.

    Frozen: a layer that wants another request passes on a changed copy, made by `replace` or `with_params`.

    Attributes:
        method: HTTP method in capitals, such as ``"POST"``.
        path: Path under the base URL as the SDK gives it, such as ``"/chat/completions"``.
        endpoint: The API's name for it, such as ``"chat.completions"``, ``"responses"``, ``"files.content"``.
        params: The JSON body as the user gave it (``extra_body`` merged in); empty if the body is not JSON.
        query: Query parameters given for this call.
        headers: Headers given for this call. They may hold secrets: never log them.
        stream: True if the program asked for a stream of events.
        raw: ``"raw"`` under ``with_raw_response``, ``"stream"`` under ``with_streaming_response``, else ``""``.
        options: What the program said with `llmstack.options(...)` or ``x-llmstack-*`` headers.
        base_url: Where the client points; without credentials.
        timeout: Seconds (or the SDK's Timeout object) for each request, the client's if none was given for the call;
            None for no limit.
        deadline: When the whole call, all attempts and the reading of a stream together, must be over: seconds of the
            stack's monotonic clock; None for no limit. `remaining` tells what is left.
        idle_timeout: Seconds that an open stream may be silent; None for the time-out of reads.
        max_retries: Retries the program asked for on its client or call; None where it left the SDK's default.
        replayable: False if the body is a one-shot iterator, so that a second send is impossible.
        hold: Set by a layer that must see the whole reply before the user sees any of it: a stream is then held
            back until the flow has ended.
        verify: Set by a layer that wants a 200 whose body is no answer (broken JSON, a page of HTML, an error) to be
            the error that it is; the SDK gives the program whatever it can make of such a body.
        strict: Set by a layer that wants a stream that ends without saying that it is finished to be a lost connection;
            else it ends quietly, with ``reply.complete`` False.
        filters: Factories of the `ChunkFilter`s a streamed reply passes, outermost first; see `with_filter`.
        id: Unique id of the call.
        request: The SDK's own request, opaque to plugins; a transport reads it.
    """

    method: str = "POST"
    path: str = field(repr=False)
    endpoint: str
    params: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    query: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    headers: Mapping[str, Any] = field(default_factory=_empty, repr=False)
    stream: bool = False
    raw: RawMode = ""
    options: Options = field(default_factory=Options, repr=False)
    base_url: str = ""
    timeout: Any = field(default=None, repr=False)
    deadline: float | None = None
    idle_timeout: float | None = None
    max_retries: int | None = None
    replayable: bool = True
    hold: bool = False
    verify: bool = False
    strict: bool = False
    filters: tuple[Callable[[Call], ChunkFilter], ...] = field(default=(), repr=False)
    id: str = field(default_factory=new_id)
    request: Any = field(default=None, repr=False)
    progress: Progress = field(default_factory=Progress, repr=False)

    @property
    def model(self) -> str | None:
        """The model asked for, or None where the endpoint has none."""
        model = self.params.get("model")
        return model if isinstance(model, str) else None

    @property
    def host(self) -> str:
        """Where the call goes, such as ``"api.openai.com"`` or ``"127.0.0.1:8000"``; empty if nowhere."""
        return _host(self.base_url)

    @property
    def attempts(self) -> int:
        """Requests sent so far for this call, by all layers."""
        return self.progress.attempts

    @property
    def committed(self) -> bool:
        """True once content of a streamed reply has reached the program: no further send is possible then."""
        return self.progress.committed

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, less than 0 once it has passed; None if there is none."""
        now = self.progress.now
        return None if self.deadline is None or now is None else self.deadline - now()

    @property
    def info(self) -> CallInfo:
        """The part of the call that may be shown anywhere."""
        return CallInfo(
            id=self.id,
            method=self.method,
            path=_bare(self.path),
            endpoint=self.endpoint,
            model=self.model,
            stream=self.stream,
            tenant=self.options.tenant,
            tags=dict(self.options.tags),
            host=self.host,
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with the given fields changed; it stays the same call (id, progress)."""
        return replace(self, **changes)

    def with_params(
        self, params: Mapping[str, Any] | None = None, /, *, without: Iterable[str] = (), **more: Any
    ) -> Self:
        """A copy with body parameters set or removed.

        Args:
            params: Parameters to set, for names that are no Python identifiers.
            without: Names of parameters to remove.
            more: Parameters to set.

        Returns:
            The changed copy; this call is left as it is.
        """
        merged = {**self.params, **(params or {}), **more}
        for name in without:
            merged.pop(name, None)
        return replace(self, params=merged)

    def with_filter(self, factory: Callable[[Call], ChunkFilter]) -> Self:
        """A copy whose streamed chunks pass a `ChunkFilter`, made anew for each send.

        Filters added by inner layers see a chunk before those of outer layers. The `Reply` that ``next`` returns is
        built from the chunks as the wire sent them: a layer that rewrites chunks rewrites the reply too.
        """
        return replace(self, filters=(*self.filters, factory))

    def with_usage(self) -> Self:
        """A copy whose streamed reply tells its usage, also where the API does so only on request.

        Chat and legacy completions need ``stream_options.include_usage``; it is set if the program has not, and the
        usage chunk is then hidden from the program. Any other call comes back as it is. Some compatible servers do
        not know ``stream_options``, so nothing asks for it unless a layer does.
        """
        if not self.stream or self.endpoint not in STREAMS_USAGE_ON_REQUEST or asks_for_usage(self.params):
            return self
        asking = self.with_params(stream_options=asking_for_usage(self.params))
        return asking.with_filter(lambda _: HideUsage())

    def aside(self, endpoint: str, path: str, params: Mapping[str, Any], *, deadline: float | None = None) -> Self:
        """A request of a layer's own, made on behalf of this call: to judge what it asks, say, or to count its tokens.

        It is passed on by ``next`` as the call is, and so goes through the layers further in, to where the call goes,
        with the call's headers. It has nothing of the call's body, its stream or its raw mode, is no attempt to answer
        the call, and may be sent also when content of the call has been delivered.

        Args:
            endpoint: The API's name for it, such as ``"moderations"``.
            path: Path under the base URL.
            params: Its JSON body.
            deadline: When it must be over, by the stack's clock; the call's deadline if not given.

        Returns:
            The request, a POST with a JSON body.
        """
        headers = {name: value for name, value in self.headers.items() if not _belongs_to_body(name)}
        progress = Progress()
        progress.now = self.progress.now
        return replace(
            self,
            method="POST",
            path=path,
            endpoint=endpoint,
            params=params,
            query=EMPTY,
            headers=headers,
            stream=False,
            raw="",
            hold=False,
            strict=False,
            filters=(),
            replayable=True,
            deadline=self.deadline if deadline is None else deadline,
            request=None if self.request is None else self.request.aside(path, params, headers),
            progress=progress,
        )

    def note(self, **facts: Any) -> None:
        """Add facts (JSON-like, no content) that the call's `CallFinished` event shall carry in `notes`."""
        self.progress.notes.update(facts)
