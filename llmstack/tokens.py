"""Tokens: how many a text, or a conversation, has.

    from llmstack.tokens import count_tokens

    count_tokens("What is a stack?").tokens                 # 5
    count_tokens(messages, model="gpt-4o").estimated        # False if tiktoken and its data are here

Nothing here ever touches the network. With tiktoken installed, and the vocabulary of the model's encoding in its cache
(``TIKTOKEN_CACHE_DIR``, else its directory for temporary files), counts of text are exact. Else they are estimated, in
some milliseconds for 100 KB. Pictures, sound and files are not counted.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

__all__ = ["TokenCount", "Vocabulary", "count", "count_tokens", "estimate_tokens", "texts_of"]

PER_MESSAGE: Final = 3
"""Tokens around each message of a chat, and around the answer's beginning:
https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken"""


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens.

    Attributes:
        tokens: How many.
        estimated: False if they were counted with the model's own vocabulary.
    """

    tokens: int
    estimated: bool

    def __int__(self) -> int:
        """The number alone."""
        return self.tokens

    def __str__(self) -> str:
        """As a message tells it: ``"1200"``, or ``"about 1200"`` if it is an estimate."""
        return f"about {self.tokens}" if self.estimated else str(self.tokens)


def count_tokens(content: Any, model: str | None = None) -> TokenCount:
    """Count the tokens of a text or a conversation.

    Args:
        content: A text; a list of chat messages or of Responses items; or any JSON that holds texts.
        model: The model that will read it; it decides which vocabulary counts.

    Returns:
        The tokens. An estimate may be off by a third for a short text.
    """
    vocabulary = vocabulary_of(model)
    counter = None if vocabulary is None else vocabulary.counter()
    count = counter or estimate_tokens
    if isinstance(content, str):
        return TokenCount(count(content), counter is None)
    tokens = sum(count(text) for text in texts_of(content))
    if _is_conversation(content):
        # Its role is a token of each message, besides those around it.
        tokens += (PER_MESSAGE + 1) * len(content) + PER_MESSAGE
    return TokenCount(tokens, counter is None)


count = count_tokens
"""The same, for ``from llmstack import tokens`` and ``tokens.count(...)``."""


def _is_conversation(content: Any) -> bool:
    return isinstance(content, Sequence) and any(isinstance(item, Mapping) and "role" in item for item in content)


# Texts --------------------------------------------------------------------------------------------------------------

_NO_TEXT: Final = frozenset(
    {
        *("type", "role", "id", "call_id", "tool_call_id", "item_id", "status", "detail", "format", "annotations"),
        *("url", "image_url", "file_url", "data", "file_data", "file_id", "filename", "encrypted_content", "video_url"),
    }
)
"""Members that hold no text that a model reads: kinds, ids, and media."""


def texts_of(content: Any) -> Iterator[str]:
    """All texts in a piece of a request: messages, parts, tool calls and their results; no ids, no media.

    Args:
        content: A text, a message (a mapping or a model of pydantic), or lists of them, at any depth.
    """
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            if name not in _NO_TEXT:
                yield from texts_of(value)
    elif isinstance(content, (list, tuple)):
        for item in content:
            if isinstance(item, str):
                yield item
            elif not isinstance(item, (int, float)):
                yield from texts_of(item)
    elif isinstance(content, BaseModel):  # such as an item of an answer that goes back into the input
        yield from texts_of(content.model_dump(mode="json", exclude_unset=True, by_alias=True))


# Estimates ----------------------------------------------------------------------------------------------------------

_MARKS: Final = "\u0300-\u036f\u064b-\u0652\u0900-\u0dff\u0e30-\u0e4e"
"""Signs that belong to the letter before them: accents, vowel signs."""

_PIECES: Final = re.compile(
    r"(?P<word>[A-Za-z]+(?![^\W\d_])(?:'[a-z]{1,2}\b)?)"
    rf"|(?P<letters>[^\W\d_](?:[^\W\d_]|[{_MARKS}])*)"
    r"|(?P<digits> ?\d+)"
    r"|(?P<punctuation>[!-/:-@\[-`{-~]+)"
    r"|(?P<space>[ \t]{2,}|[\r\n]+)"
    r"|(?P<other>[^\s])"
)
"""Words, words of other scripts, numbers, punctuation, indentation and line ends, and anything else. A single blank
belongs to what comes after it, but for a number, where it is a token of its own."""

_WORD_COST: Final = (0.0, 1.0, 1.0, 1.0, 1.02, 1.05, 1.1, 1.15, 1.25, 1.35, 1.5, 1.65, 1.8, 2.0, 2.2, 2.4)
"""Tokens of a word of so many ASCII letters, on average over prose and code; longer ones cost 4.5 letters a token."""

