"""Documents: a config file, read only from a path that the program or its user named."""

from __future__ import annotations

import os
import stat
import sys
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from llmstack._plugins.line import lines_of
from llmstack.errors import ConfigError

__all__ = ["Document", "read_document"]


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """What a file says.

    Attributes:
        file: The file, as it was named.
        text: All of it.
        values: What of it is ours.
        root: The keys under which that is: none in ``llmstack.toml``, ``tool.llmstack`` in ``pyproject.toml``.
    """

    file: Path
    text: str
    values: Mapping[str, Any]
    root: tuple[str, ...] = ()
    _lines: dict[tuple[str, ...], int] = field(default_factory=dict[tuple[str, ...], int])

    def where(self, path: tuple[str, ...], tables: tuple[tuple[str, ...], ...] = ((),)) -> str:
        """File and line of a key of ours; if it is not there, those of the table it would stand in.

        Args:
            path: The key, with those of the tables around it.
            tables: Where to look for it: each a table that may say it, the last word first.
        """
        if not self._lines:  # it takes a while, and is needed for errors only
            self._lines.update(lines_of(self.text))
        for length in range(len(path), 0, -1):
            for table in tables:
                line = self._lines.get((*self.root, *table, *path[:length]))
                if line is not None:
                    return f"{self.file}:{line}"
        return str(self.file)


def read_document(path: str | PathLike[str]) -> Document:
    """Read a config file; symbolic links are followed.

    Args:
        path: A TOML file; of one called ``pyproject.toml`` the table ``[tool.llmstack]``.

    Raises:
        ConfigError: If it cannot be read, is no TOML, or a ``pyproject.toml`` has no such table.
    """
    file = Path(path)
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read().decode("utf-8-sig")  # editors of Windows begin a file with a byte order mark
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read the config file {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is no text in UTF-8, as TOML must be") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is no valid TOML: {error}") from error
    _warn_of_strangers(file, mode)
    if file.name != "pyproject.toml":
        return Document(file, text, values)
    tool = values.get("tool")
    ours = tool.get("llmstack") if isinstance(tool, dict) else None
    if not isinstance(ours, dict):
        raise ConfigError(f"{file} has no table [tool.llmstack]")
    return Document(file, text, ours, ("tool", "llmstack"))


def _warn_of_strangers(file: Path, mode: int) -> None:
    """Whoever may write the file may send the program's calls, and its keys with them, where they like.

    A warning and no error: where a disk of another system is mounted, all its files look like this.
    """
    if sys.platform != "win32" and mode & stat.S_IWOTH:
        message = (
            f"the config file {file} may be written by every user of this machine, who could send your keys elsewhere; "
            f"take that away: chmod o-w {file}"
        )
        warnings.warn(message, UserWarning, stacklevel=2)
