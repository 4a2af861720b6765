"""Everything beside chat and Responses: embeddings, media, files, jobs, vector stores."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai._models import FinalRequestOptions

from llmstack.testing.local_server import FLAG_MARKER, LocalServer
from tests.testing.asking import MODEL, strict


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with LocalServer() as server, strict(server) as client:
        yield client


def lenient(client: OpenAI) -> OpenAI:
    return client.copy(_extra_kwargs={"_strict_response_validation": False})


def uploaded(client: OpenAI, name: str = "notes.txt", content: bytes = b"the quick fox") -> str:
    return client.files.create(file=(name, content), purpose="assistants").id


def test_embeddings_are_the_same_in_both_encodings(client: OpenAI) -> None:
    """The SDK asks for base64 by itself; asked for floats the numbers are equal."""
    client = lenient(client)  # strict, the SDK would validate before it decodes
    encoded = client.embeddings.create(model="e", input=["one", "two"])
    plain = client.embeddings.create(model="e", input=["one", "two"], encoding_format="float")
    assert [row.embedding for row in encoded.data] == [row.embedding for row in plain.data]
    assert encoded.data[0].embedding != encoded.data[1].embedding
    assert len(encoded.data[0].embedding) == 1536
    assert sum(number * number for number in encoded.data[0].embedding) == pytest.approx(1)
    assert encoded.usage.prompt_tokens == 2


def test_embeddings_take_dimensions_and_token_numbers(client: OpenAI) -> None:
    """Any of the input's four forms."""
    client = lenient(client)
    assert len(client.embeddings.create(model="e", input="one", dimensions=8).data[0].embedding) == 8
    assert len(client.embeddings.create(model="e", input=[1, 2, 3]).data) == 1
    assert len(client.embeddings.create(model="e", input=[[1, 2], [3]]).data) == 2
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="e", input="")


def test_the_marker_is_flagged(client: OpenAI) -> None:
    """Only the input that has it."""
    results = client.moderations.create(input=["fine", f"so {FLAG_MARKER}"]).results
    assert [result.flagged for result in results] == [False, True]
    assert results[1].categories.violence
    parts: Any = [{"type": "text", "text": FLAG_MARKER}, {"type": "image_url", "image_url": {"url": "https://a/b"}}]
    assert [result.flagged for result in client.moderations.create(input=parts).results] == [True]


def test_models(client: OpenAI) -> None:
    """Some are listed, all but one exist, only tuned ones can be deleted."""
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve("anything").id == "anything"
    assert client.models.delete("ft:gpt:test::1").deleted
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(MODEL)


def test_images(client: OpenAI) -> None:
    """A PNG that depends on the prompt; edits take a file."""
    first, second = (client.images.generate(prompt=prompt, n=2) for prompt in ("a cat", "a dog"))
    assert first.data is not None
    assert second.data is not None
    assert len(first.data) == 2
    assert first.data[0].b64_json != second.data[0].b64_json
    assert (first.data[0].b64_json or "").startswith("iVBORw0KGgo")
    picture = ("cat.png", b"\x89PNG\r\n\x1a\n\x00", "image/png")
    assert client.images.edit(image=picture, prompt="a cat").data == first.data[:1]
    assert client.images.edit(image=[picture, picture], prompt="a cat").data == first.data[:1]
    kinds = [event.type for event in client.images.generate(prompt="a cat", stream=True)]
    assert kinds == ["image_generation.completed"]


def test_speech_is_binary(client: OpenAI) -> None:
    """The same input gives the same bytes; ``wav`` is a real file."""
    speech = client.audio.speech.create(model="tts", voice="alloy", input="Hello", response_format="wav")
    assert speech.content[:4] == b"RIFF"
    assert speech.response.headers["content-type"] == "audio/wav"
    with client.audio.speech.with_streaming_response.create(model="tts", voice="alloy", input="Hello") as streamed:
        assert b"".join(streamed.iter_bytes()) == "Hello".encode("utf-16-le")


def test_transcriptions_name_their_file(client: OpenAI) -> None:
    """In every format, also streamed."""
    sound = ("talk.mp3", b"\r\n--not-a-boundary\r\n\x00\xff", "audio/mpeg")
    said = f"Transcript of talk.mp3 ({len(sound[1])} bytes)"
    assert client.audio.transcriptions.create(model="whisper-1", file=sound).text == said
    text: object = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="text")
    assert text == said + "\n"
    verbose = client.audio.transcriptions.create(model="whisper-1", file=sound, response_format="verbose_json")
    assert verbose.duration == 1.0
    *_, done = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sound, stream=True)
    assert done.type == "transcript.text.done"
    assert done.text == said


def test_files_come_back_as_they_went(client: OpenAI) -> None:
    """Any byte survives the form."""
    content = bytes(range(256)) + b"\r\n--boundary--\r\n"
    file = client.files.create(file=io.BytesIO(content), purpose="batch")
    assert (file.bytes, file.purpose, file.status) == (len(content), "batch", "processed")
    assert client.files.content(file.id).read() == content
    assert client.files.wait_for_processing(file.id) == client.files.retrieve(file.id)
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_lists_are_cut_into_pages(client: OpenAI) -> None:
    """``after`` and ``limit``, newest first unless told."""
    made = [uploaded(client, f"{number}.txt") for number in range(5)]
    first = client.files.list(limit=2)
    assert [file.id for file in first.data] == made[:2:-1]
    assert first.has_more
    assert [file.id for file in first] == made[::-1]
    assert [file.id for file in client.files.list(order="asc", after=made[1])] == made[2:]
    with pytest.raises(openai.BadRequestError):
        client.files.list(extra_query={"limit": "many"})


