"""The keyword arguments of the SDK's clients, for type checkers; when they are given the SDK itself checks them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import httpx2
    import openai


class ClientOptions(TypedDict, total=False):
    """What all the SDK's constructors take."""

    admin_api_key: str | None
    organization: str | None
    project: str | None
    webhook_secret: str | None
    websocket_base_url: str | httpx2.URL | None
    timeout: float | openai.Timeout | openai.NotGiven | None
    max_retries: int
    default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    _strict_response_validation: bool
    _enforce_credentials: bool


class OpenAIOptions(ClientOptions, total=False):
    """What ``openai.OpenAI`` and ``openai.AsyncOpenAI`` take besides."""

    workload_identity: Any
    provider: Any
    data_residency: Any
    base_url: str | httpx2.URL | openai.NotGiven | None


class SyncOptions(OpenAIOptions, total=False):
    """Arguments of ``openai.OpenAI``."""

    api_key: str | Callable[[], str] | None
    http_client: httpx2.Client | None


class AsyncOptions(OpenAIOptions, total=False):
    """Arguments of ``openai.AsyncOpenAI``."""

    api_key: str | Callable[[], Awaitable[str]] | None
    http_client: httpx2.AsyncClient | None


class AzureOptions(ClientOptions, total=False):
    """What the Azure clients take besides."""

    api_version: str | None
    azure_endpoint: str | None
    azure_deployment: str | None
    azure_ad_token: str | None
    base_url: str | None


class SyncAzureOptions(AzureOptions, total=False):
    """Arguments of ``openai.AzureOpenAI``."""

    api_key: str | Callable[[], str] | None
    azure_ad_token_provider: Callable[[], str] | None
    http_client: httpx2.Client | None


class AsyncAzureOptions(AzureOptions, total=False):
    """Arguments of ``openai.AsyncAzureOpenAI``."""

    api_key: str | Callable[[], Awaitable[str]] | None
    azure_ad_token_provider: Callable[[], str | Awaitable[str]] | None
    http_client: httpx2.AsyncClient | None


class CopyOptions(TypedDict, total=False):
    """What the clients' ``copy`` and ``with_options`` take; some of it only async or only Azure clients."""

    api_key: str | Callable[[], str] | Callable[[], Awaitable[str]] | None
    admin_api_key: str | None
    workload_identity: Any
    provider: Any
    data_residency: Any
    organization: str | None
    project: str | None
    webhook_secret: str | None
    websocket_base_url: str | httpx2.URL | None
    base_url: str | httpx2.URL | openai.NotGiven | None
    timeout: float | openai.Timeout | openai.NotGiven | None
    http_client: httpx2.Client | httpx2.AsyncClient | None
    max_retries: int | openai.NotGiven
    default_headers: Mapping[str, str] | None
    set_default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    set_default_query: Mapping[str, object] | None
    api_version: str | None
    azure_ad_token: str | None
    azure_ad_token_provider: Callable[[], str | Awaitable[str]] | None
    _enforce_credentials: bool | None
