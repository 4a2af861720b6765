"""Embeddings that come as base64 become the numbers that the SDK makes of them."""

import base64
import struct
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from llmstack import OpenAI, Stack
from llmstack._wire import vectors
from llmstack._wire.vectors import decode_vectors
from llmstack.testing import LocalServer

PLAIN = base64.b64encode(struct.pack("<3f", 0.25, -1.5, 3e38)).decode()
TEXTS = {
    "plain": PLAIN,
    "with line ends": f"{PLAIN[:8]}\n{PLAIN[8:]}\n",
    "of the other alphabet": "-_-_" + PLAIN,
    "of both alphabets": "-/" + PLAIN + "+_",
    "with signs that are none": "*" + PLAIN[:6] + "\u00e9 =" + PLAIN[6:],
    "not filled up": PLAIN + "AA",
    "filled up too early": "AA==" + PLAIN,
    "with bits left over": "AAAAAB==",
    "not of whole numbers": PLAIN + "AAAA" + "AA==",
    "empty": "",
    "text": "None",
}


def answer(*embeddings: Any) -> CreateEmbeddingResponse:
    data = [{"object": "embedding", "index": i, "embedding": one} for i, one in enumerate(embeddings)]
    return CreateEmbeddingResponse.construct(object="list", model="m", data=data)


def theirs(text: str) -> Any:
    """What the SDK makes of it; what it raises if it cannot."""
    parsing = pytest.importorskip("openai.lib._parsing._embeddings")
    try:
        return parsing.parse_embedding_response(answer(text), encoding_format=openai.omit).data[0].embedding
    except ValueError as error:
        return repr(error)


@pytest.mark.parametrize("what", TEXTS)
def test_what_is_decoded_is_what_the_sdk_decodes(what: str) -> None:
    """And what is not is left to it."""
    ours = answer(TEXTS[what])
    decode_vectors(ours)
    found = ours.data[0].embedding
    assert found in (TEXTS[what], theirs(TEXTS[what]))
    assert isinstance(found, list) or what not in ("plain", "empty")


@given(numbers=st.lists(st.floats(width=32, allow_nan=False), max_size=9))
def test_numbers_are_what_they_were(numbers: list[float]) -> None:
    """Each of them."""
    ours = answer(base64.b64encode(struct.pack(f"={len(numbers)}f", *numbers)).decode())
    decode_vectors(ours)
    assert ours.data[0].embedding == numbers


def test_lists_of_numbers_stay_and_there_may_be_no_data() -> None:
    """There is nothing to decode."""
    ours = answer([1.0, 2], PLAIN)
    decode_vectors(ours)
    assert ours.data[0].embedding == [1.0, 2]
    assert ours.data[1].embedding == theirs(PLAIN)
    for data in ([], None):
        empty = CreateEmbeddingResponse.construct(object="list", model="m", data=data)
        decode_vectors(empty)
        assert empty.data == data


def served(**more: Any) -> tuple[Any, Any]:
    """What the program gets from us, and from the SDK."""
    with LocalServer() as server:
        given: dict[str, Any] = {"base_url": server.base_url, "api_key": "sk-test-not-a-key"}
        with OpenAI(stack=Stack([]), **given) as ours, openai.OpenAI(**given) as bare:
            asked: dict[str, Any] = {"model": "text-embedding-3-small", "input": ["a", "b"], **more}
            return ours.embeddings.create(**asked).data, bare.embeddings.create(**asked).data


@pytest.mark.parametrize("asked", [{}, {"encoding_format": "base64"}, {"encoding_format": "float"}], ids=str)
def test_a_program_gets_what_the_sdk_gives(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers, unless it has asked for base64."""
    ours, bare = served(**asked)
    assert ours == bare
    assert isinstance(ours[0].embedding, str if asked.get("encoding_format") == "base64" else list)
    monkeypatch.setattr(vectors, "_works", False)
    assert served(**asked)[0] == bare
