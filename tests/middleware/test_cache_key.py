"""The key holds all that an answer depends on: every parameter that the SDK has, spelled in whatever way."""

from __future__ import annotations

import inspect
from enum import Enum
from hashlib import blake2b
from typing import Any

import pytest
from openai.resources import Completions, Embeddings, Moderations
from openai.resources.chat import Completions as ChatCompletions
from openai.resources.responses import Responses

from llmstack import Call
from llmstack.middleware._cache.canonical import canonical
from llmstack.middleware._cache.key import LEFT_OUT, batch_key, item_keys, key_of
from llmstack.middleware.cache import Cache
from tests.middleware.cache_asker import BASE, Asker

OF_THE_REQUEST = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}


def parameters() -> list[tuple[str, str]]:
    """Each parameter of each method, from the SDK's own signatures."""
    resources = {
        "chat.completions": ChatCompletions,
        "responses": Responses,
        "completions": Completions,
        "embeddings": Embeddings,
        "moderations": Moderations,
    }
    return [
        (endpoint, name)
        for endpoint, resource in resources.items()
        for name in inspect.signature(resource.create).parameters
        if name not in OF_THE_REQUEST
    ]


def test_there_are_parameters_to_look_at() -> None:
    """The signatures have been found."""
    found = parameters()
    assert len(found) > 70
    assert {endpoint for endpoint, _ in found} == set(BASE)


@pytest.mark.parametrize(("endpoint", "name"), parameters())
def test_every_parameter_of_the_sdk_changes_the_key(asker: Asker, endpoint: str, name: str) -> None:
    """But for the few that do not change the answer."""
    one, other = (True, False) if name == "stream" else ("one", "other")
    if name in ("background", "conversation"):  # such a call is not cached at all, and so has no key
        assert asker.key(endpoint, **{name: "one"}) == ""
        return
    keys = {asker.key(endpoint), asker.key(endpoint, **{name: one}), asker.key(endpoint, **{name: other})}
    assert "" not in keys
    assert len(keys) == (1 if name in LEFT_OUT else 3)


@pytest.mark.parametrize("endpoint", BASE)
def test_what_is_given_beside_the_parameters_changes_the_key(asker: Asker, endpoint: str) -> None:
    """Extra body, query and headers, whatever is in them."""
    more: list[dict[str, Any]] = [
        {},
        {"extra_body": {"top_k": 1}},
        {"extra_body": {"top_k": 2}},
        {"extra_body": {"a": {"b": [1, {"c": None}]}}},
        {"extra_body": {"a": {"b": [1, {"c": 0}]}}},
        {"extra_query": {"a": "1"}},
        {"extra_query": {"a": "2"}},
        {"extra_headers": {"OpenAI-Beta": "x"}},
        {"extra_headers": {"OpenAI-Beta": "y"}},
        {"extra_headers": {"Authorization": "Bearer not-a-key"}},
    ]
    assert len({asker.key(endpoint, **one) for one in more}) == len(more)


@pytest.mark.parametrize(
    "more",
    [
        {"timeout": 3},
        {"extra_headers": {"Idempotency-Key": "x"}},
        {"extra_headers": {"X-Stainless-Anything": "x"}},
        {"extra_headers": {"traceparent": "00-1-1-01"}},
        {"extra_headers": {"x-llmstack-tags": "team=search"}},
        {"extra_body": {"user": "ann"}},
        {"extra_body": {"metadata": {"a": "b"}}},
        {"safety_identifier": "ann"},
        {"prompt_cache_key": "run-1"},
        {"prompt_cache_options": {"ttl": "24h"}},
        {"prompt_cache_retention": "24h"},
    ],
)
def test_what_does_not_change_the_answer_does_not_change_the_key(asker: Asker, more: dict[str, Any]) -> None:
    """How long it may take, who wants it, what it is traced by, what the provider is to keep of it."""
    assert asker.key(**more) == asker.key()


