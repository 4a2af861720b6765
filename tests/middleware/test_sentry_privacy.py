"""Sentry and privacy: no key ever, no content unless asked for twice."""

import json
import logging
from typing import Any

import openai
import pytest
import sentry_sdk
from sentry_sdk.consts import DEFAULT_OPTIONS
from sentry_sdk.integrations.logging import LoggingIntegration

from llmstack import OpenAI, Stack
from llmstack.errors import RefusedError
from llmstack.middleware import Logging
from llmstack.middleware.sentry import Sentry
from llmstack.testing import LocalServer, ScriptedTransport, Status
from tests.middleware.sentry_rig import ANSWER, ASK, KEY, PROMPT, aclient, client, held, sentry, served

__all__ = ["sentry"]

QUOTING = Status(400, {"error": {"message": f"cannot read {PROMPT} for {KEY}", "code": f"no {PROMPT}", "type": "bad"}})


def test_frames_have_no_local_variables(sentry):
    """They hold the call, its messages and the reply; Sentry's default sends them."""
    sentry.init(include_local_variables=True)
    with pytest.raises(openai.BadRequestError):
        client([QUOTING]).chat.completions.create(**ASK)
    frames = [
        frame for value in sentry.transport.error["exception"]["values"] for frame in value["stacktrace"]["frames"]
    ]
    assert len(frames) > 3
    assert [frame for frame in frames if "vars" in frame] == []


def test_a_code_that_is_no_code_is_not_told(sentry):
    """A provider may put a sentence there."""
    sentry.init()
    with pytest.raises(openai.BadRequestError):
        client([QUOTING]).chat.completions.create(**ASK)
    event = sentry.transport.error
    assert event["exception"]["values"][-1]["value"] == "status=400 type=bad"
    assert event["fingerprint"][-1] == "BadRequestError"


def test_the_whole_chain_is_cleaned(sentry):
    """A plugin that fails over the prompt: its own message is safe, the cause's text is not."""
    sentry.init()

    def broken(call, next):
        raise ValueError(call.params["messages"][0]["content"])
        yield

    with pytest.raises(openai.OpenAIError):
        client(["never"], broken).chat.completions.create(**ASK)
    cause, error = sentry.transport.error["exception"]["values"]
    assert (cause["type"], cause["value"]) == ("ValueError", "[text withheld]")
    assert error["value"].startswith("plugin 'broken' failed with ValueError")


def test_a_refusal_that_names_a_key_is_masked(sentry):
    """Our own messages are told, but masked."""
    sentry.init()

    def guard(call, next):
        raise RefusedError(f"not with {KEY}")
        yield

    with pytest.raises(RefusedError):
        client(["never"], guard, refused=True).chat.completions.create(**ASK)
    assert "not with" in sentry.transport.error["exception"]["values"][-1]["value"]


def test_the_systems_own_words_are_told(sentry):
    """What failed in the network is worth knowing, and holds no content."""
    sentry.init()
    with LocalServer() as gone:
        asked = served(gone)
    with pytest.raises(openai.APIConnectionError):
        asked.chat.completions.create(**ASK)
    values = [value["value"] for value in sentry.transport.error["exception"]["values"]]
    assert values[-1] == "Connection error."
    assert any(value.startswith("[Errno ") for value in values)
    asked.close()


@pytest.mark.parametrize("locals_too", [True, False])
def test_what_others_capture_of_our_errors_is_cleaned_too(sentry, locals_too):
    """A framework that captures the program's own error finds ours as its cause.

    The program's own frames are its own: Sentry shows their variables, among them the caught error, if it may.
    """
    sentry.tells = locals_too
    sentry.init(include_local_variables=locals_too)
    try:
        try:
            client([QUOTING]).chat.completions.create(**ASK)
        except openai.BadRequestError as error:
            message = "the page failed"
            raise RuntimeError(message) from error
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    _, event = sentry.transport.errors
    cause, error = event["exception"]["values"]
    assert error["value"] == "the page failed"
    assert cause["value"] == "status=400 type=bad"
    frames = cause["stacktrace"]["frames"]
    assert {"vars" in frame for frame in frames if frame["module"].startswith(("llmstack", "openai"))} == {False}
    assert ("vars" in error["stacktrace"]["frames"][-1]) is locals_too
    for frame in (*frames, *error["stacktrace"]["frames"]):
        frame.pop("vars", None)
    assert PROMPT not in json.dumps(event)


