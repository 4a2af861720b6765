"""Requests to the moderation endpoint, made on behalf of a call: what is sent, and how the answer is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llmstack import Call, Reply
from llmstack.middleware._moderation.verdict import Verdict

__all__ = ["OVERLAP", "UnreadableVerdictError", "batches", "chunks", "moderation_call", "verdicts_of"]

CHUNK = 8_000
"""Characters of a text judged at once. The model takes 32,768 tokens and leaves the rest unread; whatever the text, a
token is at least one byte, and a character at most four."""
OVERLAP = 200
"""Characters that a piece of a text has in common with the one before: what stands at the seam is seen whole."""
MAX_TEXTS = 32
"""Texts in one request."""
MAX_BYTES = 32_000
"""Bytes of text in one request, so that all of it is read."""


class UnreadableVerdictError(ValueError):
    """The moderation endpoint has answered something that is no verdict."""


def chunks(text: str) -> Iterator[str]:
    """Cut a text into pieces that are read whole."""
    for start in range(0, max(1, len(text) - OVERLAP), CHUNK - OVERLAP):
        yield text[start : start + CHUNK]


def batches(texts: Sequence[str], images: Sequence[str]) -> list[list[Any]]:
    """Sort what is to be judged into requests: some texts in each, and each image alone, as the endpoint takes one.

    Args:
        texts: Texts of at most `CHUNK` characters.
        images: URLs.

    Returns:
        The ``input`` of each request; the texts in their order, then the images in theirs.
    """
    requests: list[list[Any]] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "surrogatepass"))
        if not requests or len(requests[-1]) >= MAX_TEXTS or size + length > MAX_BYTES:
            requests.append([])
            size = 0
        requests[-1].append(text)
        size += length
    return requests + [[{"type": "image_url", "image_url": {"url": url}}] for url in images]


def moderation_call(call: Call, model: str, given: list[Any], deadline: float | None) -> Call:
    """The request that asks for verdicts; it goes where the call goes, and has nothing of its body.

    Args:
        call: On whose behalf.
        model: The moderation model.
        given: What is to be judged.
        deadline: When the verdict must be there, by the stack's clock.
    """
    params = {"model": model, "input": given}
    return call.aside("moderations", "/moderations", params, deadline=deadline).replace(verify=True)


def verdicts_of(reply: Reply, count: int) -> list[Verdict] | UnreadableVerdictError:
    """Read the endpoint's answer.

    Args:
        reply: The answer.
        count: How many verdicts were asked for.

    Returns:
        The verdicts; the error if it is not that.
    """
    body = reply.body
    results = body.get("results") if isinstance(body, Mapping) else None
    if not isinstance(results, list) or len(results) != count:
        found = f"{len(results)} results" if isinstance(results, list) else "no results"
        return UnreadableVerdictError(f"the moderation endpoint was asked for {count} verdicts and answered {found}")
    try:
        return [_verdict(result) for result in results]
    except UnreadableVerdictError as error:
        return error


def _verdict(result: Any) -> Verdict:
    flags = result.get("categories") if isinstance(result, Mapping) else None
    scores = result.get("category_scores") if isinstance(result, Mapping) else None
    flagged = result.get("flagged") if isinstance(result, Mapping) else None
    if not isinstance(flagged, bool) or not isinstance(flags, Mapping) or not isinstance(scores, Mapping):
        raise UnreadableVerdictError(
            "a verdict of the moderation endpoint lacks flagged, categories or category_scores"
        )
    if not all(score is None or _is_score(score) for score in scores.values()):
        raise UnreadableVerdictError("a score of the moderation endpoint is no number from 0 to 1")
    read = {str(name): float(score) for name, score in scores.items() if _is_score(score)}
    return Verdict(flagged, tuple(str(name) for name, over in flags.items() if over is True), read)


def _is_score(score: object) -> bool:
    return isinstance(score, (int, float)) and not isinstance(score, bool) and 0.0 <= score <= 1.0
