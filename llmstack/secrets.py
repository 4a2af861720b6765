"""Secrets: keep keys out of whatever a plugin shows, writes or sends elsewhere.

    from llmstack.secrets import mask

    log.info(mask(text))

Every key that a client of llmstack is made with, or sends, is known here.
"""

from __future__ import annotations

from llmstack._core.secret import MASKED, find, mask, mask_all, register

__all__ = ["MASKED", "find", "mask", "mask_all", "register"]
