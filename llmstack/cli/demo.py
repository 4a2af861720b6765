"""The demo: a short program's calls through a stack, and the way each of them took."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import tenacity
from openai import OpenAIError
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from llmstack import AsyncOpenAI, OpenAI, Stack, Transport
from llmstack.cli.failure import UsageError, explained
from llmstack.cli.layers import Guard, Timing
from llmstack.cli.measure import duration
from llmstack.cli.observed import Observed
from llmstack.cli.program import Program
from llmstack.cli.report import Report, Result
from llmstack.cli.scene import LIMIT, Scene, scenes
from llmstack.cli.terminal import console
from llmstack.cli.trace import Trace, Trail
from llmstack.cli.usage_report import money
from llmstack.middleware import Budget, Cache, Retry
from llmstack.testing import LocalServer
from llmstack.transports import AzureTransport, ChatTransport, ResponsesTransport

FAKE_KEY = "sk-test-not-a-key"
_TIMEOUT = 60.0


def demo(*, live: bool, model: str) -> bool:
    """Play the demo and print it.

    Args:
        live: True to ask the real service, where it can be asked without ordering a fault.
        model: The model.

    Returns:
        True if everything came as it must.

    Raises:
        UsageError: With `live`, if there is no key.
    """
    if live and not os.environ.get("OPENAI_API_KEY"):
        raise UsageError(
            "demo --live asks the real service: set OPENAI_API_KEY first (without --live no key is needed)"
        )
    with ExitStack() as closing:
        server = None if live else closing.enter_context(_server())
        stage = _Stage(server, model)
        closing.callback(stage.close)
        return stage.play(scenes(live=live))


def _server() -> LocalServer:
    try:
        return LocalServer()
    except ImportError as error:  # it names the extra to install
        raise UsageError(str(error)) from error


class _Stage:
    """Where the scenes are played: a program, its stack, and a server that misbehaves on order (None: the real one)."""

    def __init__(self, server: LocalServer | None, model: str) -> None:
        self._server = server
        # Fixed, so that every demo looks the same; by default it grows with each attempt and is randomised.
        retry = Retry() if server is None else Retry(wait=tenacity.wait_fixed(0.1))
        self._timing = Timing()
        self._observed = Observed()
        self._budget = Budget([LIMIT] if server is not None else ())
        # All calls, not only those that ask for the same answer each time: the demo's questions are harmless.
        cache = Cache(when="always")
        self._stack = Stack.ordered([self._timing, Guard(), cache, self._budget, retry, *self._observed.plugins])
        self._report = Report(console())
        self._traces: list[Trace] = []
        self._options: dict[str, Any] = {"timeout": _TIMEOUT}
        if server is not None:
            self._options |= {"base_url": server.base_url, "api_key": FAKE_KEY}
        traced = self._traced(self._stack)
        self._client = OpenAI(stack=traced, **self._options)
        self._others = {} if server is None else {way.name: self._over(way) for way in _transports(server)}
        open_async = partial(AsyncOpenAI, stack=traced, **self._options)
        self._program = Program(self._client, model, open_async, self._report.piece, self._others)

    def _over(self, transport: Transport) -> OpenAI:
        return OpenAI(stack=self._traced(self._stack.with_transport(transport)), **self._options)

    def _traced(self, stack: Stack) -> Stack:
        self._traces.append(Trace())
        return self._traces[-1].around(stack)

    def _trails(self) -> list[Trail]:
        return [trail for trace in self._traces for trail in trace.trails.values()]

    def close(self) -> None:
        """Close what was opened."""
        for client in (self._client, *self._others.values()):
            client.close()
        self._stack.close()

    def play(self, played: Sequence[Scene]) -> bool:
        """Play scenes; True if each came as it must."""
        self._introduce()
        results: list[Result] = []
        for number, scene in enumerate(played, start=1):
            self._report.begin(number, scene)
            results.append(self._scene(scene))
            self._report.end(results[-1])
        self._conclude(results)
        return not any(result.problem for result in results)

    def _scene(self, scene: Scene) -> Result:
        before = {trail.call.id for trail in self._trails()}
        self._program.got = []
        if self._server is not None and scene.prepare is not None:
            scene.prepare(self._server)
        error = ""
        started = time.perf_counter()
        try:
            scene.play(self._program)
        except OpenAIError as raised:
            error = explained(raised)
        seconds = time.perf_counter() - started
        trails = [trail for trail in self._trails() if trail.call.id not in before]
        problem = _problem(scene, trails, exact=self._server is not None)
        return Result(
            scene=scene,
            trails=trails,
            got=tuple(self._program.got),
            error=error,
            seconds=seconds,
            written=self._observed.look(),
            problem=problem,
        )

    def _introduce(self) -> None:
        where = "a local server that misbehaves on order" if self._server else f"the service at {self._client.base_url}"
        out = self._report.console
        out.print(Text(f"A short program, a stack of layers, and {where}.", "bold"))
        out.print("Logging writes into memory here, and Sentry sends to nobody.")
        out.print("One of the layers is the demo's own. This is all of it, a whole plugin:\n")
        code = inspect.getsource(Timing).rstrip()
        source = Syntax(code, "python", theme="ansi_dark", background_color="default", word_wrap=True)
        out.print(Padding(source, (0, 0, 1, 3)))

    def _conclude(self, results: Sequence[Result]) -> None:
        out = self._report.console
        out.print(Rule(Text("Summary", "bold"), align="left", style="dim"))
        self._report.summary(results)
        for name, spent in self._timing.seconds.items():
            out.print(Text(f"What the timing plugin added up for {name}: {duration(spent)}"))
        for spending in self._budget.spending("model"):
            saved = f", {money(spending.saved)} saved by the cache" if spending.saved else ""
            out.print(Text(f"What the books say of {spending.key}: {money(spending.cost)} spent{saved}"))
        out.print()
        out.print(Rule(Text("The stack, outermost first: stack.explain()", "bold"), align="left", style="dim"))
        out.print(Text(self._stack.explain()))


def _transports(server: LocalServer) -> list[Transport]:
    """All but OpenAI's own, to the same server."""
    azure = AzureTransport(endpoint=server.azure_endpoint, api="v1", api_key=FAKE_KEY)
    return [ResponsesTransport(), ChatTransport(), azure]


def _problem(scene: Scene, trails: Sequence[Trail], *, exact: bool) -> str:
    """How a scene differs from what must come of it; the real service may answer with any status on the way."""
    if len(trails) != scene.calls:
        return f"there were {len(trails)} calls, not {scene.calls}"
    for trail in trails:
        outcome = trail.finished.outcome if trail.finished else "unfinished"
        if outcome != scene.outcome:
            return f"the outcome is {outcome}, not {scene.outcome}"
        if scene.turn and not any(step.kind == scene.turn for step in trail.steps):
            return f"no layer gave its {scene.turn}"
        statuses = [attempt.status for attempt in trail.attempts]
        if statuses != list(scene.statuses) and (exact or not scene.statuses):
            return f"the requests brought {statuses}, not {list(scene.statuses)}"
    return ""