def test_another_client_for_the_same_is_the_same() -> None:
    """Made anew, with other time-outs and retries."""
    others: list[dict[str, Any]] = [{}, {"timeout": 1}, {"max_retries": 7}]
    assert len({Asker(**more).key() for more in others}) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"base_url": "http://other.invalid/v1"},
        {"api_key": "sk-test-not-a-key-2"},
        {"organization": "org-1"},
        {"project": "proj-1"},
        {"default_headers": {"x-route": "a"}},
        {"default_query": {"api-version": "1"}},
        {"cache": Cache(when="always", tenant="acme")},
        {"cache": Cache(when="always", tenant=lambda _: "acme")},
    ],
)
def test_a_client_for_another_is_another(more: dict[str, Any]) -> None:
    """Where it points, whose key it has, what it adds to its requests."""
    assert Asker(**more).key() != Asker().key()


def test_the_endpoint_and_the_transport_change_the_key() -> None:
    """The same words mean another thing elsewhere."""
    cache = Cache(when="always")
    params = {"model": "m", "messages": [], "input": "a", "prompt": "a"}
    paths = ("/chat/completions", "/responses", "/completions", "/moderations", "/openai/chat/completions")

    def key(path: str, transport: str) -> str:
        call = Call(path=path, endpoint=path.removeprefix("/openai")[1:].replace("/", "."), params=params)
        call.progress.transport = transport
        return cache.explain_key(call).key

    keys = {key(path, transport) for path in paths for transport in ("openai", "responses")}
    assert len(keys) == 2 * len(paths)
    assert "" not in keys


def test_another_version_of_keys_is_another_key(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update finds nothing of what was kept by other rules."""
    before = asker.key()
    monkeypatch.setattr("llmstack.middleware._cache.key.VERSION", 0)
    assert asker.key() not in (before, "")


@pytest.mark.parametrize("around", [[{}, {}], [{"x-route": "eu"}, {}], [{}, {"version": "1"}]])
def test_what_is_hashed_is_the_text_of_all_parts_as_one_list(around: list[Any]) -> None:
    """Whether what stands before the parameters is known from the call before or not."""
    parts = [2, "openai", "https://example.com/v1", None, *around, {"model": "m", "n": 1.0}]
    digest = blake2b(canonical(parts).encode(), digest_size=24, person=b"llmstack.cache").hexdigest()
    assert key_of(parts) == key_of(parts) == f"c2:{digest}"


def test_what_is_equal_in_python_and_not_in_json_has_keys_of_its_own() -> None:
    """A function that names tenants may give anything; the digest of one is not taken for the other's."""
    assert len({key_of(["chat", tenant, {}, {}, {"a": 1}]) for tenant in (1, True, "1", None)}) == 4


def test_keys_fit_a_store(asker: Asker) -> None:
    """Short ASCII, whatever was asked."""
    key = asker.key(messages=[{"role": "user", "content": "\ud800 \U0001f600 \u00e9" * 1000}])
    assert key.isascii()
    assert len(key) < 100


def test_inputs_of_a_batch_have_keys_of_their_own() -> None:
    """A text that looks like a list of tokens is none, and one with a quote is not its beginning."""
    items = ["[1]", [1], '"', "", '""', "a", 'a"', "\ud800", "\0", "[1, 2]", [1, 2], "x" * 5000]
    keys = item_keys(["m"], items)
    assert len(set(keys)) == len(items)
    assert item_keys(["m"], [[1.0], "a"]) == (keys[1], keys[5])
    assert not set(item_keys(["n"], items)) & set(keys)


class Word(str, Enum):  # noqa: UP042 - its `format` is another than its text
    """A text of another class."""

    CAT = "cat"


def test_inputs_of_a_class_of_their_own_are_the_texts_that_they_are() -> None:
    """And never those of others: a text that ends in a quote is another."""
    keys = item_keys(["m"], [Word.CAT, "cat", 'cat"'])
    assert keys[0] == keys[1] != keys[2]


def test_a_batch_has_a_key_of_its_own() -> None:
    """By its inputs and their order; one input alone is asked for by its own."""
    keys = item_keys(["m"], ["a", "b"])
    assert batch_key(keys[:1]) == keys[0]
    assert len({batch_key(keys), batch_key(keys[::-1]), batch_key([*keys, keys[0]]), *keys}) == 5