def test_the_breadcrumbs_of_sentrys_integrations_tell_nothing(sentry, server, caplog):
    """Of HTTP the address, of our log lines what they say."""
    http = pytest.importorskip("sentry_sdk.integrations.httpx2", reason="newer versions of sentry-sdk have it")
    sentry.init(LoggingIntegration(level=logging.DEBUG), http.Httpx2Integration())
    with caplog.at_level(logging.DEBUG, "llmstack"), served(server, Logging()) as asked:
        server.next(503, message=f"busy with {PROMPT}")
        asked.chat.completions.create(**ASK)
        server.next(400, message=f"cannot read {PROMPT} for {KEY}", times=1)
        with pytest.raises(openai.BadRequestError):
            asked.chat.completions.create(**ASK)
    categories = {crumb["category"] for crumb in sentry.look()}
    assert {"llmstack", "httplib"} <= categories


def test_content_needs_both_consents(sentry):
    """One alone sends none."""
    sentry.init(send_default_pii=False)
    with sentry_sdk.start_transaction(name="page"):
        client([ANSWER], content=True).chat.completions.create(**ASK)
    sentry.init(send_default_pii=True)
    with sentry_sdk.start_transaction(name="page"):
        client([ANSWER]).chat.completions.create(**ASK)
    with pytest.raises(openai.BadRequestError):
        client([QUOTING]).chat.completions.create(**ASK)
    assert len(sentry.transport.ours) == 2


def content(span) -> dict[str, Any]:
    """What a span tells of prompt and answer."""
    names = ("messages", "text", "instructions", "tool_calls", "definitions", "input")
    return {name: value for name, value in span["data"].items() if name.endswith(names)}


def test_with_both_consents_the_span_has_prompt_and_answer(sentry):
    """Secrets stay masked."""
    sentry.tells = True
    sentry.init(send_default_pii=True)
    ask: Any = {**ASK, "messages": [{"role": "system", "content": f"key {KEY}"}, *ASK["messages"]]}
    asked = client([Status(503), ANSWER], content=True)
    with sentry_sdk.start_transaction(name="page"):
        asked.chat.completions.create(**ask)
    first, second = sentry.transport.ours
    asked_for = {
        "gen_ai.system_instructions": '[{"type": "text", "content": "key ***"}]',
        "gen_ai.request.messages": json.dumps(ASK["messages"]),
    }
    assert content(first) == asked_for
    assert content(second) == {**asked_for, "gen_ai.response.text": ANSWER}
    assert second["status"] == "ok"


def test_content_is_on_the_span_before_it_is_sent(sentry):
    """Without a span around it, it is sent when it ends."""
    sentry.tells = True
    sentry.init(send_default_pii=True)
    client([ANSWER], content=True).chat.completions.create(**ASK)
    (transaction,) = sentry.transport.items("transaction")
    data = transaction["contexts"]["trace"]["data"]
    assert data["gen_ai.response.text"] == ANSWER
    assert data["gen_ai.usage.total_tokens"] == 5


def test_content_of_a_call_that_was_not_sent_is_not_held(sentry):
    """A layer further in refused it."""
    sentry.init(send_default_pii=True)

    def guard(call, next):
        raise RefusedError("not today")
        yield

    made = Stack([Sentry(content=True), guard], transport=ScriptedTransport([]))
    asked = OpenAI(api_key=KEY, stack=made)
    with sentry_sdk.start_transaction(name="page"), pytest.raises(RefusedError):
        asked.chat.completions.create(**ASK)
    assert held(asked) == 0


