"""Scripts: what Redis does in one step, in Lua, sent by their hashes."""

from __future__ import annotations

import functools
import hashlib
import time
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import redis.exceptions

from llmstack.effects import Flow
from llmstack_redis.fault import explained
from llmstack_redis.link import Link

__all__ = ["Script", "read_script"]


@dataclass(frozen=True, slots=True)
class Script:
    """One script.

    Attributes:
        text: Lua.
        sha: What Redis knows it by once it has seen it.
    """

    text: str = field(repr=False)
    sha: str

    def run(
        self, link: Link, keys: tuple[str, ...], arguments: tuple[Any, ...], *, until: float | None = None
    ) -> Flow[Any]:
        """Run it; Redis is given its text if it does not know it (any more).

        Args:
            link: The way to Redis.
            keys: All keys that it touches.
            arguments: What else it is told.
            until: When to give up, on the monotonic clock; None for the settings' time from now on.

        Returns:
            What it returns.

        Raises:
            llmstack.errors.StoreError: If Redis cannot be used.
        """
        end = time.monotonic() + link.settings.timeout if until is None else until
        rest = (len(keys), *keys, *arguments)
        (reply,) = yield from link.ask(("EVALSHA", self.sha, *rest), until=end)
        if isinstance(reply, redis.exceptions.NoScriptError):
            (reply,) = yield from link.ask(("EVAL", self.text, *rest), until=end)
        if isinstance(reply, BaseException):
            raise explained(reply) from reply
        return reply


@functools.cache
def read_script(*names: str) -> Script:
    """A script of this package, of one or more files.

    Args:
        names: The files' names, without ending, in their order.
    """
    text = "\n".join((files("llmstack_redis") / "lua" / f"{name}.lua").read_text("utf-8") for name in names)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
