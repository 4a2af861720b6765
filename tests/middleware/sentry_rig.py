"""A Sentry that records instead of sending, and leaves nothing behind in the process."""
# ruff: noqa: SLF001 - Sentry has no public way to take back what an integration has patched

import contextlib
import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import sentry_sdk
from openai.resources import AsyncEmbeddings, Embeddings
from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.responses import AsyncResponses, Responses
from sentry_sdk import integrations
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.transport import Transport

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.middleware import Retry
from llmstack.middleware.sentry import Sentry
from llmstack.testing import FakeClock, ScriptedTransport

# Put together here, so that no line of source code that an event quotes holds them.
KEY = "sk-test" + "-not-a-key"
PROMPT = "private" + " words"
ANSWER = "secret" + " answer"

ASK: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": PROMPT}]}
_PATCHED: tuple[tuple[Any, str], ...] = (
    *((kind, "create") for kind in (AsyncCompletions, AsyncEmbeddings, AsyncResponses)),
    *((kind, "create") for kind in (Completions, Embeddings, Responses)),
    *((kind, "send") for kind in (httpx2.Client, httpx2.AsyncClient)),
)
"""What Sentry's integrations replace."""


class Recording(Transport):
    """Keeps the envelopes, as what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        """Keep it."""
        self.envelopes.append(envelope)

    @property
    def text(self) -> str:
        """All that was sent, as text."""
        return "\n".join(envelope.serialize().decode() for envelope in self.envelopes)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """The items of one kind, as JSON."""
        found = [item for envelope in self.envelopes for item in envelope.items if item.type == kind]
        return [json.loads(item.get_bytes()) for item in found]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The events that tell of an exception."""
        return [event for event in self.items("event") if "exception" in event]

    @property
    def error(self) -> dict[str, Any]:
        """The only one."""
        (event,) = self.errors
        return event

    @property
    def spans(self) -> list[dict[str, Any]]:
        """All spans of all transactions."""
        return [span for transaction in self.items("transaction") for span in transaction["spans"]]

    @property
    def span(self) -> dict[str, Any]:
        """The only one of ours."""
        (span,) = self.ours
        return span

    @property
    def ours(self) -> list[dict[str, Any]]:
        """The spans that llmstack made."""
        return [span for span in self.spans if span["origin"] == "auto.ai.llmstack"]

    @property
    def crumbs(self) -> list[dict[str, Any]]:
        """The breadcrumbs of the last event, without time."""
        values = self.items("event")[-1].get("breadcrumbs", {}).get("values", [])
        return [{name: value for name, value in crumb.items() if name != "timestamp"} for crumb in values]


class Rig:
    """Starts Sentry as a program would, and makes clients.

    Attributes:
        transport: What was sent.
        tells: True in a test where content may be sent.
    """

    def __init__(self) -> None:
        self.transport = Recording()
        self.tells = False

    def init(self, *more: Any, **options: Any) -> None:
        """``sentry_sdk.init`` with the recording transport, the deduplication, and no integration but these."""
        said: dict[str, Any] = {
            "traces_sample_rate": 1.0,
            "default_integrations": False,
            "auto_enabling_integrations": False,
            "integrations": [DedupeIntegration(), *more],
            "enable_backpressure_handling": False,
            "stream_gen_ai_spans": False,
        }
        with warnings.catch_warnings():
            # Newer versions deprecate send_default_pii, which all versions obey.
            warnings.filterwarnings("ignore", "The send_default_pii option", DeprecationWarning)
            sentry_sdk.init(dsn="https://public@example.com/1", transport=self.transport, **{**said, **options})

    def look(self) -> list[dict[str, Any]]:
        """Send an event, to see the breadcrumbs left so far."""
        sentry_sdk.capture_message("look")
        return self.transport.crumbs


def stack(script: Any, *plugins: Any, **options: Any) -> Stack:
    """A stack that follows a script; the options are the plugin's."""
    return Stack([Retry(), *plugins, Sentry(**options)], transport=ScriptedTransport(script), clock=FakeClock())


def client(script: Any, *plugins: Any, **options: Any) -> OpenAI:
    """A client whose answers are scripted."""
    return OpenAI(api_key=KEY, stack=stack(script, *plugins, **options))


def aclient(script: Any, *plugins: Any, **options: Any) -> AsyncOpenAI:
    """The same for async."""
    return AsyncOpenAI(api_key=KEY, stack=stack(script, *plugins, **options))


def served(server: Any, *plugins: Any, **options: Any) -> OpenAI:
    """A client of the local server."""
    made = Stack([Retry(), *plugins, Sentry(**options)], clock=FakeClock())
    return OpenAI(api_key=KEY, base_url=server.base_url, stack=made)


def aserved(server: Any, *plugins: Any, **options: Any) -> AsyncOpenAI:
    """The same for async."""
    made = Stack([Retry(), *plugins, Sentry(**options)], clock=FakeClock())
    return AsyncOpenAI(api_key=KEY, base_url=server.base_url, stack=made)


def held(asked: Any) -> int:
    """How much the client's plugin still holds of its calls."""
    plugin: Sentry = asked.stack.plugins["sentry"]
    return len(plugin._spans)


def failures(asked: Any) -> dict[str, int]:
    """What the stack had to keep from the call."""
    found: dict[str, int] = asked.stack.observer_failures
    return found


@pytest.fixture
def sentry() -> Iterator[Rig]:
    """A rig. After the test Sentry, openai and httpx2 are as before, and of key, prompt and answer nothing was sent."""
    rig = Rig()
    scope = sentry_sdk.get_global_scope()
    before, methods = scope.client, {place: getattr(*place) for place in _PATCHED}
    known = (set(integrations._installed_integrations), set(integrations._processed_integrations))
    with sentry_sdk.isolation_scope() as isolation, sentry_sdk.new_scope():
        isolation.clear()
        yield rig
        with contextlib.suppress(Exception):
            sentry_sdk.get_client().close()
    scope.set_client(before)
    for (kind, name), method in methods.items():
        setattr(kind, name, method)
    # So that the next `init` sets up anew what was taken back here.
    integrations._installed_integrations &= known[0] | {"dedupe"}
    integrations._processed_integrations &= known[1] | {"dedupe"}
    assert KEY not in rig.transport.text
    if not rig.tells:
        assert PROMPT not in rig.transport.text
        assert ANSWER not in rig.transport.text
