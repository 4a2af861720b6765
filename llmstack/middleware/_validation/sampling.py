"""Ranges of parameters, as the API reference and the SDK's docstrings name them.

https://platform.openai.com/docs/api-reference: each range here is stated there for the endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmstack.middleware._validation.finding import Findings, is_array, is_number, is_object

Range = tuple[float | None, float | None]

_SAMPLING: Final[dict[str, Range]] = {"temperature": (0, 2), "top_p": (0, 1)}
_PENALTIES: Final[dict[str, Range]] = {"frequency_penalty": (-2, 2), "presence_penalty": (-2, 2), "n": (1, 128)}

RANGES: Final[dict[str, dict[str, Range]]] = {
    "chat.completions": {
        **_SAMPLING,
        **_PENALTIES,
        "top_logprobs": (0, 20),
        "max_tokens": (1, None),
        "max_completion_tokens": (1, None),
    },
    # A legacy completion of no tokens with `echo` gives the log probabilities of the prompt.
    "completions": {**_SAMPLING, **_PENALTIES, "logprobs": (0, 5), "max_tokens": (0, None), "best_of": (0, 20)},
    "responses": {**_SAMPLING, "top_logprobs": (0, 20), "max_output_tokens": (1, None)},
    "embeddings": {"dimensions": (1, None)},
    "images.generations": {"n": (1, 10), "output_compression": (0, 100), "partial_images": (0, 3)},
    "audio.speech": {"speed": (0.25, 4)},
}

_MOST_STOPS = 4
_MOST_METADATA = 16
_LONGEST_METADATA_KEY = 64
_LONGEST_METADATA_VALUE = 512


def check_ranges(params: Mapping[str, Any], ranges: Mapping[str, Range], found: Findings) -> None:
    """Check the numbers that have a range."""
    if ranges.keys().isdisjoint(params):
        return
    for name, (least, most) in ranges.items():
        value = params.get(name)
        if value is None or not is_number(value):
            continue
        if (least is not None and value < least) or (most is not None and value > most):
            wanted = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
            found.add(name, f"must be {wanted}, not {shown(value)}")


def shown(number: float) -> str:
    """A number for a message; one too large for a float is not written out."""
    try:
        return f"{number:g}"
    except OverflowError:
        return "a number that large"


def check_stop(params: Mapping[str, Any], found: Findings) -> None:
    """At most four stop sequences; an empty one is hardly meant."""
    stop = params.get("stop")
    if stop == "":
        found.add("stop", "is empty", sure=False)
    if not is_array(stop):
        return
    if len(stop) > _MOST_STOPS:
        found.add("stop", f"at most {_MOST_STOPS} sequences are taken, not {len(stop)}")
    for i, text in enumerate(stop):
        if text == "":
            found.add(f"stop[{i}]", "is empty", sure=False)


def check_logit_bias(params: Mapping[str, Any], found: Findings) -> None:
    """Token ids to numbers from -100 to 100."""
    biases = params.get("logit_bias")
    if not is_object(biases):
        return
    for token, bias in biases.items():
        where = f"logit_bias.{token}" if str(token).isdigit() else "logit_bias"
        if not str(token).isdigit():
            found.add(where, "its keys must be ids of tokens")
        elif is_number(bias) and not -100 <= bias <= 100:  # noqa: PLR2004 - the range itself
            found.add(where, f"must be from -100 to 100, not {shown(bias)}")


def check_metadata(params: Mapping[str, Any], found: Findings) -> None:
    """At most 16 pairs; keys up to 64 characters, values up to 512."""
    metadata = params.get("metadata")
    if not is_object(metadata):
        return
    if len(metadata) > _MOST_METADATA:
        found.add("metadata", f"at most {_MOST_METADATA} pairs are taken, not {len(metadata)}")
    for i, (key, value) in enumerate(metadata.items()):
        if len(str(key)) > _LONGEST_METADATA_KEY:
            found.add("metadata", f"key number {i + 1} is longer than {_LONGEST_METADATA_KEY} characters")
        if isinstance(value, str) and len(value) > _LONGEST_METADATA_VALUE:
            found.add("metadata", f"value number {i + 1} is longer than {_LONGEST_METADATA_VALUE} characters")


def check_stream_options(params: Mapping[str, Any], found: Findings, *, stream: bool, sure: bool = True) -> None:
    """They go with a stream only."""
    if params.get("stream_options") and not stream:  # an empty object asks for nothing
        found.add("stream_options", "is taken only with stream=True", sure=sure)
