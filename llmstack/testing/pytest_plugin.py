"""The pytest plugin: fixtures, a block on the network, and the marker ``llm_cassette``.

It is loaded wherever llmstack is installed (entry point ``pytest11``), so it imports nothing heavy before a test uses
it, and changes nothing for those that do not. ``-p no:llmstack`` leaves it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from llmstack.testing import Cassette, FakeClock, LocalServer, Recorder, ScriptedTransport

__all__: list[str] = []

MODES = ("none", "once", "new", "all")

_opened = pytest.StashKey[ExitStack]()
_cassette = pytest.StashKey["Cassette"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The command line and the ini file."""
    parser.addini(
        "llmstack_block_network",
        "let tests reach this machine only; tests that record a cassette are let out",
        type="bool",
        default=False,
    )
    parser.addini("llmstack_cassette_dir", "where cassettes are, seen from the test file", default="cassettes")
    parser.getgroup("llmstack").addoption(
        "--llm-cassette",
        dest="llm_cassette_mode",
        choices=MODES,
        default=None,
        help="mode of all cassettes: none (replay only), once (record files that are missing), new (record calls that "
        "are missing), all (record everything anew)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        "llm_cassette(file=None, *, mode=None, scrub=()): record the calls that llmstack's clients make in this test, "
        "and replay them from then on",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before all fixtures: open the cassette, block the network."""
    mark = item.get_closest_marker("llm_cassette")
    blocked = item.config.getini("llmstack_block_network")
    if mark is None and not blocked:
        return
    opened = item.stash[_opened] = ExitStack()
    recording = False
    if mark is not None:
        cassette = _cassette_of(item, mark)
        item.stash[_cassette] = opened.enter_context(cassette)
        recording = cassette.recording
    if blocked and not recording:
        from llmstack.testing.network import no_network as block

        opened.enter_context(block(item.nodeid))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """After all fixtures: write the cassette."""
    try:
        return (yield)
    finally:
        opened = item.stash.get(_opened, None)
        if opened is not None:
            opened.close()


def _cassette_of(item: pytest.Item, mark: pytest.Mark) -> Cassette:
    from llmstack.testing import Cassette

    options: dict[str, Any] = dict(mark.kwargs)
    file = mark.args[0] if mark.args else options.pop("file", None)
    folder = item.path.parent / str(item.config.getini("llmstack_cassette_dir"))
    marked = options.pop("mode", "once")
    mode: Any = item.config.getoption("llm_cassette_mode") or marked
    path = folder / (file or f"{_plain(item)}.yaml")
    return Cassette(path, mode=mode, **options)


def _plain(item: pytest.Item) -> str:
    """The test's name as a file's: with its class, and its parameters if it has any."""
    owner = getattr(item, "cls", None)
    name = item.name if owner is None else f"{owner.__name__}.{item.name}"
    return re.sub(r"[^\w.\[\]-]+", "-", name).replace("[", "-").replace("]", "").strip("-")


# Fixtures -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def llm_cassette(request: pytest.FixtureRequest) -> Cassette:
    """The cassette of a test marked with ``llm_cassette``."""
    cassette = request.node.stash.get(_cassette, None)
    if cassette is None:
        message = "the fixture llm_cassette is for tests marked with @pytest.mark.llm_cassette"
        raise pytest.UsageError(message)
    return cassette  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def local_server_of_session() -> Iterator[LocalServer]:
    """One server for all tests: starting it takes longer than most of them."""
    from llmstack.testing import LocalServer

    with LocalServer() as server:
        yield server


@pytest.fixture
def local_server(local_server_of_session: LocalServer) -> Iterator[LocalServer]:
    """A `LocalServer` without memories, orders or a script, before and after the test."""
    local_server_of_session.reset()
    yield local_server_of_session
    local_server_of_session.reset()


@pytest.fixture
def scripted_transport() -> Iterator[Callable[..., ScriptedTransport]]:
    """Makes transports that follow a script: ``scripted_transport("Hello", Status(429), default=None)``.

    After the test none may have a stream open.
    """
    from llmstack.testing import ScriptedTransport

    made: list[ScriptedTransport] = []

    def make(*script: Any, default: Any = None) -> ScriptedTransport:
        made.append(ScriptedTransport(script, default=default))
        return made[-1]

    yield make
    left = sum(transport.open for transport in made)
    if left:
        pytest.fail(f"{left} stream(s) of a scripted transport left open: read, close, or use `with`", pytrace=False)


@pytest.fixture
def events() -> Recorder:
    """A plugin that keeps all events: ``Stack([..., events])``."""
    from llmstack.testing import Recorder

    return Recorder()


@pytest.fixture
def frozen_clock() -> FakeClock:
    """A clock that only moves when told, or slept by: ``Stack(..., clock=frozen_clock)``."""
    from llmstack.testing import FakeClock

    return FakeClock()


@pytest.fixture
def no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets the test reach this machine only."""
    from llmstack.testing.network import no_network as block

    with block(request.node.nodeid):
        yield
