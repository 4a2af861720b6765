"""The sieve before the words: it must never hold back what has a term, and lets nearly everything else pass."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import SchemaValidator

from llmstack.middleware._moderation.sieve import sieve_of
from llmstack.middleware._moderation.spelling import letters_of, words_in, words_of
from llmstack.middleware._moderation.term import Terms, patterns_of

TERMS = [
    "ass",
    "bad word",
    "a.b",
    "3 pm",
    "f\u00e9e",
    "\u0441\u0430\u0442 nip",
    "\u574f\u8bcd",
    "don't",
    "a b c d",
    "zz9",
]
PIECES = [
    *"abdorwsepmtnzcdf 39\u00e9\u574f\u8bcd\u0441\u0430\u0442",
    *("ass", "bad", "word", "BAD", "Word", "badword", "pm", "don", "t", "nip", "zz", "fee", "\uff42\uff41\uff44"),
    *("\x00", "\x08", "\x1c", "\x1f", "\x7f", "\u200b", "\u00ad", "\u0301", "\ud800", "\u2019", "\u0130"),
    *string.punctuation,
    *string.whitespace,
]


def has_one(terms: list[str], text: str) -> bool:
    """Whether a term is in a text, by a plain search for each at each place among its words."""
    words = tuple(words_of(text))
    written = {pattern for term in terms for pattern in patterns_of(term)}
    return any(words[i : i + len(pattern)] == pattern for pattern in written for i in range(len(words)))


def sieve_for(terms: list[str]) -> SchemaValidator:
    sieve = sieve_of(pattern for term in terms for pattern in patterns_of(term))
    assert sieve is not None
    return sieve


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30))
def test_with_a_sieve_the_same_is_found_as_without(pieces: list[str]) -> None:
    """Any spelling, any separator, whatever is invisible."""
    text = "".join(pieces)
    assert (Terms(TERMS).find(text) is not None) == has_one(TERMS, text)


@given(pieces=st.lists(st.sampled_from(PIECES), max_size=30))
def test_with_a_sieve_the_same_is_found_in_texts_of_other_scripts(pieces: list[str]) -> None:
    """Where all terms are in ASCII the sieve sees these texts, too: also words in letters that look like Latin ones."""
    terms = [term for term in TERMS if term.isascii()]
    text = "".join(pieces)
    assert (Terms(terms).find(text) is not None) == has_one(terms, text)


@given(text=st.text(st.characters(max_codepoint=0x17F), max_size=40), terms=st.lists(st.text("abc 1-", min_size=2)))
def test_with_a_sieve_the_same_is_found_whatever_the_terms(text: str, terms: list[str]) -> None:
    """Those that a program gives are not known here."""
    terms = [term for term in terms if len("".join(words_of(term))) > 1]
    found = Terms(terms)
    for looked_in in (text, *terms, *(f"{text} {term.upper()} {text}" for term in terms)):
        assert (found.find(looked_in) is not None) == has_one(terms, looked_in)


@given(
    parts=st.lists(st.sampled_from(["bad", "word", "b", "a", "d", "w", "o", "r"]), max_size=12),
    fill=st.sampled_from(string.printable),
)
def test_each_character_between_words_parts_them_or_not_as_ever(parts: list[str], fill: str) -> None:
    """Each that is in ASCII."""
    text = fill.join(parts)
    assert (Terms(["bad word"]).find(text) is not None) == has_one(["bad word"], text)


@pytest.mark.parametrize("code", range(128))
def test_ascii_is_taken_to_letters_as_any_text_is(code: int) -> None:
    """The table for ASCII says what the rule for all characters says."""
    text = f"x{chr(code)}y"
    # With a word beside it that has no ASCII form the text takes the way of all others.
    assert words_in(letters_of(text)) == words_of(f"{text} \u043a")[:-1]


@given(
    text=st.lists(st.sampled_from(PIECES) | st.characters(), max_size=20).map("".join),
    around=st.sampled_from(["", "plain words " * 30, "\u0441\u043b\u043e\u0432\u0430 " * 30]),
)
def test_each_way_to_letters_makes_the_same_words(text: str, around: str) -> None:
    """Character by character in texts with few or many beyond ASCII; run by run where marks have to be sorted."""
    text = f"{around}{text} {around}"
    marked = words_of(f"{text}\u043a\u0301")
    assert marked.pop() == "\u043a"
    assert words_of(text) == marked


def test_what_has_no_term_is_held_back() -> None:
    """Also what has parts of terms, in other words or in another order."""
    sieve = sieve_for(["ass", "bad word", "evil"])
    for text in ("a class of its own", "word bad", "bad words", "badwords", "devil", "e v e n", "no"):
        assert not sieve.isinstance_python(letters_of(text))


def test_terms_of_other_scripts_alone_are_in_no_ascii_text() -> None:
    """Nor is what nobody looks for."""
    given: list[list[str]] = [["\u574f\u8bcd"], []]
    for terms in given:
        sieve = sieve_for(terms)
        assert not sieve.isinstance_python("any text")
        assert not sieve.isinstance_python("")


def test_very_many_terms_are_found_without_a_sieve() -> None:
    """It would not be quick."""
    many = [f"blocked{i} phrase" for i in range(1_000)]
    assert sieve_of(pattern for term in many for pattern in patterns_of(term)) is None
    terms = Terms(many)
    assert terms.find("a Blocked777-phrase here") == "blocked777 phrase"
    assert terms.find("a blocked777 here") is None


def test_a_text_made_to_visit_every_beginning_of_a_term_is_read_to_its_end() -> None:
    """A term at its end is found, however many have begun before it."""
    words = [f"{a}{b}{c}xyz" for a in "abcde" for b in "fghij" for c in "klmno"]
    terms, sieve = Terms(words), sieve_for(words)
    begun = " ".join(word[:size] + end for word in words for size in range(1, 6) for end in ("", "q"))
    assert not sieve.isinstance_python(begun)
    assert terms.find(begun) is None
    assert terms.find(f"{begun} {words[77]}") == words[77]


def test_a_sieve_looks_for_the_beginnings_of_what_is_spelled_out() -> None:
    """The rest is for the words to tell."""
    sieve = sieve_of([("e", "v", "i", "l")])
    assert sieve is not None
    assert sieve.isinstance_python("e v  i l")
    assert sieve.isinstance_python("e v i x")
    assert not sieve.isinstance_python("e v l")
