"""The options of a request made in one step are those that the SDK makes, and nothing is shared between requests."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from openai import NotGiven
from openai._base_client import make_request_options
from openai._models import FinalRequestOptions

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack._wire.posting import asked_with, post_of
from llmstack.testing import LocalServer

BODY: dict[str, Any] = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}
TOLD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "headers": {"extra_headers": {"x-one": "1", "x-none": NotGiven(), "x-omit": openai.omit}},
    "query": {"extra_query": {"page": 2}, "query": {"limit": 1}},
    "body": {"extra_body": {"top_k": 3}},
    "time-out": {"timeout": httpx2.Timeout(3.0)},
    "no time-out": {"timeout": None},
    "a key": {"idempotency_key": "once"},
    "a parser": {"post_parser": str},
}


def seen(options: Any) -> Any:
    """All that there is to be seen of options; what was not given by its class, since the SDK copies it."""
    values = {name: NotGiven if isinstance(value, NotGiven) else value for name, value in vars(options).items()}
    return list(values.items()), options.model_fields_set, options.__pydantic_extra__, options.__pydantic_private__


@pytest.mark.parametrize("name", TOLD)
def test_options_are_those_that_the_sdk_makes(name: str) -> None:
    """Values, their order, and which were given."""
    options: Any = make_request_options(**TOLD[name])
    theirs = FinalRequestOptions.construct(
        method="post", url="/chat/completions", json_data=BODY, content=None, files=None, **options
    )
    assert seen(asked_with("/chat/completions", body=BODY, options=options)) == seen(theirs)


def test_what_is_not_given_is_taken_out_of_the_body() -> None:
    """As the SDK does for bodies that a program posts by itself."""
    body = {"model": "m", "user": NotGiven()}
    theirs = FinalRequestOptions.construct(method="post", url="/x", json_data=body, content=None, files=None)
    assert seen(asked_with("/x", body=body)) == seen(theirs)


@pytest.mark.parametrize("more", [{"body": b"bytes"}, {"content": b"bytes"}, {"files": []}, {"options": {"new": 1}}])
def test_anything_else_is_left_to_the_sdk(more: dict[str, Any]) -> None:
    """It may warn, refuse, or know better."""
    assert asked_with("/x", **{"body": BODY, **more}) is None


def test_requests_share_nothing_that_can_be_changed() -> None:
    """Whoever changes the options of one, as a hook of the SDK's may, changes no other."""
    one, other = asked_with("/x", body=BODY), asked_with("/x", body=BODY)
    before = seen(other)
    for value in vars(one).values():
        if isinstance(value, dict):
            value["changed"] = True
    one.model_fields_set.add("headers")
    assert seen(other) == before == seen(asked_with("/x", body=BODY))


@pytest.mark.parametrize("kind", [OpenAI, AsyncOpenAI])
def test_a_post_of_the_programs_own_is_kept(kind: Any) -> None:
    """By a subclass, or put in its place on one client."""

    class Own(kind):  # type: ignore[misc]
        def post(self, *_: object, **__: object) -> str:
            return "mine"

    client = Own(api_key="k", stack=Stack([]))
    assert post_of(client) == client.post
    plain = kind(api_key="k", stack=Stack([]))
    plain.post = client.post
    assert post_of(plain) == client.post


def test_a_subclass_hears_of_each_post(local_server: LocalServer) -> None:
    """Also of those of the resources that are asked most."""
    paths = []

    class Own(OpenAI):
        def post(self, path: str, **more: Any) -> Any:
            paths.append(path)
            return super().post(path, **more)

    with Own(base_url=local_server.base_url, api_key="k", stack=Stack([])) as client:
        client.chat.completions.create(**BODY)
        client.embeddings.create(model="text-embedding-3-small", input="hi")
    assert paths == ["/chat/completions", "/embeddings"]
