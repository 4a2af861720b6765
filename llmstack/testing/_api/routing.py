"""From a method and a path to the endpoint, and what an endpoint is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from llmstack.testing._api.answer import Answer, Json
from llmstack.testing._api.collection import Memory
from llmstack.testing._api.errors import ApiError, unknown_url
from llmstack.testing._api.multipart import Part


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call of an endpoint, freed of HTTP and of the surface (OpenAI or Azure) it came by.

    Attributes:
        method: The HTTP method.
        path: The path below the surface's root, e.g. ``/chat/completions``.
        query: The query parameters.
        body: The JSON object sent, or the plain fields of a form; ``{}`` if there was none.
        parts: The parts of a form.
        memory: What the server remembers.
        azure: Whether it came by an Azure surface.
        ids: The variables of the route's template.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Json
    parts: tuple[Part, ...]
    memory: Memory
    azure: bool = False
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def model(self) -> str:
        return str(self.body.get("model", "gpt-5-mini"))

    @property
    def stream(self) -> bool:
        # a form has only strings
        return self.body.get("stream") in (True, "true")


Endpoint: TypeAlias = Callable[[ApiCall], Answer]


class Route:
    """An endpoint at a method and a path template such as ``/files/{file_id}``."""

    def __init__(self, method: str, template: str, endpoint: Endpoint) -> None:
        self.method = method
        self.endpoint = endpoint
        self._pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + r"/?")

    def match(self, path: str) -> dict[str, str] | None:
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None


class Router:
    """The routes in order; the first whose path and method fit takes the call."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes)

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint and its path variables; an `ApiError` 404 or 405 if there is none."""
        known = False
        for route in self._routes:
            ids = route.match(path)
            if ids is None:
                continue
            if route.method == method:
                return route.endpoint, ids
            known = True
        if known:
            raise ApiError(405, f"Not allowed to {method} on {path}.")
        raise unknown_url(method, path)
