"""Terms: words and phrases that may not occur, found in one pass however many there are.

Aho and Corasick's automaton ("Efficient string matching", 1975) over words instead of characters: "ass" is not in
"class", and a step costs the same for one term and for ten thousand. A text that has no term, which is nearly all text,
is passed by a `sieve_of` them, before words are made of it; where the terms are too many for one, and it has no word
with which a term begins, by one set intersection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from functools import lru_cache

from llmstack.middleware._moderation.escape import Reading
from llmstack.middleware._moderation.sieve import sieve_of
from llmstack.middleware._moderation.spelling import in_latin, is_settled, letters_of, words_in, words_of

__all__ = ["Terms", "patterns_of", "word_start"]


class _State:
    """Where the automaton is: which beginnings of terms the last words are."""

    __slots__ = ("depth", "fallback", "found", "steps")

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.steps: dict[str, _State] = {}
        self.fallback: _State | None = None
        self.found: str | None = None


class Terms:
    """A set of blocked terms.

    A term matches whole words, in any case, with any punctuation or space between them or none ("bad word", "Bad-Word",
    "badword"), and spelled out ("b.a.d w o r d"). A text with backslashes is read as it stands, and as JSON reads.
    """

    def __init__(self, terms: Iterable[str]) -> None:
        """Take the terms.

        Raises:
            ValueError: If one has no letters, or only one: it would be found everywhere.
        """
        self._root = _State(0)
        patterns: set[tuple[str, ...]] = set()
        self.count = 0
        for term in dict.fromkeys(terms):
            for pattern in patterns_of(term):
                self._add(pattern, term)
                patterns.add(pattern)
            self.count += 1
        self._first = frozenset(self._root.steps)
        self._sorted = sorted({word for pattern in patterns for word in pattern})
        self._sieve = sieve_of(patterns)
        self._only_ascii = all(word.isascii() for word in self._sorted)
        self._link()

    def find(self, text: str, *, goes_on: bool = False) -> str | None:
        """The first term in a text.

        Args:
            text: The text.
            goes_on: True if more of it will come, so that its last word need not be complete.

        Returns:
            The term as it was given; None if there is none.
        """
        found = self._find(text, goes_on=goes_on)
        if found is None and "\\" in text and self.count:
            found = self._find(Reading(text, goes_on=goes_on).text, goes_on=goes_on)
        return found

    def _find(self, text: str, *, goes_on: bool) -> str | None:
        letters = letters_of(text)
        sieve = self._sieve if letters.isascii() or (self._only_ascii and is_settled(letters)) else None
        if sieve is not None and not sieve.isinstance_python(letters):
            return None
        words = words_in(letters)
        # Where no word begins a term, none is to be found.
        if self._first.isdisjoint(words):
            return None
        return self._walk(words[:-1] if goes_on and _is_open(text) else words)[0]

    def open_from(self, text: str) -> int:
        """Where in a text that goes on a term may have begun.

        Args:
            text: The text so far, in which no term has been found.

        Returns:
            An index into the text; its length if nothing that follows could make a term of its end.
        """
        if not text or not self.count:
            return len(text)
        open_from = self._open_from(text)
        if "\\" in text:
            reading = Reading(text, goes_on=True)
            open_from = min(open_from, reading.place(self._open_from(reading.text)))
        return open_from

    def _open_from(self, text: str) -> int:
        words = words_of(text)
        held = self._walk(words)[1].depth
        # The last word may go on, with a Latin letter, too; then what counts is what came before it.
        if words and _is_open(text) and (self._begins(words[-1]) or self._begins(in_latin(words[-1]))):
            held = max(held, self._walk(words[:-1])[1].depth + 1)
        return _start_of_last(text, held)

    def _walk(self, words: list[str]) -> tuple[str | None, _State]:
        root = state = self._root
        beginnings = root.steps
        for word in words:
            if state is root:
                if word not in beginnings:  # nearly every word of nearly every text
                    continue
            else:
                while word not in state.steps and state.fallback is not None:
                    state = state.fallback
            state = state.steps.get(word, root)
            if state.found is not None:
                return state.found, state
        return None, state

    def _begins(self, piece: str) -> bool:
        at = bisect_left(self._sorted, piece)
        return at < len(self._sorted) and self._sorted[at].startswith(piece)

    def _add(self, pattern: tuple[str, ...], term: str) -> None:
        state = self._root
        for word in pattern:
            state = state.steps.setdefault(word, _State(state.depth + 1))
        state.found = state.found or term

    def _link(self) -> None:
        """Give each state its fallback: the longest end of its words that begins another term."""
        waiting = deque(self._root.steps.values())
        for state in waiting:
            state.fallback = self._root
        while waiting:
            state = waiting.popleft()
            for word, following in state.steps.items():
                back = state.fallback
                while back is not None and word not in back.steps:
                    back = back.fallback
                following.fallback = self._root if back is None else back.steps[word]
                following.found = following.found or following.fallback.found
                waiting.append(following)


def patterns_of(term: str) -> set[tuple[str, ...]]:
    """The ways to write a term: word by word, in one word, letter by letter.

    Raises:
        ValueError: If it has no letters, or only one: it would be found everywhere.
    """
    words = tuple(words_of(term))
    letters = "".join(words)
    if len(letters) < 2 and (not letters or letters.isascii()):  # noqa: PLR2004 - see the message
        raise ValueError(
            f"blocked_terms: {term!r} has {'one letter' if letters else 'no letters'}, and would be found everywhere: "
            "give words of at least two letters or digits"
        )
    # Two letters beside each other are often no word: "a m" in "a. m." is not "am".
    spelled = {tuple(letters)} if len(letters) > 2 and letters.isascii() else set[tuple[str, ...]]()  # noqa: PLR2004
    return {words, tuple(words_of(letters)), *spelled}


def _is_open(text: str) -> bool:
    """Whether the last word of a text may go on."""
    return words_of(text + "x")[-1] != "x"


def _start_of_last(text: str, count: int) -> int:
    """Where the last `count` words of a text begin."""
    if count == 0:
        return len(text)
    width = 16
    while width < len(text) and len(words_of(text[-width:])) <= count:
        width *= 2
    low, high = max(0, len(text) - width), len(text)
    while low < high:  # the last place from where on there are still `count` words
        middle = (low + high + 1) // 2
        if len(words_of(text[middle:])) >= count:
            low = middle
        else:
            high = middle - 1
    return word_start(text, low)


def word_start(text: str, at: int, most: int | None = None) -> int:
    """The beginning of the word that a place is in, with what is invisible before it; of an escape, if it is in one.

    Args:
        text: The text.
        at: The place.
        most: Characters to go back at most; None for no limit.
    """
    least = 0 if most is None else max(0, at - most)
    while at > least and (text[at - 1] == "\\" or _joins(text[at - 1])):
        at -= 1
    return at


@lru_cache(maxsize=4096)
def _joins(character: str) -> bool:
    """Whether a character between two letters leaves them one word."""
    return len(words_of(f"x{character}x")) == 1
