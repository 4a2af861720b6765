"""Errors of the stack. What the provider or the network does wrong stays the SDK's own error, unwrapped.

::

    openai.OpenAIError
    └── StackError                    anything llmstack itself raises
        ├── ConfigError               a stack that cannot be built, found before any call
        │   ├── RegistrationError     a plugin whose hooks are wrong (async, misspelt, unknown argument …)
        │   ├── OrderError            before/after that contradict each other
        │   ├── OptionError           an option or argument a plugin does not take
        │   └── PluginNotFoundError   a name that no installed plugin has
        ├── RefusedError              a layer refused the call before it was sent, or its answer; plugins subclass it
        │   ├── BudgetExceededError   it might cost more than a limit allows
        │   ├── BudgetUnavailableError  whether a limit allows it could not be found out
        │   ├── CacheMissError        it may be answered from the cache only, and is not there
        │   ├── CircuitOpenError      so many calls have failed that none is sent for a while
        │   ├── ModerationError       what was asked or answered may not pass
        │   ├── ModerationUnavailableError  whether it may pass could not be found out
        │   ├── UnknownPriceError     nobody knows what it would cost, and there is a limit in dollars
        │   └── ValidationError       a call that the API would refuse, or the program's rules do
        ├── AnswerError               an answer that does not fit what was asked for
        ├── PluginError               a plugin failed or broke the rules; the cause is chained
        ├── StoreError                a store (cache, ledger) that is down, damaged or of another version
        │   └── UnknownReservationError  a ledger that has lost what it should settle
        ├── CommittedError            a layer wanted to send again although content had reached the program
        ├── BodyConsumedError         a second send of a one-shot body (an iterator, an unseekable file)
        ├── ReplayError               a reply that cannot be given as the stream the program asked for
        └── UnsupportedError          something this transport, client or mode cannot do
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import OpenAIError

from llmstack._core.secret import mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from llmstack._core.call_info import CallInfo
    from llmstack._core.issue import Issue
    from llmstack._core.reply import Reply

__all__ = [
    "AnswerError",
    "BodyConsumedError",
    "BudgetExceededError",
    "BudgetUnavailableError",
    "CacheMissError",
    "CircuitOpenError",
    "CommittedError",
    "ConfigError",
    "ModerationError",
    "ModerationUnavailableError",
    "OptionError",
    "OrderError",
    "PluginError",
    "PluginNotFoundError",
    "RefusedError",
    "RegistrationError",
    "ReplayError",
    "StackError",
    "StoreError",
    "UnknownPriceError",
    "UnknownReservationError",
    "UnsupportedError",
    "ValidationError",
]


class StackError(OpenAIError):
    """Anything llmstack itself raises. Programs that catch ``openai.OpenAIError`` catch it too.

    Attributes:
        message: What happened and what to change.
        call: The call it happened to, without content; None if it happened to none.
        plugin: Name of the plugin that raised it; None if it was the stack itself.
        reply: The provider's reply if one had already been paid for; not kept when pickled.
    """

    def __init__(
        self,
        message: str,
        *,
        call: CallInfo | None = None,
        plugin: str | None = None,
        reply: Reply | None = None,
    ) -> None:
        """Make the error; `str(error)` adds the call and the plugin to the message."""
        message = mask(message)
        super().__init__(message)
        self.message = message
        self.call = call
        self.plugin = plugin
        self.reply = reply

    def __str__(self) -> str:
        """The message, then the plugin and the call it is about."""
        about = [f"plugin {self.plugin!r}"] if self.plugin else []
        about += [mask(f"call {self.call}")] if self.call else []
        return f"{self.message} [{', '.join(about)}]" if about else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what may leave the process: everything but the reply."""
        state = {k: v for k, v in self.__dict__.items() if k != "reply"}
        return _rebuild, (type(self), self.message, {**state, "reply": None})


def _rebuild(kind: type[StackError], message: str, state: dict[str, Any]) -> StackError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class ConfigError(StackError):
    """A stack that cannot be built. Raised while building, before any call."""


class RegistrationError(ConfigError):
    """A plugin whose hooks are wrong; the message names plugin, hook and argument."""


class OrderError(ConfigError):
    """Plugins whose `before`/`after` contradict each other; the message names both."""


