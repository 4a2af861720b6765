"""Why a call was not served can be found out, without its content."""

from __future__ import annotations

import pytest

from llmstack import Call, Options
from llmstack.middleware.cache import Cache
from tests.middleware.cache_asker import Asker


def test_an_explanation_names_what_differs(asker: Asker) -> None:
    """And so why one was not served the answer of the other."""
    one = asker.explain(temperature=0, user="ann")
    other = asker.explain(temperature=1, user="bob", seed=1)
    assert one.difference(other) == ["params.seed", "params.temperature"]
    assert one.difference(one) == []
    assert one.left_out == ["user"]
    assert one.parts["path"] == "/chat/completions"
    assert one.parts["base_url"] == "http://scripted.invalid/v1/"
    assert one.parts["transport"] == asker.transport.name


def test_an_explanation_holds_no_content_and_no_key(asker: Asker) -> None:
    """It may be logged."""
    told = repr(asker.explain(extra_headers={"Authorization": "Bearer not-a-key"}, extra_query={"key": "not-a-key"}))
    assert "private words" not in told
    assert "not-a-key" not in told
    assert "headers.authorization" in told


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (Call(method="GET", path="/models", endpoint="models"), "it is of no kind that is"),
        (Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m"}), "when='deterministic'"),
        (Call(path="/embeddings", endpoint="embeddings", params={"input": 7}), "its input is neither text nor tokens"),
        (Call(path="/embeddings", endpoint="embeddings", params={"input": [7, "a"]}), "its input is neither"),
    ],
)
def test_an_explanation_says_why_a_call_is_not_cached(call: Call, reason: str) -> None:
    """Rather than a key."""
    explained = Cache().explain_key(call)
    assert explained.key == ""
    assert reason in explained.reason


def test_the_tenant_of_a_call_is_part_of_its_key() -> None:
    """Unless a function of the program's says whose it is."""

    def key(cache: Cache, tenant: str | None) -> str:
        options = Options({"tenant": tenant} if tenant else {})
        params = {"input": "a"}
        return cache.explain_key(Call(path="/embeddings", endpoint="embeddings", params=params, options=options)).key

    for cache in (Cache(), Cache(tenant="all")):
        assert len({key(cache, tenant) for tenant in (None, "acme", "umbrella")}) == 3
    decided = Cache(tenant=lambda _: "everybody")
    assert len({key(decided, tenant) for tenant in (None, "acme", "umbrella")}) == 1
