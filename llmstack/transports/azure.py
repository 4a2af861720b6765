"""The Azure transport: the calls of any client, served by an Azure OpenAI resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import httpx2  # noqa: TC002 - what a config file says is checked by the annotations
from openai import NOT_GIVEN, NotGiven

from llmstack._core.call import Call
from llmstack._core.configurable import Configurable
from llmstack._core.effects import Flow
from llmstack._core.place import Place
from llmstack._core.quantity import Seconds
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack.errors import UnsupportedError
from llmstack.transports._azure.deployment import Deployments, NoDeployment, deployment_finder, is_deployment_name
from llmstack.transports._azure.resource import Resource, Surface
from llmstack.transports._own.key import KeyFunction
from llmstack.transports._own.place import Own
from llmstack.transports.openai import OpenAITransport

__all__ = ["AzureTransport"]

_OF_MODELS: Final = "fine_tuning"
"""Where ``model`` is a base model, not a deployment."""


class AzureTransport(Configurable):
    """Sends all calls, whatever client makes them, to an Azure OpenAI resource.

        transport = AzureTransport(
            endpoint="https://example.openai.azure.com", api="v1", deployments={"gpt-5-mini": "prod-mini"}
        )
        client = OpenAI(stack=Stack([Retry()], transport=transport))

    As with `OpenAITransport`, nothing travels there that the client would have added to its own requests.

    Args:
        endpoint: Address of the resource; ``AZURE_OPENAI_ENDPOINT`` if not given. With ``/openai/v1`` at its end it
            says ``api="v1"``, too.
        api_version: The dated version, such as ``"2024-10-21"``; ``OPENAI_API_VERSION`` if not given. On the surface
            ``"v1"`` none is needed and none is taken from the environment.
        api: The surface: ``"deployments"``, whose paths hold the deployment's name and need a version, or ``"v1"``,
            whose paths are OpenAI's.
        api_key: The resource's key; ``AZURE_OPENAI_API_KEY`` if no credential is given.
        azure_ad_token: A token of Entra ID instead; ``AZURE_OPENAI_AD_TOKEN``, before the key, if none is given.
        azure_ad_token_provider: A function that gives such a token for each request instead; it may be async, for
            async clients.
        deployments: Deployment by model: a table, whose models may hold ``*``, ``?`` and ``[...]``, or a function from
            a model to a deployment (None if it knows none).
        strict_deployments: True to refuse a model that `deployments` does not know; else its name passes as that of a
            deployment.
        default_headers: Headers of every request.
        timeout: As for `OpenAITransport`.
        http_client: As for `OpenAITransport`.
        async_http_client: As for `OpenAITransport`.

    Raises:
        llmstack.errors.OptionError: If an option is missing (also in the environment), wrong, or contradicts another.
    """

    name = "azure"

    def __init__(  # noqa: PLR0913 - the SDK's names for the same things
        self,
        *,
        endpoint: str | httpx2.URL | None = None,
        api_version: str | None = None,
        api: Surface | None = None,
        api_key: str | None = None,
        azure_ad_token: str | None = None,
        azure_ad_token_provider: KeyFunction | None = None,
        deployments: Deployments | None = None,
        strict_deployments: bool = False,
        default_headers: Mapping[str, str] | None = None,
        timeout: Seconds | httpx2.Timeout | NotGiven | None = NOT_GIVEN,
        http_client: httpx2.Client | None = None,
        async_http_client: httpx2.AsyncClient | None = None,
    ) -> None:
        resource = Resource.of(
            endpoint=endpoint,
            api=api,
            api_version=api_version,
            headers=dict(default_headers or {}),
            api_key=api_key,
            azure_ad_token=azure_ad_token,
            azure_ad_token_provider=azure_ad_token_provider,
        )
        self._surface = resource.surface
        self._deployment: Callable[[str], str] = deployment_finder(deployments, strict=strict_deployments)
        own = Own(
            resource.place(),
            resource.client,
            timeout=timeout,
            http_client=http_client,
            async_http_client=async_http_client,
        )
        self._place = own.place
        self._inner = OpenAITransport.over(own)

    @property
    def place(self) -> Place:
        """Where it sends."""
        return self._place

    def __repr__(self) -> str:
        """Where it sends, without keys."""
        return f"AzureTransport({self._place.base_url!r})"

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send one request; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            openai.APIError: What the SDK raises for this answer; a prompt that Azure's filter refuses is a
                ``BadRequestError`` whose ``code`` is ``"content_filter"`` and whose ``body`` has the filter's results.
            llmstack.errors.UnsupportedError: If the model has no deployment, or the call names another address.
        """
        return (yield from self._inner.send(self._deployed(call)))

    def _deployed(self, call: Call) -> Call:
        model = call.model
        if model is None or call.endpoint.partition(".")[0] == _OF_MODELS:
            return call
        try:
            deployment = self._deployment(model)
        except NoDeployment as error:
            raise UnsupportedError(str(error), call=call.info) from None
        if self._surface == "deployments" and not is_deployment_name(deployment):
            message = f"{deployment[:100]!r} cannot be the name of a deployment: map the model by deployments="
            raise UnsupportedError(message, call=call.info)
        return call if deployment == model else call.with_params(model=deployment)

    def close(self) -> None:
        """Close the transport's connections."""
        self._inner.close()

    async def aclose(self) -> None:
        """The same in an async program."""
        await self._inner.aclose()
