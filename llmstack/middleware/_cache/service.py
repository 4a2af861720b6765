"""Service: how a call is answered, from the cheapest way to the dearest."""

from __future__ import annotations

from llmstack import Flow, Reply
from llmstack.errors import CacheMissError
from llmstack.middleware._cache.company import Company
from llmstack.middleware._cache.visit import Found, Visit

__all__ = ["serve"]


def serve(visit: Visit) -> Flow[Reply]:
    """Answer a call.

    Args:
        visit: The call at the cache.

    Raises:
        llmstack.errors.CacheMissError: If it may be answered from the cache only, and is not there.
    """
    if visit.wish.mode == "refresh":
        return (yield from visit.asked(Found([None] * len(visit.question.keys)), "refresh")).reply
    found = yield from visit.look()
    if found.answer is not None:
        return (yield from visit.served(found.answer))
    if visit.wish.mode == "only":
        message = "nothing is kept that answers this call, and it may not be sent (cache='only')"
        raise CacheMissError(message, call=visit.call.info, plugin=visit.counter.name)
    patience = visit.counter.settings.patience
    if patience is None:
        return (yield from visit.asked(found, found.reason)).reply
    return (yield from Company(visit, patience).reply(found))
