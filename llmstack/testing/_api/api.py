"""All endpoints: the table of routes, and the way from a request to its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping

from llmstack.testing._api import (
    assistants,
    chat,
    completions,
    files,
    jobs,
    media,
    models,
    responses,
    runs,
    stored_chat,
    vector_stores,
)
from llmstack.testing._api.answer import Answer, Json
from llmstack.testing._api.collection import Memory
from llmstack.testing._api.errors import ApiError, azure_error, error_answer, model_not_found
from llmstack.testing._api.multipart import Part, parse_form
from llmstack.testing._api.routing import ApiCall, Endpoint, Route, Router
from llmstack.testing._api.surface import Surface, surface_of
from llmstack.testing._api.text import MISSING_MODEL

_ENDPOINTS: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "/chat/completions", chat.create_chat_completion),
    ("POST", "/completions", completions.create_completion),
    ("POST", "/responses/input_tokens", responses.count_input_tokens),
    ("POST", "/responses", responses.create_response),
    ("GET", "/responses/{response_id}", responses.retrieve_response),
    ("DELETE", "/responses/{response_id}", responses.delete_response),
    ("POST", "/responses/{response_id}/cancel", responses.cancel_response),
    ("GET", "/responses/{response_id}/input_items", responses.list_input_items),
    ("GET", "/models", models.list_models),
    ("GET", "/models/{model}", models.retrieve_model),
    ("DELETE", "/models/{model}", models.delete_model),
    ("POST", "/embeddings", models.create_embedding),
    ("POST", "/moderations", models.create_moderation),
    ("POST", "/images/generations", media.create_image),
    ("POST", "/images/edits", media.create_image),
    ("POST", "/images/variations", media.create_image),
    ("POST", "/audio/speech", media.create_speech),
    ("POST", "/audio/transcriptions", media.create_transcription),
    ("POST", "/audio/translations", media.create_transcription),
    ("POST", "/files", files.create_file),
    ("GET", "/files/{id}/content", files.read_file),
    ("POST", "/uploads/{id}/parts", files.add_upload_part),
    ("POST", "/uploads/{id}/complete", files.complete_upload),
    ("GET", "/fine_tuning/jobs/{id}/events", jobs.list_job_events),
    ("GET", "/fine_tuning/jobs/{id}/checkpoints", jobs.list_job_checkpoints),
    ("POST", "/vector_stores/{store}/search", vector_stores.search_store),
    ("GET", "/vector_stores/{store}/files/{id}/content", vector_stores.read_store_file),
    ("GET", "/vector_stores/{store}/file_batches/{id}/files", vector_stores.list_batch_files),
    ("POST", "/threads/runs", runs.create_thread_and_run),
    ("POST", "/threads/{thread}/runs", runs.create_run),
    ("POST", "/threads/{thread}/runs/{run}/submit_tool_outputs", runs.submit_tool_outputs),
)

_RESOURCES = (
    stored_chat.STORED_CHATS,
    stored_chat.STORED_MESSAGES,
    files.FILES,
    files.UPLOADS,
    jobs.BATCHES,
    jobs.JOBS,
    vector_stores.VECTOR_STORES,
    vector_stores.STORE_FILES,
    vector_stores.FILE_BATCHES,
    assistants.ASSISTANTS,
    assistants.THREADS,
    assistants.MESSAGES,
    runs.RUNS,
    runs.STEPS,
)

_ROUTER = Router(
    [
        *(Route(method, path, endpoint) for method, path, endpoint in _ENDPOINTS),
        *(route for resource in _RESOURCES for route in resource.routes()),
    ]
)


class Api:
    """The endpoints of one server, with what they remember."""

    def __init__(self) -> None:
        self._memory = Memory()

    def answer(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """The answer to a request; a refusal is an answer too.

        Args:
            method: The HTTP method.
            path: The whole path, without the query.
            query: The query parameters.
            headers: The headers, their names in lower case.
            body: The body as it arrived.
        """
        try:
            surface = surface_of(method, path, query, headers)
            call = self._call(method, surface, query, headers.get("content-type", ""), body)
            endpoint, ids = _ROUTER.find(method, call.path)
            return endpoint(ApiCall(method, call.path, query, call.body, call.parts, self._memory, surface.azure, ids))
        except ApiError as error:
            return error_answer(error)

    def _call(self, method: str, surface: Surface, query: Mapping[str, str], content_type: str, body: bytes) -> ApiCall:
        parts: tuple[Part, ...] = ()
        if content_type.startswith("multipart/form-data"):
            parts = tuple(parse_form(content_type, body))
            fields: Json = {part.name: part.content.decode() for part in parts if part.filename is None}
        else:
            fields = _json_object(body)
        if surface.deployment is not None:
            fields["model"] = surface.deployment
        if fields.get("model") == MISSING_MODEL:
            raise _missing(surface)
        return ApiCall(method, surface.path, query, fields, parts, self._memory, surface.azure)


def _json_object(body: bytes) -> Json:
    if not body:
        return {}
    try:
        parsed = json.loads(body)
    except ValueError:
        raise ApiError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(parsed, dict):
        raise ApiError(400, "The body of the request must be a JSON object.")
    return parsed


def _missing(surface: Surface) -> ApiError:
    if surface.azure and surface.deployment:
        return azure_error(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
    return model_not_found(MISSING_MODEL)
