"""The other endpoints that take a prompt: embeddings, legacy completions, moderations, speech, images.

All of this is OpenAI's: elsewhere other parameters (``messages`` for embeddings at vLLM) and other kinds of input
(objects at llama.cpp) may stand for it, so nothing here is refused everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack.middleware._validation.finding import Findings, a, is_array, is_number, kind
from llmstack.middleware._validation.sampling import check_logit_bias, check_stop, check_stream_options, shown

_MOST_INPUTS: Final = 2048
"""Embeddings: "any array must be 2048 dimensions or less", in the API reference of ``input``."""
_LONGEST_SPEECH: Final = 4096
_LONGEST_PROMPTS: Final = {"dall-e-2": 1000, "dall-e-3": 4000}
_LONGEST_PROMPT: Final = 32_000
_INTEGERS: Final = frozenset({int})


def check_embeddings(params: Mapping[str, Any], found: Findings) -> None:
    """An input is a text, a list of token ids, or a list of either."""
    given = params.get("input")
    if given == "":
        found.add("input", "must not be empty")
    elif is_array(given):
        _check_inputs(given, found)
    else:
        _check_one_input(given, found)


def _check_one_input(given: Any, found: Findings) -> None:
    """What is no array must be there, and be a text."""
    if given is None:
        found.add("input", "is missing")
    elif kind(given) not in ("string", ""):
        found.add("input", f"must be a string or an array, not {a(kind(given))}")


def _check_inputs(given: Any, found: Findings) -> None:
    classes = set(map(type, given))
    if not given:
        found.add("input", "must have at least one input")
    if classes <= _INTEGERS:
        return  # one input, as token ids
    if len(given) > _MOST_INPUTS:
        found.add("input", f"at most {_MOST_INPUTS} inputs are taken, not {len(given)}")
    for i, item in enumerate(given):
        if item == "" or (is_array(item) and not item):
            found.add(f"input[{i}]", "must not be empty")
        elif kind(item) == "integer":
            found.add(f"input[{i}]", "token ids and texts cannot be mixed")


def check_completions(params: Mapping[str, Any], found: Findings, *, stream: bool) -> None:
    """Legacy completions: a prompt may be left out."""
    prompt = params.get("prompt")
    if is_array(prompt) and not prompt:
        found.add("prompt", "must have at least one prompt")
    best, count = params.get("best_of"), params.get("n")
    if is_number(best) and is_number(count) and best < count:
        found.add("best_of", f"must be at least n, which is {shown(count)}, not {shown(best)}")
    check_stop(params, found)
    check_logit_bias(params, found)
    check_stream_options(params, found, stream=stream)


def check_moderations(params: Mapping[str, Any], found: Findings) -> None:
    """There must be something to judge."""
    given = params.get("input")
    if not is_array(given):
        _check_one_input(given, found)
    elif not given:
        found.add("input", "must have at least one input")


def check_speech(params: Mapping[str, Any], found: Findings) -> None:
    """A text of up to 4096 characters."""
    _check_text(params, "input", found, longest=_LONGEST_SPEECH)


def check_images(params: Mapping[str, Any], found: Findings) -> None:
    """A prompt, as long as the model takes it."""
    longest = _LONGEST_PROMPTS.get(str(params.get("model")), _LONGEST_PROMPT)
    _check_text(params, "prompt", found, longest=longest)


def _check_text(params: Mapping[str, Any], name: str, found: Findings, *, longest: int) -> None:
    given = params.get(name)
    if given is None:
        found.add(name, "is missing")
    elif given == "":
        found.add(name, "must not be empty")
    elif isinstance(given, str) and len(given) > longest:
        found.add(name, f"must have at most {longest} characters, not {len(given)}")
