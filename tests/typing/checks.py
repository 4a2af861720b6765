"""What type checkers must see of Validation, Moderation, and what these are made of, which others may use as well.

Never run, as `api` is not. A line that must be an error carries a comment for mypy and one for pyright; both report
comments that are not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, assert_type

from llmstack import Call, Flow, Issue, Next, Reply, Stack
from llmstack.errors import AnswerError, ModerationError, ValidationError
from llmstack.events import ContentModerated, IssuesFound
from llmstack.middleware import Moderation, Validation
from llmstack.middleware.moderation import Checker, ModerationStatistics, ModerationUnavailable, Verdict
from llmstack.redaction import KINDS, Span, covered, find, redact
from llmstack.tokens import TokenCount, Vocabulary, count_tokens, estimate_tokens, texts_of

HI = [{"role": "user", "content": "Hi"}]

# Validation ----------------------------------------------------------------------------------------------------------


def one_rule(call: Call) -> Issue | None:
    """A rule that finds one thing, or nothing."""
    return Issue(path="model", message="is not ours", severity="warn") if call.model is None else None


def many_rules(call: Call) -> list[Issue]:
    """A rule that finds several."""
    return [Issue(path="", message=f"{name} is not taken", rule="house") for name in call.params if name == "seed"]


def no_rule(call: Call) -> bool:
    """What a rule may not answer."""
    return call.stream


def validation(event: IssuesFound, refused: ValidationError, wrong: AnswerError) -> None:
    """Its options, what it tells and what it raises."""
    assert_type(Validation(), Validation)
    Validation(
        shape="warn", api="compatible", policy="off", models=["gpt-5*"], denied_models=("x",), endpoints=["chat.*"]
    )
    Validation(max_prompt_characters=1, max_prompt_bytes=2, max_prompt_tokens=3, max_output_tokens=4)
    Validation(context_window="block", context_windows={"m": 8192}, lifecycle="off", shutdowns={"m": {}})
    Validation(secrets="redact", personal={"email": "redact", "card": "block"}, answers="warn", repair=2)
    Validation(personal="warn", rules=[one_rule, many_rules], tenants={"acme": {"models": ["gpt-5-mini"]}})
    Validation("block")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Validation(shape="redact")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Validation(personal={"email": "hide"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Validation(rules=[no_rule])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Validation(max_prompt_tokens="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Validation(max_tokens=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Stack([Validation(), Moderation()])
    assert_type(event.issues, tuple[Issue, ...])
    assert_type(refused.issues, tuple[Issue, ...])
    assert_type(wrong.issues, tuple[Issue, ...])
    assert_type(refused.issues[0].severity, Literal["block", "warn"])


# Moderation ----------------------------------------------------------------------------------------------------------


class House:
    """A checker of the program's own."""

    def check(self, text: str, /) -> Verdict | None:
        """Nothing to say against it, or a verdict."""
        return Verdict(flagged=True, categories=("house",), scores={"house": 1.0}) if text else None


class AsyncHouse:
    """One that is async."""

    async def check(self, text: str, /) -> Verdict | None:
        """The same, awaited."""
        return None if text else Verdict()


class Numbering:
    """What answers no verdict is no checker."""

    def check(self, text: str, /) -> float:
        """A score alone."""
        return float(len(text))


def moderation(told: ContentModerated, unknown: ModerationUnavailable, refused: ModerationError) -> None:
    """Its options, what it tells and what it raises."""
    plugin = Moderation(input=True, output=True, thresholds={"violence": 0.8}, blocked_terms=["x"], model="m")
    assert_type(plugin, Moderation)
    Moderation(mode="parallel", on_error="open", action="flag", window=None, scope="all", endpoint=False, timeout=3)
    Moderation(checkers=[House(), AsyncHouse()], azure="medium", unreadable="refuse", cache_size=0, cache_ttl=60)
    house: Checker = House()
    assert_type(plugin.statistics(), ModerationStatistics)
    assert_type(plugin.statistics().flagged, int)
    assert_type(plugin.statistics().categories, Mapping[str, int])
    Moderation(True)  # type: ignore[call-arg]  # noqa: FBT003  # pyright: ignore[reportCallIssue]
    Moderation(mode="after")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Moderation(azure="severe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Moderation(thresholds={"violence": "high"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Moderation(checkers=[Numbering()])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Moderation(threshold=0.8)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    verdict = house.check("x")
    if isinstance(verdict, Verdict):
        assert_type(verdict.categories, tuple[str, ...])
        assert_type(verdict.scores, Mapping[str, float])
        verdict.flagged = False  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert_type(unknown.error, Exception)
    assert_type(unknown.subject, Literal["input", "output"])
    assert_type(refused.categories, tuple[str, ...])
    assert_type(refused.scores, dict[str, float])
    assert_type(told.subject, Literal["input", "output"])
    assert_type(told.categories, tuple[str, ...])
    assert_type(told.scores, Mapping[str, float])


# Texts ---------------------------------------------------------------------------------------------------------------


def redaction(text: str) -> None:
    """Found, covered, redacted."""
    spans = find(text, ["email", "card"])
    assert_type(spans, list[Span])
    assert_type(find(text, KINDS), list[Span])
    assert_type((spans[0].start, spans[0].end, spans[0].kind), tuple[int, int, str])
    assert_type(covered(text, spans), str)
    assert_type(redact(text), str)
    spans[0].kind = "phone"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    find(text, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    covered(text, [(0, 1)])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    redact(text.encode())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def tokens(vocabulary: Vocabulary) -> None:
    """Counted and estimated."""
    count = count_tokens(HI, model="gpt-4o")
    assert_type(count, TokenCount)
    assert_type(count.tokens, int)
    assert_type(count.estimated, bool)
    assert_type(int(count), int)
    assert_type(estimate_tokens("x"), int)
    assert_type(texts_of(HI), Iterator[str])
    assert_type(vocabulary.counter(), Callable[[str], int] | None)
    count.tokens = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    count_tokens("x", model=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    estimate_tokens(HI)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# A layer's own requests ----------------------------------------------------------------------------------------------


def asks_first(call: Call, next: Next) -> Flow[Reply]:
    """A layer that has a request of its own made beside the call."""
    question = call.aside("moderations", "/moderations", {"input": "x"}, deadline=call.remaining)
    assert_type(question, Call)
    assert_type((yield from next(question)), Reply)
    call.aside("moderations", {"input": "x"})  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    call.aside("moderations", "/moderations", {}, timeout=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    call.aside("moderations", "/moderations", {}, deadline="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return (yield from next(call))
