"""Call: what one request of the program is, before any HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from llmstack._core.call_info import TOLD, CallInfo, bare, host_of, new_id
from llmstack._core.chunk_filter import ChunkFilter
from llmstack._core.copying import MADE_OF, replace
from llmstack._core.header import belongs_to_body
from llmstack._core.options import Options
from llmstack._core.place import Place
from llmstack._core.progress import Progress
from llmstack._core.sent import Sent
from llmstack._core.usage_chunk import STREAMS_USAGE_ON_REQUEST, HideUsage, asking_for_usage, asks_for_usage

if TYPE_CHECKING:
    from decimal import Decimal

    from llmstack._core.effects import Flow, Next
    from llmstack._core.reply import Reply
    from llmstack._core.transport import Transport
    from llmstack._core.usage import Usage

RawMode = Literal["", "raw", "stream"]
"""How the program asked for the answer: parsed, ``with_raw_response`` or ``with_streaming_response``."""

EMPTY: Mapping[str, Any] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return EMPTY


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
        base_url: Where the call goes: the transport's own place, or else where the client points; without credentials.
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
        attempt_layers: Layers around each single attempt, outermost first; see `around_attempts`.
        sent: For the layers around an attempt, what has become of it; None for all others.
        via: What the call is sent by; None for the stack's transport. See `through`.
        id: Unique id of the call.
        request: The SDK's own request, opaque to plugins; a transport reads it.
        place: Where the transport sends, if it does not send where the client points; see `at`.
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
    attempt_layers: tuple[Callable[[Call, Next], Flow[Reply]], ...] = field(default=(), repr=False)
    sent: Sent | None = field(default=None, repr=False)
    via: Transport | None = field(default=None, repr=False)
    id: str = field(default_factory=new_id)
    request: Any = field(default=None, repr=False)
    place: Place | None = field(default=None, repr=False)
    progress: Progress = field(default_factory=Progress, repr=False)
    _info: CallInfo | None = field(default=None, init=False, repr=False, metadata={MADE_OF: TOLD})

    @property
    def model(self) -> str | None:
        """The model asked for, or None where the endpoint has none."""
        model = self.params.get("model")
        return model if isinstance(model, str) else None

    @property
    def host(self) -> str:
        """Where the call goes, such as ``"api.openai.com"`` or ``"127.0.0.1:8000"``; empty if nowhere."""
        return host_of(self.base_url)

    @property
    def transport(self) -> str:
        """The name of the transport that sends it, the one that the stack ends in unless a layer named another.

        Empty if the call is not under way.
        """
        return self.progress.transport if self.via is None else self.via.name

    @property
    def credential(self) -> str:
        """A short digest of the keys that are sent: it tells customers apart and nothing of their keys.

        Those of the client, and those of the transport if it has a place of its own: two clients with different keys
        are two customers, whoever serves both.

        The same in all processes, unless the keys come from a function: then each process has one of its own. Keys in
        `headers` are not in it. Empty if no client made the call.
        """
        own = "" if self.place is None else self.place.credential
        return f"{own}{getattr(self.request, 'credential', '')}"

    @property
    def settings(self) -> str:
        """A short digest of all else that the client adds to each request: organization, project, headers, query.

        Empty if no client made the call.
        """
        own = "" if self.place is None else self.place.settings
        return f"{own}{getattr(self.request, 'settings', '')}"

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
        if self._info is None:  # events and prices ask for it again and again
            object.__setattr__(self, "_info", self._told())
        return cast("CallInfo", self._info)

    def _told(self) -> CallInfo:
        return CallInfo(
            id=self.id,
            method=self.method,
            path=bare(self.path),
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

    def at(self, place: Place) -> Self:
        """A copy that goes to another place: events, circuits, budgets and caches then go by that one."""
        return replace(self, base_url=place.base_url, place=place)

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

    def through(self, transport: Transport, **changes: Any) -> Self:
        """A copy that is sent by another transport than the stack's, with the given fields changed.

        From here on the call goes by the place of that one; see `at`. If it has none, it goes where its client points.
        """
        place = getattr(transport, "place", None)
        if isinstance(place, Place):
            changes |= {"place": place, "base_url": place.base_url}
        elif self.place is not None:
            changes |= {"place": None, "base_url": self.progress.home}
        return replace(self, via=transport, **changes)

    def with_filter(self, factory: Callable[[Call], ChunkFilter]) -> Self:
        """A copy whose streamed chunks pass a `ChunkFilter`, made anew for each send.

        Filters added by inner layers see a chunk before those of outer layers. The `Reply` that ``next`` returns is
        built from the chunks as the wire sent them: a layer that rewrites chunks rewrites the reply too.
        """
        return replace(self, filters=(*self.filters, factory))

    def around_attempts(self, layer: Callable[[Call, Next], Flow[Reply]]) -> Self:
        """A copy of which each attempt passes a layer more, next to the transport and inside of all plugins.

        However often, and as whatever, the layers further in send the call (retries, other models, several at once),
        the layer sees each request as it leaves, and its answer. It is a generator as ``llmstack_call`` is. After a
        failure `sent` tells what had arrived.
        """
        return replace(self, attempt_layers=(*self.attempt_layers, layer))

    def price(self, usage: Usage, model: str | None = None) -> Decimal | None:
        """What a usage costs, as the stack's plugins know it (`llmstack_price`).

        Args:
            usage: The tokens.
            model: The model; the call's own if not given.

        Returns:
            US dollars; None if no plugin knows, or the call is not under way.
        """
        return self.progress.cost(usage, model or self.model or "", self.info)

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
        headers = {name: value for name, value in self.headers.items() if not belongs_to_body(name)}
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
            sent=None,
            replayable=True,
            deadline=self.deadline if deadline is None else deadline,
            request=None if self.request is None else self.request.aside(path, params, headers),
            progress=self.progress.aside(),
        )

    def note(self, **facts: Any) -> None:
        """Add facts (JSON-like, no content) that the call's `CallFinished` event shall carry in `notes`."""
        self.progress.notes.update(facts)
