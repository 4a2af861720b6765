"""Moderation of what is asked: what is judged, by whom, and what follows."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import llmstack
from llmstack import Call, Flow, Next, OpenAI, Reply, Stack, Stage, hookimpl
from llmstack.errors import ModerationError, OptionError, RefusedError
from llmstack.events import AttemptFinished, ContentModerated
from llmstack.middleware.moderation import Moderation
from llmstack.testing import FLAG_MARKER, LocalServer, Recorder, ScriptedTransport
from tests.core.side import Side
from tests.middleware.moderation_rig import FLAGGED, MODEL, SECRET, Objects, ask, rig_of, sent, service, told

MODES = pytest.mark.parametrize("mode", ["before", "parallel"])


@MODES
def test_a_harmless_call_passes(side: Side, mode: Any) -> None:
    """One request for the verdict, one for the answer."""
    rig = rig_of(side, Moderation(mode=mode))

    async def program() -> Any:
        return await side.do(ask(rig))

    assert side.run(program).choices[0].message.content == "Hello"
    assert sorted(sent(rig)) == ["chat.completions", "moderations"]
    assert told(rig) == [("input", "openai", False, False)]
    assert rig.finished.outcome == "ok"
    assert "moderation" not in rig.finished.notes


def test_a_flagged_call_is_not_sent(side: Side) -> None:
    """The error says why, and neither it nor any event has a word of the content."""
    rig = rig_of(side, Moderation())

    async def program() -> ModerationError:
        with pytest.raises(ModerationError) as caught:
            await side.do(ask(rig, f"{SECRET} {FLAGGED}"))
        return caught.value

    error = side.run(program)
    assert sent(rig) == ["moderations"]
    assert (error.subject, error.categories, error.source) == ("input", ("violence",), "openai")
    assert error.scores["violence"] == 0.98
    assert (error.plugin, error.reply) == ("moderation", None)
    assert issubclass(type(error), RefusedError)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.categories, copy.scores, copy.subject) == (error.categories, error.scores, "input")
    assert rig.finished.outcome == "refused"
    assert rig.finished.notes == {"moderation": {"input": ["violence"]}}
    assert told(rig) == [("input", "openai", True, True)]
    for shown in (str(error), repr(error), *map(repr, rig.recorder.events)):
        assert SECRET not in shown
        assert FLAGGED not in shown


@pytest.mark.parametrize(
    ("thresholds", "passes"),
    [
        ({}, False),
        ({"violence": 0.99}, True),
        ({"violence": 0.5}, False),
        ({"hate": 0.9}, False),
        ({"hate": 0.2}, False),
    ],
)
def test_a_threshold_decides_in_place_of_the_endpoint(thresholds: Any, passes: bool) -> None:  # noqa: FBT001
    """For its category; for the others the endpoint's own decision holds."""
    transport = ScriptedTransport(default=service())
    client = OpenAI(api_key="sk-test-not-a-key", stack=Stack([Moderation(thresholds=thresholds)], transport=transport))
    messages: Any = [{"role": "user", "content": FLAGGED}]
    if passes:
        client.chat.completions.create(model="m", messages=messages)
        return
    with pytest.raises(ModerationError) as caught:
        client.chat.completions.create(model="m", messages=messages)
    assert "violence" in caught.value.categories
    assert ("hate" in caught.value.categories) == (thresholds.get("hate") == 0.2)


def test_a_threshold_flags_what_the_endpoint_lets_pass(side: Side) -> None:
    """A program may be stricter."""
    rig = rig_of(side, Moderation(thresholds={"hate": 0.3}))

    async def program() -> Any:
        with pytest.raises(ModerationError) as caught:
            await side.do(ask(rig))
        return caught.value

    assert side.run(program).categories == ("hate",)


@MODES
def test_flagging_refuses_nothing(side: Side, mode: Any) -> None:
    """Observers hear of it, and the call's notes have it."""
    rig = rig_of(side, Moderation(action="flag", mode=mode))

    async def program() -> Any:
        return await side.do(ask(rig, FLAGGED))

    assert side.run(program).choices[0].message.content == "Hello"
    assert told(rig) == [("input", "openai", True, False)]
    assert rig.finished.notes == {"moderation": {"input": ["violence"]}}


def test_a_call_may_go_without(side: Side) -> None:
    """By an option around it, or a header."""
    rig = rig_of(side, Moderation())

    async def program() -> None:
        with llmstack.options(moderation="off"):
            await side.do(ask(rig, FLAGGED))
        await side.do(ask(rig, FLAGGED, extra_headers={"x-llmstack-moderation": "off"}))

    side.run(program)
    assert sent(rig) == ["chat.completions"] * 2


def test_moderations_of_the_program_pass_untouched(side: Side) -> None:
    """They are not moderated, and so nothing recurses."""
    rig = rig_of(side, Moderation())

    async def program() -> Any:
        return await side.do(rig.client.moderations.create(input=[FLAGGED]))

    assert side.run(program).results[0].flagged
    assert sent(rig) == ["moderations"]
    assert rig.sent[0].id == rig.finished.call.id
    assert told(rig) == []


