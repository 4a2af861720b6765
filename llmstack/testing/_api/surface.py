"""Which API a URL belongs to: OpenAI's, or one of Azure's three."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llmstack.testing._api.errors import ApiError, azure_error, unknown_url

# what Azure serves by deployment, and only by deployment
_BY_DEPLOYMENT = frozenset(
    {
        "/completions",
        "/chat/completions",
        "/embeddings",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
        "/images/generations",
        "/images/edits",
    }
)

_DEPLOYMENT = re.compile(r"/openai/deployments/(?P<deployment>[^/]+)(?P<path>/.*)")


@dataclass(frozen=True, slots=True)
class Surface:
    """Where a call came in.

    Attributes:
        path: The rest of the path, below the surface's root.
        azure: Whether it is Azure's.
        deployment: The deployment named in the path, if any.
    """

    path: str
    azure: bool = False
    deployment: str | None = None


def surface_of(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Surface:
    """The surface of a request, or the `ApiError` of one that is nowhere or lacks credentials or a version."""
    surface = _place(method, path, query)
    bearer = headers.get("authorization", "").removeprefix("Bearer").strip()
    if bearer or (surface.azure and headers.get("api-key")):
        return surface
    if surface.azure:
        raise azure_error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
    raise ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
        "auth (i.e. Authorization: Bearer YOUR_KEY).",
    )


def _place(method: str, path: str, query: Mapping[str, str]) -> Surface:
    if path.startswith("/v1/"):
        return Surface(path.removeprefix("/v1"))
    if path.startswith("/openai/v1/"):
        return Surface(path.removeprefix("/openai/v1"), azure=True)
    if not path.startswith("/openai/"):
        raise unknown_url(method, path)
    if not query.get("api-version"):
        raise _azure_nothing()
    found = _DEPLOYMENT.fullmatch(path)
    surface = (
        Surface(found["path"], azure=True, deployment=found["deployment"])
        if found
        else Surface(path.removeprefix("/openai"), azure=True)
    )
    if method == "POST" and (surface.path in _BY_DEPLOYMENT) != (surface.deployment is not None):
        raise _azure_nothing()
    return surface


def _azure_nothing() -> ApiError:
    return azure_error(404, "404", "Resource not found")
