"""A cassette as text: YAML whose block scalars hold bodies as they are read, line by line."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, cast, get_args

from llmstack.testing._cassette.entry import Answered, Asked, Ending, Entry

__all__ = ["read", "written"]

_VERSION = 1
_HEAD = "# Calls recorded by llmstack.testing. To record them anew, delete this file.\n"


_CONTROL = re.compile(r"[^\t\n\r -\U0010ffff]|[\x7f-\x9f]")
"""Characters that no text has, and much of what is none. YAML would read one of them (U+0085) as a line break."""


class _Block(str):
    """A text that is to stand as a block scalar."""

    __slots__ = ()


@cache
def _yaml() -> tuple[Any, Any]:
    """The module and our dumper.

    Raises:
        ImportError: If PyYAML is not installed.
    """
    try:
        yaml: Any = import_module("yaml")
    except ModuleNotFoundError as error:
        message = 'cassettes need PyYAML: pip install "llmstack-openai[testing]"'
        raise ImportError(message) from error

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Writes our blocks; no anchors, which no reader expects."""

        def ignore_aliases(self, _data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:  # noqa: FBT001, FBT002, ARG002
            return super().increase_indent(flow, False)  # noqa: FBT003

    def block(dumper: Any, text: _Block) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")

    Dumper.add_representer(_Block, block)
    return yaml, Dumper


def written(entries: Iterable[Entry]) -> str:
    """The text of a cassette: one item for each request, always in the same order."""
    yaml, dumper = _yaml()
    calls = [{"request": _asked(entry.asked), "reply": _answered(entry.answered)} for entry in entries]
    data = {"version": _VERSION, "calls": calls}
    text = yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100_000)
    return f"{_HEAD}{text}"


def read(text: str) -> list[Entry]:
    """The entries of a cassette.

    Raises:
        ValueError: If it is none; it says where and why, without content.
    """
    yaml, _ = _yaml()
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}"
        raise ValueError(f"it is no YAML{where}: {getattr(error, 'problem', None) or 'unreadable'}") from None
    if not isinstance(data, dict) or not isinstance(data.get("calls"), list):
        raise ValueError("it has no list of calls")  # noqa: TRY004 - it is the file that is wrong
    if data.get("version") != _VERSION:
        raise ValueError(f"it is of version {data.get('version')!r}, and this llmstack reads version {_VERSION}")
    entries: list[Entry] = []
    for number, call in enumerate(data["calls"], 1):
        try:
            entries.append(Entry(_read_asked(call["request"]), _read_answered(call["reply"])))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"call number {number} cannot be read ({type(error).__name__})") from None
    return entries


# What was asked -----------------------------------------------------------------------------------------------------


def _asked(asked: Asked) -> dict[str, Any]:
    shown: dict[str, Any] = {"endpoint": asked.endpoint, "method": asked.method, "path": asked.path}
    if asked.query:
        shown["query"] = dict(sorted(asked.query.items()))
    if asked.files:
        shown["files"] = list(asked.files)
    if asked.body is not None:
        shown["body"] = _pretty(asked.body, in_order=True)
    return shown


def _read_asked(shown: Mapping[str, Any]) -> Asked:
    body = json.loads(shown["body"]) if "body" in shown else None
    query, files = shown.get("query", {}), tuple(shown.get("files", ()))
    return Asked(shown["endpoint"], shown["method"], shown["path"], query, body, files)


# What came back -----------------------------------------------------------------------------------------------------


def _answered(answered: Answered) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if answered.status is not None:
        shown["status"] = answered.status
    if answered.headers:
        shown["headers"] = dict(answered.headers)
    if answered.ending != "whole":
        shown["ending"] = answered.ending
    if answered.status is not None:
        kind, content = _content(answered)
        shown[kind] = content
    return shown


def _content(answered: Answered) -> tuple[str, str]:
    content = answered.content
    text = _as_text(content)
    if text is None:
        kind = "events_base64" if answered.stream else "base64"
        return kind, _Block("\n".join(textwrap.wrap(base64.b64encode(content).decode(), 100)) + "\n")
    if answered.stream:
        return "events", _Block(text)
    try:
        body = json.loads(text)
    except ValueError:
        return "text", _Block(text)
    # What is no object is no answer, but an error as it came.
    return ("body", _pretty(body)) if isinstance(body, dict) else ("text", _Block(text))


def _as_text(content: bytes) -> str | None:
    """Bytes as a text that people can read; None if they are none."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


def _read_answered(shown: Mapping[str, Any]) -> Answered:
    stream = "events" in shown or "events_base64" in shown
    ending = shown.get("ending", "whole")
    if ending not in get_args(Ending):
        raise ValueError(ending)
    content = b""
    if "body" in shown:
        content = json.dumps(json.loads(shown["body"]), separators=(",", ":")).encode()
    for kind in ("text", "events"):
        if kind in shown:
            content = str(shown[kind]).encode()
    for kind in ("base64", "events_base64"):
        if kind in shown:
            content = base64.b64decode(shown[kind])
    status = shown.get("status")
    return Answered(status, shown.get("headers", {}), content, stream, cast("Ending", ending))


def _pretty(value: Any, *, in_order: bool = False) -> _Block:
    """JSON over several lines. Escaped where a letter could not stand in a block."""
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=in_order)
    if not all(letter == "\n" or letter.isprintable() for letter in text):
        text = json.dumps(value, indent=2, sort_keys=in_order)
    return _Block(text + "\n")