def test_other_endpoints_pass_untouched(side: Side) -> None:
    """Nobody is shown an embedding."""
    rig = rig_of(side, Moderation(output=True), {"object": "list", "data": [], "model": "m"})

    async def program() -> None:
        await side.do(rig.client.models.list())

    side.run(program)
    assert len(sent(rig)) == 1


def test_its_requests_pass_the_inner_layers(side: Side) -> None:
    """With the call's id, tenant and deadline, a body of their own, and nothing of how the call is answered."""
    seen: list[Any] = []

    def inner(call: Any, next: Any) -> Any:
        seen.append(call)
        return (yield from next(call))

    rig = side.rig([Moderation(timeout=30), inner], default=service())

    async def program() -> None:
        with llmstack.options(tenant="acme", deadline=20):
            stream = await side.do(ask(rig, stream=True, extra_headers={"authorization": "Bearer sk-test-not-a-key-2"}))
            await side.read(stream)

    side.run(program)
    asked, call = seen
    assert asked.endpoint == "moderations"
    assert (asked.path, asked.method, asked.stream, asked.raw) == ("/moderations", "POST", False, "")
    assert asked.params == {"model": MODEL, "input": ["Say hello"]}
    assert (asked.id, asked.options.tenant) == (call.id, "acme")
    assert asked.deadline == call.deadline
    assert asked.headers["authorization"].endswith("-2")
    assert call.stream
    assert [event.number for event in rig.attempts] == [1, 2]
    assert rig.finished.attempts == 2


def test_a_verdict_is_asked_for_once(side: Side) -> None:
    """The second time it is known, under whatever other words it stands; no content is kept for that."""
    moderation = Moderation()
    rig = rig_of(side, moderation)

    async def program() -> None:
        for _ in range(3):
            await side.do(ask(rig, [{"type": "text", "text": SECRET}]))
        for _ in range(2):
            with pytest.raises(ModerationError):
                await side.do(ask(rig, FLAGGED))

    side.run(program)
    assert sent(rig).count("moderations") == 2
    assert [event.cached for event in rig.recorder.of(ContentModerated)] == [False, True, True, False, True]
    statistics = moderation.statistics()
    assert (statistics.judged, statistics.cached, statistics.flagged, statistics.blocked) == (5, 3, 2, 2)
    assert statistics.categories == {"violence": 2}
    assert statistics.sources == {"openai": 2}


def test_a_verdict_is_known_for_so_long(side: Side) -> None:
    """Then it is asked for again; and no more are kept than wanted."""
    rig = rig_of(side, Moderation(cache_ttl=60, cache_size=2))

    async def program() -> None:
        await side.do(ask(rig))
        rig.clock.advance(61)
        await side.do(ask(rig))
        for text in ("a1", "b2", "Say hello"):
            await side.do(ask(rig, text))

    side.run(program)
    assert sent(rig).count("moderations") == 5


def test_it_sees_what_is_sent_in_the_end(side: Side) -> None:
    """A layer of an outer stage that takes something out has done so before."""

    class Redact:
        name = "redact"
        stage = Stage.VALIDATE

        @hookimpl
        def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
            return (yield from next(call.with_params(messages=[{"role": "user", "content": "***"}])))

    transport = ScriptedTransport(default=service())
    stack = Stack.ordered([Moderation(), Redact()], transport=transport)
    assert list(stack.plugins) == ["redact", "moderation"]
    rig = rig_of(side, Redact(), "Hello", Moderation())

    async def program() -> None:
        await side.do(ask(rig, SECRET))

    side.run(program)
    assert rig.sent[0].params["input"] == ["***"]


def test_blocked_terms_come_first(side: Side) -> None:
    """Nothing is sent at all; the error does not say the term."""
    rig = rig_of(side, Moderation(blocked_terms=["bad word"]))

    async def program() -> Any:
        with pytest.raises(ModerationError) as caught:
            await side.do(ask(rig, "such a BAD-WORD here"))
        return caught.value

    error = side.run(program)
    assert (error.source, error.categories) == ("terms", ("blocked_term",))
    assert sent(rig) == []
    assert "word" not in str(error).lower()
    assert rig.finished.attempts == 0


def test_without_the_endpoint_nothing_is_asked(side: Side) -> None:
    """Terms and checkers alone need no network."""
    checker = Objects()
    rig = rig_of(side, Moderation(endpoint=False, blocked_terms=["bad"], checkers=[checker]))

    async def program() -> None:
        await side.do(ask(rig, "good"))
        with pytest.raises(ModerationError) as caught:
            await side.do(ask(rig, "forbidden"))
        assert caught.value.source == "objects"

    side.run(program)
    assert sent(rig) == ["chat.completions"]


