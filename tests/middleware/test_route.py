"""Route: the next target answers if one cannot."""

from __future__ import annotations

import pickle
from typing import Any

import httpx2
import openai
import pytest

from llmstack import Call, Flow, Next, OpenAI, Reply, Stack
from llmstack.errors import BudgetExceededError, CircuitOpenError, OptionError, PluginError
from llmstack.events import AttemptFinished
from llmstack.middleware import Budget, Cache, CircuitBreaker, Moderation, Retry, Route, Target
from llmstack.middleware.route import DEFAULT, HEADER, KINDS, HopAnswered
from llmstack.testing import ScriptedTransport, Status
from tests.core.side import DONE, KEY, MESSAGES, PREAMBLE, Side, chunk, event_error, lost, spoken, texts
from tests.middleware.route_rig import bench, scripted

LATER = ["a/*", "b/*", "c/*"]


def refused(status: int, code: str | None = None, message: str = "no", **more: Any) -> Status:
    """An error answer."""
    return Status(status, message, code=code, **more)


FAILURES = {
    "rate_limit": refused(429),
    "quota": refused(429, "insufficient_quota"),
    "server": refused(503),
    "timeout": openai.APITimeoutError(request=httpx2.Request("POST", "https://a.example.com")),
    "connection": lost(),
    "content_filter": refused(400, "content_filter"),
    "not_found": refused(404, "model_not_found"),
    "auth": refused(401, "invalid_api_key"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("kind", FAILURES)
def test_the_next_target_answers(side: Side, kind: str, stream: bool) -> None:  # noqa: FBT001
    """Whatever kind of failure it is; the program sees nothing of it, the events tell."""
    b = bench(side, LATER, {"a": [FAILURES[kind]]})
    assert b.go(stream=stream) == ["from b"]
    assert b.notes == [("a/*", kind), ("b/*", "ok")]
    (failed,) = b.failed
    assert (failed.target, failed.number, failed.kind) == ("a/*", 1, kind)
    assert failed.call.host == "a.example.com"
    assert failed.error is not None
    (answered,) = b.rig.recorder.of(HopAnswered)
    assert (answered.target, answered.number, answered.call.host) == ("b/*", 2, "b.example.com")
    hosts = [attempt.call.host for attempt in b.rig.recorder.of(AttemptFinished)]
    assert hosts == ["a.example.com", "b.example.com"]
    assert b.sent("c") == 0


@pytest.mark.parametrize("kind", [kind for kind in FAILURES if kind != "quota"])
def test_kinds_that_are_not_named_go_to_the_program(side: Side, kind: Any) -> None:
    """`on` says what is worth another target."""
    on = [name for name in DEFAULT if name != kind]
    b = bench(side, LATER, {"a": [FAILURES[kind]]}, on=on)

    async def program() -> None:
        with pytest.raises(openai.APIError):
            await b.ask()

    side.run(program)
    assert (b.sent("a"), b.sent("b")) == (1, 0)
    assert b.notes == [("a/*", kind)]


@pytest.mark.parametrize("step", [refused(400), refused(422), refused(400, "previous_response_not_found")], ids=str)
def test_what_would_fail_anywhere_is_not_tried_elsewhere(side: Side, step: Status) -> None:
    """The request is wrong, not the target."""
    b = bench(side, LATER, {"a": [step]})

    async def program() -> None:
        with pytest.raises(openai.APIStatusError) as caught:
            await b.ask()
        assert not hasattr(caught.value, "__notes__")

    side.run(program)
    assert b.sent("b") == 0
    assert b.notes == [("a/*", "error")]
    assert b.state("a/*") == "well"


def test_when_all_fail_the_last_error_tells_what_was_tried(side: Side) -> None:
    """In notes without content; it is the SDK's own error, and pickles."""
    b = bench(side, LATER, {"a": [refused(500, message="private words")], "b": [refused(429)], "c": [refused(502)]})

    async def program() -> BaseException:
        with pytest.raises(openai.InternalServerError) as caught:
            await b.ask()
        return caught.value

    error = side.run(program)
    assert error.status_code == 502
    assert error.__notes__ == ["route: a/* (server), b/* (rate_limit), c/* (server)"]
    assert b.notes == [("a/*", "server"), ("b/*", "rate_limit"), ("c/*", "server")]
    assert b.rig.finished.error is error
    assert b.rig.finished.attempts == 3


def test_a_stream_moves_on_until_its_first_content(side: Side) -> None:
    """A preamble does not close the door."""
    broken = [PREAMBLE, event_error()]
    b = bench(side, LATER, {"a": [broken], "b": [[PREAMBLE, lost()]], "c": [spoken("Cer", "tainly")]})
    assert b.go(stream=True) == ["Certainly"]
    assert b.notes == [("a/*", "server"), ("b/*", "connection"), ("c/*", "ok")]


def test_a_stream_stays_where_content_came_from(side: Side) -> None:
    """After that the error is the program's."""
    b = bench(side, LATER, {"a": [[PREAMBLE, chunk("Hel"), event_error()]]})

    async def program() -> str:
        stream = await side.do(b.rig.create(stream=True))
        given, error = await side.read_until(openai.APIError, stream)
        assert error.code == "server_error"
        return texts(given)

    assert side.run(program) == "Hel"
    assert b.sent("b") == 0
    assert b.route.status()["a/*"].failures == 1


def test_a_program_that_stops_reading_has_no_failure(side: Side) -> None:
    """What was answered was answered."""
    b = bench(side, LATER, {"a": [spoken("one", "two", "three")]})

    async def program() -> None:
        stream = await side.do(b.rig.create(stream=True))
        async for got in side.each(stream):
            if texts([got]):
                break
        await side.close(stream)

    side.run(program)
    status = b.route.status()["a/*"]
    assert (status.in_flight, status.failures, status.answered) == (0, 0, 1)


def test_each_hop_has_its_own_retries(side: Side) -> None:
    """Retry is further in; `retries` gives it another number."""
    script = {"a": [refused(500)] * 3, "b": [refused(500)] * 2}
    b = bench(side, ["a/*", "b/*"], script, inner=[Retry(attempts=3)])
    assert b.go() == ["from b"]
    assert (b.sent("a"), b.sent("b")) == (3, 3)
    assert b.rig.finished.attempts == 6

    b = bench(side, ["a/*", Target(transport="b", retries=2)], script, inner=[Retry(attempts=3)], retries=0)
    assert b.go() == ["from b"]
    assert (b.sent("a"), b.sent("b")) == (1, 3)


def test_a_hop_may_have_a_time_out_of_its_own(side: Side) -> None:
    """The route's, or the target's."""
    b = bench(side, ["a/*", Target(transport="b", timeout=7)], {"a": [refused(500)]}, timeout=5)
    b.go()
    assert [call.timeout for name in "ab" for call in b.transports[name].calls] == [5, 7]


def test_no_time_left_is_no_time_for_another(side: Side) -> None:
    """A deadline bounds all targets together."""
    import llmstack

    def slow(call: Call) -> Status:
        b.rig.clock.advance(11)
        return refused(500)

    b = bench(side, LATER, {"a": [slow]})

    async def program() -> None:
        with llmstack.options(deadline=10), pytest.raises(openai.InternalServerError):
            await b.ask()

    side.run(program)
    assert b.sent("b") == 0


@pytest.mark.parametrize("ambiguous", [False, True])
def test_what_may_have_been_executed(side: Side, ambiguous: bool) -> None:  # noqa: FBT001
    """It is asked elsewhere only if it may be billed twice."""
    b = bench(side, LATER, {"a": [lost()]}, retry_ambiguous=ambiguous)

    async def program() -> Any:
        if ambiguous:
            return await b.ask()
        with pytest.raises(openai.APIConnectionError):
            await b.ask()
        return None

    assert side.run(program) == ("from b" if ambiguous else None)


def test_an_answer_that_is_none_is_a_failure(side: Side) -> None:
    """A page of HTML with status 200."""
    b = bench(side, LATER, {"a": [b"<html>Bad gateway</html>"]})
    assert b.go() == ["from b"]
    assert b.notes == [("a/*", "server"), ("b/*", "ok")]


@pytest.mark.parametrize("code", ["invalid_api_key", "insufficient_quota"])
def test_another_model_with_the_same_key_is_not_tried_for_a_key_that_is_wrong_or_spent(side: Side, code: str) -> None:
    """The next is at another transport."""
    status = 401 if code == "invalid_api_key" else 429
    b = bench(side, ["a/x", "a/y", "b/x"], {"a": [refused(status, code)]})
    assert b.go() == ["from b"]
    assert b.models("a") == ["x"]


def test_after_a_lost_connection_other_transports_come_first(side: Side) -> None:
    """The host may be down."""
    b = bench(side, ["a/x", "a/y", "b/x"], {"a": [lost()], "b": [refused(500)]})
    assert b.go() == ["from a"]
    assert b.notes == [("a/x", "connection"), ("b/x", "server"), ("a/y", "ok")]


def test_a_circuit_that_is_open_is_the_next_targets_chance(side: Side) -> None:
    """And the target is left alone for as long."""
    retry = Retry(attempts=1, breaker=CircuitBreaker(min_calls=1, open_for=40), budget=None)
    b = bench(side, ["a/*", "b/*"], {"a": [refused(500)]}, inner=[retry], failures=9)
    assert b.go(2) == ["from b", "from b"]
    assert [failed.kind for failed in b.failed] == ["server", "circuit"]
    assert isinstance(b.failed[1].error, CircuitOpenError)
    assert b.failed[1].cooldown == 40
    assert b.sent("a") == 1


def test_a_budget_that_is_spent_may_lead_to_a_cheaper_target(side: Side) -> None:
    """If `on` names it: the budget has no room for this model."""

    def costs(call: Call, next: Next) -> Flow[Reply]:
        def around(call: Call, next: Next) -> Flow[Reply]:
            if call.model == "dear":
                raise BudgetExceededError("no room")
            return (yield from next(call))

        return (yield from next(call.around_attempts(around)))

    b = bench(side, ["a/dear", "a/cheap"], outer=[costs], on=[*DEFAULT, "budget"])
    assert b.go() == ["from a"]
    assert b.notes == [("a/dear", "budget"), ("a/cheap", "ok")]
    assert b.state("a/dear") == "well"

    b = bench(side, ["a/dear", "a/cheap"], outer=[costs])

    async def program() -> None:
        with pytest.raises(BudgetExceededError):
            await b.ask()

    side.run(program)


def test_the_model_is_replaced_and_what_it_does_not_take_left_out(side: Side) -> None:
    """Each target gets a request that it understands."""
    target = Target("other", "b", params={"service_tier": "flex"}, without=["reasoning_effort"])
    b = bench(side, ["a/*", target], {"a": [refused(500)]})
    b.go(reasoning_effort="low")
    (first,), (second,) = b.transports["a"].calls, b.transports["b"].calls
    assert (first.params["model"], first.params["reasoning_effort"]) == ("m", "low")
    assert (second.params["model"], second.params["service_tier"]) == ("other", "flex")
    assert "reasoning_effort" not in second.params


def test_a_target_without_a_transport_is_the_stacks(side: Side) -> None:
    """Only the model changes."""
    b = bench(side, ["x", "y"], script=[refused(500), "Hello"])
    assert b.go() == ["Hello"]
    assert [call.model for call in b.rig.sent] == ["x", "y"]
    assert b.notes == [("x", "server"), ("y", "ok")]


def test_another_models_answer_is_kept_by_no_cache(side: Side) -> None:
    """The same model's at another transport is."""
    b = bench(side, ["a/*", "b/other"], {"a": [refused(500)]}, outer=[Cache(when="always")])
    assert b.go(3) == ["from b", "from a", "from a"]
    assert (b.sent("a"), b.sent("b")) == (2, 1)
    assert [reply.no_store for reply in b.rig.witness.replies] == [True, False, False]


def test_the_answers_header_names_the_target(side: Side) -> None:
    """For the layers further out, and for a program that looks at raw responses."""
    b = bench(side, LATER, {"a": [refused(500)]})

    async def program() -> str:
        messages: Any = MESSAGES
        raw = await side.do(b.rig.client.chat.completions.with_raw_response.create(model="m", messages=messages))
        assert raw.parse().choices[0].message.content == "from b"
        named: str = raw.headers[HEADER]
        return named

    assert side.run(program) == "b/*"
    assert b.rig.witness.reply.headers[HEADER] == "b/*"


def test_calls_that_are_not_routed_pass_as_they_are(side: Side) -> None:
    """Lists, files, embeddings, what another layer asks on the way: a chat model is nothing for them."""
    moderation = Moderation()
    b = bench(
        side,
        ["a/x"],
        outer=[moderation],
        script=[{"results": [{"flagged": False, "categories": {}, "category_scores": {}}]}],
    )
    assert b.go() == ["from a"]
    assert [call.endpoint for call in b.rig.sent] == ["moderations"]
    assert b.rig.sent[0].model != "x"


def test_a_table_by_the_model_asked_for(side: Side) -> None:
    """Exact names go before patterns; what is not there passes as it is."""
    table = {"gpt-*": ["a/*"], "gpt-5": ["b/*", "c/*"]}
    b = bench(side, table)
    assert b.go(model="gpt-5") == ["from b"]
    assert b.go(model="gpt-4o") == ["from a"]
    assert b.go(model="o3") == ["from the stack's"]
    assert set(b.route.status()) == {"a/*", "b/*", "c/*"}


def test_a_body_that_cannot_be_sent_again_goes_to_one_target(side: Side) -> None:
    """It is used up."""

    def once(call: Call, next: Next) -> Flow[Reply]:
        return (yield from next(call.replace(replayable=False)))

    b = bench(side, LATER, {"a": [refused(500)]}, outer=[once])

    async def program() -> None:
        with pytest.raises(openai.InternalServerError):
            await b.ask()

    side.run(program)
    assert b.sent("b") == 0


def test_every_hop_is_in_the_budgets_books(side: Side) -> None:
    """Under the host that it was sent to."""
    budget = Budget(["9 calls/day"])
    b = bench(side, LATER, {"a": [refused(500)]}, outer=[budget])
    b.go()
    assert {spent.key: spent.attempts for spent in budget.spending("host")} == {"a.example.com": 1, "b.example.com": 1}


def test_its_transports_are_closed_with_the_stack(side: Side) -> None:
    """The first error is raised when all are closed."""
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str) -> None:
            self.name = name

        def send(self, call: Call) -> Flow[Reply]:
            raise NotImplementedError
            yield

    class Sync(Closing):
        def close(self) -> None:
            closed.append(self.name)
            raise OSError(self.name)

    class Async(Closing):
        async def aclose(self) -> None:
            closed.append(self.name)

    transports = {"a": Sync("a"), "b": Async("b"), "c": scripted("c")}
    stack = Stack([Route(["a/*", "b/*"], transports=transports)], transports={"d": Async("d")})

    async def program() -> None:
        with pytest.raises(OSError, match="a"):
            await stack.aclose() if side.asynchronous else stack.close()

    side.run(program)
    assert sorted(closed) == ["a", "b", "d"]


def test_the_stacks_own_named_transports_serve() -> None:
    """As a config file gives them; the route's own go first."""
    stacks, own = scripted("stacks", default="the stack's"), scripted("own", default="the route's")
    route = Route(["shared/*", "extra/*"], transports={"shared": own})
    stack = Stack([route], transport=ScriptedTransport(), transports={"shared": stacks, "extra": stacks})
    assert stack.transports == {"shared": stacks, "extra": stacks}
    client = OpenAI(api_key=KEY, base_url="http://scripted.invalid/v1", stack=stack.with_plugins())
    messages: Any = MESSAGES
    assert client.chat.completions.create(model="m", messages=messages).choices[0].message.content == "the route's"
    assert len(own.calls) == 1
    client.close()


def test_a_choice_that_fails_is_the_routes_error(side: Side) -> None:
    """Named, with the cause chained."""

    def choose(call: Call) -> Any:
        raise LookupError

    b = bench(side, (), choose=choose)

    async def program() -> None:
        with pytest.raises(PluginError, match="'route'"):
            await b.ask()

    side.run(program)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"targets": []}, "needs targets"),
    ({"targets": "gpt-5"}, "must be a list"),
    ({"strategy": "best"}, "strategy must be one of"),
    ({"on": ["weather"]}, "no kind of failure"),
    ({"cooldown": 0}, "cooldown"),
    ({"failures": 0}, "failures"),
    ({"hedge_after": -1}, "hedge_after"),
    ({"retries": -1}, "retries"),
    ({"timeout": 0}, "timeout"),
]


