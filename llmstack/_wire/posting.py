"""What a resource posts with: the client's own `post`, with the options of the request made in one step.

The SDK makes them field by field, and each default that was not given is a deep copy. Here they are a copy of some that
it has made. The rules are those of ``openai/_base_client.py``, `post`, and ``openai/_models.py``,
`FinalRequestOptions.construct`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Final

import openai
from openai import NotGiven

from llmstack._core.call import EMPTY
from llmstack._wire.genuine import OPENAI, is_genuine
from llmstack._wire.sdk import FinalRequestOptions

__all__ = ["asked_with", "post_of"]

_POSTS: Final = [post for post in (openai.OpenAI.post, openai.AsyncOpenAI.post) if is_genuine(post, OPENAI)]

_BLANK: Final = FinalRequestOptions.construct(method="post", url="", json_data=None, content=None, files=None)
_NAMES: Final = frozenset(vars(_BLANK))
_CHANGEABLE: Final = tuple(name for name, value in vars(_BLANK).items() if isinstance(value, dict))
"""Defaults of which each request has its own."""


def post_of(client: Any) -> Callable[..., Any]:
    """What posts as ``client.post`` does.

    Args:
        client: The client, sync or async; what it has been given in place of the SDK's own `post` is kept.
    """
    post: Any = client.post
    if type(post) is not MethodType or post.__func__ not in _POSTS:
        return post  # type: ignore[no-any-return]

    def posted(path: str, *, cast_to: Any, stream: bool = False, stream_cls: Any = None, **more: Any) -> Any:
        options = asked_with(path, **more)
        if options is None:
            return post(path, cast_to=cast_to, stream=stream, stream_cls=stream_cls, **more)
        return client.request(cast_to, options, stream=stream, stream_cls=stream_cls)

    return posted


def asked_with(path: str, *, body: Any = None, options: Mapping[str, Any] = EMPTY, **other: Any) -> Any:
    """The options that the SDK would make.

    Args:
        path: Where to.
        body: What is sent.
        options: What was said of the request.
        other: Files and the like.

    Returns:
        The options; None if the SDK must make them.
    """
    if other or type(body) is not dict or not _NAMES.issuperset(options):
        return None
    given = {name: _stripped(value) if isinstance(value, Mapping) else value for name, value in options.items()}
    made = _BLANK.model_copy(update={"url": path, "json_data": _stripped(body), **given})
    own = vars(made)
    for name in _CHANGEABLE:
        if name not in given:
            own[name] = own[name].copy()
    return made


def _stripped(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if not isinstance(item, NotGiven)}