@pytest.mark.parametrize("way", ["with_raw_response", "with_streaming_response"])
@MODES
def test_raw_answers_are_raw(side: Side, server: LocalServer, way: str, mode: Any) -> None:
    """And the wire shows no retry."""
    rig = side.local(server, [Moderation(mode=mode)])
    create = getattr(rig.client.chat.completions, way).create
    messages = [{"role": "user", "content": "hi"}]

    async def program() -> Any:
        if way == "with_raw_response":
            response = await side.do(create(model="m", messages=messages))
            parsed = response.parse()
        elif side.asynchronous:
            async with create(model="m", messages=messages) as response:
                parsed = await response.parse()
        else:
            with create(model="m", messages=messages) as response:
                parsed = response.parse()
        await side.do(rig.client.close())
        return parsed.choices[0].message.content, response.retries_taken

    assert side.run(program) == ("You said: hi", 0)
    assert sorted(request.path for request in server.requests) == ["/v1/chat/completions", "/v1/moderations"]
    counts = [request.headers.get("x-stainless-retry-count") for request in server.requests]
    assert counts == ["0", "0"]
    assert [request for request in server.requests if "x-stainless-raw-response" in request.headers and
            request.path.endswith("moderations")] == []  # fmt: skip


def test_the_real_server_flags(side: Side, server: LocalServer) -> None:
    """Over a connection, on both kinds of client."""
    rig = side.local(server, [Moderation()])

    async def program() -> None:
        with pytest.raises(ModerationError):
            await side.do(ask(rig, f"please {FLAG_MARKER}"))
        await side.do(rig.client.close())

    side.run(program)
    assert server.count("/moderations") == 1
    assert server.count() == 1
    (attempt,) = rig.recorder.of(AttemptFinished)
    assert (attempt.outcome, attempt.call.endpoint, attempt.status) == ("ok", "moderations", 200)


def test_a_call_with_files_asks_without_them(side: Side, server: LocalServer) -> None:
    """The prompt is judged as JSON; the image goes with the call alone."""
    rig = side.local(server, [Moderation()])

    async def program() -> None:
        await side.do(rig.client.images.edit(image=b"PNG" * 1000, prompt="a hat", model="gpt-image-1"))
        with pytest.raises(ModerationError):
            await side.do(rig.client.images.edit(image=b"PNG", prompt=FLAG_MARKER, model="gpt-image-1"))
        await side.do(rig.client.close())

    side.run(program)
    asked = [request for request in server.requests if request.path.endswith("/moderations")]
    assert asked[0].json == {"model": MODEL, "input": ["a hat"]}
    assert asked[0].headers["content-type"] == "application/json"
    assert server.count("/images/edits") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "after"}, "mode must be"),
        ({"on_error": "maybe"}, "on_error must be"),
        ({"action": "warn"}, "action must be"),
        ({"scope": "last"}, "scope must be"),
        ({"azure": "severe"}, "azure must be"),
        ({"unreadable": "ask"}, "unreadable must be"),
        ({"window": 0, "output": True}, "window must be at least 1"),
        ({"window": 200}, "goes with output=True"),
        ({"timeout": 0}, "timeout must be"),
        ({"cache_ttl": float("nan")}, "cache_ttl must be"),
        ({"cache_size": -1}, "cache_size must be"),
        ({"thresholds": {"violence": 1.5}}, "from 0 to 1"),
        ({"thresholds": {"violence": float("nan")}}, "from 0 to 1"),
        ({"thresholds": {"self_harm": 0.5}}, "did you mean 'self-harm'"),
        ({"thresholds": {"violense": 0.5}}, "did you mean 'violence'"),
        ({"thresholds": {"violence": 0.5}, "endpoint": False}, "nobody gives any"),
        ({"blocked_terms": "bad"}, "must be a list"),
        ({"blocked_terms": ["!?"]}, "no letters"),
        ({"blocked_terms": ["c++"]}, "one letter"),
        ({"checkers": [Objects]}, "has no method check"),
        ({"checkers": [Objects(), Objects()]}, "is taken"),
        ({"checkers": [Objects(name="openai")]}, "is taken"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: Any, said: str) -> None:
    """When the plugin is made, with what to change."""
    with pytest.raises(ValueError, match=said):
        Moderation(**options)


def test_a_category_that_may_be_new_is_taken() -> None:
    """Models learn; other models have others."""
    Moderation(thresholds={"weapons": 0.5})
    Moderation(thresholds={"self_harm": 0.5}, model="llama-guard-4")


def test_a_config_file_sets_it(tmp_path: Any) -> None:
    """All but what exists in code only; mistakes name the key."""
    file = tmp_path / "llmstack.toml"
    text = """
        plugins = ["moderation"]
        [moderation]
        output = true
        window = 100
        thresholds = {violence = 0.8}
        blocked_terms = ["bad word"]
        mode = "parallel"
        on_error = "open"
    """
    file.write_text(text)
    assert isinstance(Stack.from_config(file).plugins["moderation"], Moderation)
    file.write_text(text.replace("parallel", "after"))
    with pytest.raises(OptionError, match=r'llmstack.toml:8: \[moderation\] mode must be "before" or "parallel"'):
        Stack.from_config(file)


def test_the_recorder_is_not_needed() -> None:
    """Where nobody listens, no event is built, and all the same it works."""
    stack = Stack([Moderation()], transport=ScriptedTransport(default=service()))
    client = OpenAI(api_key="sk-test-not-a-key", stack=stack)
    with pytest.raises(ModerationError):
        client.responses.create(model="m", input=FLAGGED)
    assert Recorder().events == []
