"""Spelling: the many ways to write a word, brought to one.

Text becomes a list of words: compatibility forms (full-width, ligatures, mathematical letters) are unfolded (Unicode
NFKD), case is folded, what is invisible, an accent, a stroke through or around a letter or one that draws out an Arabic
word is dropped, letters that look like Latin ones become these in words that have Latin letters too (Cyrillic words are
left in peace), and whatever is neither letter nor digit parts words. Letters that are signs of their own (in black
boxes, of flags) are words of one letter. Scripts that put no spaces between words (Chinese, Japanese, Thai, Lao,
Burmese, Khmer) give one word for each character. All of it is one pass, whatever the text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal

from pydantic_core import SchemaValidator, core_schema

__all__ = ["in_latin", "is_settled", "letters_of", "words_in", "words_of"]

_LOOKALIKES = str.maketrans(
    # Cyrillic, Greek, Armenian and Latin letters that are drawn as the plain ones (Unicode TR 39, confusables.txt)
    "аеорсухіјѕԁԛԝһӏвмткнαορτυνκιεχγβϲϳոսցօɑɡɩʏıłøđħᴀᴄᴅᴇᴊᴋᴍɴᴏᴘᴛᴜᴠᴡᴢ",
    "aeopcyxijsdqwhlbmtkhaoptuvkiexybcjnugoagiyilodhacdejkmnoptuvwz",
)
_SIGNS = (0x1F150, 0x1F170, 0x1F1E6)
"""Where such letters begin that Unicode unfolds to nothing: in black circles, in black squares, of flags; 26 each."""
_IGNORABLE = ((0x2065, 0x2065), (0xFE00, 0xFE0F), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF))
"""Characters without a picture beside those of category Cf: variation selectors, and what is reserved for such."""
_PIECE = 512
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_LATIN = frozenset(_ALPHABET)
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
_FILLERS = frozenset({0x034F, 0x0640, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180E, 0x3164, 0xFFA0})


def words_of(text: str) -> list[str]:
    """The words of a text, each in its one spelling.

    Args:
        text: Any text; half surrogate pairs and unassigned characters part words.

    Returns:
        The words, in order.
    """
    return words_in(letters_of(text))


def letters_of(text: str) -> str:
    """A text as letters and digits with spaces between its words; in ASCII whatever can be.

    Args:
        text: Any text.
    """
    if not text.isascii():
        beyond = text.encode("utf-8", "surrogatepass").translate(None, _OF_BYTES).decode("utf-8", "surrogatepass")
        try:
            if len(beyond) > len(text) // _FEW or len(kinds := set(beyond)) > _KINDS:
                return text.translate(_SPELLED)
            for character in kinds:
                text = text.replace(character, _SPELLED[ord(character)])
        except _MarkError:
            text = _FOREIGN.sub(_unfolded, text)
    if text.isascii():
        return text.encode("ascii").translate(_ASCII, _DROPPED).decode("ascii")
    return text.casefold().translate(_LETTERS)


def words_in(letters: str) -> list[str]:
    """The words of a text.

    Args:
        letters: What `letters_of` makes of it.
    """
    words = letters.split()
    if is_settled(letters):
        return words
    words = [_normalized("NFC", word) for word in words]
    return [word if word.isascii() or _LATIN.isdisjoint(word) else in_latin(word) for word in words]


def in_latin(word: str) -> str:
    """A word as it is spelled once it has a Latin letter: letters that look like Latin ones are these.

    Args:
        word: What `words_in` gives.
    """
    return word.translate(_IN_LATIN)


class _MarkError(Exception):
    """A character whose place among others matters: marks are sorted."""


class _Spelled(dict[int, str]):
    """The letters of each character that stands for itself; found out when it is first met, and kept."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = _normalized("NFKD", character)
        folded = plain.casefold()
        forms = (character, plain, folded, _normalized("NFKD", folded))
        if any(unicodedata.combining(form[0]) for form in forms):
            raise _MarkError
        letters = _unfold(character).casefold().translate(_LETTERS)
        if len(self) < _MOST:
            self[code] = letters
        return letters


