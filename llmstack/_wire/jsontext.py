"""JSON text to values and back: pydantic-core's parser, with the standard library's judgement of what is valid."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic_core import SchemaValidator, core_schema, from_json

__all__ = ["MALFORMED", "is_json", "parse", "write"]

MALFORMED: Final = object()
"""What `parse` returns for text that is not JSON; never equal to a JSON value."""

_object: Final = SchemaValidator(core_schema.typed_dict_schema({}, extra_behavior="ignore")).validate_json
"""Takes the text of any JSON object, and makes nothing of it."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def parse(text: str) -> Any:
    """Parse JSON text, in about half the time of the standard library.

    Parameters:
        text: The text.

    Returns:
        The value that `json.loads` would give, or `MALFORMED` where it would raise.
    """
    try:
        return from_json(text, cache_strings="keys")
    except (ValueError, TypeError):
        # It refuses more than json.loads does, which the SDK uses: lone surrogates, nesting beyond 200.
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return MALFORMED


def is_json(text: str) -> bool:
    """Tell whether a text is JSON, for an object in half the time of `parse`.

    Parameters:
        text: The text.

    Returns:
        True if `parse` would give a value.
    """
    try:
        _object(text)
    except (ValueError, TypeError):
        return parse(text) is not MALFORMED
    return True


def write(value: Any) -> str:
    """Write a value as compact JSON text, as the SDK writes request bodies.

    Parameters:
        value: A JSON value.

    Returns:
        The text, on one line, with characters beyond ASCII as they are.

    Raises:
        TypeError: Something in it is not JSON.
    """
    return _encode(value)