class OptionError(ConfigError):
    """An option a plugin does not take, or of the wrong kind."""


class PluginNotFoundError(ConfigError):
    """A plugin name that neither the built-ins nor any installed package has."""


class RefusedError(StackError):
    """A layer refused the call before anything was sent. Plugins raise subclasses of it."""


class CacheMissError(RefusedError):
    """The call may be answered from the cache only (``cache="only"``), and its answer is not there."""


class CircuitOpenError(RefusedError):
    """The circuit breaker is open: so many calls to this host and model have failed that none is sent for a while.

    Attributes:
        retry_after: Seconds until one is tried again.
    """

    def __init__(self, message: str, *, retry_after: float = 0.0, **more: Any) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.retry_after = retry_after


class BudgetExceededError(RefusedError):
    """The call might cost more than a limit has left; nothing was sent.

    Attributes:
        limit: The limit, as it is written, such as ``"$5/day per user"``.
        scope: For whom it is used up, such as ``{"user": "ann"}``.
        spent: Dollars, tokens or calls, as the limit counts.
        reserved: The same, for calls under way.
        asked: What this call might take at most.
        resets_at: When the window ends; None if never.
    """

    def __init__(
        self,
        message: str,
        *,
        limit: str = "",
        scope: Mapping[str, str] | None = None,
        spent: Decimal | int = 0,
        reserved: Decimal | int = 0,
        asked: Decimal | int = 0,
        resets_at: datetime | None = None,
        **more: Any,
    ) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.limit = limit
        self.scope = dict(scope or {})
        self.spent = spent
        self.reserved = reserved
        self.asked = asked
        self.resets_at = resets_at


class BudgetUnavailableError(RefusedError):
    """The ledger could not be asked, and so nothing was sent. The cause is chained."""


class UnknownPriceError(RefusedError):
    """No plugin knows the model's price, so a limit in dollars cannot be kept; nothing was sent."""


class ValidationError(RefusedError):
    """The call breaks the API's rules or the program's; nothing was sent.

    Attributes:
        issues: All that is wrong, not just the first.
    """

    def __init__(self, message: str, *, issues: Iterable[Issue] = (), **more: Any) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.issues = tuple(issues)


class AnswerError(StackError):
    """The answer does not fit what was asked for; `reply` has it.

    Attributes:
        issues: All that is wrong with it.
    """

    def __init__(self, message: str, *, issues: Iterable[Issue] = (), **more: Any) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.issues = tuple(issues)


class ModerationError(RefusedError):
    """What was asked, or what was answered, may not pass.

    Attributes:
        subject: ``"input"`` or ``"output"``.
        categories: The categories over their threshold.
        scores: Score by category, 0 to 1, as far as there are any.
        source: Who said so: ``"terms"``, ``"openai"``, ``"azure"`` or the name of a checker.
    """

    def __init__(
        self,
        message: str,
        *,
        subject: str = "input",
        categories: Iterable[str] = (),
        scores: Mapping[str, float] | None = None,
        source: str = "",
        **more: Any,
    ) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.subject = subject
        self.categories = tuple(categories)
        self.scores = dict(scores or {})
        self.source = source


class ModerationUnavailableError(RefusedError):
    """Whether the call may pass could not be found out, and so it may not. The cause is chained."""


class PluginError(StackError):
    """A plugin failed, or broke the rules of the stack. The original error is the ``__cause__``."""


class StoreError(StackError):
    """A store that cannot be used: it is down, hung, full, damaged, or of another version. The cause is chained.

    Attributes:
        store: The store's scheme, such as ``"sqlite"``; never its URL, which may hold a password.
    """

    def __init__(self, message: str, *, store: str = "", **more: Any) -> None:
        """Make the error; `more` as for `StackError`."""
        super().__init__(message, **more)
        self.store = store


class UnknownReservationError(StoreError):
    """A settlement of a reservation that the ledger does not know: it was lost, or never made."""


class CommittedError(StackError):
    """A layer wanted to send again although content of the stream had already reached the program."""


class BodyConsumedError(StackError):
    """The body was a one-shot iterator or an unseekable file, and has been sent once already."""


class ReplayError(StackError):
    """A complete reply cannot be given as the stream that the program asked for."""


class UnsupportedError(StackError):
    """Something that this transport, client or mode cannot do."""
