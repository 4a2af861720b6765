"""Account: as whom a transport asks OpenAI, or a server like it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai

from llmstack._core.place import Place
from llmstack._core.secret import register
from llmstack._wire.credential import credential_digest, settings_digest
from llmstack._wire.sdk import ClientSettings, names_secret, on_its_own, secrets_in
from llmstack.errors import OptionError
from llmstack.transports._own.key import Key, key_for
from llmstack.transports.sending import AsyncSending, SyncSending

__all__ = ["Account", "address", "place"]

_OPENAI = "https://api.openai.com/v1"


class OpenAI(SyncSending, openai.OpenAI):
    """The SDK's client, to send by; it tells its name in ``User-Agent``."""


class AsyncOpenAI(AsyncSending, openai.AsyncOpenAI):
    """The same for async programs."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Account:
    """As whom requests are sent, and where.

    Attributes:
        base_url: Where.
        api_key: The key, or the function that gives it.
        key_option: What the key was given as, for errors.
        organization: Value of the header ``OpenAI-Organization``.
        project: Value of the header ``OpenAI-Project``.
        headers: Headers of every request.
        query: Query of every request.
        ambient: True if the key is that of the environment: what else that says of the account then goes with it.
    """

    base_url: httpx2.URL
    api_key: Key
    key_option: str = "api_key"
    organization: str | None = None
    project: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, object] = field(default_factory=dict[str, object])
    ambient: bool = False

    @classmethod
    def of(cls, *, api_key: Key | None, base_url: str | httpx2.URL | None, **more: Any) -> Account:
        """An account, of which the environment tells what is not given.

        Raises:
            OptionError: If there is no key, or the address is none.
        """
        key = api_key or os.environ.get("OPENAI_API_KEY")
        if not key:
            raise OptionError("a transport of its own needs a key: give it api_key=, or set OPENAI_API_KEY")
        url = address("base_url", base_url or os.environ.get("OPENAI_BASE_URL") or _OPENAI)
        return cls(api_key=key, base_url=url, ambient=not api_key, **more)

    def place(self) -> Place:
        """Where that is, for all to know."""
        named: dict[str, object] = {"openai-organization": self.organization, "openai-project": self.project}
        if self.ambient:
            variables = {"openai-organization": "OPENAI_ORG_ID", "openai-project": "OPENAI_PROJECT_ID"}
            named |= {name: named[name] or os.environ.get(variable) for name, variable in variables.items()}
            # They may be keys, and are parsed by the SDK.
            named["custom-headers-key"] = os.environ.get("OPENAI_CUSTOM_HEADERS")
        named |= {name.lower(): value for name, value in self.headers.items()}
        named |= {f"query-{name}": value for name, value in self.query.items()}
        return place(self.base_url, {self.key_option: self.api_key}, named)

    def client(self, asynchronous: bool, http_client: Any) -> Any:  # noqa: FBT001 - a factory for `Own`
        """A client of the SDK's that sends by an HTTP client."""
        client = (AsyncOpenAI if asynchronous else OpenAI)(
            api_key=key_for(self.key_option, self.api_key, asynchronous=asynchronous),
            base_url=self.base_url,
            organization=self.organization,
            project=self.project,
            default_headers=self.headers,
            default_query=self.query,
            http_client=http_client,
        )
        if not self.ambient:
            on_its_own(client, self.headers)
            client.organization, client.project = self.organization, self.project
        return client


def address(option: str, url: str | httpx2.URL) -> httpx2.URL:
    """An address that can be sent to.

    Raises:
        OptionError: If it is none; what it says is not quoted, since it may hold a password.
    """
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError):
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise OptionError(f'{option}= must be an address, such as "https://api.example.com/v1"')
    return parsed


def place(url: httpx2.URL, keys: Mapping[str, object], named: Mapping[str, object]) -> Place:
    """The place of a transport; its keys are registered as secrets.

    Args:
        url: The address; a password in it, or a key in its query, is a key.
        keys: By option, each a text or a function.
        named: Headers and query by name.
    """
    texts = [(option, key) for option, key in keys.items() if isinstance(key, str)]
    texts += [(f"@{i}", secret) for i, secret in enumerate(secrets_in(url))]
    extra = [(name, str(value)) for name, value in named.items() if value is not None]
    sources: tuple[Any, ...] = tuple(key for key in keys.values() if callable(key))
    settings = ClientSettings(keys=tuple(texts), sources=sources, extra=tuple(extra))
    register(*(key for _, key in texts), *(value for name, value in extra if names_secret(name)))
    bare = url.copy_with(userinfo=b"", query=None, fragment=None)
    return Place(
        base_url=str(bare).rstrip("/") + "/",
        credential=credential_digest(settings),
        settings=settings_digest(settings),
    )
