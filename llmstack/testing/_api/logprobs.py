"""Log probabilities: every token the same, and its own alternative, as often as is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llmstack.testing._api.answer import Json

_LOGPROB = round(math.log(0.9), 6)


def logprob_rows(tokens: Sequence[str], alternatives: object) -> list[Json]:
    """One row a token, with as many alternatives as ``top_logprobs`` says."""
    rows = [{"token": token, "logprob": _LOGPROB, "bytes": list(token.encode())} for token in tokens]
    count = alternatives if isinstance(alternatives, int) else 0
    return [{**row, "top_logprobs": [row] * count} for row in rows]
