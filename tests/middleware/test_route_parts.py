"""The pure parts of Route: kinds of failure, rate limits, targets."""

from __future__ import annotations

import math
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import Call
from llmstack.errors import BudgetExceededError, CircuitOpenError, ValidationError
from llmstack.middleware._route.kind import is_ambiguous
from llmstack.middleware._route.rate import allowance
from llmstack.middleware._route.target import parsed
from llmstack.middleware.route import KINDS, Target, kind_of
from llmstack.testing import Status
from llmstack.testing.scripted import status_error

CALL = Call(path="/chat/completions", endpoint="chat.completions", params={"model": "m"})
REQUEST = httpx2.Request("POST", "https://api.example.com/v1/chat/completions")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, None),
        (400, "content_filter", "content_filter"),
        (400, "content_policy_violation", "content_filter"),
        (400, "context_length_exceeded", "context_window"),
        (400, "previous_response_not_found", None),
        (401, None, "auth"),
        (402, None, "quota"),
        (403, None, "auth"),
        (403, "model_not_found", "not_found"),
        (404, None, "not_found"),
        (404, "DeploymentNotFound", "not_found"),
        (404, "previous_response_not_found", None),
        (408, None, "timeout"),
        (409, None, "server"),
        (422, None, None),
        (429, None, "rate_limit"),
        (429, "rate_limit_exceeded", "rate_limit"),
        (429, "insufficient_quota", "quota"),
        (429, "billing_hard_limit_reached", "quota"),
        (500, None, "server"),
        (529, None, "server"),
    ],
)
def test_the_kind_of_an_error_answer(status: int, code: str | None, kind: str | None) -> None:
    """By its code, else by its status."""
    error = status_error(CALL, Status(status, code=code))
    assert kind_of(error) == kind
    assert not is_ambiguous(error)


@pytest.mark.parametrize(
    "said", ["This model's maximum context length is 8192 tokens.", "Input exceeds the CONTEXT WINDOW of this model"]
)
def test_a_prompt_that_does_not_fit_is_known_by_its_words(said: str) -> None:
    """Many compatible servers give no code."""
    assert kind_of(status_error(CALL, Status(400, said))) == "context_window"
    assert kind_of(status_error(CALL, Status(500, said))) == "server"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": "server_error", "type": "server_error"}, "server"),
        ({"code": None, "type": None}, "server"),
        ({"code": "rate_limit_exceeded"}, "rate_limit"),
        ({"code": 429}, "rate_limit"),
        ({"code": 502}, "server"),
        ({"code": "400", "message": "no"}, None),
        ({"code": "context_length_exceeded", "type": "invalid_request_error"}, "context_window"),
        ({"code": "odd", "type": "invalid_request_error"}, None),
        ({"code": None, "type": "authentication_error"}, "auth"),
    ],
)
def test_the_kind_of_an_error_told_in_a_stream(body: dict[str, Any], kind: str | None) -> None:
    """Some servers put the status into its code."""
    assert kind_of(openai.APIError(str(body.get("message")), REQUEST, body=body)) == kind


def test_the_kind_of_what_has_no_status() -> None:
    """Connections, time-outs, refusals of other layers."""
    lost = openai.APIConnectionError(request=REQUEST)
    unreadable = openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), body=None)
    assert kind_of(lost) == "connection"
    assert kind_of(openai.APITimeoutError(request=REQUEST)) == "timeout"
    assert kind_of(unreadable) == "server"
    assert kind_of(CircuitOpenError("open")) == "circuit"
    assert kind_of(BudgetExceededError("spent")) == "budget"
    assert kind_of(ValidationError("wrong")) is None
    assert kind_of(LookupError()) is None
    assert is_ambiguous(lost)
    assert is_ambiguous(unreadable)
    refused = openai.APIConnectionError(request=REQUEST)
    refused.__cause__ = httpx2.ConnectError("refused")
    assert not is_ambiguous(refused)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("2d", 172800),
        ("17", 17),
        ("soon", 60),
        ("", 60),
    ],
)
def test_when_a_limit_is_whole_again(text: str, seconds: float) -> None:
    """As OpenAI writes durations; a minute where nothing can be read."""
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-reset-requests": text,
    }
    found, _ = allowance(headers, 100.0, {})
    assert found is not None
    assert found.left(100.0) == 0
    assert found.left(100.0 + seconds / 2) == pytest.approx(0.5)
    assert found.left(100.0 + seconds) == 1


def test_a_limit_that_is_not_told_is_the_largest_remainder_seen() -> None:
    """Azure tells what is left, not of what."""
    largest: dict[str, float] = {}
    shares = []
    for remaining in (50, 100, 25):
        found, largest = allowance({"x-ratelimit-remaining-tokens": str(remaining)}, 0.0, largest)
        assert found is not None
        shares.append(found.share)
    assert shares == [1.0, 1.0, 0.25]


@given(
    st.dictionaries(
        st.sampled_from(["remaining-requests", "limit-requests", "reset-requests", "remaining-tokens"]),
        st.text(max_size=12),
    )
)
def test_whatever_a_server_says_a_share_is_a_share(said: dict[str, str]) -> None:
    """Or nothing."""
    found, _ = allowance({f"x-ratelimit-{name}": text for name, text in said.items()}, 5.0, {})
    if found is not None:
        for now in (0.0, 5.0, 6.0, 1e9):
            assert 0 <= found.left(now) <= 1
            assert math.isfinite(found.left(now))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("gpt-5", Target("gpt-5")),
        ("*", Target()),
        ("azure/gpt-5", Target("gpt-5", "azure")),
        ("azure/*", Target(transport="azure")),
        ("azure/", Target(transport="azure")),
        ("meta-llama/Llama-3.3-70B", Target("meta-llama/Llama-3.3-70B")),
        ("azure/meta-llama/Llama-3.3-70B", Target("meta-llama/Llama-3.3-70B", "azure")),
        ("ft:gpt-4o:acme::x", Target("ft:gpt-4o:acme::x")),
    ],
)
def test_targets_as_text(text: str, target: Target) -> None:
    """A transport only if there is one of that name."""
    assert parsed(text, {"azure"}) == target
    assert parsed(target.name, {"azure"}) == target


@pytest.mark.parametrize("wrong", [{"weight": -1}, {"weight": math.inf}, {"retries": -1}, {"timeout": 0}], ids=str)
def test_targets_are_checked(wrong: dict[str, Any]) -> None:
    """When they are made."""
    with pytest.raises(ValueError, match="must be"):
        Target("m", **wrong)


def test_the_kinds_are_those_of_the_page() -> None:
    """Nothing is left out."""
    assert len(set(KINDS)) == len(KINDS) == 11