def test_uploads_join_their_parts(client: OpenAI) -> None:
    """In the order given, and only if the length is the one announced."""
    upload = client.uploads.create(bytes=6, filename="a.jsonl", mime_type="text/jsonl", purpose="batch")
    parts = [client.uploads.parts.create(upload.id, data=data).id for data in (b"def", b"abc")]
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(upload.id, part_ids=parts[:1])
    done = client.uploads.complete(upload.id, part_ids=parts[::-1])
    assert done.status == "completed"
    assert done.file is not None
    assert client.files.content(done.file.id).read() == b"abcdef"
    other = client.uploads.create(bytes=6, filename="b.jsonl", mime_type="text/jsonl", purpose="batch")
    assert client.uploads.cancel(other.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError):
        client.uploads.complete(other.id, part_ids=[])


def test_a_file_is_uploaded_in_chunks(client: OpenAI) -> None:
    """The SDK's helper makes the parts."""
    done = client.uploads.upload_file_chunked(
        file=b"x" * 10, filename="a.txt", bytes=10, mime_type="text/plain", purpose="batch", part_size=4
    )
    assert done.file is not None
    assert done.file.bytes == 10
    assert done.file.filename == "a.txt"


def test_batches_progress(client: OpenAI) -> None:
    """One step with each look, or cancelled."""
    input_file = uploaded(client, content=b"{}\n{}\n")
    batch = client.batches.create(
        input_file_id=input_file, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "1"}
    )
    statuses = [batch.status, *(client.batches.retrieve(batch.id).status for _ in range(3))]
    assert statuses == ["validating", "in_progress", "completed", "completed"]
    counts = client.batches.retrieve(batch.id).request_counts
    assert counts is not None
    assert counts.completed == 2
    assert [listed.metadata for listed in client.batches.list()] == [{"a": "1"}]
    assert client.batches.cancel(batch.id).status == "cancelling"


def test_fine_tuning_jobs_progress(client: OpenAI) -> None:
    """With events, down to the tuned model."""
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=uploaded(client))
    client.fine_tuning.jobs.retrieve(job.id)
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.status == "succeeded"
    assert client.models.retrieve(job.fine_tuned_model or "").id == job.fine_tuned_model
    assert len(list(client.fine_tuning.jobs.list_events(job.id, limit=1))) == 3
    assert list(client.fine_tuning.jobs.checkpoints.list(job.id)) == []
    other = client.fine_tuning.jobs.create(model=MODEL, training_file=uploaded(client))
    assert client.fine_tuning.jobs.cancel(other.id).status == "cancelled"
    assert [listed.id for listed in client.fine_tuning.jobs.list()] == [other.id, job.id]


def test_vector_stores(client: OpenAI) -> None:
    """Made, changed, listed, searched, deleted."""
    store = client.vector_stores.create(name="notes", file_ids=[uploaded(client)])
    assert client.vector_stores.update(store.id, name="more").name == "more"
    assert [listed.id for listed in client.vector_stores.list()] == [store.id]
    found = list(client.vector_stores.search(store.id, query="quick answers"))
    assert [(hit.filename, hit.content[0].text) for hit in found] == [("notes.txt", "the quick fox")]
    assert list(client.vector_stores.search(store.id, query="slow")) == []
    assert client.vector_stores.delete(store.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.list(store.id)


def test_files_are_added_to_a_vector_store(client: OpenAI) -> None:
    """By hand, with polling, and by upload."""
    store = client.vector_stores.create()
    added = client.vector_stores.files.create_and_poll(uploaded(client), vector_store_id=store.id)
    assert added.status == "completed"
    sent = client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("b.txt", b"lazy dog"))
    assert [file.id for file in client.vector_stores.files.list(store.id, order="asc")] == [added.id, sent.id]
    assert client.vector_stores.retrieve(store.id).file_counts.completed == 2
    content = client.vector_stores.files.content(sent.id, vector_store_id=store.id)
    assert [part.text for part in content] == ["lazy dog"]
    assert client.vector_stores.files.delete(added.id, vector_store_id=store.id).deleted


def test_file_batches_reach_completed(client: OpenAI) -> None:
    """Also those the SDK uploads from worker threads."""
    store = client.vector_stores.create(name="s")
    files: Any = [(f"{number}.txt", b"text") for number in range(3)]
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=files)
    assert (batch.status, batch.file_counts.completed) == ("completed", 3)
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)
    assert len(list(listed)) == 3
    other = client.vector_stores.file_batches.create(store.id, file_ids=[uploaded(client)])
    cancelled = client.vector_stores.file_batches.cancel(other.id, vector_store_id=store.id)
    assert cancelled.status == "cancelled"


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/nothing", 404), ("PUT", "/models", 405)])
def test_other_paths_are_refused_in_the_apis_shape(client: OpenAI, method: str, path: str, status: int) -> None:
    """Unknown ones 404, known ones with another method 405."""
    with pytest.raises(openai.APIStatusError) as caught:
        client.request(object, FinalRequestOptions(method=method, url=path, json_data={}))
    assert caught.value.status_code == status
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize("content", [b"{not json", b"[1]"])
def test_a_body_that_is_no_json_object_is_refused(client: OpenAI, content: bytes) -> None:
    """As the API words it."""
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", cast_to=object, content=content)


def test_ids_count_up_per_server(client: OpenAI) -> None:
    """Two servers give the same ids."""
    with (
        LocalServer() as other,
        OpenAI(base_url=other.base_url, api_key="sk-test-not-a-key") as second,
    ):
        ids = [[uploaded(one), uploaded(one)] for one in (client, second)]
    assert ids[0] == ids[1] == ["file-1", "file-2"]
