"""The code in README.md and docs/ runs with the tests, against the local server. And no test may let a secret out."""

import logging
from collections.abc import Generator, Iterator

import pytest
from openai import OpenAI
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from llmstack.testing import LocalServer


@pytest.fixture(scope="session")
def documented_service() -> Iterator[LocalServer]:
    """The service that the documentation's programs talk to."""
    with LocalServer() as server:
        yield server


@pytest.fixture
def service(documented_service: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which ``OpenAI()`` finds it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-not-a-key")
    monkeypatch.setenv("OPENAI_BASE_URL", documented_service.base_url)


@pytest.fixture(scope="module")
def clients_of_the_page() -> Iterator[dict[int, OpenAI]]:
    """Clients that a page makes and does not close, as a program may at its end, kept until then and closed here.

    The garbage collector would get at their sockets first, at times, and warn in the middle of another page.
    """
    clients: dict[int, OpenAI] = {}
    yield clients
    for client in clients.values():
        client.close()


@pytest.fixture
def clients_kept(request: pytest.FixtureRequest, clients_of_the_page: dict[int, OpenAI]) -> Iterator[None]:
    """The clients that a block of code leaves in its page's variables are known to be the page's."""
    yield
    found = [value for value in request.node.example.namespace.values() if isinstance(value, OpenAI)]
    clients_of_the_page.update((id(client), client) for client in found)


@pytest.fixture(scope="module")
def logging_as_it_was() -> Iterator[None]:
    """A page is one program, which may set up logging; what follows it begins without."""

    def known() -> list[logging.Logger]:
        named = logging.root.manager.loggerDict.values()
        return [logging.root, *(logger for logger in named if isinstance(logger, logging.Logger))]

    before = {logger: (logger.level, logger.propagate, logger.disabled, logger.handlers[:]) for logger in known()}
    yield
    for logger in known():
        level, propagate, disabled, handlers = before.get(logger, (logging.NOTSET, True, False, []))
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
        for handler in logger.handlers[:]:
            if handler not in handlers:
                logger.removeHandler(handler)
                handler.close()
        for handler in handlers:
            logger.addHandler(handler)  # nothing if it is there still


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["*.md"],
    fixtures=["service", "logging_as_it_was", "clients_kept"],
).pytest()

KEY, WORDS = "not-a-key", "private words"
"""What tests use as keys and as customers' words where these must not be seen."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test fails if a secret is in what it, or anything it ran, wrote to stdout, stderr or a log."""
    report = yield
    if report.passed:
        words = (KEY,) if item.get_closest_marker("tells") else (KEY, WORDS)
        found = [f"{name}: {word!r}" for name, text in report.sections for word in words if word in text]
        if found:
            report.outcome = "failed"
            report.longrepr = f"a secret was let out in {', '.join(found)}"
    return report
