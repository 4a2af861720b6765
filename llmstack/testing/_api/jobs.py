"""Work that takes its time: batches and fine-tuning jobs."""

from __future__ import annotations

from llmstack.testing._api.answer import Answer, Json, JsonAnswer
from llmstack.testing._api.collection import page_of
from llmstack.testing._api.resources import Resource
from llmstack.testing._api.routing import ApiCall
from llmstack.testing._api.text import CREATED

_JOBS = "/fine_tuning/jobs"


def _batch(_call: ApiCall) -> Json:
    return {"request_counts": {"total": 0, "completed": 0, "failed": 0}, "errors": None, "output_file_id": None}


def _batch_done(call: ApiCall, batch: Json) -> None:
    lines = call.memory.contents.get(str(batch.get("input_file_id")), b"").splitlines()
    batch["request_counts"] = {"total": len(lines), "completed": len(lines), "failed": 0}
    batch["completed_at"] = CREATED


def _job(call: ApiCall) -> Json:
    automatic = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    return {
        "organization_id": "org-test",
        "result_files": [],
        "seed": call.body.get("seed") or 42,
        "hyperparameters": call.body.get("hyperparameters") or automatic,
        "fine_tuned_model": None,
        "finished_at": None,
        "trained_tokens": None,
        "validation_file": call.body.get("validation_file"),
        "error": None,
    }


def _job_done(_call: ApiCall, job: Json) -> None:
    job["fine_tuned_model"] = f"ft:{job['model']}:test::{job['id']}"
    job["finished_at"] = CREATED
    job["trained_tokens"] = 1000


BATCHES = Resource(
    "/batches",
    "batch",
    "batch_",
    _batch,
    stages=("validating", "in_progress", "completed"),
    settled=_batch_done,
    verbs=frozenset({"create", "list", "retrieve"}),
    actions={"cancel": "cancelling"},
)

JOBS = Resource(
    _JOBS,
    "fine_tuning.job",
    "ftjob-",
    _job,
    stages=("validating_files", "running", "succeeded"),
    settled=_job_done,
    verbs=frozenset({"create", "list", "retrieve"}),
    actions={"cancel": "cancelled", "pause": "paused", "resume": "running"},
)


def list_job_events(call: ApiCall) -> Answer:
    job = call.memory.find(f"{_JOBS}/{call.ids['id']}")
    said = ("Created fine-tuning job", "Fine-tuning job started", "The job has successfully completed")
    seen = said[: JOBS.stages.index(job["status"]) + 1] if job["status"] in JOBS.stages else said[:1]
    events: list[Json] = [
        {
            "object": "fine_tuning.job.event",
            "id": f"ftevent-{job['id']}-{number}",
            "created_at": CREATED,
            "level": "info",
            "message": message,
            "type": "message",
        }
        for number, message in enumerate(seen, 1)
    ]
    return JsonAnswer(page_of(events[::-1], call.query))


def list_job_checkpoints(call: ApiCall) -> Answer:
    call.memory.find(f"{_JOBS}/{call.ids['id']}")
    return JsonAnswer(page_of([], call.query))
