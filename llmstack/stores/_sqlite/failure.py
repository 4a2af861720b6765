"""What SQLite and the file system say, in words that tell what to change."""

from __future__ import annotations

import sqlite3

from llmstack.errors import StoreError

__all__ = ["UnfitError", "busy", "damaged", "failed"]

_DAMAGED = {
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a copy, or move it away to begin anew",
    sqlite3.SQLITE_NOTADB: "is no SQLite database; name another file, or move this one away",
    # All statements are ours and fixed: one that the file refuses does not find the tables of its version.
    sqlite3.SQLITE_ERROR: "does not have the tables of its version; restore it from a copy, or move it away",
}
_FAILED = {
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full, or the file has reached its limit; make room",
    sqlite3.SQLITE_BUSY: "was locked by others for too long; see who holds it, or raise the URL's ?timeout=",
    sqlite3.SQLITE_READONLY: "may not be written; see the rights of the file and of its folder",
    sqlite3.SQLITE_PERM: "may not be opened; see the rights of the file and of its folder",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened for writing; see the rights of the file and of its folder",
    sqlite3.SQLITE_IOERR: "cannot be read or written; see whether its disk is full or failing",
}


class UnfitError(StoreError):
    """A file of ours that this version cannot read."""


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def busy(error: BaseException) -> bool:
    """True if somebody else has the file just now."""
    return _code(error) == sqlite3.SQLITE_BUSY


def damaged(error: BaseException) -> bool:
    """True if the file is of no use as it is, and will not be later."""
    return isinstance(error, UnfitError) or _code(error) in _DAMAGED


def failed(error: Exception, path: str) -> StoreError:
    """The error to raise for another.

    Args:
        error: SQLite's, or the file system's.
        path: The file that it is about.
    """
    if isinstance(error, StoreError):
        return error
    code = _code(error)
    what = _DAMAGED.get(code) or _FAILED.get(code) or "cannot be used"
    return StoreError(f"{path} {what} ({error})", store="sqlite")
