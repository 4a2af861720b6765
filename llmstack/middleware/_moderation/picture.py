"""Pictures: every image that a message or an answer shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["address_of", "data_url", "pictures_in"]

_DEPTH = 40


def pictures_in(value: Any, form: object = None, depth: int = 0) -> Iterator[str]:
    """Find images.

    Args:
        value: JSON: a message, an answer, an event of a stream.
        form: What they are (``"png"``, ``"jpeg"``, ``"webp"``) where they do not say so themselves.
        depth: How deep in the JSON it is.

    Yields:
        Addresses, or the images themselves as ``data:`` URLs.
    """
    if depth > _DEPTH:
        return
    if isinstance(value, Mapping):
        encoded = value.get("b64_json") or value.get("partial_image_b64")
        if value.get("type") == "image_generation_call":
            encoded = encoded or value.get("result")
        url = address_of(value) or data_url(encoded, value.get("output_format") or form)
        if url:
            yield url
        value = value.values()
    elif not isinstance(value, list):
        return
    for item in value:
        if isinstance(item, (Mapping, list)):
            yield from pictures_in(item, form, depth + 1)


def address_of(part: Mapping[str, Any]) -> str | None:
    """The address of the image that a part of a message shows; None if it gives none."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    return url if isinstance(url, str) and url else None


def data_url(encoded: object, form: object) -> str | None:
    """The ``data:`` URL of an image in base64; None if there is none."""
    kind = form if form in ("jpeg", "webp") else "png"
    return f"data:image/{kind};base64,{encoded}" if isinstance(encoded, str) and encoded else None
