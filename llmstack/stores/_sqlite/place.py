"""Where a store's files are, and who may read them.

Nothing here opens a file that another thread may have opened: closing it again would drop the locks that SQLite holds
on it in this process. (Source: "How To Corrupt An SQLite Database File", section 2.2.)
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from llmstack.errors import StoreError
from llmstack.stores._sqlite.gate import alone

__all__ = ["prepare", "quarantine"]

_logger = logging.getLogger("llmstack.stores")
_POSIX = os.name == "posix"
_warned: set[str] = set()


def prepare(path: Path) -> None:
    """Make the file, for its owner alone, and its folder, if they are not there; refuse a place that is not safe.

    SQLite gives the files beside it (``-wal``, ``-shm``) the same rights.

    Args:
        path: The file, absolute.

    Raises:
        llmstack.errors.StoreError: If the file is a link, no file, or somebody else's to replace.
        OSError: If it cannot be made.
    """
    _make_folder(path.parent)
    with alone():  # nobody finds the file before the one who makes it has closed it
        try:
            found = path.lstat()
        except FileNotFoundError:
            _create(path)
            found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _refused(path, "is a symbolic link, which is not followed; name the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "is no file; name a file")
    if _POSIX:
        _check_rights(path, found)


def _make_folder(folder: Path) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o700, exist_ok=True)


def _create(path: Path) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    try:
        os.close(os.open(path, flags, 0o600))
    except FileExistsError:  # somebody was faster
        return


def _check_rights(path: Path, found: os.stat_result) -> None:
    folder = path.parent.stat()
    if folder.st_mode & stat.S_IWOTH:
        if not folder.st_mode & stat.S_ISVTX:
            raise _refused(path, f"is in a folder that anybody may write to; chmod o-w {path.parent}")
        if found.st_uid != os.geteuid():
            raise _refused(path, "is somebody else's, in a folder that anybody may write to; name another folder")
    if found.st_mode & stat.S_IRWXO and str(path) not in _warned:
        _warned.add(str(path))
        _logger.warning("%s may be read or written by anybody on this machine; chmod 600 it", path)


def _refused(path: Path, why: str) -> StoreError:
    return StoreError(f"{path} {why}", store="sqlite")


def quarantine(path: Path, error: Exception) -> None:
    """Move a damaged file, and those beside it, out of the way; the one that was moved before it is replaced.

    Args:
        path: The file. What is in it must be worth nothing.
        error: What is wrong with it.
    """
    aside = path.with_name(path.name + ".damaged")
    for suffix in ("-wal", "-shm", ""):  # a new file must never find the old one's log
        target = aside.with_name(aside.name + suffix)
        try:
            path.with_name(path.name + suffix).replace(target)
        except FileNotFoundError:
            target.unlink(missing_ok=True)
    _logger.warning("the cache in %s cannot be used (%s); it was moved to %s and begins empty", path, error, aside.name)
