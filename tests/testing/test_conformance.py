"""Each check catches what it is for, and the built-in plugins pass all of them."""

import pickle
import subprocess
import sys
from typing import Any
from unittest import SkipTest

import pytest

from llmstack.middleware import Budget, Cache, Logging, Moderation, Retry, Sentry, Validation
from llmstack.testing import Conformance, ConformanceError, Sample
from tests.testing.wrong_plugins import CATALOGUE, Passing, suite

pytest_plugins = ["pytester"]

CHECKS = [name for name in vars(Conformance) if name.startswith("test_")]


def run(kind, check):
    """Run one check of a suite as pytest does; what it raised."""
    properties = {}
    given = [properties.__setitem__] if check == "test_cost_per_call" else []
    try:
        getattr(kind(), check)(*given)
    except (ConformanceError, SkipTest) as raised:
        return raised
    return properties or None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "kind", "says"),
    CATALOGUE,
    ids=[f"{kind.__name__}-{check}" for check, kind, _ in CATALOGUE],
)
def test_a_wrong_plugin_is_caught_by_its_check_alone(check, kind, says):
    """And told what is wrong, why it matters and how to mend it."""
    caught = {name: raised for name in CHECKS if isinstance(raised := run(kind, name), ConformanceError)}
    assert list(caught) == [f"test_{check}"]
    [raised] = caught.values()
    assert says in raised.what
    told = str(raised)
    assert "Why it matters: " in told
    assert "How to mend it: " in told
    assert str(pickle.loads(pickle.dumps(raised))) == told


def test_every_check_catches_something():
    """None is there for show, but for the one that only tells."""
    assert {f"test_{check}" for check, _, _ in CATALOGUE} == set(CHECKS) - {"test_cost_per_call"}


class TestRetry(Conformance):
    next_is = "many"
    bad_options = ({"attempts": 0}, {"deadline": 0}, {"idle_timeout": -1}, {"wait": 1.0})

    def plugin(self, **options: Any):
        return Retry(**options)


class TestLogging(Conformance):
    bad_options = ({"sample": 2}, {"content": "all"}, {"content_limit": 0})

    def plugin(self, **options: Any):
        return Logging(**options)


class TestLoggingWithContent(TestLogging):
    shows_content = True

    def plugin(self, **options: Any):
        options.setdefault("content", "redacted")
        return Logging(**options)


class TestSentry(Conformance):
    def plugin(self, **options: Any):
        return Sentry(**options)


class TestValidation(Conformance):
    bad_options = ({"shape": "perhaps"}, {"max_prompt_tokens": 0}, {"repair": -1})

    def plugin(self, **options: Any):
        return Validation(**options)


class TestModeration(Conformance):
    bad_options = ({"mode": "later"}, {"timeout": 0}, {"on_error": "ajar"})

    def plugin(self, **options: Any):
        return Moderation(**options)


class TestModerationOfOutput(TestModeration):
    def plugin(self, **options: Any):
        options.setdefault("output", True)
        options.setdefault("mode", "parallel")
        return Moderation(**options)


class TestBudget(Conformance):
    bad_options = ({"limits": "$5/day"}, {"limits": ["five dollars"]}, {"on_exceed": "weep"})

    def plugin(self, **options: Any):
        options.setdefault("limits", ["$5/day", "1M tokens/hour"])
        return Budget(**options)


class TestCache(Conformance):
    next_is = "many"
    bad_options = ({"ttl": -1}, {"when": "sometimes"}, {"max_bytes": 0})

    def plugin(self, **options: Any):
        options.setdefault("when", "always")
        return Cache(**options)


def generous(call, next):
    """A layer as a single function."""
    return (yield from next(call))


class TestFunction(Conformance):
    def plugin(self):
        return generous


def test_what_a_call_costs_is_told():
    """To the report, by the names that the docs give."""
    told: Any = run(suite(Passing), "test_cost_per_call")
    assert set(told) == {"llmstack_call_microseconds", "llmstack_plugin_microseconds"}
    assert told["llmstack_call_microseconds"] > 0


def test_a_suite_without_a_plugin_says_so():
    """With what to write."""
    with pytest.raises(NotImplementedError, match="must define plugin"):
        Conformance().test_hooks_are_right()


def test_one_that_cannot_be_made_without_options_is_told_how():
    """Its options could not be tried else."""

    class Needs(Passing):
        def __init__(self, limit):
            self.limit = limit

    class Suite(Conformance):
        def plugin(self):
            return Needs(1)

    with pytest.raises(ConformanceError, match=r"let plugin\(self, \*\*options\) hand its options to Needs"):
        Suite().test_options_are_validated()


def test_a_sample_shows_no_content():
    """It stands in failures."""
    sample = Sample(params={"messages": "private words"}, answer="private words")
    assert "private" not in repr(sample) + str(sample)


def test_pytest_collects_the_checks_and_shows_the_flaw(pytester):
    """As its author meets it."""
    pytester.makepyfile(
        """
        from llmstack import hookimpl
        from llmstack.testing import Conformance

        class NoReply:
            @hookimpl
            def llmstack_call(self, call, next):
                yield from next(call)

        class TestNoReply(Conformance):
            def plugin(self, **options):
                return NoReply(**options)
        """
    )
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1, passed=len(CHECKS) - 1)
    result.stdout.fnmatch_lines(
        [
            "*test_there_is_exactly_one_reply*",
            "*The layer gave no reply: plugin 'noreply' returned None instead of a Reply*",
            "*Why it matters: *",
            "*How to mend it: *",
        ]
    )


def test_the_kit_needs_no_pytest():
    """Nor do the checks."""
    code = "import sys; sys.modules['pytest'] = None; import llmstack.testing as t; t.Conformance; t.step; t.FakeClock"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
