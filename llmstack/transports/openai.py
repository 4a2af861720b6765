"""The OpenAI transport: sends through the SDK's own client and its connection."""

from __future__ import annotations

from functools import partial
from typing import Any

from openai import APITimeoutError, OpenAIError

from llmstack._core.call import Call
from llmstack._core.effects import Flow, Run
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming
from llmstack._wire.incoming import HttpIncoming
from llmstack._wire.request import SDKRequest, bare_request, options_of
from llmstack._wire.sdk import FinalRequestOptions, api_error, translated
from llmstack._wire.watch import BodyWatch, EventWatch
from llmstack.errors import UnsupportedError
from llmstack.transports.deadline import Limit, limited


class OpenAITransport:
    """Sends each call through the client that made it: its connection pool, key, base URL and headers.

    This is the transport of a stack that names none. It asks the SDK for the raw HTTP response, so what the program
    gets in the end is parsed by the SDK itself.
    """

    name = "openai"

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send one request; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            openai.APIError: What the SDK raises for this answer; ``APITimeoutError`` at the call's deadline.
            llmstack.errors.BodyConsumedError: On a second send of a one-shot body.
        """
        request: SDKRequest | None = call.request
        if request is None:
            message = "the openai transport sends calls made by a client only; this call was made by hand"
            raise UnsupportedError(message, call=call.info)
        if request.replay is not None and call.progress.attempts > 1:
            request.replay.rewind(call.info)
        options = _timed(options_of(call), call)
        send = request.client.llmstack_send
        try:
            result = yield Run(lambda: send(options, stream=call.stream), lambda: send(options, stream=call.stream))
        except OpenAIError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again, or its translation
            # The body of an error status broke off: the SDK lets its HTTP library's error out.
            ours = translated(error, bare_request(call)) if call.verify or call.deadline is not None else error
            try:
                if ours is error:
                    raise
                raise ours from error
            finally:
                del ours  # it holds this frame
        # Under with_raw_response and with_streaming_response the SDK wraps the response.
        response: Any = getattr(result, "http_response", result)
        if not (call.stream or call.raw == "stream"):
            content = response.content
            return Reply(content=content, status=response.status_code, headers=response.headers, native=response)
        if call.idle_timeout is not None:
            _bound_silence(response, call.idle_timeout)
        status, headers = response.status_code, response.headers
        if not call.stream:
            return HttpIncoming(response, BodyWatch(status, headers))
        # A watch that held the response would make a cycle, and a response that is dropped must close at once.
        watch = EventWatch(call, status, headers, partial(api_error, request=response.request))
        return HttpIncoming(response, watch)


def _timed(options: FinalRequestOptions, call: Call) -> FinalRequestOptions:
    """The options with time-outs that end at the call's deadline.

    Raises:
        openai.APITimeoutError: If it has passed.
    """
    deadline, now = call.deadline, call.progress.now
    if deadline is None or now is None:
        return options
    if deadline <= now():
        raise APITimeoutError(request=bare_request(call))
    # Not a method of the call: what the connection holds on to must not hold the call.
    return options.model_copy(update={"timeout": limited(call.timeout, lambda: deadline - now())})


def _bound_silence(response: Any, seconds: float) -> None:
    """Let the body's reads take so long at most; the HTTP client looks this up when it begins to read the body."""
    timeouts = response.request.extensions.get("timeout")
    if isinstance(timeouts, dict):
        present = timeouts.get("read")
        timeouts["read"] = Limit(seconds, present.left) if isinstance(present, Limit) else seconds
