"""Embeddings that come as base64: the SDK asks for them so, and makes lists of numbers of them.

The standard library's decoder is made for text with line ends and whatever else in it, and takes most of that time.
pydantic-core's takes plain base64 alone, in a tenth; of what it does not take the SDK makes what it makes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, Final

from pydantic_core import CoreConfig, SchemaValidator, core_schema

__all__ = ["decode_vectors"]

_validator: Any = SchemaValidator(core_schema.bytes_schema(), CoreConfig(val_json_bytes="base64"))
_bytes_of: Final[Callable[[str], bytes]] = _validator.validate_strings


def decode_vectors(answer: Any) -> None:
    """Put lists of numbers in the place of base64.

    Args:
        answer: The SDK's model of an answer to a call for embeddings.
    """
    if not _works:
        return
    for one in answer.data or ():
        text = one.embedding
        # The letters of the other alphabet, and an end that is not filled up, mean something else to the SDK.
        if type(text) is not str or len(text) % 4 or "-" in text or "_" in text:
            continue
        try:
            one.embedding = array("f", _bytes_of(text)).tolist()
        except ValueError:
            continue


_works: Final = _bytes_of("+/8AAA==") == b"\xfb\xff\x00\x00"
"""Whether this version of pydantic-core decodes what it is given like this."""
