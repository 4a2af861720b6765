"""Keeping responses in memory."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack.transports import MemoryResponses, StoredResponse
from llmstack.transports._translation.responses_store import ResponseStore

ITEM = {"type": "message", "role": "user", "content": "private words"}


def stored(name: str = "resp_1", size: int = 0) -> StoredResponse:
    """A response to one message."""
    return StoredResponse({"id": name, "output": [{"type": "reasoning", "id": "x" * size}]}, [ITEM])


def test_what_was_put_is_there():
    """With the conversation that the next request goes on from; as it was, whatever becomes of the original."""
    store: ResponseStore = MemoryResponses()
    kept = stored()
    store.put("resp_1", kept, tenant=None)
    kept.response["output"].append("changed")
    found = store.get("resp_1", tenant=None)
    assert found is not None
    assert found == stored()
    assert found.items == [ITEM, {"type": "reasoning", "id": ""}]
    assert store.get("resp_2", tenant=None) is None


def test_each_tenant_has_its_own():
    """Also one whose name looks like no tenant."""
    store = MemoryResponses()
    store.put("resp_1", stored("a"), tenant="a")
    store.put("resp_1", stored("none"), tenant=None)
    found = [store.get("resp_1", tenant=tenant) for tenant in ("a", None, "None")]
    assert [kept and kept.response["id"] for kept in found] == ["a", "none", None]


def test_a_later_one_takes_the_place():
    """Of the same id."""
    store = MemoryResponses()
    for name in "ab":
        store.put("resp_1", stored(name), tenant=None)
    found = store.get("resp_1", tenant=None)
    assert found is not None
    assert (found.response["id"], len(store)) == ("b", 1)


def test_it_is_bounded_in_bytes():
    """Those not used for longest go first; what is larger than all there is is not kept, nor what it replaced."""
    store = MemoryResponses(max_bytes=1000)
    for name in "abc":
        store.put(name, stored(size=200), tenant=None)
        assert store.get("a", tenant=None) is not None
    assert len(store) == 2
    assert store.get("b", tenant=None) is None
    store.put("a", stored(size=2000), tenant=None)
    assert store.get("a", tenant=None) is None
    assert store.get("c", tenant=None) is not None


def test_it_is_bounded_in_time():
    """From when it was put there."""
    now = [0.0]
    store = MemoryResponses(ttl=10, clock=lambda: now[0])
    store.put("a", stored(), tenant=None)
    now[0] = 9.0
    assert store.get("a", tenant=None) is not None
    now[0] = 10.0
    assert store.get("a", tenant=None) is None
    assert len(store) == 0


@pytest.mark.parametrize("bounds", [{"max_bytes": 0}, {"ttl": 0}, {"ttl": -1}, {"ttl": float("nan")}], ids=repr)
def test_bounds_are_above_nothing(bounds):
    """Else nothing could be kept."""
    with pytest.raises(ValueError, match="above 0"):
        MemoryResponses(**bounds)


def test_nothing_private_is_shown():
    """Neither by the store nor by what it gives."""
    store = MemoryResponses()
    store.put("a", stored(), tenant="private words")
    assert repr(store) == "<MemoryResponses 1 kept>"
    assert "private words" not in repr(store.get("a", tenant="private words"))


def test_threads_may_share_it():
    """All at once, at its bound."""
    store = MemoryResponses(max_bytes=2000)
    failures: list[BaseException] = []

    def use(name: str) -> None:
        try:
            for _ in range(200):
                store.put(name, stored(name, 200), tenant=None)
                found = store.get(name, tenant=None)
                assert found is None or found.response["id"] == name
                len(store)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=use, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_any_json_is_kept_as_it_is(value):
    """Half a surrogate pair included."""
    store = MemoryResponses()
    item = {"value": value, "odd": "\ud800"}
    store.put("a", StoredResponse({"output": [item]}, [item]), tenant=None)
    assert store.get("a", tenant=None) == StoredResponse({"output": [item]}, [item])
