"""The Responses transport: chat completions, served by the Responses API."""

from __future__ import annotations

from typing import Final

from llmstack._core.call import Call
from llmstack._core.effects import Flow
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming, Transport
from llmstack._wire.fault import response_of
from llmstack._wire.sdk import body_error
from llmstack.transports._translation.chat_chunks import ChatChunks
from llmstack.transports._translation.chat_reply import chat_completion, problem
from llmstack.transports._translation.chat_request import responses_request
from llmstack.transports._translation.incoming import CHAT
from llmstack.transports._translation.translating import Translating, rewritten, translated_stream, whole
from llmstack.transports._translation.untranslatable import Losses, Lossy

__all__ = ["ResponsesTransport"]

_CHAT: Final = "chat/completions"
_RESPONSES: Final = "responses"


class ResponsesTransport(Translating):
    """Serves chat completions by the Responses API: the program and the layers see a chat completion all the same.

    ``POST /chat/completions`` is sent as ``POST /responses``, and the Response comes back as a chat completion, plain
    or streamed. All other calls go to the inner transport as they are.

        client = OpenAI(stack=Stack([Retry()], transport=ResponsesTransport()))
    """

    name = "responses"

    def __init__(self, inner: Transport | None = None, *, lossy: Lossy = "refuse") -> None:
        """Translate calls for another transport.

        Args:
            inner: Where the translated call is sent; None for the connection of the client that makes the call.
            lossy: What to do about a parameter that the Responses API does not have: ``"refuse"`` the call, or
                ``"warn"``: drop the parameter, say so once in the log ``llmstack.transports``, and each time in the
                call's notes (``dropped``).

        Raises:
            llmstack.errors.OptionError: If `lossy` is neither.
        """
        super().__init__(inner, lossy=lossy)

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send one request; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            llmstack.errors.UnsupportedError: If the call asks for what the Responses API cannot do.
            openai.APIError: What the SDK raises for this answer, or for the error that a failed Response tells of.
        """
        path, mark, query = call.path.partition("?")
        base = path.rstrip("/").removesuffix(_CHAT)
        # Other paths of the endpoint read and change stored completions, which are the business of who stored them.
        if call.method != "POST" or call.endpoint != "chat.completions" or base == path.rstrip("/"):
            return (yield from self._inner.send(call))
        losses = Losses()
        params = responses_request(call.params, losses)
        self._settle(losses, call)
        asked = call.replace(path=f"{base}{_RESPONSES}{mark}{query}", endpoint=_RESPONSES, params=params)
        brought = yield from self._inner.send(whole(asked))
        if isinstance(brought, Reply):
            return _reply(call, brought)
        # Several choices cannot be had, so the watch waits for none of them.
        return translated_stream(call.with_params(without=("n",)), brought, ChatChunks(call.params), CHAT)


def _reply(call: Call, reply: Reply) -> Reply:
    """The reply as a chat completion; what is no Response as it is, for whoever verifies answers.

    Raises:
        openai.APIError: If it tells of an error.
    """
    body = reply.body
    if not isinstance(body, dict):
        return reply
    error = problem(body)
    if error is not None:
        raise body_error(error, response_of(call, reply))
    return rewritten(call, reply, chat_completion(body, call.params)) if isinstance(body.get("output"), list) else reply
