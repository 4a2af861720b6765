"""What Logging and Sentry make of the demo's calls: their log lines, breadcrumbs and error events."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmstack.middleware import Logging, Sentry


@dataclass(frozen=True, slots=True)
class Written:
    """What was written since the last look.

    Attributes:
        lines: Log lines, as JSON.
        crumbs: The messages of Sentry's breadcrumbs.
        errors: How many error events Sentry got; None where sentry-sdk is not installed.
    """

    lines: Sequence[str] = ()
    crumbs: Sequence[str] = ()
    errors: int | None = None


class Observed:
    """Logging that writes into memory, and a Sentry that sends nothing.

    Attributes:
        plugins: The two plugins.
    """

    def __init__(self) -> None:
        self._file = io.StringIO()
        self._logging = Logging(format="json", stream=self._file)
        self._crumbs: list[str] = []
        self._events: list[Any] = []
        self._seen = (0, 0, 0)
        self._sentry = self._initialised()
        self.plugins: list[Any] = [self._logging, Sentry()]

    def _initialised(self) -> bool:
        """Initialise Sentry as a program does, with a transport that keeps what it would send."""
        try:
            import sentry_sdk
            from sentry_sdk.transport import Transport
        except ImportError:
            return False
        events = self._events

        class Keeping(Transport):
            def capture_envelope(self, envelope: Any) -> None:
                events.extend(item for item in envelope.items if item.type == "event")

        sentry_sdk.init(
            dsn="https://public@example.com/1",
            transport=Keeping,
            before_breadcrumb=self._crumb,
            default_integrations=False,
            auto_enabling_integrations=False,
            enable_backpressure_handling=False,
        )
        return True

    def _crumb(self, crumb: dict[str, Any], hint: Mapping[str, Any]) -> dict[str, Any]:
        del hint
        if crumb.get("category") == "llmstack":
            self._crumbs.append(str(crumb.get("message")))
        return crumb

    def look(self) -> Written:
        """What was written since the last look."""
        self._logging.flush()
        text = self._file.getvalue()
        lines, crumbs, errors = self._seen
        self._seen = (len(text), len(self._crumbs), len(self._events))
        told = len(self._events) - errors if self._sentry else None
        return Written(text[lines:].splitlines(), tuple(self._crumbs[crumbs:]), told)
