"""What the server remembers between calls: collections of resources by path, contents of files, id counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from llmstack.testing._api.answer import Json
from llmstack.testing._api.errors import ApiError

_PAGE_SIZE = 20


class Collection:
    """Resources in the order they were made, each under its ``id``."""

    def __init__(self) -> None:
        self.items: dict[str, Json] = {}

    def add(self, item: Json) -> Json:
        self.items[str(item["id"])] = item
        return item

    def get(self, item_id: str) -> Json:
        """The resource, or an `ApiError` 404."""
        try:
            return self.items[item_id]
        except KeyError:
            raise ApiError(404, f"No such object: {item_id}") from None

    def remove(self, item_id: str) -> Json:
        item = self.get(item_id)
        del self.items[item_id]
        return item

    def page(self, query: Mapping[str, str]) -> Json:
        """A page as the API cuts it: newest first unless ``order=asc``, from ``after`` or up to ``before``."""
        items = list(self.items.values())
        if query.get("order", "desc") == "desc":
            items.reverse()
        return page_of(items, query)


def page_of(items: list[Json], query: Mapping[str, str]) -> Json:
    """``limit`` of ``items`` (20 unless told), after or before a cursor, in the shape of a list page."""
    ids = [item["id"] for item in items]
    if (after := query.get("after")) in ids:
        items = items[ids.index(after) + 1 :]
    elif (before := query.get("before")) in ids:
        items = items[: ids.index(before)]
    try:
        limit = int(query.get("limit", _PAGE_SIZE))
    except ValueError:
        raise ApiError(400, "Invalid 'limit': expected an integer.", param="limit") from None
    data = items[:limit]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(items) > limit,
    }


class Memory:
    """All collections of one server, by the path they live at, e.g. ``/threads/thread_1/messages``."""

    def __init__(self) -> None:
        self._collections: dict[str, Collection] = {}
        self._issued: Counter[str] = Counter()
        self.contents: dict[str, bytes] = {}
        """The content of each uploaded file and upload part, by id."""

    def new_id(self, prefix: str) -> str:
        """``<prefix>1``, ``<prefix>2``, … counted per prefix."""
        self._issued[prefix] += 1
        return f"{prefix}{self._issued[prefix]}"

    def collection(self, path: str) -> Collection:
        return self._collections.setdefault(path, Collection())

    def find(self, path: str) -> Json:
        """The resource at ``path``, e.g. ``/threads/thread_1``, or an `ApiError` 404."""
        parent, _, item_id = path.rpartition("/")
        return self.collection(parent).get(item_id)
