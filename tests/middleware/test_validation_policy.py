"""Validation's limits: models, endpoints, sizes, context windows, and models that end."""

from __future__ import annotations

import time

import pytest

from llmstack.errors import ValidationError
from llmstack.middleware.validation import Validation
from tests.middleware.validation_rig import Bench

HI = {"role": "user", "content": "hi"}


def text(content, **more):
    """A request's body."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


@pytest.mark.parametrize(
    ("options", "model", "passes"),
    [
        ({"models": ["gpt-6*", "o3"]}, "gpt-6-luna", True),
        ({"models": ["gpt-6*", "o3"]}, "o3", True),
        ({"models": ["gpt-6*", "o3"]}, "o3-pro", False),
        ({"models": []}, "m", False),
        ({"denied_models": ["*-pro"]}, "gpt-6-pro", False),
        ({"denied_models": ["*-pro"]}, "gpt-6", True),
        ({"models": ["gpt-6*"], "denied_models": ["*-pro"]}, "gpt-6-pro", False),
    ],
)
def test_models_are_allowed_and_denied_by_patterns(options, model, passes):
    """A denial goes before a permission."""
    bench = Bench(Validation(**options))
    if passes:
        bench.chat(model=model)
        return
    with pytest.raises(ValidationError) as caught:
        bench.chat(model=model)
    assert [(issue.path, issue.rule) for issue in caught.value.issues] == [("model", "models")]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/responses", {"prompt": {"id": "pmpt_1"}, "input": "hi"}), ("/images/generations", {"prompt": "a cat"})],
)
def test_where_models_are_allowed_by_name_one_must_be_named(path, body):
    """Else the provider chooses: that of a stored prompt, or what was the best once."""
    with pytest.raises(ValidationError) as caught:
        Bench(Validation(models=["gpt-6*"], shape="off")).client.post(path, body=body, cast_to=object)
    assert [(issue.path, issue.rule) for issue in caught.value.issues] == [("model", "models")]
    Bench(Validation(denied_models=["*-pro"], shape="off")).client.post(path, body=body, cast_to=object)


def test_what_needs_no_model_is_not_asked_for_one():
    """Lists, files, and what is only read."""
    bench = Bench(Validation(models=["gpt-6*"]))
    bench.client.models.list()
    bench.client.responses.retrieve("resp_1")


def test_endpoints_are_allowed_by_patterns():
    """Whatever else a client can do."""
    bench = Bench(Validation(endpoints=["chat.*"]))
    bench.chat()
    with pytest.raises(ValidationError, match="the endpoint 'embeddings' is not allowed"):
        bench.send("embeddings", {"model": "m", "input": "x"})
    with pytest.raises(ValidationError, match="the endpoint 'models' is not allowed"):
        bench.client.models.list()


@pytest.mark.parametrize(
    ("option", "limit", "fits", "too_much"),
    [
        ("max_prompt_characters", 5, "éé€€€", "éé€€€x"),
        ("max_prompt_bytes", 17, "éé€€€", "éé€€€€"),  # the role's four count too
        ("max_prompt_tokens", 30, "hello", "hello " * 40),
    ],
)
def test_sizes_are_limited(option, limit, fits, too_much):
    """In characters, bytes and tokens."""
    bench = Bench(Validation(**{option: limit}))
    bench.send("chat", text(fits))
    error = bench.refused("chat", text(too_much))
    assert [issue.rule for issue in error.issues] == [option]
    assert too_much not in str(error)


def test_media_count_in_bytes_only():
    """A picture is no text."""
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1000}}]
    Bench(Validation(max_prompt_characters=10, max_prompt_tokens=50)).send("chat", text(picture))
    assert Bench(Validation(max_prompt_bytes=1000)).refused("chat", text(picture)).issues


@pytest.mark.parametrize(
    ("endpoint", "params", "path"),
    [
        ("chat", text("x", max_completion_tokens=101), "max_completion_tokens"),
        ("chat", text("x", max_tokens=101), "max_tokens"),
        ("chat", text("x"), "max_completion_tokens"),
        ("responses", {"model": "m", "input": "x", "max_output_tokens": 101}, "max_output_tokens"),
        ("responses", {"model": "m", "input": "x"}, "max_output_tokens"),
    ],
)
def test_an_answer_may_not_be_asked_to_be_too_long(endpoint, params, path):
    """Nor without an end."""
    validation = Validation(max_output_tokens=100)
    error = Bench(validation).refused(endpoint, params)
    assert [(issue.path, issue.rule) for issue in error.issues] == [(path, "max_output_tokens")]
    Bench(validation).send("chat", text("x", max_tokens=100))
    Bench(validation).send("embeddings", {"model": "m", "input": "x"})


def test_limits_can_warn():
    """With policy="warn", or not at all with "off"."""
    bench = Bench(Validation(policy="warn", models=["x"], max_prompt_characters=1))
    bench.chat()
    assert [issue.rule for issue in bench.warnings] == ["models", "max_prompt_characters"]
    quiet = Bench(Validation(policy="off", models=["x"]))
    quiet.chat()
    assert quiet.warnings == []


# The context window -------------------------------------------------------------------------------------------------

LONG = "one two three four five " * 5000  # some 25,000 tokens


def test_a_prompt_beyond_the_window_is_told():
    """Unknown models and those that truncate pass."""
    bench = Bench(Validation(lifecycle="off"))
    bench.send("chat", text(LONG, model="gpt-4"))
    (issue,) = bench.warnings
    assert issue.rule == "context_window"
    assert "gpt-4 takes 8192 together" in issue.message
    bench.send("chat", text(LONG, model="unheard-of"))
    bench.send("responses", {"model": "gpt-4", "input": LONG, "truncation": "auto"})
    bench.send("chat", text(LONG, model="gpt-4o-2024-08-06"))
    assert len(bench.warnings) == 1


def test_the_answer_asked_for_must_fit_too():
    """Prompt and answer share the window."""
    validation = Validation(context_window="block", context_windows={"mine": 1000})
    Bench(validation).send("chat", text("hi", model="mine", max_tokens=900))
    error = Bench(validation).refused("chat", text("hi", model="mine", max_tokens=999))
    assert "the answer up to 999" in str(error)
    error = Bench(validation).refused("chat", text("hi", model="mine", tools=[schema_of_size(600)]))
    assert [issue.rule for issue in error.issues] == ["context_window"]


def schema_of_size(count):
    """A tool with many properties."""
    properties = {f"property_{i}": {"type": "string"} for i in range(count)}
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": properties}}}


def test_nothing_is_counted_where_it_cannot_matter():
    """Also with tools: a conversation far below the window costs no milliseconds."""
    bench = Bench(Validation(lifecycle="off"))
    tool = schema_of_size(100)
    started = time.process_time()
    for _ in range(20):
        bench.send("chat", text(LONG, model="gpt-6-luna", tools=[tool]))
    assert (time.process_time() - started) / 20 < 0.005  # counting takes twice as long
    assert bench.warnings == []
