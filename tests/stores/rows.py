"""What the tests of the stores say in short."""

from dataclasses import replace

from llmstack.stores import Bucket, Charge, Entry, Record, Reservation

BUCKET = Bucket("b", 0)


def entry(value=b"{}", *, now=1_700_000_000.0, keep=100.0):
    """An entry, as of the clock that tests use."""
    return Entry(value, now, now + keep, now + keep)


def row(key, **more):
    """A row."""
    return replace(Record(id=key, call="c", at=1.0, endpoint="chat.completions"), **more)


def reservation(key, amount=10, *, limit: int | None = 100, lease=60.0, sent=False, keep_until=10**11):
    """Of one bucket."""
    charge = Charge(BUCKET, 0, limit, amount, keep_until)
    return Reservation(key, (charge,), lease, row(key, reserved=amount), sent)
