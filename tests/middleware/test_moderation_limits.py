"""Moderation's work and time have bounds, whatever is said and whoever judges."""

from __future__ import annotations

import unicodedata
from typing import Any

import anyio
import pytest

from llmstack import OpenAI, Stack
from llmstack.errors import ModerationError, ModerationUnavailableError
from llmstack.middleware._moderation import spelling
from llmstack.middleware._moderation.spelling import words_of
from llmstack.middleware.moderation import Moderation, Verdict
from llmstack.testing import ScriptedTransport
from tests.core.side import Side, spoken, texts
from tests.middleware.moderation_rig import Objects, ask, rig_of, sent, service


def read(moderation: Moderation, *words: str) -> str:
    """What a program reads of a stream that says these words."""
    stack = Stack([moderation], transport=ScriptedTransport(default=service(spoken(*words))))
    messages: Any = [{"role": "user", "content": "x"}]
    with OpenAI(api_key="sk-test-not-a-key", stack=stack) as client:
        return texts(client.chat.completions.create(model="m", messages=messages, stream=True))


# Work ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["", "evil ", "e\u200b"], ids=ascii)
@pytest.mark.parametrize(
    "piece", ["word ", "word", "....", "\u200b\u200b\u200b\u200b", "o\u0301\u0301\u0301"], ids=ascii
)
def test_a_window_looks_at_each_character_a_few_times(start: str, piece: str) -> None:
    """Also at one long word, and at what may become a term for ever: the square of this is 500 times as much."""
    checker = Objects()
    moderation = Moderation(
        input=False, output=True, window=10, endpoint=False, checkers=[checker], blocked_terms=["evil plan"]
    )
    words = [start, *[piece] * 2500] if start else [piece] * 2500
    assert read(moderation, *words) == "".join(words)
    # Each window with the 200 characters before it, or with the 1,000 of a long word.
    assert sum(map(len, checker.seen)) < 160 * sum(map(len, words))
    assert max(map(len, checker.seen[:-1])) < 1300 or start


@pytest.mark.parametrize("length", [0, 1, 250, 1500, 2500])
@pytest.mark.parametrize("invisible", ["", "\u200b"], ids=ascii)
def test_the_rest_of_a_word_is_no_word(length: int, invisible: str) -> None:
    """However long it is: what is looked at begins at each of its letters once, as the stream goes on."""
    text = "cl" + "o" * length + invisible + "ass" + " and so on" * 40
    moderation = Moderation(input=False, output=True, window=1, endpoint=False, blocked_terms=["ass", "lass", "oo ass"])
    assert read(moderation, *text) == text


def test_a_term_is_found_after_a_long_word() -> None:
    """Looking back no further than so far hides nothing."""
    moderation = Moderation(input=False, output=True, window=10, endpoint=False, blocked_terms=["evil plan"])
    with pytest.raises(ModerationError):
        read(moderation, *["word"] * 1000, " evil", " ", *["\u200b" * 50] * 40, "plan")


def test_no_run_of_marks_is_sorted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python sorts them in time that grows with the square of their number."""
    lengths: list[int] = []

    class Watched:
        category, combining = staticmethod(unicodedata.category), staticmethod(unicodedata.combining)

        @staticmethod
        def normalize(form: Any, text: str) -> str:
            lengths.append(len(text))
            return unicodedata.normalize(form, text)

    monkeypatch.setattr(spelling, "unicodedata", Watched)
    assert words_of("e" + "\u0301\u0316" * 20_000 + "vil \u043a\u0440\u0430\u0439" + "\u093c" * 20_000)
    assert sum(lengths) > 40_000
    assert max(lengths) <= 512


# Time ---------------------------------------------------------------------------------------------------------------


def test_a_checker_has_so_many_seconds_for_all_texts(side: Side) -> None:
    """Not for each."""

    class Slow(Objects):
        def check(self, text: str) -> Any:
            rig.clock.advance(6)
            return super().check(text)

    slow = Slow()
    rig = rig_of(side, Moderation(endpoint=False, checkers=[slow], timeout=10))

    async def program() -> Any:
        messages = [{"role": "user", "content": f"text {at}"} for at in range(5)]
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(rig.client.chat.completions.create(model="m", messages=messages))
        return caught.value

    assert isinstance(side.run(program).__cause__, TimeoutError)
    assert len(slow.seen) == 2


def test_an_async_checker_is_given_up_in_a_sync_program() -> None:
    """As in an async one; also inside an event loop."""

    class Stuck:
        async def check(self, text: str) -> Verdict | None:
            await anyio.sleep(3600)
            return None

    def program() -> None:
        stack = Stack([Moderation(endpoint=False, checkers=[Stuck()], timeout=0.02)], transport=ScriptedTransport())
        messages: Any = [{"role": "user", "content": "x"}]
        with (
            OpenAI(api_key="sk-test-not-a-key", stack=stack) as client,
            pytest.raises(ModerationUnavailableError) as caught,
        ):
            client.chat.completions.create(model="m", messages=messages)
        assert isinstance(caught.value.__cause__, TimeoutError)

    async def inside() -> None:
        program()

    program()
    anyio.run(inside)


# Garbage ------------------------------------------------------------------------------------------------------------

GARBAGE: list[Any] = [
    Verdict(scores={"x": float("nan")}),
    Verdict(scores={"x": float("inf")}),
    Verdict(scores={"x": "0.9"}),  # type: ignore[dict-item]
    Verdict(scores={5: 0.3}),  # type: ignore[dict-item]
    Verdict(scores=None),  # type: ignore[arg-type]
    Verdict(flagged=True, categories=None),  # type: ignore[arg-type]
    Verdict(flagged=True, categories="violence"),  # type: ignore[arg-type]
    Verdict(flagged=True, categories=(5,)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_verdict_that_is_none_is_not_kept(side: Side, garbage: Verdict) -> None:
    """It is as a checker that fails, the second time too."""

    class Odd:
        def check(self, text: str) -> Verdict:
            return garbage

    rig = rig_of(side, Moderation(endpoint=False, checkers=[Odd()], thresholds={"x": 0.5}))

    async def program() -> None:
        for _ in range(2):
            with pytest.raises(ModerationUnavailableError):
                await side.do(ask(rig))

    side.run(program)
    assert sent(rig) == []


def test_other_kinds_of_numbers_and_lists_are_taken(side: Side) -> None:
    """A list of categories, a number of another kind; and what the checker changes later changes nothing."""
    from fractions import Fraction

    scores: Any = {"x": Fraction(1, 2)}

    class Own:
        def check(self, text: str) -> Verdict:
            return Verdict(flagged=True, categories=["x"], scores=scores)  # type: ignore[arg-type]

    rig = rig_of(side, Moderation(endpoint=False, checkers=[Own()], thresholds={"x": 0.5}))

    async def program() -> None:
        for _ in range(2):
            with pytest.raises(ModerationError) as caught:
                await side.do(ask(rig))
            scores.clear()
            assert (caught.value.categories, caught.value.scores) == (("x",), {"x": 0.5})

    side.run(program)
