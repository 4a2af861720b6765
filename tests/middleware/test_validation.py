"""Validation: what is refused, what is told, and for whom."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest

import llmstack
from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.errors import AnswerError, OptionError, PluginError, RefusedError, ValidationError
from llmstack.events import CallFinished, IssuesFound
from llmstack.middleware.validation import Issue, Validation
from llmstack.testing import Recorder, ScriptedTransport
from tests.middleware.validation_rig import KEY, Bench

HI = {"role": "user", "content": "hi"}


def paths(error):
    """Where something is wrong."""
    return [issue.path for issue in error.issues]


def test_a_refused_call_costs_nothing_and_is_in_the_books():
    """One error that names plugin, call and all that is wrong; one CallFinished."""
    bench = Bench()
    with pytest.raises(ValidationError) as caught:
        bench.chat(temperature=3, n=0)
    error = caught.value
    assert isinstance(error, RefusedError)
    assert sorted(paths(error)) == ["n", "temperature"]
    assert error.call is not None
    assert (error.plugin, error.call.endpoint) == ("validation", "chat.completions")
    assert bench.transport.calls == []
    assert bench.recorder.finished.outcome == "refused"
    assert bench.recorder.finished.attempts == 0


def test_the_error_can_be_pickled():
    """With all its issues."""
    with pytest.raises(ValidationError) as caught:
        Bench().chat(temperature=3)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.issues == caught.value.issues


def test_warnings_are_one_event_and_the_call_passes():
    """Told once for each call."""
    bench = Bench(Validation(shape="warn"))
    bench.chat(temperature=3, n=0)
    (event,) = bench.recorder.of(IssuesFound)
    assert sorted(issue.path for issue in event.issues) == ["n", "temperature"]
    assert {issue.severity for issue in event.issues} == {"warn"}
    assert len(bench.transport.calls) == 1


def test_a_call_without_issues_tells_nothing():
    """No event, and the very call goes on."""
    bench = Bench()
    assert bench.chat().choices[0].message.content == "hello"
    assert bench.recorder.of(IssuesFound) == []
    assert bench.recorder.of(CallFinished)[0].outcome == "ok"


def test_shape_can_be_switched_off():
    """Then the API says what it thinks of it."""
    bench = Bench(Validation(shape="off"))
    bench.chat(temperature=3, messages=[])
    assert len(bench.transport.calls) == 1
    assert bench.warnings == []


def test_a_single_call_can_be_let_through():
    """By the option or its header; "warn" still tells what it would have refused."""
    bench = Bench()
    with llmstack.options(validation="off"):
        bench.chat(temperature=3)
    assert bench.warnings == []
    bench.chat(temperature=3, extra_headers={"x-llmstack-validation": "warn"})
    assert [issue.path for issue in bench.warnings] == ["temperature"]
    with llmstack.options(validation="on"), pytest.raises(ValidationError):
        bench.chat(temperature=3)
    with llmstack.options(validation="maybe"), pytest.raises(OptionError, match='"off", "warn" or "on"'):
        bench.chat()


async def test_async_calls_and_streams_are_refused_alike():
    """Before a stream is opened."""
    transport = ScriptedTransport(default="hello")
    client = AsyncOpenAI(api_key=KEY, stack=Stack([Validation()], transport=transport))
    with pytest.raises(ValidationError):
        await client.chat.completions.create(model="m", messages=[])
    with pytest.raises(ValidationError):
        await client.responses.create(model="m", input="x", temperature=3, stream=True)
    stream = await client.chat.completions.create(model="m", messages=[HI], stream=True)  # type: ignore[list-item]
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello"
    assert len(transport.calls) == 1


# Rules of the program's own -----------------------------------------------------------------------------------------


def polite(call):
    """A rule of one issue."""
    if "please" not in str(call.params):
        return Issue(path="messages", message="must be polite")
    return None


def test_a_rule_may_return_one_issue_several_or_none():
    """It is named in the issue."""
    warn = Issue(path="user", message="is missing", severity="warn", rule="names")
    bench = Bench(Validation(rules=[polite, lambda _: [warn, warn], lambda _: None]))
    with pytest.raises(ValidationError, match="messages: must be polite") as caught:
        bench.chat()
    assert [issue.rule for issue in caught.value.issues] == ["polite"]
    assert bench.warnings == [warn, warn]
    bench.chat(messages=[{"role": "user", "content": "please"}])
    assert len(bench.transport.calls) == 1


def test_a_rule_that_fails_is_named():
    """It is the program's mistake, not the call's; a refusal of its own passes."""

    def broken(_call):
        raise KeyError("secret words")

    with pytest.raises(PluginError, match="the rule broken failed") as caught:
        Bench(Validation(rules=[broken])).chat()
    assert "secret words" not in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(PluginError, match="returned a str"):
        Bench(Validation(rules=[lambda _: ["not an issue"]])).chat()  # type: ignore[list-item,return-value]

    def refusing(_call):
        raise RefusedError("not today")

    with pytest.raises(RefusedError, match="not today"):
        Bench(Validation(rules=[refusing])).chat()


# Secrets and answers --------------------------------------------------------------------------------------------------

SECRET = "sk-proj-" + "Ab3" * 20
ASKED = {"role": "user", "content": f"my key is {SECRET}"}


def test_a_secret_is_refused_told_or_replaced():
    """And comes back in the answer, streamed or not, where it was replaced."""
    with pytest.raises(ValidationError) as caught:
        Bench(Validation(secrets="block")).chat(messages=[ASKED])
    assert {issue.rule for issue in caught.value.issues} == {"secrets"}
    assert SECRET not in str(caught.value)
    bench = Bench(Validation(secrets="warn"))
    bench.chat(messages=[ASKED])
    assert [issue.rule for issue in bench.warnings] == ["secrets"]

    def echo(call):
        return call.params["messages"][0]["content"]

    transport = ScriptedTransport(default=echo)
    client = OpenAI(api_key=KEY, stack=Stack([Validation(secrets="redact")], transport=transport))
    given = {"model": "m", "messages": [ASKED]}
    assert client.chat.completions.create(**given).choices[0].message.content == ASKED["content"]  # type: ignore[call-overload]
    chunks = client.chat.completions.create(**given, stream=True)  # type: ignore[call-overload]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ASKED["content"]
    assert SECRET not in str([call.params for call in transport.calls])


def test_an_answer_that_does_not_fit_is_asked_for_again():
    """Of what is asked again nothing leaves that was replaced before."""
    pytest.importorskip("jsonschema")
    form = {"type": "json_schema", "json_schema": {"name": "key", "schema": {"type": "object", "required": ["key"]}}}

    def answer(call):
        told = call.params["messages"][0]["content"].removeprefix("my key is ")
        return json.dumps({"wrong": told} if len(transport.calls) == 1 else {"key": told})

    transport = ScriptedTransport(default=answer)
    validation = Validation(secrets="redact", answers="block", repair=1)
    client = OpenAI(api_key=KEY, stack=Stack([validation], transport=transport))
    given = {"model": "m", "messages": [ASKED], "response_format": form}
    reply = client.chat.completions.create(**given)  # type: ignore[call-overload]
    assert json.loads(reply.choices[0].message.content) == {"key": SECRET}
    assert len(transport.calls) == 2
    assert SECRET not in str([call.params for call in transport.calls])
    strict = Stack([Validation(answers="block")], transport=ScriptedTransport(default="{}"))
    with pytest.raises(AnswerError):
        OpenAI(api_key=KEY, stack=strict).chat.completions.create(**given)  # type: ignore[call-overload]


# Tenants ------------------------------------------------------------------------------------------------------------


def test_a_tenant_has_rules_of_its_own():
    """On top of the general ones."""
    validation = Validation(models=["gpt-6*"], tenants={"acme": {"models": ["o3"], "shape": "warn"}, "off": {}})
    bench = Bench(validation)
    with pytest.raises(ValidationError, match="model: 'o3' is not allowed"):
        bench.chat(model="o3")
    with llmstack.options(tenant="acme"):
        bench.chat(model="o3", temperature=3)
    with llmstack.options(tenant="off"), pytest.raises(ValidationError):
        bench.chat(model="o3")
    assert [issue.path for issue in bench.warnings if issue.rule == "shape"] == ["temperature"]


# Options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": "refuse"}, "shape must be one of 'off', 'warn', 'block', not 'refuse'"),
        ({"api": "azure"}, "api must be one of"),
        ({"models": "gpt-5*"}, "models must be a list of patterns"),
        ({"endpoints": [1]}, "endpoints must be a list of patterns"),
        ({"max_prompt_tokens": 0}, "max_prompt_tokens must be a whole number of at least 1, not 0"),
        ({"max_output_tokens": True}, "max_output_tokens must be a whole number"),
        ({"context_windows": {"m": -1}}, r"context_windows\['m'\] must be a whole number"),
        ({"shutdowns": {"m": "2027"}}, r"shutdowns\['m'\] must be such as"),
        ({"shutdowns": {"m": {"date": "soon"}}}, "date must be such as"),
        ({"rules": ["polite"]}, "rules must be a list of functions"),
        ({"tenants": {"acme": {"modles": []}}}, r"tenants\['acme'\] has no option 'modles'; did you mean 'models'"),
        ({"tenants": {"acme": {"policy": "x"}}}, r"tenants\['acme'\]: policy must be one of"),
    ],
)
def test_a_wrong_option_is_refused_when_the_plugin_is_made(options, said):
    """With what it should be."""
    with pytest.raises(ValueError, match=said):
        Validation(**options)


def test_a_config_file_sets_everything_but_functions(tmp_path):
    """Dates and tables as TOML has them."""
    file = tmp_path / "llmstack.toml"
    file.write_text(
        """
        plugins = ["validation"]
        [validation]
        shape = "warn"
        models = ["gpt-6*", "mine"]
        max_prompt_characters = 10
        shutdowns = { mine = { date = 2020-01-01, successor = "gpt-6-luna" } }
        lifecycle = "block"
        [validation.tenants.acme]
        max_prompt_characters = 100
        """
    )
    transport = ScriptedTransport(default="hello")
    client = OpenAI(api_key=KEY, stack=Stack.from_config(file).with_transport(transport))
    with pytest.raises(ValidationError) as caught:
        client.chat.completions.create(model="mine", messages=[{"role": "user", "content": "x" * 11}], temperature=3)
    assert [issue.rule for issue in caught.value.issues] == ["max_prompt_characters", "lifecycle"]
    with llmstack.options(tenant="acme"):
        client.chat.completions.create(model="gpt-6-luna", messages=[{"role": "user", "content": "x" * 11}])


def test_an_issue_reads_as_path_and_message():
    """And without a path as the message alone."""
    issue = Issue(path="n", message="is wrong")
    assert str(issue) == "n: is wrong"
    assert str(replace(issue, path="")) == "is wrong"


def test_it_stands_before_all_that_costs():
    """Further out than retries."""
    from llmstack.middleware import Retry

    stack = Stack.ordered([Retry(), Validation(), Recorder()])
    assert list(stack.plugins).index("validation") < list(stack.plugins).index("retry")
