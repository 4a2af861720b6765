"""Resources that are made, listed, read, changed and deleted all alike: one description, one set of routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from llmstack.testing._api.answer import Answer, Json, JsonAnswer
from llmstack.testing._api.collection import Collection
from llmstack.testing._api.routing import ApiCall, Route
from llmstack.testing._api.text import CREATED

POLL_SOON: Mapping[str, str] = MappingProxyType({"openai-poll-after-ms": "5"})
"""Asks the SDK's polling helpers not to wait the usual second."""

_ALL = frozenset({"create", "list", "retrieve", "update", "delete"})


def _nothing(_call: ApiCall) -> Json:
    return {}


def _settle_nothing(_call: ApiCall, _item: Json) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of resource.

    Attributes:
        path: Its collection, e.g. ``/threads/{thread_id}/messages``; what it names must exist.
        object: What its ``object`` field says.
        prefix: How its ids begin.
        fields: What a new one has beside what the request gave; ``id`` may be among it.
        stages: Its ``status`` when new and after each later look, the last for good.
        settled: Called with the resource when it comes to its last stage.
        verbs: Which of create, list, retrieve, update and delete exist.
        deleted: What ``object`` says once it is deleted.
        actions: Further POST endpoints of one resource, and the ``status`` each puts it in.
    """

    path: str
    object: str
    prefix: str
    fields: Callable[[ApiCall], Json] = _nothing
    stages: tuple[str, ...] = ()
    settled: Callable[[ApiCall, Json], None] = _settle_nothing
    verbs: frozenset[str] = _ALL
    deleted: str | None = None
    actions: Mapping[str, str] = field(default_factory=dict)

    def routes(self) -> Iterator[Route]:
        """The routes of its verbs and actions."""
        one = f"{self.path}/{{id}}"
        table = {
            "create": ("POST", self.path, self.create),
            "list": ("GET", self.path, self.list),
            "retrieve": ("GET", one, self.retrieve),
            "update": ("POST", one, self.update),
            "delete": ("DELETE", one, self.delete),
        }
        for verb, (method, path, endpoint) in table.items():
            if verb in self.verbs:
                yield Route(method, path, endpoint)
        for name, status in self.actions.items():
            yield Route("POST", f"{one}/{name}", self._action(status))

    def create(self, call: ApiCall) -> Answer:
        return self._seen(self.add(call, self._collection(call)))

    def add(self, call: ApiCall, collection: Collection) -> Json:
        """Make one and keep it, without answering."""
        fields = self.fields(call)
        item: Json = {"object": self.object, "created_at": CREATED, "metadata": {}, **call.body, **fields}
        if self.stages:
            item["status"] = self.stages[0]
        if "id" not in fields:
            item["id"] = call.memory.new_id(self.prefix)
        if len(self.stages) == 1:
            self.settled(call, item)
        return collection.add(item)

    def list(self, call: ApiCall) -> Answer:
        return JsonAnswer(self._collection(call).page(call.query))

    def retrieve(self, call: ApiCall) -> Answer:
        item = self._collection(call).get(call.ids["id"])
        if item.get("status") in self.stages[:-1]:
            item["status"] = self.stages[self.stages.index(item["status"]) + 1]
            if item["status"] == self.stages[-1]:
                self.settled(call, item)
        return self._seen(item)

    def update(self, call: ApiCall) -> Answer:
        item = self._collection(call).get(call.ids["id"])
        item.update(call.body)
        return JsonAnswer(item)

    def delete(self, call: ApiCall) -> Answer:
        item = self._collection(call).remove(call.ids["id"])
        return JsonAnswer({"id": item["id"], "object": self.deleted or f"{self.object}.deleted", "deleted": True})

    def _action(self, status: str) -> Callable[[ApiCall], Answer]:
        def act(call: ApiCall) -> Answer:
            # the collection is two steps up: /batches/batch_1/cancel
            item = call.memory.find(call.path.rsplit("/", 1)[0])
            item["status"] = status
            return JsonAnswer(item)

        return act

    def _collection(self, call: ApiCall) -> Collection:
        path = call.path.rstrip("/")
        if "id" in call.ids:
            path = path.rpartition("/")[0]
        parent = path.rpartition("/")[0]
        if self.path.rpartition("/")[0].endswith("}"):
            call.memory.find(parent)
        return call.memory.collection(path)

    def _seen(self, item: Json) -> JsonAnswer:
        unfinished = item.get("status") in self.stages[:-1]
        return JsonAnswer(item, headers=POLL_SOON if unfinished else {})
