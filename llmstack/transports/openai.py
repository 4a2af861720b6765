"""The OpenAI transport: sends through the SDK's own client and its connection."""

from __future__ import annotations

from functools import partial
from typing import Any

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.incoming import HttpIncoming
from llmstack._wire.request import SDKRequest, options_of
from llmstack._wire.sdk import api_error
from llmstack._wire.watch import BodyWatch, EventWatch
from llmstack.errors import UnsupportedError


class OpenAITransport:
    """Sends each call through the client that made it: its connection pool, key, base URL and headers.

    This is the transport of a stack that names none. It asks the SDK for the raw HTTP response, so what the program
    gets in the end is parsed by the SDK itself.
    """

    name = "openai"

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send one request; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            openai.APIError: What the SDK raises for this answer.
            llmstack.errors.BodyConsumedError: On a second send of a one-shot body.
        """
        request: SDKRequest | None = call.request
        if request is None:
            message = "the openai transport sends calls made by a client only; this call was made by hand"
            raise UnsupportedError(message, call=call.info)
        if request.replay is not None and call.progress.attempts > 1:
            request.replay.rewind(call.info)
        options = options_of(call)
        send = request.client.llmstack_send
        result = yield Run(lambda: send(options, stream=call.stream), lambda: send(options, stream=call.stream))
        # Under with_raw_response and with_streaming_response the SDK wraps the response.
        response: Any = getattr(result, "http_response", result)
        if not (call.stream or call.raw == "stream"):
            content = response.content
            return Reply(content=content, status=response.status_code, headers=response.headers, native=response)
        status, headers = response.status_code, response.headers
        if not call.stream:
            return HttpIncoming(response, BodyWatch(status, headers))
        # A watch that held the response would make a cycle, and a response that is dropped must close at once.
        watch = EventWatch(call, status, headers, partial(api_error, request=response.request))
        return HttpIncoming(response, watch)