@pytest.mark.parametrize(("options", "said"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    """When the route is made."""
    given: dict[str, Any] = {"targets": ["a"], **options}
    with pytest.raises(ValueError, match=said):
        Route(**given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"targets": ["a/x", "a/x"]}, "named twice"),
        ({"targets": [""]}, "it is empty"),
        ({"targets": ["azur/x"]}, "did you mean 'azure'"),
        ({"targets": [Target("x", "nowhere")]}, "there is no transport 'nowhere'"),
        ({"targets": {"m": []}}, "at least one target"),
        ({"targets": ["a"], "larger": {"a": "azur/b"}}, "did you mean 'azure'"),
    ],
    ids=str,
)
def test_targets_are_checked_when_the_stack_is_built(options: dict[str, Any], said: str) -> None:
    """Only then all transports are known."""
    transports = {"azure": scripted("azure"), "a": scripted("a")}
    with pytest.raises(OptionError, match=said) as caught:
        Stack([Route(transports=transports, **options)])
    assert caught.value.plugin == "route"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_kinds_are_told() -> None:
    """All but a budget's refusal lead on by default."""
    assert set(KINDS) - set(DEFAULT) == {"budget"}


def test_a_stream_without_content_moves_on_for_nobody(side: Side) -> None:
    """An answer that just says nothing is an answer."""
    b = bench(side, LATER, {"a": [[PREAMBLE, chunk(finish="stop"), DONE]]})
    assert b.go(stream=True) == [""]
    assert b.answered == ["a/*"]