_SPELLED = _Spelled()
_OF_BYTES = bytes(range(128))
_FEW = 8
_KINDS = 32
"""One character in so many, and so many kinds of them, as in most languages that are written in Latin letters: those
are replaced one kind after the other. Where there are more, each character is looked up."""
_MOST = 20_000
"""Characters whose letters are kept: more than any language has."""


def is_settled(letters: str) -> bool:
    """Whether the words of a text are just what stands between its spaces.

    Args:
        letters: What `letters_of` makes of it.
    """
    return letters.isascii() or not _may_change(letters)


def _unfolded(run: re.Match[str]) -> str:
    return _unfold(run[0])


def _unfold(run: str) -> str:
    """A run of characters beyond ASCII in their one spelling; some capitals become letters that unfold once more."""
    text = _normalized("NFKD", run).casefold()
    return _normalized("NFKD", text).translate(_LETTERS)


def _normalized(form: Literal["NFC", "NFKD"], text: str) -> str:
    """Unicode's form, in pieces: Python sorts a run of marks in time that grows with the square of its length."""
    if len(text) <= _PIECE:
        return unicodedata.normalize(form, text)
    return "".join(unicodedata.normalize(form, text[at : at + _PIECE]) for at in range(0, len(text), _PIECE))


class _Letters(dict[int, str | None]):
    """What becomes of each character; found out when it is first met, and kept."""

    def __missing__(self, code: int) -> str | None:
        letter = self[code] = _letter(code)
        return letter


def _letter(code: int) -> str | None:
    character = chr(code)
    kind = unicodedata.category(character)
    if _is_nothing(code, kind, unicodedata.combining(character)):
        return None
    sign = next((code - start for start in _SIGNS if 0 <= code - start < len(_ALPHABET)), None)
    if sign is not None:
        return f" {_ALPHABET[sign]} "
    if kind[0] not in "LMN":
        return " "
    if kind[0] == "L" and any(start <= code <= end for start, end in _UNSPACED):
        return f" {character} "
    return character


def _is_nothing(code: int, kind: str, mark: int) -> bool:
    """Whether a character is invisible, or only drawn on a letter."""
    if code in _FILLERS or any(start <= code <= end for start, end in _IGNORABLE):
        return True
    # Strokes through letters, accents above and below, Hebrew and Arabic points (Unicode standard, 4.3); not what
    # spells a letter (Indic signs, Japanese voicing).
    drawn = mark == 1 or 10 <= mark <= 35 or mark >= 200  # noqa: PLR2004 - combining classes
    return drawn or kind in ("Cf", "Me") or (kind == "Cc" and not chr(code).isspace())


_LETTERS = _Letters()

_OF_ASCII = [_letter(ord(chr(code).lower())) for code in range(128)]
_ASCII = "".join(letter or " " for letter in _OF_ASCII).encode().ljust(256)
_DROPPED = bytes(code for code, letter in enumerate(_OF_ASCII) if letter is None)
"""The same for ASCII, as ``bytes.translate`` wants it: half the time."""


class _InLatin(dict[int, Any]):
    """What becomes of each character of a word that has Latin letters."""

    def __missing__(self, code: int) -> int | None:
        letter = self[code] = None if unicodedata.category(chr(code))[0] == "M" else code
        return letter


_IN_LATIN = _InLatin(_LOOKALIKES)
_may_change = SchemaValidator(
    core_schema.str_schema(
        pattern=r"[^ ]\p{M}|[\u{1100}-\u{11FF}]|[a-z][0-9]*[^\x00-\x7f]|[^\x00-\x7f][0-9]*[a-z]",
        regex_engine="rust-regex",
    )
).isinstance_python
"""Whether letters have what may be put together with the one before (marks, the letters of Hangul), or a word that has
Latin letters and others. Of most texts no word need be looked at."""
