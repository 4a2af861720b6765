"""Checkers of the program's own, sync and async, and what Azure's content filter tells."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import openai
import pytest

from llmstack import AzureOpenAI, OpenAI, Stack
from llmstack.errors import ModerationError, ModerationUnavailableError
from llmstack.middleware.moderation import Checker, Moderation, Verdict
from llmstack.testing import LocalServer, Recorder, ScriptedTransport
from tests.core.side import DONE, PREAMBLE, Side, chunk, texts
from tests.middleware.moderation_rig import Objects, ObjectsLater, ask, rig_of, sent, service, told

KINDS = pytest.mark.parametrize("kind", [Objects, ObjectsLater])


@KINDS
@pytest.mark.parametrize("mode", ["before", "parallel"])
def test_a_checker_may_object(side: Side, kind: Any, mode: Any) -> None:
    """Sync or async, in programs of both kinds."""
    checker = kind()
    assert issubclass(kind, Checker)
    rig = rig_of(side, Moderation(checkers=[checker], mode=mode))

    async def program() -> Any:
        await side.do(ask(rig, "fine"))
        with pytest.raises(ModerationError) as caught:
            await side.do(ask(rig, "a forbidden thing"))
        return caught.value

    error = side.run(program)
    assert (error.source, error.categories, error.scores["word"]) == ("objects", ("word",), 0.7)
    assert checker.seen == ["fine", "a forbidden thing"]
    assert ("input", "objects", True, True) in told(rig)


def test_a_threshold_holds_for_checkers_too(side: Side) -> None:
    """For their categories, if they give scores."""
    rig = rig_of(side, Moderation(checkers=[Objects()], thresholds={"word": 0.9}))

    async def program() -> None:
        await side.do(ask(rig, "a forbidden thing"))

    side.run(program)
    assert ("input", "objects", False, False) in told(rig)


def test_a_checker_is_asked_once_about_the_same(side: Side) -> None:
    """Unless it says that its verdict may change."""
    steady, moody = Objects(name="steady"), Objects(name="moody")
    moody.cached = False  # type: ignore[attr-defined]
    rig = rig_of(side, Moderation(checkers=[steady, moody], endpoint=False))

    async def program() -> None:
        for _ in range(3):
            await side.do(ask(rig, "fine"))

    side.run(program)
    assert (len(steady.seen), len(moody.seen)) == (1, 3)


@pytest.mark.parametrize("answer", [KeyError("private words"), "yes", True])
def test_a_checker_that_fails_gives_no_verdict(side: Side, answer: Any) -> None:
    """Closed: refused, without a word of what it said."""

    class Broken:
        def check(self, text: str) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

    rig = rig_of(side, Moderation(checkers=[Broken()], endpoint=False))

    async def program() -> Any:
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(ask(rig))
        return caught.value

    error = side.run(program)
    assert "private" not in str(error)
    assert isinstance(error.__cause__, KeyError if isinstance(answer, Exception) else TypeError)
    assert sent(rig) == []


def test_a_slow_checker_is_given_up(side: Side) -> None:
    """Where it can be: in async programs."""
    if not side.asynchronous:
        pytest.skip("a function cannot be stopped")

    class Slow:
        async def check(self, text: str) -> Verdict | None:
            import anyio

            await anyio.sleep(3600)
            return None

    rig = rig_of(side, Moderation(checkers=[Slow()], endpoint=False, timeout=0.02))

    async def program() -> Any:
        with pytest.raises(ModerationUnavailableError) as caught:
            await side.do(ask(rig))
        return caught.value

    assert isinstance(side.run(program).__cause__, TimeoutError)


def test_an_async_checker_serves_a_sync_client_inside_a_loop() -> None:
    """As in a notebook: it runs in a loop of its own."""
    stack = Stack(
        [Moderation(checkers=[ObjectsLater()], endpoint=False)], transport=ScriptedTransport(default=service())
    )

    async def program() -> None:
        with OpenAI(api_key="sk-test-not-a-key", stack=stack) as client, pytest.raises(ModerationError):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "forbidden"}])

    asyncio.run(program())
    assert not [thread for thread in threading.enumerate() if thread.name == "llmstack-checker"]


@pytest.mark.parametrize("window", [None, 5])
def test_a_checker_judges_answers(side: Side, window: int | None) -> None:
    """Streams too, in windows or whole."""
    moderation = Moderation(input=False, output=True, window=window, checkers=[ObjectsLater()], endpoint=False)
    rig = rig_of(side, moderation, [PREAMBLE, chunk("fine so far "), chunk("forbidden"), DONE])

    async def program() -> Any:
        return await side.read_until(ModerationError, await side.do(ask(rig, stream=True)))

    seen, error = side.run(program)
    assert error.source == "objects"
    assert texts(seen) == ("fine so far " if window else "")


# Azure --------------------------------------------------------------------------------------------------------------

SAFE = {"filtered": False, "severity": "safe"}
MEDIUM = {"filtered": False, "severity": "medium"}
JAILBREAK = {"filtered": False, "detected": True}


def azure_chunks() -> list[Any]:
    """A stream as Azure sends it."""
    first = {"choices": [], "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": SAFE}}]}
    bad = chunk("bad ")
    bad["choices"][0]["content_filter_results"] = {"violence": MEDIUM}
    return [first, PREAMBLE, chunk("fine "), bad, chunk(finish="stop"), DONE]


def azure_body(prompt: Any, completion: Any) -> dict[str, Any]:
    """An answer as Azure sends it."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    choice["content_filter_results"] = completion
    results = [{"prompt_index": 0, "content_filter_results": prompt}]
    return {"id": "1", "object": "chat.completion", "choices": [choice], "prompt_filter_results": results}


