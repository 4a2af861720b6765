"""What Azure's content filter says about a call: in its answer, or in the error in place of one.

Source: "Content filtering annotations" of the Azure OpenAI documentation. Harm categories have a severity (safe, low,
medium, high); the optional models (jailbreak, protected material …) are detected or not; ``filtered`` says that Azure
has taken something out, or refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import openai

from llmstack.middleware._moderation.verdict import Subject, Verdict, merged

__all__ = ["SEVERITIES", "azure_error", "azure_verdicts"]

SEVERITIES = ("safe", "low", "medium", "high")
_SCORES = {"safe": 0.0, "very_low": 1 / 6, "low": 2 / 6, "medium": 4 / 6, "high": 1.0}
"""Azure's severity levels 0 to 6, brought to 0 to 1."""


def azure_verdicts(body: object, severity: str | None) -> dict[Subject, Verdict]:
    """What an answer, or a chunk of one, tells about prompt and completion.

    Args:
        body: The JSON.
        severity: The least severity that flags what Azure itself lets pass; None for none.

    Returns:
        A verdict for each of the two that something is told about.
    """
    told: dict[Subject, list[Verdict]] = {}
    for subject, results in _results(body):
        told.setdefault(subject, []).append(_verdict(results, severity))
    return {subject: merged(verdicts) for subject, verdicts in told.items()}


def azure_error(error: BaseException) -> Verdict | None:
    """What Azure's refusal of a prompt says; None for any other error."""
    body = error.body if isinstance(error, openai.APIStatusError) else None
    if not isinstance(body, Mapping) or body.get("code") not in ("content_filter", "content_policy_violation"):
        return None
    inner = body.get("innererror") or body.get("inner_error")
    results = None
    if isinstance(inner, Mapping):
        results = inner.get("content_filter_result") or inner.get("content_filter_results")
    if not isinstance(results, Mapping):
        return Verdict(flagged=True, categories=("content_filter",)) if body["code"] == "content_filter" else None
    verdict = _verdict(results, None)
    return Verdict(flagged=True, categories=verdict.categories or ("content_filter",), scores=verdict.scores)


def _results(body: object) -> Iterator[tuple[Subject, Mapping[str, Any]]]:
    if not _is(body):
        return
    prompts = body.get("prompt_filter_results") or body.get("prompt_annotations")
    for prompt in prompts if isinstance(prompts, list) else ():
        if _is(prompt) and _is(prompt.get("content_filter_results")):
            yield "input", prompt["content_filter_results"]
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if _is(choice) and _is(choice.get("content_filter_results")) and choice["content_filter_results"]:
            yield "output", choice["content_filter_results"]
    response = body.get("response")  # the last event of a Response's stream
    for holder in (body, response):
        filters = holder.get("content_filters") if _is(holder) else None
        for one in filters if isinstance(filters, list) else ():
            if _is(one) and _is(one.get("content_filter_results")):
                yield "input" if one.get("source_type") == "prompt" else "output", one["content_filter_results"]


def _verdict(results: Mapping[str, Any], severity: str | None) -> Verdict:
    over: set[str] = set()
    scores: dict[str, float] = {}
    for category, result in results.items():
        if not _is(result) or category == "error":
            continue
        score = _SCORES.get(str(result.get("severity")))
        if score is not None:
            scores[category] = score
        reaches = severity is not None and score is not None and score >= _SCORES[severity]
        if result.get("filtered") is True or result.get("detected") is True or reaches:
            over.add(category)
    return Verdict(bool(over), tuple(sorted(over)), scores)


def _is(value: object) -> TypeGuard[Mapping[str, Any]]:
    # The last takes long, and this is asked of each answer and each chunk, hardly one of which is Azure's.
    return type(value) is dict or (value is not None and isinstance(value, Mapping))
