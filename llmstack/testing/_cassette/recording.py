"""Recording: an answer is written down while it passes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from openai import APIConnectionError, APIStatusError, APITimeoutError

from llmstack._core.call import Call
from llmstack._core.call_info import bare
from llmstack._core.effects import Flow
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming, Watch
from llmstack.testing._cassette.entry import Answered, Asked, Ending
from llmstack.testing._cassette.scrub import Scrubber

__all__ = ["asked_of", "recorded"]


def asked_of(call: Call, scrubber: Scrubber) -> Asked:
    """What a call asks, scrubbed."""
    body = scrubber.json(dict(call.params)) if call.params else None
    query = scrubber.json(dict(call.query))
    return Asked(call.endpoint, call.method, scrubber.text(bare(call.path)), query, body, _files(call.request))


def recorded(
    call: Call, send: Callable[[Call], Flow[Reply | Incoming]], done: Callable[[Answered], None], scrubber: Scrubber
) -> Flow[Reply | Incoming]:
    """Send a call and write down what comes.

    Args:
        call: The call.
        send: Sends it.
        done: Takes what came, scrubbed; for a stream again and again, the last time when it has ended.
        scrubber: Takes out what is not to be kept.

    Returns:
        What the transport brought.
    """
    try:
        answer = yield from send(call)
    except APIStatusError as error:
        content = b""
        with contextlib.suppress(Exception):  # its body was not read
            content = error.response.content
        headers = scrubber.kept(error.response.headers)
        done(Answered(error.status_code, headers, scrubber.content(content, stream=False)))
        raise
    except APIConnectionError as error:
        done(Answered(ending=_ending(error)))
        raise
    if not isinstance(answer, Reply):
        return Recording(answer, call.stream, done, scrubber)
    content = scrubber.content(answer.content or b"", stream=False)
    done(Answered(answer.status, scrubber.kept(answer.headers), content))
    return answer


class Recording:
    """An answer that is arriving, written down as it is read."""

    def __init__(self, inner: Incoming, stream: bool, done: Callable[[Answered], None], scrubber: Scrubber) -> None:  # noqa: FBT001
        """Watch an answer."""
        self._inner = inner
        self._stream = stream
        self._done = done
        self._scrubber = scrubber
        self._pieces: list[bytes] = []
        self._ending: Ending = "stopped"
        self._closed = False
        self.native: Any = inner.native
        native = inner.native
        self._status: int = native.status_code
        self._headers = scrubber.kept(native.headers)

    @property
    def watch(self) -> Watch:
        """Who watches its bytes."""
        return self._inner.watch

    def read(self) -> bytes | None:
        """The next bytes."""
        try:
            data = self._inner.read()
        except APIConnectionError as error:
            self._ending = _ending(error)
            raise
        return self._noted(data)

    async def aread(self) -> bytes | None:
        """The next bytes, in an async program."""
        try:
            data = await self._inner.aread()
        except APIConnectionError as error:
            self._ending = _ending(error)
            raise
        return self._noted(data)

    def close(self) -> None:
        """Give the connection back, and write down what came."""
        self._inner.close()
        self._end()

    async def aclose(self) -> None:
        """The same in an async program."""
        await self._inner.aclose()
        self._end()

    def _noted(self, data: bytes | None) -> bytes | None:
        if data is None:
            self._ending = "whole"
        else:
            self._pieces.append(data)
        return data

    def _end(self) -> None:
        if self._closed:
            return
        self._closed = True
        # Nobody reads on after the end marker.
        ending: Ending = "whole" if self._inner.watch.done and self._ending == "stopped" else self._ending
        content = self._scrubber.content(b"".join(self._pieces), stream=self._stream)
        self._done(Answered(self._status, self._headers, content, self._stream, ending))


def _ending(error: APIConnectionError) -> Ending:
    return "timeout" if isinstance(error, APITimeoutError) else "lost"


def _files(request: Any) -> tuple[str, ...]:
    """Name, size and digest of each file of a request."""
    options = getattr(request, "options", None)
    files: Any = getattr(options, "files", None) or []
    pairs: list[tuple[str, Any]] = list(files.items() if isinstance(files, Mapping) else files)
    content = getattr(options, "content", None)
    if content is not None:
        pairs.append(("content", content))
    return tuple(f"{field}: {_file(value)}" for field, value in pairs)


def _file(value: Any) -> str:
    name, content = "", value
    if isinstance(value, tuple) and len(value) > 1:
        name, content = str(value[0]), value[1]
    if hasattr(content, "seek") and hasattr(content, "read"):
        place = content.tell()
        content, source = content.read(), content
        source.seek(place)
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, (bytes, bytearray)):
        return f"{name} (read while it is sent)".strip()
    return f"{name} ({len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()})".strip()