async def test_content_of_streams_in_async(sentry):
    """The answer is known at the stream's end."""
    sentry.tells = True
    sentry.init(send_default_pii=True)
    asked = aclient([ANSWER], content=True)
    with sentry_sdk.start_transaction(name="page"):
        stream = await asked.chat.completions.create(**ASK, stream=True)
        _ = [chunk async for chunk in stream]
    assert content(sentry.transport.span)["gen_ai.response.text"] == ANSWER


def test_content_of_other_endpoints(sentry, server):
    """Responses, embeddings, legacy completions, tools."""
    sentry.tells = True
    sentry.init(send_default_pii=True)
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    with sentry_sdk.start_transaction(name="page"), served(server, content=True) as asked:
        asked.responses.create(model="gpt-5", input="hi", instructions="be brief")
        asked.embeddings.create(model="e-3", input="hi")
        asked.completions.create(model="davinci", prompt="hi")
        asked.chat.completions.create(model="m", messages=[{"role": "user", "content": "[tool]"}], tools=tools)
    responses, embeddings, completions, chat = map(content, sentry.transport.ours)
    assert responses["gen_ai.system_instructions"] == '[{"type": "text", "content": "be brief"}]'
    assert json.loads(responses["gen_ai.request.messages"]) == [{"role": "user", "content": "hi"}]
    assert "You said: hi" in responses["gen_ai.response.text"]
    assert embeddings == {"gen_ai.embeddings.input": '["hi"]'}
    assert "You said" in completions["gen_ai.response.text"]
    assert json.loads(chat["gen_ai.tool.definitions"]) == tools


def test_embedded_files_and_endless_texts_are_cut(sentry):
    """A span is no archive."""
    sentry.tells = True
    sentry.init(send_default_pii=True)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    text = {"type": "text", "text": "x" * 20_000}
    messages: Any = [{"role": "user", "content": "y" * 9_999}] * 30 + [{"role": "user", "content": [image, text]}]
    with sentry_sdk.start_transaction(name="page"):
        client([ANSWER], content=True).chat.completions.create(model="m", messages=messages)
    sent = content(sentry.transport.span)["gen_ai.request.messages"]
    assert "data:image/png;base64,[Filtered]" in sent
    assert len(sent) < 110_000
    assert len(json.loads(sent)) == 9


@pytest.mark.skipif("data_collection" not in DEFAULT_OPTIONS, reason="newer versions of sentry-sdk have it")
@pytest.mark.parametrize(("inputs", "outputs"), [(True, False), (False, True)])
def test_data_collection_is_obeyed_by_half(sentry, inputs, outputs):
    """What newer versions ask instead of ``send_default_pii``: prompts, answers, each by itself."""
    sentry.tells = True
    sentry.init(data_collection={"gen_ai": {"inputs": inputs, "outputs": outputs}})
    with sentry_sdk.start_transaction(name="page"):
        client([ANSWER], content=True).chat.completions.create(**ASK)
    assert ("gen_ai.request.messages" in content(sentry.transport.span)) is inputs
    assert ("gen_ai.response.text" in content(sentry.transport.span)) is outputs


def test_with_consent_the_error_keeps_its_text(sentry):
    """Masked."""
    sentry.tells = True
    sentry.init(send_default_pii=True)
    with pytest.raises(openai.BadRequestError):
        client([QUOTING], content=True).chat.completions.create(**ASK)
    assert f"cannot read {PROMPT} for ***" in sentry.transport.error["exception"]["values"][-1]["value"]


def test_a_word_that_is_called_code_is_told_only_of_providers(sentry):
    """Any exception may have an attribute of that name."""
    sentry.init()

    class OddError(Exception):
        code = "-".join(PROMPT.split())

    def broken(call, next):
        raise OddError(PROMPT)
        yield

    with pytest.raises(openai.OpenAIError):
        client(["never"], broken).chat.completions.create(**ASK)
    assert OddError.code not in sentry.transport.text
