"""Loosening: errors that a call has left behind hold nothing of the program any more.

A traceback holds the frames that the error went through, these hold the frames that called them, and so all the local
variables of the program: the very stream that was opened after the error is among them. A layer that keeps the error
(it waits for that stream in an ``except`` block, say) would thus keep the stream, which nobody could drop.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["loosen"]


def loosen(errors: Iterable[BaseException]) -> None:
    """Take the tracebacks off errors and what caused them, and what the program may have been handling meanwhile.

    Args:
        errors: Errors after which the call went on.
    """
    left, seen = list(errors), set[int]()
    while left:
        error = left.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        # Some keep what caused them as their argument.
        left += [cause for cause in (error.__cause__, *error.args) if isinstance(cause, BaseException)]
        if isinstance(error, BaseExceptionGroup):
            left += error.exceptions
        error.__traceback__ = None
        # Unlike a cause it may be an error of the program's own, which has no business here.
        error.__context__ = None
