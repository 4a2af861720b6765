"""Mistakes: all that is wrong with a config is told at once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from llmstack.errors import ConfigError

__all__ = ["Mistakes", "SeveralMistakesError"]


class SeveralMistakesError(ConfigError):
    """More than one thing is wrong with a config.

    Attributes:
        mistakes: Each of them.
    """

    mistakes: tuple[ConfigError, ...] = ()


class Mistakes:
    """What was found to be wrong so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.found: list[ConfigError] = []

    @contextmanager
    def noted(self) -> Generator[None, None, None]:
        """Go on after an error of the config, and keep it."""
        try:
            yield
        except SeveralMistakesError as error:
            self.found.extend(error.mistakes)
        except ConfigError as error:
            self.found.append(error)

    def settle(self, file: Path) -> None:
        """Raise what was found, if anything was.

        Raises:
            ConfigError: The mistake, or one that lists all of them.
        """
        if len(self.found) > 1:
            listed = "".join(f"\n  {error.message}" for error in self.found)
            several = SeveralMistakesError(f"{file} has {len(self.found)} mistakes:{listed}")
            several.mistakes = tuple(self.found)
            raise several
        if self.found:
            raise self.found[0]
