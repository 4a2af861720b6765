"""Checking a config: all that is wrong with it, without raising."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

from llmstack._plugins.choice import Skipped
from llmstack._plugins.config import read_config
from llmstack._plugins.mistake import SeveralMistakesError
from llmstack.errors import ConfigError

if TYPE_CHECKING:
    from llmstack.stack import Stack

__all__ = ["Checked", "check"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a config found.

    Attributes:
        errors: What is wrong; a stack cannot be built with it.
        warnings: What should be looked at, such as a plugin that is broken and left out.
        skipped: Plugins that are left out: broken ones, and those that an allow or a block list keeps out.
        stack: The stack, not yet used; None if there are errors. Whoever asked for the check closes it.
    """

    errors: tuple[ConfigError, ...]
    warnings: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    stack: Stack | None

    @property
    def good(self) -> bool:
        """Whether a stack can be built, and nothing needs to be looked at."""
        return not self.errors and not self.warnings


def check(path: str | PathLike[str], *, profile: str | None = None) -> Checked:
    """Read a config file and build its stack, and tell all that is wrong. Nothing is sent, no store is asked.

    Args:
        path: The file.
        profile: The profile of it; that of ``LLMSTACK_PROFILE`` if not given.
    """
    from llmstack.stack import Stack

    errors: tuple[ConfigError, ...] = ()
    stack: Stack | None = None
    skipped: tuple[Skipped, ...] = ()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            config = read_config(path, profile)
            skipped = config.skipped
            stack = config.build(Stack)
        except SeveralMistakesError as error:
            errors = error.mistakes
        except ConfigError as error:
            errors = (error,)
    told = tuple(str(warning.message) for warning in caught if issubclass(warning.category, UserWarning))
    return Checked(errors, told, skipped, stack)
