"""AnswerCheck: an answer that does not fit the JSON asked for is told, refused, or asked for again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

from llmstack import Call, Flow, Issue, Next, Reply
from llmstack.errors import AnswerError
from llmstack.middleware._validation.answer_text import Answer, answers, asked_again, asked_format
from llmstack.middleware._validation.schema_answer import AnswerSchema

__all__ = ["AnswerCheck"]

Mode = Literal["off", "warn", "block"]

_RULE: Final = "answers"
_ASK: Final = (
    "That answer does not fit the JSON that was asked for:\n{problems}\n"
    "Answer again with the complete JSON, corrected, and nothing else."
)


class AnswerCheck:
    """Checks the answers to calls that ask for JSON, with a schema or without.

    Args:
        mode: What becomes of an answer that does not fit: ``"block"`` raises `AnswerError` with the reply, ``"warn"``
            only tells, ``"off"`` does neither.
        repair: How often to ask again, with the answer and its problems in the conversation, before that.

    Raises:
        ValueError: If the mode is none, or `repair` is no number of times.
        ImportError: If the jsonschema package is not installed, and `mode` or `repair` is set.
    """

    __slots__ = ("_mode", "_repair")

    def __init__(self, mode: Mode = "off", repair: int = 0) -> None:
        if mode not in get_args(Mode):
            raise ValueError(f"answers takes {', '.join(map(repr, get_args(Mode)))}, not {mode!r}")
        if type(repair) is not int or repair < 0:
            raise ValueError(f"repair takes a number of times, 0 or more, not {repair!r}")
        self._mode: Mode = mode
        self._repair = repair
        if self.active:
            AnswerSchema(schema={})  # says now what is not installed

    @property
    def active(self) -> bool:
        """Whether any answer is looked at."""
        return self._mode != "off" or self._repair > 0

    def passed(self, call: Call, next: Next, emit_issues: Callable[[list[Issue]], Flow[None]]) -> Flow[Reply]:
        """Pass the call on, as often as it takes and is allowed.

        Unless problems are only told, a stream is held back until its answer is known to fit.

        Args:
            call: The call.
            next: What is further in. It is given the conversation as the program knows it, with the answers in it as
                it returned them.
            emit_issues: Tells warnings.

        Returns:
            The first reply that fits; the last one if none does and the mode is not ``"block"``.

        Raises:
            AnswerError: If none fits and the mode is ``"block"``.
        """
        asked = asked_format(call) if self.active else None
        if asked is None:
            return (yield from next(call))
        schema = AnswerSchema(_schema(asked))
        if self._mode == "block" or self._repair:
            # A stream that breaks off, and does not say so, must not pass for an answer.
            lazy = call.stream or call.raw == "stream"
            call = call.replace(hold=True, strict=True) if lazy else call
        sent, left = call, self._repair
        while True:
            reply = yield from next(sent)
            found = _mismatches(reply, schema)
            if not found:
                break
            again = [(answer, problems) for answer, problems in found if not answer.cut]
            if left <= 0 or len(again) < len(found) or call.committed or _late(call):
                break
            left -= 1
            sent = asked_again(sent, again[0][0].text, _listed(again[0][1]))
        warnings = [_unusable(asked, schema)] if schema.unusable and reply.complete else []
        issues = [self._issue(answer, path, said) for answer, problems in found for path, said in problems]
        if issues and self._mode == "block":
            listed = "; ".join(map(str, issues))
            raise AnswerError(f"the answer does not fit: {listed}", issues=issues, call=call.info, reply=reply)
        warnings += issues if self._mode == "warn" else []
        if warnings:
            yield from emit_issues(warnings)
        return reply

    def _issue(self, answer: Answer, path: str, said: str) -> Issue:
        where = f"{answer.path}: ${path}" if path else answer.path
        return Issue(path=where, message=said, rule=_RULE, severity="block" if self._mode == "block" else "warn")


def _mismatches(reply: Reply, schema: AnswerSchema) -> list[tuple[Answer, list[tuple[str, str]]]]:
    """The answers that do not fit, each with what is wrong."""
    if not reply.complete:  # the program has stopped reading
        return []
    found = [
        (answer, [("", answer.cut)] if answer.cut else schema.problems(answer.text)) for answer in answers(reply.body)
    ]
    return [(answer, problems) for answer, problems in found if problems]


def _schema(asked: Mapping[str, Any]) -> Any:
    """The schema of a format; None where any JSON object will do."""
    if asked.get("type") != "json_schema":
        return None
    inner = asked.get("json_schema")  # chat completions wrap it once more
    schema = inner.get("schema") if isinstance(inner, Mapping) else asked.get("schema")
    return {} if schema is None else schema


def _unusable(asked: Mapping[str, Any], schema: AnswerSchema) -> Issue:
    path = "response_format.json_schema.schema" if "json_schema" in asked else "text.format.schema"
    message = f"the answer was only checked for being JSON: {schema.unusable}"
    return Issue(path=path, message=message, rule=_RULE, severity="warn")


def _late(call: Call) -> bool:
    return call.remaining is not None and call.remaining <= 0


def _listed(problems: list[tuple[str, str]]) -> str:
    return _ASK.format(problems="\n".join(f"- ${path} {said}" for path, said in problems))
