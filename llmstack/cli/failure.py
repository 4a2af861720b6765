"""Failures as a person likes to read them: what happened and what to change, in a line or two."""

from __future__ import annotations

import errno
import sys
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from llmstack.cli.text import escaped, redacted


class UsageError(Exception):
    """The program was called in a way that cannot work; the message says what to change."""


def is_expected(error: BaseException) -> bool:
    """True for errors that a message explains; any other is a defect, and its traceback is what is wanted."""
    # Importing the SDK takes half a second; an error of its kind exists only if somebody has.
    openai: Any = sys.modules.get("openai")
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return isinstance(error, UsageError) or (openai is not None and isinstance(error, openai.OpenAIError))


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Where the output goes there is no more room."""


def explained(error: BaseException) -> str:
    """An error in words, without keys and control characters."""
    return escaped(redacted(_words(error)))


def show_failure(error: BaseException, *, debug: bool) -> None:
    """Print an error to stderr; with `debug` its traceback too."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if debug:
        console.print(Text(escaped(redacted("".join(traceback.format_exception(error))))))
    console.print(Text(explained(error), style="red"))


@contextmanager
def warnings_shown() -> Generator[None, None, None]:
    """Print warnings as a person likes to read them: a line each, without the place in the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        text = escaped(redacted(str(warning.message)))
        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(f"warning: {text}", style="yellow"))


def _words(error: BaseException) -> str:
    if isinstance(error, (UsageError, OSError)):
        return f"cannot write: {error.strerror}" if isinstance(error, OSError) else str(error)
    import openai

    from llmstack.errors import StackError

    if isinstance(error, StackError):
        by = f" (plugin {error.plugin!r})" if error.plugin else ""
        return f"{type(error).__name__}: {error.message}{by}"
    if isinstance(error, openai.APIStatusError):
        request = f" (request {error.request_id})" if error.request_id else ""
        return f"{type(error).__name__}: {error.status_code}, {_said(error)}{request}"
    if isinstance(error, openai.APITimeoutError):
        return f"{type(error).__name__}: no answer in time"
    if isinstance(error, openai.APIConnectionError):
        return f"{type(error).__name__}: {_broken(error)}"
    return f"{type(error).__name__}: {error}"


def _said(error: Any) -> str:
    """What the server said, without the status that the SDK puts before it and without the JSON around it."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    if isinstance(message, str) and message:
        return message
    return str(error.message).removeprefix(f"Error code: {error.status_code} - ")


def _broken(error: Any) -> str:
    """What went wrong with the connection; the SDK itself says no more than "Connection error."."""
    import httpx2

    cause = error.__cause__
    said = str(cause or error) or type(cause).__name__
    if isinstance(cause, httpx2.ConnectError):
        return f"cannot reach {error.request.url.host}: {said}"
    if isinstance(cause, httpx2.RemoteProtocolError) and ("peer closed" in said or "disconnected" in said):
        return "the server hung up before its answer was complete"
    return said
