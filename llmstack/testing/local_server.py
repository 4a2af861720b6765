"""A real HTTP server on this machine that speaks the OpenAI API and misbehaves on order.

Every answer is determined by its request:

- a chat replies ``You said: <text of the last message>`` (after a tool's result ``Tool said: ...``);
- a text of *n* characters has ``ceil(n / 4)`` tokens, each message of a prompt counts 4 more, and a streamed reply
  comes in pieces of one token;
- ids count up per server and kind (``chatcmpl-1``), every ``created`` is `CREATED`;
- structured output satisfies the schema sent, with the text of the last message in every plain string.

Words with an effect: `TOOL_MARKER` in the last user message calls the request's tools, once for each time it occurs;
`REFUSAL_MARKER` is refused; `FLAG_MARKER` is flagged by a moderation; the model `MISSING_MODEL` does not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from llmstack.testing._api.text import (
    CREATED,
    FLAG_MARKER,
    MISSING_MODEL,
    REFUSAL_MARKER,
    TOOL_MARKER,
    count_tokens,
    reply_to,
)
from llmstack.testing._server.faults import FAULT_KINDS, Fault, FaultKind, FaultOptions, FaultQueue
from llmstack.testing._server.gate import Gate
from llmstack.testing._server.records import ReceivedRequest, Recorder
from llmstack.testing._server.scripting import Script

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from llmstack.testing._server.application import Application
    from llmstack.testing._server.thread import ServerThread


__all__ = [
    "CREATED",
    "FAULT_KINDS",
    "FLAG_MARKER",
    "MISSING_MODEL",
    "REFUSAL_MARKER",
    "TOOL_MARKER",
    "FaultKind",
    "FaultOptions",
    "Gate",
    "LocalServer",
    "ReceivedRequest",
    "Script",
    "count_tokens",
    "reply_to",
]


class LocalServer:
    """An OpenAI-compatible server in a background thread, for clients of any kind and number.

    As a context manager it starts on entry and stops on exit::

        with LocalServer() as server:
            client = OpenAI(base_url=server.base_url, api_key="sk-test-not-a-key")

    Args:
        host: The address to listen on.
        port: The port, or 0 for one that is free. Once started, a server keeps its port when started again.

    Raises:
        ImportError: uvicorn is not installed.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._recorder = Recorder()
        self._faults = FaultQueue()
        self._app = self._application()
        self._thread: ServerThread | None = None

    def _application(self) -> Application:
        # deferred, so that importing the testing kit needs none of the extra's packages
        try:
            from llmstack.testing._server.application import Application
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in {"uvicorn", "h11"}:
                raise
            msg = 'LocalServer needs uvicorn: pip install "llmstack-openai[testing]"'
            raise ImportError(msg) from error
        return Application(self._recorder, self._faults)

    def __repr__(self) -> str:
        state = "running" if self._thread else "stopped"
        return f"<LocalServer {self._host}:{self._port} {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; when this returns, connections are accepted.

        Raises:
            OSError: The port is taken.
            RuntimeError: The server is running already.
        """
        from llmstack.testing._server.thread import ServerThread

        if self._thread is not None:
            msg = "the server is running already"
            raise RuntimeError(msg)
        self._thread = ServerThread(self._app, self._recorder, self._host, self._port)
        self._port = self._thread.port

    def stop(self) -> None:
        """Break every connection, whatever is held included, close the port and end the thread.

        Records stay readable. Stopping a stopped server does nothing.
        """
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    @property
    def port(self) -> int:
        """The port listened on; 0 before the first start if none was chosen."""
        return self._port

    @property
    def azure_endpoint(self) -> str:
        """For ``AzureOpenAI(azure_endpoint=...)``: ``http://127.0.0.1:PORT``."""
        if not self._port:
            msg = "the server has no address before it is started"
            raise RuntimeError(msg)
        return f"http://{self._host}:{self._port}"

    @property
    def base_url(self) -> str:
        """For ``OpenAI(base_url=...)``: ``http://127.0.0.1:PORT/v1``. It stays true while the server is stopped."""
        return f"{self.azure_endpoint}/v1"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What was received since the start or the last `reset`, oldest first."""
        return self._recorder.requests

    def count(self, path_suffix: str | None = None) -> int:
        """How many requests were received, of those whose path ends in ``path_suffix`` if it is given."""
        return sum(path_suffix is None or request.path.endswith(path_suffix) for request in self.requests)

    @property
    def open_connections(self) -> int:
        """How many TCP connections are open now. A client's closing is seen a moment later: see `wait_for`."""
        return self._recorder.open_connections

    @property
    def disconnects(self) -> int:
        """How many answers clients cut short by closing the connection before all of it was written."""
        return self._recorder.disconnects

    def wait_for(self, condition: Callable[[LocalServer], bool], timeout: float = 10.0) -> None:
        """Block until ``condition`` holds; it is asked anew whenever a request or a connection comes or goes.

        Args:
            condition: For example ``lambda server: server.open_connections == 0``.
            timeout: Seconds.

        Raises:
            TimeoutError: It did not come to hold in time.
        """
        if not self._recorder.wait_for(lambda: condition(self), timeout):
            msg = (
                f"not within {timeout} s: {self.count()} requests, {self.open_connections} open connections, "
                f"{self.disconnects} cut short"
            )
            raise TimeoutError(msg)

    def reset(self) -> None:
        """Forget records, pending orders and the script, and release what is held. Stored resources stay."""
        self._faults.clear()
        self._app.script = None
        self._recorder.clear()

    def script(self, answer: Script | None) -> None:
        """Let a function answer; ``None`` takes it away again.

        Args:
            answer: Called with each request, in the server's thread, so it must not block. A dict it returns is the
                JSON answer, a list the events of a stream (strings go out as they are), ``None`` means the usual
                answer. If it raises, the client gets a 500 that names the exception.
        """
        self._app.script = answer

    def next(
        self,
        status: int | None = None,
        *,
        times: int | None = 1,
        path: str | None = None,
        **options: Unpack[FaultOptions],
    ) -> Gate:
        """Order how the next request is answered; orders are taken in turn, each by the first request it fits.

        An error: ``next(429, headers={"retry-after": "1"})``, ``next(429, code="insufficient_quota")``,
        ``next(400, code="content_filter")``. A body: ``next(200, body={...})``. A misbehaviour, ``fault=``:

        ===================  ===========================================================================
        ``hang``             no answer until released
        ``stall``            ``after`` events, then silence until released
        ``drip``             one byte every ``interval`` seconds, of the ``part`` body or headers
        ``close``            the connection closed without an answer
        ``reset``            the connection reset without an answer, or ``after`` events
        ``cut``              the connection closed in the midst of what follows ``after`` events
        ``garbage``          bytes that are no HTTP
        ``bad_length``       a ``Content-Length`` beyond the body
        ``truncated_json``   half of the body, properly ended
        ``truncated_sse``    ``after`` events and half of the next, properly ended
        ``no_finish``        a stream properly ended without finish reason, usage or ``[DONE]``
        ``bad_json_event``   an event of broken JSON after ``after`` events
        ``error_event``      ``{"error": ...}`` after ``after`` events, and no more; ``error=`` says what
        ``content_filter``   the reply ended by the content filter
        ``wrong_shape``      ``choices`` (``output``, ``data``, ...) null
        ``usage``            no usage; or as ``usage=`` says, which needs no ``fault``
        ``html``             a page of HTML
        ``empty``            an empty body
        ``error_body``       an error's body with status 200
        ===================  ===========================================================================

        Args:
            status: The HTTP status.
            times: For how many requests, ``None`` for every one until `reset`.
            path: Only for requests whose path ends so.
            **options: Every other field of an order: ``fault``, ``headers``, ``body``, ``code``, ``message``,
                ``error``, ``usage``, ``after``, ``part``, and in seconds ``interval``, ``delay`` before the answer,
                ``event_delay`` between events.

        Returns:
            The gate that tells when a request took the order, and releases what it holds.

        Raises:
            ValueError: The fault is unknown, ``after`` negative, or ``times`` below 1.
        """
        fault = Fault(status=status, path=path, **options)
        self._faults.put(fault, times)
        return fault.gate

    def gate(self, after: int | None = None, *, path: str | None = None, times: int | None = 1) -> Gate:
        """Hold the next answer until `Gate.release`: a hang or a stall that ends when the test wants.

        Args:
            after: Hold after so many events; ``None`` holds the whole answer, headers included.
            path: Only a request whose path ends so.
            times: How many requests the gate holds, ``None`` for all.
        """
        kind: FaultKind = "hang" if after is None else "stall"
        return self.next(fault=kind, after=after, path=path, times=times)
