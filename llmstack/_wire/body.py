"""Bodies that are read while they are sent: whether they can be sent again, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmstack._core.call_info import CallInfo
from llmstack.errors import BodyConsumedError


class BodyReplay:
    """Remembers where the files of a request stood, so that a second send starts there again.

    Bytes and lists can be sent any number of times; open files if they can seek; iterators never.
    """

    __slots__ = ("_positions", "replayable")

    def __init__(self, content: Any, files: Any) -> None:
        """Look at a request's ``content`` and ``files`` before the first send."""
        self._positions: list[tuple[Any, int]] = []
        # A list, so that every file is noted.
        self.replayable = False not in [self._note(part) for part in (content, *_file_contents(files))]

    def _note(self, part: Any) -> bool:
        if part is None or isinstance(part, (bytes, bytearray, str, list, tuple)):
            return True
        try:
            if part.seekable():
                self._positions.append((part, part.tell()))
                return True
        except (AttributeError, OSError, ValueError):
            pass
        return False

    def rewind(self, call: CallInfo) -> None:
        """Put everything back to where it stood.

        Raises:
            BodyConsumedError: If something cannot be sent again.
        """
        if not self.replayable:
            message = "the body was an iterator or a file that cannot seek, and is used up: pass bytes to allow retries"
            raise BodyConsumedError(message, call=call)
        for part, position in self._positions:
            try:
                part.seek(position)
            except (OSError, ValueError) as error:
                message = f"the file sent as body cannot be rewound for another attempt: {error}"
                raise BodyConsumedError(message, call=call) from error


def _file_contents(files: Any) -> Iterator[Any]:
    for _, entry in files.items() if isinstance(files, Mapping) else (files or ()):
        yield entry[1] if isinstance(entry, tuple) and len(entry) > 1 else entry
