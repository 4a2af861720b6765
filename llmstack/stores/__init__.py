"""Stores: where caches, budgets and limits keep their state, chosen by URL.

    from llmstack.stores import open_store

    ledger = open_store("sqlite:///var/lib/app/llm.db").ledger()

Opening one does no I/O.
"""

from llmstack.stores.cache import CacheStats, CacheStore, Entry
from llmstack.stores.ledger import Balance, Bucket, Charge, Granted, Ledger, Record, Refused, Reservation, State
from llmstack.stores.store import Opener, Store, open_store

__all__ = [
    "Balance",
    "Bucket",
    "CacheStats",
    "CacheStore",
    "Charge",
    "Entry",
    "Granted",
    "Ledger",
    "Opener",
    "Record",
    "Refused",
    "Reservation",
    "State",
    "Store",
    "open_store",
]
