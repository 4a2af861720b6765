"""Options: what a program says to the plugins about the calls it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Any, Self

_NO_TAGS: Mapping[str, str] = MappingProxyType({})


class Options(Mapping[str, Any]):
    """The per-call options in force, as a read-only mapping with names for the common ones.

    Any plugin may define options of its own: it reads them with ``call.options.get("name")``.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Take options from a mapping and from keywords; keywords win."""
        self._values: dict[str, Any] = {**(values or {}), **more}

    def __getitem__(self, name: str) -> Any:
        """The option's value; KeyError if it was not given."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the options given."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many options were given."""
        return len(self._values)

    def __repr__(self) -> str:
        """Names only: values may be anything, also content."""
        return f"Options({', '.join(sorted(self._values))})"

    @property
    def tenant(self) -> str | None:
        """On whose behalf the call is made."""
        tenant = self._values.get("tenant")
        return None if tenant is None else str(tenant)

    @property
    def tags(self) -> Mapping[str, str]:
        """Labels for books and logs, such as ``{"team": "search"}``."""
        tags: Mapping[str, str] = self._values.get("tags") or _NO_TAGS
        return tags

    @property
    def deadline(self) -> float | None:
        """Seconds that the whole call, all attempts together, may take."""
        deadline = self._values.get("deadline")
        return None if deadline is None else float(deadline)

    @property
    def idle_timeout(self) -> float | None:
        """Seconds that an open stream may be silent."""
        seconds = self._values.get("idle_timeout")
        return None if seconds is None else float(seconds)

    @property
    def strict(self) -> bool:
        """True if a stream that ends without saying that it is finished shall be an error."""
        return bool(self._values.get("strict"))

    def merged(self, other: Mapping[str, Any]) -> Options:
        """These options with `other` on top; tags are merged label by label."""
        if not other:
            return self
        values = {**self._values, **other}
        if self._values.get("tags") and other.get("tags"):
            values["tags"] = {**self._values["tags"], **other["tags"]}
        return Options(values)


EMPTY_OPTIONS = Options()
_current: ContextVar[Options] = ContextVar("llmstack_options", default=EMPTY_OPTIONS)


def current_options() -> Options:
    """The options in force where this is called."""
    return _current.get()


class options:  # noqa: N801 - reads as a verb at the place of use: `with llmstack.options(...)`
    """Set options for every call made inside a ``with`` block, through whatever framework makes it.

        with llmstack.options(tenant="acme", tags={"team": "search"}, deadline=20):
            agent.run("...")

    Blocks nest: the inner one wins, tags are merged. The options are bound to the context (thread or task), so
    concurrent work does not mix; work handed to a thread pool without its context does not see them.

    Args:
        tenant: On whose behalf the calls are made.
        tags: Labels for books and logs.
        deadline: Seconds that a whole call, all attempts and the reading of a stream together, may take; more than 0.
        idle_timeout: Seconds that an open stream may be silent; greater than 0.
        strict: True if a stream that ends without saying that it is finished shall raise ``APIConnectionError``.
        more: Options of plugins, such as ``cache="refresh"``.

    Raises:
        TypeError: If tags is not a mapping of strings to strings.
        ValueError: If the deadline or the idle time-out is not a positive number.
    """

    __slots__ = ("_given", "_tokens")

    def __init__(
        self,
        *,
        tenant: str | None = None,
        tags: Mapping[str, str] | None = None,
        deadline: float | None = None,
        idle_timeout: float | None = None,
        strict: bool | None = None,
        **more: Any,
    ) -> None:
        given = {
            "tenant": tenant,
            "tags": tags,
            "deadline": deadline,
            "idle_timeout": idle_timeout,
            "strict": strict,
        }
        self._given = checked_options({**{k: v for k, v in given.items() if v is not None}, **more})
        self._tokens: list[Token[Options]] = []

    def __enter__(self) -> Self:
        """Put the options in force."""
        self._tokens.append(_current.set(_current.get().merged(self._given)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore what was in force before."""
        _current.reset(self._tokens.pop())


HEADER_PREFIX = "x-llmstack-"
"""Headers with this prefix carry options and are taken off before the wire."""


def options_from_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Read options from ``x-llmstack-<option>`` headers.

    ``x-llmstack-tags: team=search, env=prod`` gives tags, ``x-llmstack-deadline: 20`` seconds, any other the text.

    Args:
        headers: Request headers, names in any case; values that are not text are passed over.

    Returns:
        The options, empty if there are none.

    Raises:
        ValueError: If a tag has no ``=`` or an option of seconds is no positive number.
    """
    found: dict[str, Any] = {}
    for name, value in headers.items():
        lowered = name.lower()
        if not lowered.startswith(HEADER_PREFIX) or not isinstance(value, str):
            continue
        option = lowered[len(HEADER_PREFIX) :].replace("-", "_")
        found[option] = _tags(value) if option == "tags" else value
    return checked_options(found) if found else found


def _tags(text: str) -> dict[str, str]:
    tags: dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        label, equals, value = part.partition("=")
        if not equals or not label.strip():
            message = f"x-llmstack-tags: {part.strip()!r} is not label=value (such as 'team=search, env=prod')"
            raise ValueError(message)
        tags[label.strip()] = value.strip()
    return tags


def checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options, with the common ones checked and brought to their types."""
    checked = dict(given)
    if "tags" in checked:
        tags = checked["tags"]
        if not isinstance(tags, Mapping) or not all(isinstance(x, str) for pair in tags.items() for x in pair):
            message = f"tags must be a mapping of text to text, such as {{'team': 'search'}}, not {type(tags).__name__}"
            raise TypeError(message)
        checked["tags"] = dict(tags)
    for name in _SECONDS & checked.keys():
        checked[name] = _positive(name, checked[name])
    if "strict" in checked:
        checked["strict"] = _flag("strict", checked["strict"])
    return checked


_SECONDS = frozenset({"deadline", "idle_timeout"})
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _positive(name: str, value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        message = f"{name} must be a number of seconds greater than 0, not {value!r}"
        raise ValueError(message)
    return seconds


def _flag(name: str, value: Any) -> bool:
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(flag, bool):
        message = f"{name} must be true or false, not {value!r}"
        raise ValueError(message)  # noqa: TRY004 - headers carry text: it is the value that is wrong
    return flag
