"""Resource: an Azure OpenAI resource, and as whom a transport asks it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import openai

from llmstack._core.place import Place
from llmstack._wire.sdk import on_its_own
from llmstack.errors import OptionError
from llmstack.transports._own.account import Account, address, place
from llmstack.transports._own.key import Key, key_for
from llmstack.transports.sending import AsyncSending, SyncSending

if TYPE_CHECKING:
    import httpx2

__all__ = ["Resource", "Surface"]

Surface: TypeAlias = Literal["deployments", "v1"]

_V1: Final = "/openai/v1"
_OLD: Final = "/openai"
_NO_KEY: Final = "<missing API key>"
"""What the SDK's Azure clients hold in the place of a key if they have a token."""


class AzureOpenAI(SyncSending, openai.AzureOpenAI):
    """The SDK's client, to send by; it tells its name in ``User-Agent``."""


class AsyncAzureOpenAI(AsyncSending, openai.AsyncAzureOpenAI):
    """The same for async programs."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Resource:
    """Where a resource is, and as whom it is asked.

    Attributes:
        endpoint: The resource's address.
        surface: ``"deployments"``: paths with the deployment's name and ``api-version``; ``"v1"``: OpenAI's paths.
        api_version: Value of the query ``api-version``; None for none, on the surface v1.
        key: The key, the token of Entra ID (Azure AD), or the function that gives one.
        option: Which of them it is: ``"api_key"``, ``"azure_ad_token"`` or ``"azure_ad_token_provider"``.
        headers: Headers of every request.
    """

    endpoint: httpx2.URL
    surface: Surface
    api_version: str | None
    key: Key
    option: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls,
        *,
        endpoint: str | httpx2.URL | None,
        api: str | None,
        api_version: str | None,
        headers: Mapping[str, str],
        **credentials: Any,
    ) -> Resource:
        """A resource, of which the environment tells what is not given.

        Args:
            endpoint: The address, with or without ``/openai`` or ``/openai/v1`` at its end; or None.
            api: The surface, or None.
            api_version: The version, or None.
            headers: Headers of every request.
            credentials: ``api_key``, ``azure_ad_token`` and ``azure_ad_token_provider``, each given or None.

        Raises:
            OptionError: If something is missing, wrong, or said twice.
        """
        given = endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        if not given:
            raise OptionError("an Azure transport needs endpoint=, or AZURE_OPENAI_ENDPOINT to be set")
        url, path_says_v1 = _resource_url(address("endpoint", given))
        surface = api or ("v1" if path_says_v1 else "deployments")
        if surface not in ("deployments", "v1"):
            raise OptionError(f"api= takes 'deployments' or 'v1', not {api!r}")
        if surface == "deployments":
            api_version = api_version or os.environ.get("OPENAI_API_VERSION")
            if not api_version:
                message = (
                    'an Azure transport needs api_version= (such as "2024-10-21"), or OPENAI_API_VERSION to be set; '
                    'or api="v1", whose paths need no version'
                )
                raise OptionError(message)
        option, key = _credential(credentials)
        return cls(
            endpoint=url,
            surface="v1" if surface == "v1" else "deployments",
            api_version=api_version,
            headers=headers,
            option=option,
            key=key,
        )

    @property
    def _base_url(self) -> httpx2.URL:
        path = self.endpoint.raw_path.decode("ascii").partition("?")[0].rstrip("/")
        return self.endpoint.copy_with(path=path + (_V1 if self.surface == "v1" else _OLD))

    @property
    def _account(self) -> Account:
        """The surface v1 is asked as OpenAI is, the key as a bearer token like any other."""
        return Account(
            base_url=self._base_url,
            api_key=self.key,
            key_option=self.option,
            headers=self.headers,
            query={} if self.api_version is None else {"api-version": self.api_version},
        )

    def place(self) -> Place:
        """Where that is, for all to know."""
        if self.surface == "v1":
            return self._account.place()
        named = {"query-api-version": self.api_version, **{name.lower(): text for name, text in self.headers.items()}}
        return place(self._base_url, {self.option: self.key}, named)

    def client(self, asynchronous: bool, http_client: Any) -> Any:  # noqa: FBT001 - a factory for `Own`
        """A client of the SDK's that sends by an HTTP client."""
        if self.surface == "v1":
            return self._account.client(asynchronous, http_client)
        key = key_for(self.option, self.key, asynchronous=asynchronous)
        kind: Any = AsyncAzureOpenAI if asynchronous else AzureOpenAI
        client = kind(
            base_url=str(self._base_url),
            api_version=self.api_version,
            api_key=key if self.option == "api_key" else _NO_KEY,
            default_headers=self.headers,
            http_client=http_client,
        )
        # The SDK takes its tokens from the environment, too, even beside a key that was given.
        token = key if self.option == "azure_ad_token" else None
        provider = key if self.option == "azure_ad_token_provider" else None
        on_its_own(client, self.headers, token=token, provider=provider)
        return client


def _resource_url(url: httpx2.URL) -> tuple[httpx2.URL, bool]:
    """The address of the resource alone, and whether it was that of the surface v1."""
    path = url.path.rstrip("/")
    for end in (_V1, _OLD):
        if path.endswith(end):
            return url.copy_with(path=path.removesuffix(end) or "/", query=None, fragment=None), end == _V1
    return url.copy_with(query=None, fragment=None), False


def _credential(named: Mapping[str, Any]) -> tuple[str, Any]:
    """The credential that was given, and what as; else that of the environment, a token before a key as in the SDK."""
    given = [(name, value) for name, value in named.items() if value]
    if len(given) > 1:
        raise OptionError(f"give an Azure transport one of {' and '.join(name for name, _ in given)}, not both")
    told = (("azure_ad_token", "AZURE_OPENAI_AD_TOKEN"), ("api_key", "AZURE_OPENAI_API_KEY"))
    given = given or [(name, os.environ[variable]) for name, variable in told if os.environ.get(variable)]
    if not given:
        message = (
            "an Azure transport needs api_key=, azure_ad_token= or azure_ad_token_provider=, "
            "or AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN to be set"
        )
        raise OptionError(message)
    return given[0]
