"""``/models``, ``/embeddings`` and ``/moderations``."""

from __future__ import annotations

import array
import base64
import hashlib
import math
import random
import sys

from llmstack.testing._api.answer import Answer, Json, JsonAnswer
from llmstack.testing._api.errors import ApiError, model_not_found
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED, FLAG_MARKER, MISSING_MODEL, count_tokens, text_of

LISTED_MODELS = ("gpt-5", "gpt-5-mini", "gpt-4o-mini", "o4-mini", "text-embedding-3-small", "omni-moderation-latest")

_DIMENSIONS = {"text-embedding-3-large": 3072}
_USUAL_DIMENSIONS = 1536

_TEXT_CATEGORIES = ("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent")
_IMAGE_CATEGORIES = (
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def list_models(_call: ApiCall) -> Answer:
    return JsonAnswer({"object": "list", "data": [_model(name) for name in LISTED_MODELS]})


def retrieve_model(call: ApiCall) -> Answer:
    """Any model exists, but the missing one."""
    if call.ids["model"] == MISSING_MODEL:
        raise model_not_found(MISSING_MODEL)
    return JsonAnswer(_model(call.ids["model"]))


def delete_model(call: ApiCall) -> Answer:
    if not call.ids["model"].startswith("ft:"):
        raise ApiError(403, "You have insufficient permissions to delete this model.")
    return JsonAnswer({"id": call.ids["model"], "object": "model", "deleted": True})


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "system"}


def create_embedding(call: ApiCall) -> Answer:
    texts = _inputs(call.body.get("input"))
    if not texts:
        raise ApiError(400, "'$.input' is invalid.", param="input")
    dimensions = int(call.body.get("dimensions") or _DIMENSIONS.get(call.model, _USUAL_DIMENSIONS))
    encoded = call.body.get("encoding_format") == "base64"
    rows = []
    for index, text in enumerate(texts):
        vector = embedding_of(text, dimensions)
        rows.append({"object": "embedding", "index": index, "embedding": _base64(vector) if encoded else list(vector)})
    tokens = sum(map(count_tokens, texts))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JsonAnswer({"object": "list", "data": rows, "model": call.model, "usage": usage})


def embedding_of(text: str, dimensions: int) -> array.array[float]:
    """A vector of length 1 (to the precision of 32-bit floats) that depends on nothing but its arguments."""
    source = random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 -- no secret, but a repeatable vector
    numbers = [source.uniform(-1.0, 1.0) for _ in range(dimensions)]
    length = math.hypot(*numbers) or 1.0
    return array.array("f", (number / length for number in numbers))


def _base64(vector: array.array[float]) -> str:
    if sys.byteorder == "big":
        vector = array.array("f", vector)
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode()


def _inputs(given: object) -> list[str]:
    """The texts to embed; token numbers stand as their digits."""
    if isinstance(given, str):
        return [given] if given else []
    if not isinstance(given, list):
        return []
    if given and isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [text for one in given for text in _inputs(one)]


def create_moderation(call: ApiCall) -> Answer:
    given = call.body.get("input", "")
    # a list of parts (objects) is one multimodal input, a list of strings is several
    several = isinstance(given, list) and all(isinstance(one, str) for one in given)
    results = [_moderated(text_of(one)) for one in (given if several else [given])]
    model = call.body.get("model", "omni-moderation-latest")
    return JsonAnswer({"id": call.memory.new_id("modr-"), "model": model, "results": results})


def _moderated(text: str) -> Json:
    flagged = FLAG_MARKER in text
    categories = (*_TEXT_CATEGORIES, *_IMAGE_CATEGORIES)
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == "violence" for name in categories},
        "category_scores": {name: 0.98 if flagged and name == "violence" else 0.001 for name in categories},
        "category_applied_input_types": {name: ["text"] for name in categories},
    }
