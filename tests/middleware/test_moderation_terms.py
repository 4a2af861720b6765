"""Blocked terms: found however they are written, and only where they are words."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack.middleware._moderation.spelling import words_of
from llmstack.middleware._moderation.term import Terms


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ass", "you ass!"),
        ("ass", "ASS"),
        ("ass", "a\u200bs\u00ads"),
        ("ass", "\u0430ss"),
        ("ass", "a.s.s"),
        ("bad word", "a bad word here"),
        ("bad word", "bad-word"),
        ("bad word", "bad\n  word"),
        ("bad word", "bad_word"),
        ("bad word", "badword"),
        ("bad word", "\uff42\uff41\uff44 \uff37\uff4f\uff52\uff44"),
        ("bad word", "\U0001d41b\U0001d41a\U0001d41d word"),
        ("bad word", "b\u0301a\u0301d word"),
        ("bad word", "b a d - w o r d"),
        ("bad-word", "bad word"),
        ("na\u00efve", "NAIVE"),
        ("Stra\u00dfe", "STRASSE"),
        ("\ufb01ne", "fine"),
        ("\u574f\u8bcd", "\u8fd9\u662f\u574f\u8bcd\u5417"),
        ("\u041c\u043e\u0441\u043a\u0432\u0430", "\u043c\u043e\u0441\u043a\u0432\u0430"),
        ("don't", "DON\u2019T"),
        ("3 pm", "at 3pm"),
    ],
)
def test_a_term_is_found_however_it_is_written(term: str, text: str) -> None:
    """The text's own spelling does not matter; the term is told as it was given."""
    assert Terms(["other", term]).find(text) == term


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ass", "class"),
        ("ass", "assess"),
        ("bad word", "bad bad words"),
        ("bad word", "word bad"),
        ("cat", "concatenates"),
        ("scunthorpe", "scun thorpe"),
        ("at", "a t-shirt"),
        ("\u0441\u0432\u0430\u0442", "cbat"),
    ],
)
def test_a_term_is_not_found_inside_other_words(term: str, text: str) -> None:
    """Nor in another order."""
    assert Terms([term]).find(text) is None


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("bad word", '{"text": "first\\nbad word"}'),
        ("bad word", '{"text": "bad\\u0020wor\\u0064"}'),
        ("bad word", '{"inner": "{\\"text\\": \\"\\\\tbad word\\"}"}'),
        ("na\u00efve", '["na\\u00EFve"]'),
        ("\u574f\u8bcd", '{"text": "\\u8fd9\\u662f\\u574f\\u8bcd"}'),
        ("bad", '"\\ud83c\\udd71\\ud83c\\udd70\\ud83c\\udd73"'),
        ("bad word", "C:\\new\\bad word"),
    ],
)
def test_a_term_is_found_behind_the_escapes_of_json(term: str, text: str) -> None:
    """As arguments of tools, their results and structured answers have them; what only looks so is read as it is."""
    assert Terms(["other", term]).find(text) == term


def test_an_escape_is_no_part_of_a_term() -> None:
    """What it stands for is."""
    assert Terms(["nass"]).find('"x\\nassessed"') is None
    assert Terms(["ass"]).find('"cl\\u0061sses"') is None


def test_the_last_word_of_a_text_that_goes_on_is_not_complete() -> None:
    """It may become another."""
    terms = Terms(["ass"])
    assert terms.find("you ass", goes_on=True) is None
    assert terms.find('"you\\nass\\u', goes_on=True) is None
    assert terms.find("you ass ", goes_on=True) == "ass"
    assert terms.find("you ass") == "ass"


def test_terms_that_overlap_are_all_found() -> None:
    """A longer term that fails does not hide a shorter one in it."""
    terms = Terms(["one two three four", "two three", "three x"])
    assert terms.find("one two three five") == "two three"
    assert terms.find("one two one two three four") in ("two three", "one two three four")
    assert terms.find("one three x") == "three x"


def test_no_terms_find_nothing() -> None:
    """And hold nothing open."""
    assert Terms([]).find("anything") is None
    assert Terms([]).open_from("anything") == 8


@given(text=st.text(max_size=200))
def test_any_text_has_words(text: str) -> None:
    """Also halves of surrogate pairs, unassigned characters, marks without letters."""
    for word in words_of(text):
        assert word
        assert word == word.strip()


WORDS = st.lists(st.sampled_from(["a", "b", "ab", "ba", "aab"]), min_size=1, max_size=4)


@given(
    patterns=st.lists(WORDS, min_size=1, max_size=5),
    words=st.lists(st.sampled_from(["a", "b", "ab", "c"]), max_size=20),
)
def test_it_finds_what_a_plain_search_finds(patterns: list[list[str]], words: list[str]) -> None:
    """The automaton against a search of every term at every place."""
    patterns = [pattern for pattern in patterns if len("".join(pattern)) > 1]
    written = {tuple(p) for pattern in patterns for p in (pattern, ["".join(pattern)])}
    written |= {tuple("".join(pattern)) for pattern in patterns if len("".join(pattern)) > 2}
    expected = any(tuple(words[i : i + len(p)]) == p for p in written for i in range(len(words)))
    assert (Terms(" ".join(pattern) for pattern in patterns).find(" ".join(words)) is not None) == expected


@given(text=st.text(st.sampled_from("evil pan.\u200b\u0301\u0435\u0456"), max_size=30), cut=st.integers(0, 30))
def test_what_may_become_a_term_is_open(text: str, cut: int) -> None:
    """Whatever follows: a term that ends in it begins in what was held open."""
    _check_what_is_open(text, cut)


ESCAPED = [
    "e",
    "v",
    "i",
    "l",
    " ",
    "p",
    "a",
    "n",
    "evil",
    " plan",
    "\\n",
    "\\u0065",
    "\\u0020",
    "\\",
    "u0",
    '\\"',
    "\\\\t",
]


@given(pieces=st.lists(st.sampled_from(ESCAPED), max_size=12), cut=st.integers(0, 40))
def test_what_may_become_a_term_by_an_escape_is_open(pieces: list[str], cut: int) -> None:
    """Also where the text is cut in the middle of it."""
    _check_what_is_open("".join(pieces), cut)


@pytest.mark.parametrize("cut", range(1, 10))
def test_letters_that_look_like_those_of_a_term_are_open_before_a_latin_one_comes(cut: int) -> None:
    """Until then they may be the beginning of a Cyrillic word, which is left in peace."""
    _check_what_is_open("\u0435v\u0456l plan", cut)
    _check_what_is_open("v\u0456l\u0435", cut)


def _check_what_is_open(text: str, cut: int) -> None:
    terms = Terms(["evil plan", "vile"])
    start = text[:cut]
    if terms.find(start, goes_on=True) is None and terms.find(text) is not None:
        held = terms.open_from(start)
        assert terms.find(text[held:]) is not None
        assert 0 <= held <= len(start)


def test_time_grows_with_the_text_alone() -> None:
    """Ten times the text is about ten times the work, a hundred times the terms the same; a bad case is no worse."""
    few, many = Terms(f"a {i} b" for i in range(100)), Terms(["a " * 50 + "b", *(f"a {i} b" for i in range(10_000))])

    def seconds(terms: Terms, text: str) -> float:
        times = []
        for _ in range(3):
            started = time.process_time()
            terms.find(text)
            times.append(time.process_time() - started)
        return min(times)

    text = "a " * 20_000  # each word might begin a term, and at each the longest beginning fails
    short = seconds(many, text)
    assert seconds(many, text * 10) < 40 * short
    assert short < 15 * seconds(few, text) + 0.05
