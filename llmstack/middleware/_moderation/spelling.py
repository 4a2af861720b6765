"""Spelling: the many ways to write a word, brought to one.

Text becomes a list of words: compatibility forms (full-width, ligatures, mathematical letters) are unfolded (Unicode
NFKD), case is folded, what is invisible, an accent or struck through or around a letter is dropped, letters that look
like Latin ones become these in words that have Latin letters too (Cyrillic words are left in peace), and whatever is
neither letter nor digit parts words. Letters that are signs of their own (in black boxes, of flags) are words of one
letter. Scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Burmese, Khmer) give one word for each
character. All of it is one pass, whatever the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Literal

__all__ = ["letters_of", "words_in", "words_of"]

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
_FILLERS = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180E, 0x3164, 0xFFA0})


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
        text = _FOREIGN.sub(_unfolded, text)
    if text.isascii():  # in most languages that are written in Latin letters nothing else is left
        return text.encode("ascii").translate(_ASCII, _DROPPED).decode("ascii")
    return text.casefold().translate(_LETTERS)


def words_in(letters: str) -> list[str]:
    """The words of a text.

    Args:
        letters: What `letters_of` makes of it.
    """
    words = letters.split()
    if letters.isascii():
        return words
    words = [_normalized("NFC", word) for word in words]
    return [word if word.isascii() or _LATIN.isdisjoint(word) else word.translate(_IN_LATIN) for word in words]


def _unfolded(run: re.Match[str]) -> str:
    found = run[0]
    return _unfold_one(found) if len(found) == 1 else _unfold(found)


def _unfold(run: str) -> str:
    """A run of characters beyond ASCII in their one spelling; some capitals become letters that unfold once more."""
    text = _normalized("NFKD", run).casefold()
    return _normalized("NFKD", text).translate(_LETTERS)


_unfold_one = lru_cache(maxsize=4096)(_unfold)
"""An apostrophe, an accented letter: in most languages a run is one of a few."""


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
