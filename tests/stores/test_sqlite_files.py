"""Where SQLite stores keep their files, and who may read them."""

import contextlib
import logging
import os
import queue
import sqlite3
import stat
import threading
import warnings

import pytest

from llmstack.effects import drive
from llmstack.errors import OptionError, StoreError
from llmstack.stores import open_store
from llmstack.stores._sqlite import place
from llmstack.stores._sqlite.schema import CACHE, bring_up
from llmstack.stores.sqlite import SqliteStore, open_sqlite
from tests.stores.rows import BUCKET, entry, reservation

POSIX = pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")


def mode(path):
    """The rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def used(url):
    """A store of which both halves have been used and are open."""
    store = open_store(url)
    cache, ledger = store.cache(), store.ledger()
    drive(ledger.reserve(reservation("a")))
    drive(cache.set({"k": entry()}, tenant=""))
    return cache, ledger


@POSIX
def test_files_are_their_owners_alone(tmp_path):
    """And so are the folders that are made; one that was there is left as it is."""
    tmp_path.chmod(0o750)
    cache, ledger = used(f"sqlite:///{tmp_path}/new/er/llm.db")
    assert (mode(tmp_path), mode(tmp_path / "new"), mode(tmp_path / "new/er")) == (0o750, 0o700, 0o700)
    found = {path.name: mode(path) for path in (tmp_path / "new/er").iterdir()}
    assert found == {f"llm{part}.db{suffix}": 0o600 for part in ("", "-cache") for suffix in ("", "-wal", "-shm")}
    cache.close()
    ledger.close()
    assert sorted(path.name for path in (tmp_path / "new/er").iterdir()) == ["llm-cache.db", "llm.db"]


@POSIX
def test_a_file_that_anybody_may_read_is_warned_of_once(tmp_path, caplog):
    """Whoever set its rights may have meant it."""
    path = tmp_path / "llm.db"
    path.touch(0o600)
    path.chmod(0o604)
    for _ in range(2):
        ledger = open_store(f"sqlite:///{path}").ledger()
        drive(ledger.spent([]))
        ledger.close()
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} may be read or written by anybody on this machine; chmod 600 it"
    ]
    assert caplog.records[0].name == "llmstack.stores"
    assert caplog.records[0].levelno == logging.WARNING
    assert mode(path) == 0o604


@pytest.mark.parametrize("target", ["there.db", "nowhere.db"])
def test_a_link_is_not_followed(tmp_path, target):
    """Wherever it leads."""
    (tmp_path / "there.db").write_bytes(b"")
    (tmp_path / "llm.db").symlink_to(tmp_path / target)
    (tmp_path / "llm-cache.db").symlink_to(tmp_path / target)
    store = open_store(f"sqlite:///{tmp_path}/llm.db")
    for flow in (store.ledger().spent([BUCKET]), store.cache().stats()):
        with pytest.raises(StoreError, match="symbolic link") as caught:
            drive(flow)
        assert caught.value.store == "sqlite"
    assert not (tmp_path / "nowhere.db").exists()
    assert (tmp_path / "there.db").read_bytes() == b""


def test_a_folder_is_no_file(tmp_path):
    """It is left alone."""
    (tmp_path / "llm.db").mkdir()
    (tmp_path / "llm-cache.db").mkdir()
    store = open_store(f"sqlite:///{tmp_path}/llm.db")
    for flow in (store.ledger().spent([BUCKET]), store.cache().stats()):
        with pytest.raises(StoreError, match="is no file"):
            drive(flow)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llm-cache.db", "llm.db"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    """Such as one within a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        drive(open_store(f"sqlite:///{tmp_path}/file/llm.db").ledger().spent([BUCKET]))


@POSIX
def test_a_folder_that_anybody_may_write_to_is_refused(tmp_path):
    """There somebody else could put another file in the place of ours."""
    tmp_path.chmod(0o777)
    ledger = open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
    with pytest.raises(StoreError, match=f"chmod o-w {tmp_path}"):
        drive(ledger.spent([BUCKET]))
    tmp_path.chmod(0o1777)  # as /tmp is: files there are their owners' to replace
    assert drive(ledger.spent([BUCKET]))
    ledger.close()


def test_what_is_opened_is_opened_when_it_is_used(tmp_path):
    """Not before; and a relative path is what it was then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        ledger = open_store("sqlite:///data/my%20ledger%3F.db").ledger()
    assert list(tmp_path.iterdir()) == []
    drive(ledger.spent([BUCKET]))
    assert (tmp_path / "data/my ledger?.db").exists()
    ledger.close()


def test_a_home_folder_may_be_named(tmp_path, monkeypatch):
    """As a shell would."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    ledger = open_store("sqlite:///~/llm.db").ledger()
    drive(ledger.spent([BUCKET]))
    assert (tmp_path / "llm.db").exists()
    ledger.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sqlite://llm.db", "three slashes"),
        ("sqlite:///", "must be named"),
        ("sqlite:///folder/", "must be named"),
        ("sqlite:///a%00b", "must be named"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///llm.db?synchronous=off", "'normal' or 'full'"),
        ("sqlite:///llm.db?timeout=soon", "timeout"),
        ("sqlite:///llm.db?timeout=nan", "timeout"),
        ("sqlite:///llm.db?timeout=0", "timeout"),
        ("sqlite:///llm.db?max_bytes=0", "above 0"),
        ("sqlite:///llm.db?max_bytes=1&max_bytes=2", "twice"),
        ("sqlite:///llm.db?mode=ro", "no option 'mode'; there are: max_bytes, synchronous, timeout"),
        ("memory://name", "nothing is named"),
        ("memory:///name", "nothing is named"),
        ("memory://?max_bytes=-1", "above 0"),
        ("memory://?rows=many", "above 0"),
    ],
)
def test_a_wrong_url_is_refused_when_it_is_opened(url, why):
    """Saying what to write instead."""
    with pytest.raises(OptionError, match=why):
        open_store(url)


