"""A catalogue of wrong plugins: each breaks one rule, and keeps all others."""

from __future__ import annotations

from typing import Any

from llmstack.testing import Conformance, Sample
from tests.core.side import MESSAGES
from tests.testing.passing_plugin import Passing
from tests.testing.wrong_flows import (
    Again,
    Asynchronous,
    BareJson,
    Forgets,
    NoReply,
    OnlyPlain,
    OnlySync,
    Renames,
    Swallows,
    TellsOnlyAsync,
    TooMuchError,
    Trusts,
    Twice,
    Unpicklable,
    WithoutMark,
)
from tests.testing.wrong_holders import (
    ClosesOnce,
    Fails,
    HoldsItself,
    HoldsLock,
    HoldsThread,
    HoldsVariable,
    ShowsKey,
    TakesAnything,
    TakesNegative,
    TakesText,
    TellsPrompt,
)


def suite(kind: type, **more: Any) -> type[Conformance]:
    """A conformance suite for a plugin of this catalogue."""

    class Suite(Conformance):
        def plugin(self, **options):
            return kind(**options)

    Suite.__name__ = kind.__name__
    for name, value in more.items():
        setattr(Suite, name, value)
    return Suite


FORBIDDEN = [Sample(params={"model": "m", "messages": [{"role": "user", "content": "forbidden"}]}, raises=TooMuchError)]
ALLOWED = [Sample(params={"model": "m", "messages": MESSAGES})]

CATALOGUE: list[tuple[str, type[Conformance], str]] = [
    ("hooks_are_right", suite(WithoutMark), "put @hookimpl above it"),
    ("hooks_are_right", suite(Asynchronous), "it is async"),
    ("sync_equals_async_equals_stream", suite(OnlySync), "the program sees differs"),
    ("sync_equals_async_equals_stream", suite(OnlyPlain), "is sent differs when it is streamed"),
    ("sync_equals_async_equals_stream", suite(TellsOnlyAsync), "is told to observers differs"),
    ("cancellation_is_not_swallowed", suite(Swallows), "made a reply of a cancellation"),
    ("cancellation_is_not_swallowed", suite(Renames), "made RefusedError of a cancellation"),
    ("there_is_exactly_one_reply", suite(NoReply), "returned None instead of a Reply"),
    ("there_is_exactly_one_reply", suite(BareJson), "returned a dict instead of a Reply"),
    ("next_is_called_as_declared", suite(Twice), "called next 2 time"),
    ("next_is_called_as_declared", suite(Forgets, samples=lambda _: ALLOWED), "called next 0 time"),
    ("next_is_called_as_declared", suite(Passing, next_is="never"), "declares 'never'"),
    ("next_is_called_as_declared", suite(Again, next_is="many"), "although content had reached the program"),
    ("errors_are_typed_and_pickle", suite(Trusts), "failed with TypeError at wrong_flows.py"),
    ("errors_are_typed_and_pickle", suite(Unpicklable, samples=lambda _: FORBIDDEN), "TooMuchError does not pickle"),
    ("errors_are_typed_and_pickle", suite(Passing, samples=lambda _: FORBIDDEN), "no TooMuchError was raised"),
    ("nothing_is_held_across_the_flow", suite(HoldsVariable), "leaves context variables set"),
    ("nothing_is_held_across_the_flow", suite(HoldsLock), "holds a lock"),
    (
        "nothing_is_held_across_the_flow",
        suite(HoldsItself),
        "another call was made meanwhile, the rest of the flow fails with IndexError",
    ),
    ("nothing_is_held_across_the_flow", suite(HoldsThread), "In another thread the rest of the flow fails"),
    ("options_are_validated", suite(TakesAnything), "no_such_option_of_this_plugin=1, is accepted"),
    ("options_are_validated", suite(TakesText), "limit='many', is accepted"),
    ("options_are_validated", suite(TakesNegative, bad_options=[{"limit": -1}]), "limit=-1, is accepted"),
    ("no_secret_is_shown", suite(ShowsKey), "shows the value of its option 'api_key'"),
    ("no_secret_is_shown", suite(TellsPrompt), "The event CallFinished shows what was asked"),
    ("observers_are_isolated", suite(Fails), "llmstack_event of 'fails' raised"),
    ("it_may_be_closed_twice", suite(ClosesOnce), "Closing twice fails with RuntimeError"),
]
"""The test that catches each, and what it says."""
