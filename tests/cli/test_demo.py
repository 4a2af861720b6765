"""The demo, as a user runs it: every outcome as it must be, and fit for 80 columns."""

import json
import re

import pytest


@pytest.fixture(scope="module")
def demo(llmstack_alone):
    """One demo, played once."""
    return llmstack_alone("demo")


@pytest.mark.slow
def test_the_demo_shows_what_it_promises(demo):
    """Exit 0; the retry, the tokens, the short-cut, the refusal and the broken stream are all to be seen."""
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "429 RateLimitError" in demo.stdout
    assert "↻ 150 ms → openai  ✓ 200" in demo.stdout
    assert "10 tokens in, 9 out" in demo.stdout
    assert "cache  ✓ answers by itself" in demo.stdout
    assert "✗ budget refuses: nothing is sent" in demo.stdout
    assert "BudgetExceededError: the budget $0.01/day for team=search has no room" in demo.stdout
    for transport in ("openai", "responses", "azure", "chat"):
        assert f"retry → {transport}  ✓ 200" in demo.stdout
    books = r"^What the books say of gpt-5-mini: \$0\.\d+ spent, .+ saved by the cache$"
    assert re.search(books, demo.stdout, re.MULTILINE)
    assert "guard  ✗ refuses" in demo.stdout
    assert "the server hung up" in demo.stdout
    assert "unexpected" not in demo.stdout
    assert re.search(r"^retry +RETRY +llmstack.middleware.retry.Retry$", demo.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_demo_shows_what_logging_and_sentry_made_of_a_saved_call(demo):
    """One line, one breadcrumb, no error; and one error for the call that was lost."""
    saved, lost = (part.split("\n\n")[0] for part in demo.stdout.split("   log     ")[1:])
    line, rest = saved.split("   Sentry  ", 1)
    fields = json.loads(" ".join(line.split()))
    assert (fields["event"], fields["outcome"], fields["attempts"]) == ("llm.call", "ok", 2)
    assert rest.startswith(
        "breadcrumb: attempt 1 failed: another follows\n   Sentry  no error event: the call was saved\n"
    )
    assert "   Sentry  one error event\n" in lost
    assert '"error.type": "APIConnectionError"' in " ".join(lost.split())


@pytest.mark.slow
def test_no_line_is_wider_than_a_terminal(demo):
    """At 80 columns nothing is longer than 80."""
    assert [line for line in demo.stdout.splitlines() if len(line) > 80] == []


@pytest.mark.slow
def test_the_demo_is_the_same_every_time_but_for_the_times(llmstack_alone, demo):
    """Two runs differ in their times only."""
    again = llmstack_alone("demo")
    logged = [re.sub(r" +log +{.*?} *\n", "", text, flags=re.DOTALL) for text in (demo.stdout, again.stdout)]
    plain = [re.sub(r"\s*\d[\d.]* m?s", "", text) for text in logged]
    assert plain[0] == plain[1]


@pytest.mark.slow
def test_the_demo_works_where_there_is_only_ascii(llmstack_alone):
    """A terminal without arrows gets plain ones."""
    done = llmstack_alone("demo", encoding="ascii")
    assert done.returncode == 0
    assert "> timing > guard > cache > budget > retry > openai  ok 200" in done.stdout


def test_live_without_a_key_says_so(llmstack):
    """`--live` without a key is an error that names the variable."""
    done = llmstack("demo", "--live", changed={"OPENAI_API_KEY": None})
    assert done.returncode == 1
    assert "OPENAI_API_KEY" in done.stderr
    assert done.stdout == ""


def test_live_asks_the_service_with_the_model_given(llmstack, server):
    """`--live` plays the harmless part against OPENAI_BASE_URL, with the model asked for."""
    done = llmstack("demo", "--live", "--model", "gpt-other")
    assert (done.returncode, done.stderr) == (0, "")
    assert {request.json["model"] for request in server.requests} == {"gpt-other"}
    assert "broken" not in done.stdout


def test_an_unexpected_outcome_is_an_error(llmstack, server):
    """A service that answers otherwise than it must makes the demo fail, visibly."""
    server.next(401, times=None)
    done = llmstack("demo", "--live")
    assert done.returncode == 1
    assert "unexpected" in done.stdout
