"""``/files`` and ``/uploads``."""

from __future__ import annotations

from llmstack.testing._api.answer import Answer, BytesAnswer, Json, JsonAnswer
from llmstack.testing._api.errors import ApiError
from llmstack.testing._api.resources import Resource
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED

FILES = Resource("/files", "file", "file-", verbs=frozenset({"list", "retrieve", "delete"}), deleted="file")

_LIFETIME = 3600


def _upload(_call: ApiCall) -> Json:
    return {"expires_at": CREATED + _LIFETIME, "file": None}


UPLOADS = Resource(
    "/uploads",
    "upload",
    "upload_",
    _upload,
    stages=("pending",),
    verbs=frozenset({"create"}),
    actions={"cancel": "cancelled"},
)


def create_file(call: ApiCall) -> Answer:
    sent = next((part for part in call.parts if part.name == "file"), None)
    if sent is None:
        raise ApiError(400, "Missing required parameter: 'file'.", param="file")
    return JsonAnswer(_keep(call, sent.filename or "upload", str(call.body.get("purpose")), sent.content))


def read_file(call: ApiCall) -> Answer:
    call.memory.find(f"/files/{call.ids['id']}")
    return BytesAnswer(call.memory.contents[call.ids["id"]])


def add_upload_part(call: ApiCall) -> Answer:
    upload = _pending(call)
    data = next((part for part in call.parts if part.name == "data"), None)
    if data is None:
        raise ApiError(400, "Missing required parameter: 'data'.", param="data")
    part_id = call.memory.new_id("part_")
    call.memory.contents[part_id] = data.content
    part = {"id": part_id, "object": "upload.part", "created_at": CREATED, "upload_id": upload["id"]}
    return JsonAnswer(call.memory.collection(f"/uploads/{upload['id']}/parts").add(part))


def complete_upload(call: ApiCall) -> Answer:
    """Joins the parts in the order given; their length must be the one announced."""
    upload = _pending(call)
    parts = call.memory.collection(f"/uploads/{upload['id']}/parts")
    content = b"".join(
        call.memory.contents[parts.get(str(part_id))["id"]] for part_id in call.body.get("part_ids") or []
    )
    if len(content) != upload["bytes"]:
        raise ApiError(400, f"Expected {upload['bytes']} bytes, but the parts have {len(content)}.")
    upload["status"] = "completed"
    upload["file"] = _keep(call, upload["filename"], upload["purpose"], content)
    return JsonAnswer(upload)


def _pending(call: ApiCall) -> Json:
    upload = call.memory.find(f"/uploads/{call.ids['id']}")
    if upload["status"] != "pending":
        raise ApiError(400, f"The upload is {upload['status']}.")
    return upload


def _keep(call: ApiCall, filename: str, purpose: str, content: bytes) -> Json:
    file: Json = {
        "id": call.memory.new_id("file-"),
        "object": "file",
        "bytes": len(content),
        "created_at": CREATED,
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
    }
    call.memory.contents[file["id"]] = content
    return call.memory.collection("/files").add(file)
