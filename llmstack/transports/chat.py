"""The chat transport: responses, served by chat completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from llmstack._core.call import Call
from llmstack._core.effects import Flow
from llmstack._core.reply import Reply
from llmstack._core.transport import Incoming, Transport
from llmstack._wire.fault import nature, no_answer
from llmstack._wire.verify import verify
from llmstack.transports._translation.incoming import RESPONSES
from llmstack.transports._translation.responses_reply import response_body
from llmstack.transports._translation.responses_request import ChatStyle, chat_params
from llmstack.transports._translation.responses_state import Continuation, KeptEvents, retrieved
from llmstack.transports._translation.responses_store import ResponseStore
from llmstack.transports._translation.translating import Translating, one_of, rewritten, translated_stream, whole
from llmstack.transports._translation.untranslatable import Losses, Lossy

__all__ = ["ChatTransport"]

MaxTokensField = Literal["max_completion_tokens", "max_tokens"]
SystemRole = Literal["system", "developer"]
ReasoningField = Literal["reasoning_content", "reasoning"]

_RESPONSES: Final = "responses"
_CHAT: Final = "chat/completions"


class ChatTransport(Translating):
    """Serves ``client.responses`` by chat completions, for servers that have nothing else.

        client = OpenAI(base_url="http://localhost:8000/v1", stack=Stack([Retry()], transport=ChatTransport()))
        client.responses.create(model="...", input="Hello")

    ``POST /responses`` is sent as ``POST /chat/completions``, and the chat completion comes back as a Response, plain
    or streamed. Calls of other endpoints go to the inner transport as they are.
    """

    name = "chat"

    def __init__(
        self,
        inner: Transport | None = None,
        *,
        lossy: Lossy = "refuse",
        responses: ResponseStore | None = None,
        max_tokens_field: MaxTokensField = "max_completion_tokens",
        system_role: SystemRole = "system",
        stream_usage: bool = True,
        reasoning_field: ReasoningField | None = None,
    ) -> None:
        """Translate calls for another transport.

        Args:
            inner: Where chat completions are sent; None for the connection of the client that makes the call.
            lossy: What to do about a parameter that chat completions do not have: ``"refuse"`` the call, or
                ``"warn"``: drop the parameter, say so once in the log ``llmstack.transports``, and each time in the
                call's notes (``dropped``). What the call makes no sense without is refused in any case.
            responses: Where responses are kept, for ``previous_response_id`` and ``responses.retrieve``; None to keep
                none and refuse both.
            max_tokens_field: What the server calls the bound of the output.
            system_role: The role of instructions and developer messages; every server knows ``"system"``.
            stream_usage: True to ask for the usage of a stream by ``stream_options``; False for servers that do not
                know it.
            reasoning_field: Where the server wants what the model thought in earlier turns, in an assistant's message:
                ``"reasoning_content"`` or ``"reasoning"``; None to leave it out.

        Raises:
            llmstack.errors.OptionError: If an option has a value that it does not take.
        """
        super().__init__(inner, lossy=lossy)
        one_of(type(self), "max_tokens_field", max_tokens_field, get_args(MaxTokensField))
        one_of(type(self), "system_role", system_role, get_args(SystemRole))
        self._responses = responses
        if reasoning_field is not None:
            one_of(type(self), "reasoning_field", reasoning_field, get_args(ReasoningField))
        self._style = ChatStyle(
            max_tokens_field=max_tokens_field,
            system_role=system_role,
            stream_usage=bool(stream_usage),
            reasoning_field=reasoning_field,
        )

    def send(self, call: Call) -> Flow[Reply | Incoming]:
        """Send one request; see `llmstack.testing.ScriptedTransport` for the contract.

        Raises:
            llmstack.errors.UnsupportedError: If the call asks for what chat completions cannot do; nothing was sent.
            openai.APIError: What the SDK raises for this answer.
        """
        if call.endpoint.partition(".")[0] != _RESPONSES:
            return (yield from self._inner.send(call))
        if call.endpoint != _RESPONSES or call.method != "POST":
            return retrieved(call, self._responses)
        conversation = Continuation(call, self._responses)
        asked = self._asked(call, conversation.before)
        brought = yield from self._inner.send(asked)
        if isinstance(brought, Reply):
            return _reply(call, asked, brought, conversation)
        return translated_stream(call, brought, KeptEvents(conversation, salt=_salt(call)), RESPONSES)

    def _asked(self, call: Call, before: Sequence[Mapping[str, Any]]) -> Call:
        """The call that asks for a chat completion of the same."""
        losses = Losses()
        params = call.params
        if self._responses is not None:
            params = {name: value for name, value in params.items() if name != "previous_response_id"}
        body = chat_params(params, losses, self._style, earlier=before)
        self._settle(losses, call)
        path, mark, query = call.path.partition("?")
        path = f"{path.rstrip('/').removesuffix(_RESPONSES)}{_CHAT}{mark}{query}"
        return whole(call).replace(path=path, endpoint="chat.completions", params=body)


def _reply(call: Call, asked: Call, brought: Reply, conversation: Continuation) -> Reply:
    """The chat completion as a response.

    Raises:
        openai.APIError: If it is none: nothing could be made of it.
    """
    error = verify(asked, brought)
    if error is None and not isinstance(brought.body, dict):
        error = no_answer(asked, brought, nature(brought.content or b""))
    if error is not None:
        try:
            raise error
        finally:
            del error  # it holds this frame
    body = response_body(brought.body, call.params, salt=_salt(call))
    conversation.keep(body)
    return rewritten(call, brought, body)


def _salt(call: Call) -> str:
    """What makes ids unlike those of other calls: some servers give the same id twice, or none."""
    return call.id.removeprefix("call_")