def test_options_of_a_url_are_taken(tmp_path):
    """As they are given."""
    store = open_sqlite(f"sqlite:///{tmp_path}/llm.db?synchronous=full&timeout=0.5&max_bytes=1000")
    ledger = store.ledger()
    drive(ledger.spent([BUCKET]))
    query = "PRAGMA synchronous"
    found = drive(ledger._access.read(lambda one: one.execute(query).fetchone()))  # noqa: SLF001 - nobody else can see it
    assert found == (2,)
    ledger.close()
    with pytest.raises(ValueError, match="at least 1"):
        store.cache(max_bytes=0)


def test_a_store_that_is_dropped_leaves_nothing_open(tmp_path):
    """No warning of a connection that nobody closed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache, ledger = used(f"sqlite:///{tmp_path}/llm.db")
        del cache, ledger
    assert sorted(path.name for path in tmp_path.iterdir()) == ["llm-cache.db", "llm.db"]


def test_a_file_that_was_moved_away_is_not_written_any_more(tmp_path):
    """A new one is."""
    cache, ledger = used(f"sqlite:///{tmp_path}/llm.db")
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / f"moved-{path.name}")
    assert drive(ledger.spent([BUCKET]))[0].held == 0
    assert drive(cache.get(["k"])) == [None]
    ledger.close()
    cache.close()
    again = open_store(f"sqlite:///{tmp_path}/moved-llm.db").ledger()
    assert drive(again.spent([BUCKET]))[0].held == 10
    again.close()


def test_a_connection_of_another_process_is_neither_used_nor_closed(tmp_path, monkeypatch):
    """In a child of a fork that Python was not told of."""
    ledger = SqliteStore(tmp_path / "llm.db").ledger()
    drive(ledger.reserve(reservation("a")))
    [inherited] = ledger._access._pool._idle  # noqa: SLF001 - nobody else can see it
    pid = os.getpid()
    monkeypatch.setattr("os.getpid", lambda: pid + 1)
    assert drive(ledger.spent([BUCKET]))[0].held == 10
    assert inherited not in ledger._access._pool._idle  # noqa: SLF001
    assert inherited.execute("SELECT 1").fetchone() == (1,)
    ledger.close()
    assert inherited.execute("SELECT 1").fetchone() == (1,)
    inherited.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_a_file_that_somebody_else_has_put_there_is_refused(tmp_path):
    """Where anybody may put files."""
    tmp_path.chmod(0o1777)
    path = tmp_path / "llm.db"
    path.touch(0o600)
    os.chown(path, 65534, 65534)
    with pytest.raises(StoreError, match="is somebody else's"):
        drive(open_store(f"sqlite:///{path}").ledger().spent([BUCKET]))


@pytest.mark.parametrize("moment", ["application_id", "user_version", "sqlite_master"])
def test_a_file_that_another_process_has_just_made_is_known(tmp_path, moment):
    """Whenever that happens while it is looked at: it is not taken for a stranger's."""

    def other(statement: str) -> None:
        if moment in statement:
            first.set_trace_callback(None)
            with contextlib.suppress(sqlite3.OperationalError):  # it is kept out, and tries again
                bring_up(second, CACHE, "second")

    path = tmp_path / "cache.db"
    first, second = (sqlite3.connect(path, timeout=0.0, isolation_level=None) for _ in range(2))
    with contextlib.closing(first), contextlib.closing(second):
        first.set_trace_callback(other)
        bring_up(first, CACHE, "first")
        bring_up(second, CACHE, "second")
        for connection in (first, second):
            assert connection.execute("SELECT entries FROM totals").fetchall() == [(0,)]


def test_nobody_opens_a_file_before_who_makes_it_has_closed_it(tmp_path, monkeypatch):
    """Closing any descriptor of a file drops all locks that this process has on it."""
    moves: queue.Queue[str] = queue.Queue()
    close, lock = os.close, threading.Lock()

    class Told:
        """A lock that tells who waits for it."""

        def __enter__(self):
            if not lock.acquire(blocking=False):
                moves.put("waits")
                lock.acquire()

        def __exit__(self, *raised):
            lock.release()

    def late(descriptor):
        monkeypatch.setattr(os, "close", close)
        other.start()
        assert moves.get(timeout=10) == "waits"
        close(descriptor)

    def use():
        drive(open_store(f"sqlite:///{tmp_path}/llm.db").ledger().reserve(reservation("b")))
        moves.put("has written")

    monkeypatch.setattr(place, "alone", Told)
    monkeypatch.setattr(os, "close", late)
    other = threading.Thread(target=use)
    ledger = open_store(f"sqlite:///{tmp_path}/llm.db").ledger()
    drive(ledger.reserve(reservation("a")))
    other.join()
    assert moves.get_nowait() == "has written"
    ledger.close()
