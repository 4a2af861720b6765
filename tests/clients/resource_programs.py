"""Programs that turn pages, and send, fetch and search files."""

from __future__ import annotations

import io
from typing import Any

from tests.clients.calls import BATCH, FILE, JOB, STORED
from tests.clients.differential import Attempt, Items, Within
from tests.clients.program_steps import Steps, is_async, prepared

# Pages ---------------------------------------------------------------------------------------------------------------


def pages_iterated(client: Any) -> Steps:
    yield from prepared(client, *[FILE] * 5)
    yield Items(client.files.list(limit=2))
    yield Items(client.files.list(limit=2, order="asc", extra_headers={"x-mine": "1"}))


def pages_turned_by_hand(client: Any) -> Steps:
    yield from prepared(client, *[FILE] * 3)
    page = yield client.files.list(limit=2)
    yield page.has_next_page()
    yield page.next_page_info().params
    page = yield page.get_next_page()
    yield page.has_next_page()
    first = yield client.files.list(limit=2)
    yield Items(first.iter_pages())


def pages_raw(client: Any) -> Steps:
    yield from prepared(client, *[FILE] * 3)
    response = yield client.files.with_raw_response.list(limit=2)
    page = yield response.parse()
    page = yield page.get_next_page()
    yield Items(page)


def pages_of_everything(client: Any) -> Steps:
    yield from prepared(client, FILE, BATCH, JOB, STORED, STORED)
    yield Items(client.models.list())
    yield Items(client.batches.list(limit=1))
    yield Items(client.fine_tuning.jobs.list(limit=1))
    yield Items(client.fine_tuning.jobs.list_events("ftjob-1", limit=1))
    yield Items(client.chat.completions.list(limit=1))


# Files ---------------------------------------------------------------------------------------------------------------


def files_and_back(client: Any) -> Steps:
    content = bytes(range(256)) + b"\r\n--boundary--\r\n"
    file = yield client.files.create(file=io.BytesIO(content), purpose="batch")
    back = yield client.files.content(file.id)
    yield back.content
    yield back.text
    yield back.aread() if is_async(client) else back.read()
    pieces = yield back.aiter_bytes(100) if is_async(client) else back.iter_bytes(100)
    yield Items(pieces)
    yield client.files.wait_for_processing(file.id)
    yield client.files.delete(file.id)
    yield Attempt(lambda: client.files.content(file.id))


def binary_streamed(client: Any) -> Steps:
    def read(response: Any) -> Steps:
        pieces = yield Items(response.iter_bytes(7))
        yield b"".join(pieces)
        yield response

    speech = {"model": "tts", "voice": "alloy", "input": "Hello there"}
    yield Within(client.audio.speech.with_streaming_response.create(**speech), read)

    def peek(response: Any) -> Steps:
        yield response.read()
        yield response

    yield Within(client.audio.speech.with_streaming_response.create(**speech), peek)

    def nothing(response: Any) -> Steps:
        yield response.status_code

    yield Within(client.audio.speech.with_streaming_response.create(**speech), nothing)


def uploads(client: Any) -> Steps:
    upload = yield client.uploads.create(bytes=6, filename="a.jsonl", mime_type="text/jsonl", purpose="batch")
    first = yield client.uploads.parts.create(upload.id, data=b"def")
    second = yield client.uploads.parts.create(upload.id, data=io.BytesIO(b"abc"))
    done = yield client.uploads.complete(upload.id, part_ids=[second.id, first.id])
    content = yield client.files.content(done.file.id)
    yield content.content


def upload_in_chunks(client: Any) -> Steps:
    yield client.uploads.upload_file_chunked(
        file=b"x" * 10, filename="a.txt", bytes=10, mime_type="text/plain", purpose="batch", part_size=4
    )


def vector_stores(client: Any) -> Steps:
    yield from prepared(client, FILE)
    store = yield client.vector_stores.create(name="notes")
    added = yield client.vector_stores.files.create_and_poll("file-1", vector_store_id=store.id)
    yield client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("b.txt", b"lazy dog"))
    yield Items(client.vector_stores.files.list(store.id, limit=1))
    yield Items(client.vector_stores.files.content(added.id, vector_store_id=store.id))
    yield Items(client.vector_stores.search(store.id, query="quick answers"))
    yield client.vector_stores.retrieve(store.id)
    yield client.vector_stores.delete(store.id)


def file_batches(client: Any) -> Steps:
    store = yield client.vector_stores.create(name="notes")
    # One file: in which order several are sent, and so named, the SDK leaves to its threads.
    batch = yield client.vector_stores.file_batches.upload_and_poll(store.id, files=[("a.txt", b"text")])
    yield Items(client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id))
