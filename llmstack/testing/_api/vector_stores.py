"""``/vector_stores``: the stores, their files, batches of files, and search."""

from __future__ import annotations

from llmstack.testing._api.answer import Answer, Json, JsonAnswer
from llmstack.testing._api.collection import page_of
from llmstack.testing._api.resources import Resource
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED

_COUNTS = ("in_progress", "completed", "failed", "cancelled")
_CHUNKING = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}


def _counts(total: int, status: str = "completed") -> Json:
    return {**dict.fromkeys(_COUNTS, 0), status: total, "total": total}


def _store(call: ApiCall) -> Json:
    store_id = call.memory.new_id("vs_")
    file_ids = call.body.get("file_ids") or []
    for file_id in file_ids:
        _attach(call, store_id, file_id)
    return {
        "id": store_id,
        "name": call.body.get("name") or "",
        "usage_bytes": 0,
        "file_counts": _counts(len(file_ids)),
        "last_active_at": None,
    }


def _file_fields(call: ApiCall) -> Json:
    return _store_file(call, call.ids["store"], str(call.body.get("file_id")), "in_progress")


def _file_settled(call: ApiCall, item: Json) -> None:
    _recount(call, item["vector_store_id"])


def _store_file(call: ApiCall, store_id: str, file_id: str, status: str) -> Json:
    call.memory.find(f"/files/{file_id}")
    return {
        "id": file_id,
        "object": "vector_store.file",
        "status": status,
        "usage_bytes": len(call.memory.contents[file_id]),
        "vector_store_id": store_id,
        "attributes": call.body.get("attributes") or {},
        "chunking_strategy": _CHUNKING,
        "last_error": None,
    }


def _attach(call: ApiCall, store_id: str, file_id: str, batch_id: str | None = None) -> None:
    item = {**_store_file(call, store_id, file_id, "completed"), "created_at": CREATED, "batch_id": batch_id}
    call.memory.collection(f"/vector_stores/{store_id}/files").add(item)


def _recount(call: ApiCall, store_id: str) -> None:
    files = call.memory.collection(f"/vector_stores/{store_id}/files").items.values()
    store = call.memory.find(f"/vector_stores/{store_id}")
    store["file_counts"] = _counts(len(files))
    store["usage_bytes"] = sum(file["usage_bytes"] for file in files)


def _batch(call: ApiCall) -> Json:
    return {"vector_store_id": call.ids["store"], "file_counts": _counts(len(_batch_files(call.body)), "in_progress")}


def _batch_files(body: Json) -> list[str]:
    return [str(entry["file_id"]) for entry in body.get("files") or []] or list(body.get("file_ids") or [])


def _batch_settled(call: ApiCall, batch: Json) -> None:
    for file_id in _batch_files(batch):
        _attach(call, batch["vector_store_id"], file_id, batch["id"])
    batch["file_counts"] = _counts(len(_batch_files(batch)))
    _recount(call, batch["vector_store_id"])


VECTOR_STORES = Resource("/vector_stores", "vector_store", "vs_", _store, stages=("completed",))

STORE_FILES = Resource(
    "/vector_stores/{store}/files",
    "vector_store.file",
    "file-",
    _file_fields,
    stages=("in_progress", "completed"),
    settled=_file_settled,
)

FILE_BATCHES = Resource(
    "/vector_stores/{store}/file_batches",
    "vector_store.files_batch",
    "vsfb_",
    _batch,
    stages=("in_progress", "completed"),
    settled=_batch_settled,
    verbs=frozenset({"create", "retrieve"}),
    actions={"cancel": "cancelled"},
)


def list_batch_files(call: ApiCall) -> Answer:
    batch = call.memory.find(call.path.rsplit("/", 1)[0])
    files = call.memory.collection(f"/vector_stores/{call.ids['store']}/files").items.values()
    return JsonAnswer(page_of([file for file in files if file.get("batch_id") == batch["id"]], call.query))


def read_store_file(call: ApiCall) -> Answer:
    call.memory.find(call.path.rsplit("/", 1)[0])
    return JsonAnswer(_results("vector_store.file_content.page", [_content(call, call.ids["id"])]))


def search_store(call: ApiCall) -> Answer:
    """Every file that contains a word of the query, all with the same score."""
    call.memory.find(f"/vector_stores/{call.ids['store']}")
    query = call.body.get("query", "")
    queries = query if isinstance(query, list) else [query]
    words = {word.lower() for text in queries for word in str(text).split()}
    found: list[Json] = []
    for file_id, item in call.memory.collection(f"/vector_stores/{call.ids['store']}/files").items.items():
        content = _content(call, file_id)
        if any(word in content["text"].lower() for word in words):
            name = call.memory.find(f"/files/{file_id}")["filename"]
            hit = {"file_id": file_id, "filename": name, "score": 0.9}
            found.append({**hit, "attributes": item["attributes"], "content": [content]})
    limit = int(call.body.get("max_num_results") or 10)
    page = _results("vector_store.search_results.page", found[:limit])
    return JsonAnswer({**page, "search_query": queries})


def _content(call: ApiCall, file_id: str) -> Json:
    return {"type": "text", "text": call.memory.contents[file_id].decode("utf-8", "replace")}


def _results(kind: str, data: list[Json]) -> Json:
    return {"object": kind, "data": data, "has_more": False, "next_page": None}
