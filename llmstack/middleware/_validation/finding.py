"""Findings: what is wrong with one call, gathered until all of it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeGuard

from llmstack import Issue

Severity: TypeAlias = Literal["block", "warn"]


class Findings:
    """Gathers issues; one for each path, the first that was found there.

    Three grades of certainty keep a rule from refusing what an API accepts. What no API can serve has the severity
    asked for, wherever the call goes. What OpenAI refuses, although other servers may accept it, has it only where
    OpenAI's rules hold; elsewhere it is a warning. What is probably a mistake is never more than a warning.

    Attributes:
        issues: What was found so far.
    """

    __slots__ = ("_paths", "_rule", "_severity", "_strict", "issues")

    def __init__(self, rule: str, severity: Severity, *, strict: bool) -> None:
        """Gather for a rule.

        Args:
            rule: Its name, as issues carry it.
            severity: What its issues weigh.
            strict: True where the call goes to OpenAI, so that all of OpenAI's rules hold.
        """
        self._rule = rule
        self._severity: Severity = severity
        self._strict = strict
        self._paths: set[str] = set()
        self.issues: list[Issue] = []

    def add(self, path: str, message: str, *, everywhere: bool = False, sure: bool = True) -> None:
        """Note an issue.

        Args:
            path: Where, such as ``"messages[3].tool_call_id"``.
            message: What is wrong; nothing of the customer's.
            everywhere: True if no API could accept it.
            sure: False if an API may accept it.
        """
        if path in self._paths:
            return
        self._paths.add(path)
        severity: Severity = self._severity if everywhere or (sure and self._strict) else "warn"
        self.issues.append(Issue(path=path, message=message, rule=self._rule, severity=severity))


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """True for what becomes a JSON object."""
    cls = type(value)
    return cls is dict or (cls not in _KINDS and isinstance(value, Mapping))  # the second takes its time


def is_array(value: Any) -> TypeGuard[Sequence[Any]]:
    """True for what becomes a JSON array; an iterator is none: looking into it would use it up."""
    return isinstance(value, (list, tuple))


def is_number(value: Any) -> TypeGuard[float]:
    """True for a JSON number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def member(path: str, key: object) -> str:
    """The path of an object's member.

    Keys are the program's, not the customer's; one that does not look like a name is not shown all the same.
    """
    name = key if isinstance(key, str) and len(key) <= _LONGEST_KEY and key.replace("-", "_").isidentifier() else "*"
    return f"{path}.{name}" if path else name


_LONGEST_KEY = 64


def kind(value: Any) -> str:
    """What a value is in JSON, for messages and for comparing; empty for what is no plain JSON.

    ``100.0`` is an integer, as JSON has no other kind of number.
    """
    if type(value) is float and value.is_integer():
        return "integer"
    found = _KINDS.get(type(value))
    if found is None:
        found = next((name for cls, name in _SUBCLASSES if isinstance(value, cls)), "")
    return found


_KINDS: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    tuple: "array",
    type(None): "null",
}
_SUBCLASSES: tuple[tuple[type, str], ...] = (
    (str, "string"),
    (int, "integer"),
    (float, "number"),
    (Mapping, "object"),
    (list, "array"),
)


def a(name: str) -> str:
    """A kind with its article."""
    if name in ("null", ""):
        return name or "what is no JSON"
    return f"an {name}" if name[0] in "aeio" else f"a {name}"
