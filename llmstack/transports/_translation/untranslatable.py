"""What one API can say and the other cannot: collected while a request is translated, and judged once at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

__all__ = ["LOSSY", "Loss", "Losses", "Lossy", "Untranslatable"]

Lossy = Literal["refuse", "warn"]
"""What to do about a parameter without counterpart: refuse the call, or drop the parameter and warn."""

LOSSY: Final[tuple[str, ...]] = get_args(Lossy)


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that the other API cannot say.

    Attributes:
        path: Where it is in the request, such as ``"messages[2].content[0]"``. Names and numbers only, no content.
        why: What is wrong with it, as the rest of a sentence: ``"has no counterpart in the Responses API"``.
        fatal: True if the request makes no sense without it, so that it must not be dropped.
    """

    path: str
    why: str
    fatal: bool = False

    def __str__(self) -> str:
        """As an error message lists it."""
        return f"`{self.path}` {self.why}"


class Untranslatable(Exception):  # noqa: N818 - never leaves the package: the transports raise `UnsupportedError`
    """A request that the other API cannot be asked.

    Attributes:
        losses: All that is in the way, not just the first.
    """

    def __init__(self, losses: Sequence[Loss]) -> None:
        """Make it from one loss at least."""
        super().__init__("; ".join(map(str, losses)))
        self.losses = tuple(losses)

    @property
    def path(self) -> str:
        """Where the first is."""
        return self.losses[0].path

    @property
    def why(self) -> str:
        """What is wrong with the first."""
        return self.losses[0].why

    @property
    def droppable(self) -> bool:
        """True if the request could be sent without them."""
        return not any(loss.fatal for loss in self.losses)


class Losses:
    """Collects what is lost by a translation. The translation goes on without it; `settle` judges at the end."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        """Start with nothing lost."""
        self._found: list[Loss] = []

    def drop(self, path: str, why: str) -> None:
        """Leave something out that the program may be able to do without."""
        self._found.append(Loss(path, why))

    def refuse(self, path: str, why: str) -> None:
        """Leave something out without which the request makes no sense."""
        self._found.append(Loss(path, why, fatal=True))

    def settle(self, lossy: Lossy) -> tuple[Loss, ...]:
        """Decide about what was lost.

        Args:
            lossy: ``"refuse"``: nothing may be lost. ``"warn"``: what may be dropped was dropped.

        Returns:
            What was dropped, for a warning; nothing under ``"refuse"``.

        Raises:
            Untranslatable: If something was lost that may not be; it names all of that.
        """
        grave = [loss for loss in self._found if loss.fatal or lossy == "refuse"]
        if grave:
            raise Untranslatable(grave)
        return tuple(self._found)