def test_what_azure_tells_is_told_on(side: Side) -> None:
    """Severities as scores; what was found but let pass does not refuse anything."""
    body = azure_body({"jailbreak": JAILBREAK, "hate": SAFE}, {"violence": MEDIUM})
    rig = rig_of(side, Moderation(endpoint=False), body)

    async def program() -> None:
        await side.do(ask(rig))

    side.run(program)
    assert told(rig) == [("input", "azure", True, False), ("output", "azure", False, False)]
    assert rig.finished.notes == {"moderation": {"input": ["jailbreak"]}}


@pytest.mark.parametrize(
    ("azure", "prompt", "completion", "subject"),
    [
        ("medium", {"hate": SAFE}, {"violence": MEDIUM}, "output"),
        ("high", {"hate": SAFE}, {"violence": MEDIUM}, None),
        ("high", {"jailbreak": JAILBREAK}, {"violence": SAFE}, "input"),
        ("low", {"hate": SAFE}, {"violence": SAFE}, None),
    ],
)
def test_azures_severity_may_refuse(side: Side, azure: Any, prompt: Any, completion: Any, subject: str | None) -> None:
    """From the one that the program names on."""
    rig = rig_of(side, Moderation(endpoint=False, azure=azure), azure_body(prompt, completion))

    async def program() -> Any:
        try:
            await side.do(ask(rig))
        except ModerationError as error:
            return error.subject, error.source
        return None

    assert side.run(program) == (None if subject is None else (subject, "azure"))


@pytest.mark.parametrize("window", [None, 3])
def test_azures_severity_ends_a_stream(side: Side, window: int | None) -> None:
    """The chunk that it is told with is not delivered."""
    rig = rig_of(side, Moderation(input=False, output=True, endpoint=False, azure="low", window=window), azure_chunks())

    async def program() -> Any:
        return await side.read_until(ModerationError, await side.do(ask(rig, stream=True)))

    seen, error = side.run(program)
    assert (error.source, error.categories) == ("azure", ("violence",))
    assert "bad" not in texts(seen)


def test_azures_refusal_is_told_and_raised_as_it_is(server: LocalServer) -> None:
    """The SDK's own error, on Azure's own client."""
    server.next(400, code="content_filter")
    recorder = Recorder()
    stack = Stack([Moderation(endpoint=False), recorder])
    client = AzureOpenAI(
        azure_endpoint=server.azure_endpoint, api_version="2024-10-21", api_key="sk-test-not-a-key", stack=stack
    )
    with client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "content_filter"
    assert recorder.finished.notes == {"moderation": {"input": ["violence"]}}