_SCRIPTS: Final = (
    # upper end of a range of code points, tokens for each letter in it
    (0x0080, 0.23),  # ASCII, within a word of others
    (0x0250, 0.36),  # Latin with accents
    (0x0530, 0.28),  # Greek, Cyrillic
    (0x0600, 0.42),  # Armenian, Hebrew
    (0x0780, 0.36),  # Arabic
    (0x0E00, 0.33),  # the scripts of India
    (0x1100, 0.5),  # Thai, Lao, Tibetan, Burmese, Georgian
    (0x1200, 0.75),  # Jamo
    (0x2000, 0.42),  # Vietnamese vowels, among others
    (0x3040, 0.9),
    (0x3100, 0.62),  # Hiragana, Katakana
    (0xAC00, 0.75),  # Han
    (0xD7B0, 0.6),  # Hangul
    (0x10000, 0.8),
)
_RARE_COST: Final = 2.0
"""Tokens of a letter or sign beyond these, such as an emoji."""


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a text has, for the vocabulary of current OpenAI models (o200k).

    Args:
        text: The text.

    Returns:
        The estimate; 0 for an empty text only.
    """
    if not text:
        return 0
    cost = 0.0
    for piece in _PIECES.finditer(text):
        kind = piece.lastgroup or "other"
        # Most pieces are words, and of those only the length matters.
        cost += _cost_of_word(piece.end() - piece.start()) if kind == "word" else _COSTS[kind](piece.group())
    return max(1, round(cost))


def _cost_of_word(length: int) -> float:
    if length < len(_WORD_COST):
        return _WORD_COST[length]
    return length / 4.5 if length < _NO_WORD else length / 2.2


_NO_WORD: Final = 40
"""Letters beyond which it is no word but random letters, such as base64."""


def _cost_of_letters(word: str) -> float:
    return max(1.0, sum(map(_cost_of_letter, word)))


@cache
def _cost_of_letter(letter: str) -> float:
    code = ord(letter)
    return next((cost for end, cost in _SCRIPTS if code < end), _RARE_COST)


_COSTS: Final[dict[str, Callable[[str], float]]] = {
    "digits": lambda piece: ceil(len(piece) / 3) if piece[0] != " " else 1 + ceil((len(piece) - 1) / 3),
    "punctuation": lambda piece: 1.0 if len(piece) <= 2 else len(piece) / 2.2,  # noqa: PLR2004 - a pair is one token
    "space": lambda _: 1.0,
    "letters": _cost_of_letters,
    "other": _cost_of_letter,
}


# Exact counts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """An encoding of tiktoken, and the file it needs.

    Attributes:
        name: Its name in tiktoken.
        file: The name of its file in tiktoken's cache, the SHA-1 of its address.
        digest: SHA-256 of the file. tiktoken would fetch a file of another content again.
    """

    name: str
    file: str
    digest: str

    def counter(self) -> Callable[[str], int] | None:
        """What counts tokens of a text exactly; None if that needs something that is not on this machine."""
        place = cache_directory()
        return None if place is None else _counter(self, place)


_O200K: Final = Vocabulary(
    "o200k_base",
    "fb374d419588a4632f3f557e76b4b70aebbca790",
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
)
_CL100K: Final = Vocabulary(
    "cl100k_base",
    "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
)
_VOCABULARIES: Final = (
    (("gpt-4o", "gpt-4.1", "gpt-4.5"), _O200K),
    (("gpt-4", "gpt-3.5", "text-embedding-"), _CL100K),
    (("gpt-", "chatgpt-", "o1", "o3", "o4", "codex-"), _O200K),
)


def vocabulary_of(model: str | None) -> Vocabulary | None:
    """The vocabulary of an OpenAI model; that of current models if none is named; None for models of others."""
    if model is None:
        return _O200K
    name = model.removeprefix("ft:")
    return next((vocabulary for prefixes, vocabulary in _VOCABULARIES if name.startswith(prefixes)), None)


def cache_directory() -> Path | None:
    """Where tiktoken keeps its files, as its own ``load.py`` decides; None if it is told to keep none."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if variable in os.environ:
            return _path(os.environ[variable]) if os.environ[variable] else None
    return _path(tempfile.gettempdir(), "data-gym-cache")


_path: Final = cache(Path)


_lock = threading.Lock()


@cache
def _counter(vocabulary: Vocabulary, place: Path) -> Callable[[str], int] | None:
    with _lock:
        if find_spec("tiktoken") is None:
            return None
        try:
            content = (place / vocabulary.file).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != vocabulary.digest:
            return None
        encode = import_module("tiktoken").get_encoding(vocabulary.name).encode_ordinary
        return lambda text: len(encode(text))
