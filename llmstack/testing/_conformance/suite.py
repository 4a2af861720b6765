"""Conformance: what every plugin must do, as tests to subclass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from llmstack._core.call import Call
from llmstack.testing._conformance import (
    agreement,
    cancelling,
    context,
    contract,
    failing,
    lifecycle,
    observing,
    optional,
    secrecy,
)
from llmstack.testing._conformance.bench import Bench
from llmstack.testing._conformance.cost import cost_per_call
from llmstack.testing._conformance.sample import SAMPLES, Sample

__all__ = ["Conformance"]


class Conformance:
    """What every plugin must do, as tests: subclass it, and pytest collects them.

        class TestMaxLength(Conformance):
            def plugin(self, **options):
                return MaxLength(**options)

    Each test makes real calls by real clients (sync, on asyncio, and on trio where it is installed; plain and
    streamed) on a scripted transport and a fake clock, each with a fresh plugin. A failure is a `ConformanceError`: it
    says what is wrong, why it matters and how to mend it.

    Attributes:
        next_is: How often the plugin calls ``next`` for a call that it answers: ``"once"``, ``"never"`` (it answers
            by itself), ``"many"`` (never, once or more often, as it sees fit).
        bad_options: Options that must be refused, each by itself.
        shows_content: True if the plugin, as it is made here, shows content because its user asked for it by name.
        secret_options: The options that hold secrets; None for those whose names say so (``api_key``, ``token`` …).
    """

    next_is: ClassVar[contract.Declared] = "once"
    bad_options: ClassVar[Sequence[Mapping[str, Any]]] = ()
    shows_content: ClassVar[bool] = False
    secret_options: ClassVar[Sequence[str] | None] = None

    # To be overridden -------------------------------------------------------------------------------------------

    def plugin(self, *_: Any, **options: Any) -> Any:  # so typed, it may be overridden with or without options
        """A fresh plugin, made with these options; without any as the author wants it tried."""
        message = f"{type(self).__name__} must define plugin(self, **options), which gives a fresh plugin"
        raise NotImplementedError(message)

    def samples(self) -> Sequence[Sample]:
        """The calls that it is tried with; the first one in most situations."""
        return SAMPLES

    def aside(self, call: Call) -> Any:
        """What the provider answers to requests that the plugin makes by itself (`Call.aside`).

        Args:
            call: Such a request.

        Returns:
            A step of a `ScriptedTransport`.
        """
        if call.endpoint == "moderations":
            result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
            asked = call.params.get("input")
            count = len(asked) if isinstance(asked, list) and all(isinstance(item, str) for item in asked) else 1
            return {"id": "modr-1", "model": "omni-moderation-latest", "results": [result] * count}
        return SAMPLES[2].answer if call.endpoint == "embeddings" else "OK"

    # The tests --------------------------------------------------------------------------------------------------

    def test_hooks_are_right(self) -> None:
        """The stack takes the plugin."""
        lifecycle.check_hooks(self.plugin)

    def test_sync_equals_async_equals_stream(self) -> None:
        """A program sees, sends and hears the same in all modes."""
        agreement.check(self._bench())

    def test_cancellation_is_not_swallowed(self) -> None:
        """Wherever it strikes."""
        cancelling.check(self._bench())

    def test_there_is_exactly_one_reply(self) -> None:
        """Each call ends once; nothing is left of it."""
        contract.check_reply(self._bench())

    def test_next_is_called_as_declared(self) -> None:
        """As `next_is` says, and never after content has reached the program."""
        contract.check_next(self._bench(), self.next_is)

    def test_errors_are_typed_and_pickle(self) -> None:
        """A `StackError` or the SDK's own, whatever the provider answers."""
        failing.check(self._bench())

    def test_nothing_is_held_across_the_flow(self) -> None:
        """No lock, context variable or scope: the second half may run in another thread, task or context."""
        context.check(self._bench())

    def test_options_are_validated(self) -> None:
        """When the plugin is made."""
        self._bench().fresh()
        optional.check(self.plugin, self.bad_options)

    def test_no_secret_is_shown(self) -> None:
        """In no repr, event, note, error or log line."""
        bench = self._bench()
        names = self.secret_options
        plugin = bench.fresh()
        secrecy.check_options(self.plugin, plugin, names)
        secrecy.check_calls(bench, content=self.shows_content)

    def test_observers_are_isolated(self) -> None:
        """One that raises changes nothing, and the plugin's own does not raise."""
        observing.check(self._bench())

    def test_it_may_be_closed_twice(self) -> None:
        """Before any call, and after one."""
        lifecycle.check_closing(self._bench())

    def test_cost_per_call(self, record_property: Callable[[str, object], None]) -> None:
        """Told in the report (``--junit-xml``): nothing is asserted of it."""
        cost, bare = cost_per_call(self._bench())
        record_property("llmstack_call_microseconds", round(cost, 1))
        record_property("llmstack_plugin_microseconds", round(cost - bare, 1))

    # Inside -----------------------------------------------------------------------------------------------------

    def _bench(self) -> Bench:
        return Bench(self.plugin, self.samples(), self.aside)
