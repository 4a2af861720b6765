"""Real Redis servers, in temporary folders, and what lies between them and a program."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from llmstack.effects import adrive, drive
from llmstack.stores import Bucket, Charge, Record, Reservation
from llmstack_redis import open_redis

_SERVER = shutil.which("redis-server")
_numbers = itertools.count()


_AGE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local left = redis.call('PTTL', key)
  if left > tonumber(ARGV[3]) then
    redis.call('PEXPIRE', key, left - ARGV[3])
  elseif left >= 0 then
    redis.call('DEL', key)
  end
end
for _, member in ipairs(redis.call('ZRANGE', ARGV[2], 0, -1)) do
  if member ~= '' then redis.call('ZINCRBY', ARGV[2], -ARGV[3], member) end
end
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def free_port():
    """Gives ports of this machine that nobody uses."""
    return _free_port


class Server:
    """A redis-server of the test's own, on a free port of this machine."""

    def __init__(self, folder, *options):
        self.folder, self.options = folder, options
        self.port = _free_port()
        self.process: Any = None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        fixed = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder), "--save", "")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(_SERVER), *fixed, *self.options], stdout=log, stderr=log)
        self.wait()

    def wait(self):
        for _ in range(500):
            if self.process.poll() is not None:
                break
            with contextlib.suppress(redis.exceptions.RedisError, OSError), self.admin() as admin:
                with contextlib.suppress(redis.exceptions.AuthenticationError):  # it wants a password: it is there
                    admin.ping()
                return
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def admin(self, **options):
        """A client of the test's own."""
        return redis.Redis(port=self.port, protocol=2, retry=Retry(NoBackoff(), 0), **options)

    def stop(self):
        """End it at once: what is not on disk is gone."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def restart(self):
        self.stop()
        self.start()

    def age(self, prefix, seconds):
        """Let time pass for what is kept under a prefix: whatever ends there ends so much sooner."""
        with self.admin() as admin:
            admin.eval(_AGE, 0, f"{prefix}:*", f"{{{prefix}:ledger}}:leases", int(seconds * 1000))

    @contextlib.contextmanager
    def hung(self):
        """Stopped in its tracks: connections are taken by the system, and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


class Proxy:
    """Passes on what programs say to Redis, and as many of its replies as the test lets through."""

    def __init__(self, port):
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lose = 0
        self.drip = 0.0
        self.heard = []
        self._greets = {}
        self._open = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def commands(self, word):
        """How often a word went to Redis."""
        return b"".join(self.heard).count(word)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += (near, far)
                for source, sink, back in ((near, far, False), (far, near, True)):
                    thread = threading.Thread(target=self._pass, args=(source, sink, back))
                    self._threads.append(thread)
                    thread.start()

    def _pass(self, source, sink, back):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not back:
                    self.heard.append(data)
                    self._greets[sink] = b"CLIENT" in data
                elif self.lose and not self._greets.get(source):
                    self.lose -= 1
                    continue
                for piece in [data[i : i + 1] for i in range(len(data))] if back and self.drip else [data]:
                    time.sleep(self.drip if back else 0)
                    sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join(5)


class Books:
    """One account, and what a test does with it, from a sync program or an async one."""

    def __init__(self, url, **options):
        whole = with_options(url, **options)
        self.prefix = parse_qs(urlsplit(whole).query)["prefix"][0]
        self.store = open_redis(whole)
        self.ledger, self.cache = self.store.ledger(), self.store.cache()
        self.now = int(time.time())
        self.bucket = Bucket("usd/day", self.now - 1000)

    def kept(self, part):
        """One of the ledger's keys in Redis."""
        return f"{{{self.prefix}:ledger}}:{part}"

    def cached(self, key, part="cache"):
        """A key of the cache in Redis."""
        return f"{self.prefix}:{part}:{key}"

    def record(self, key, *, at=None, **more):
        return Record(id=key, call="call", at=self.now if at is None else at, endpoint="chat.completions", **more)

    def charge(self, amount=10, limit: int | None = 100, **more):
        fields: dict[str, Any] = {"bucket": self.bucket, "slice": self.bucket.since, "keep_until": self.now + 1000}
        return Charge(limit=limit, amount=amount, **{**fields, **more})

    def reservation(self, key, amount=10, limit=100, *, lease=60.0, sent=False):
        record = self.record(key, reserved=amount)
        return Reservation(key, (self.charge(amount, limit),), lease, record, sent=sent)

    def reserve(self, key, *rest, **more):
        return drive(self.ledger.reserve(self.reservation(key, *rest, **more)))

    def settle(self, key, amount, **more):
        return drive(self.ledger.settle(key, [amount], self.record(key, cost=amount, **more)))

    async def areserve(self, key, *rest, **more):
        return await adrive(self.ledger.reserve(self.reservation(key, *rest, **more)))

    async def asettle(self, key, amount, **more):
        return await adrive(self.ledger.settle(key, [amount], self.record(key, cost=amount, **more)))

    def spent(self):
        (balance,) = drive(self.ledger.spent([self.bucket]))
        return balance.spent, balance.held


def with_options(url, **options):
    """The URL with options."""
    more = "&".join(f"{name}={value}" for name, value in options.items())
    return f"{url}{'&' if '?' in url else '?'}{more}" if more else url


def _new_prefix():
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture(scope="session")
def new_prefix():
    """Gives prefixes that nobody has used."""
    return _new_prefix


@pytest.fixture(scope="session")
def make_server(tmp_path_factory):
    """Starts servers, and ends them with the tests."""
    if _SERVER is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed (on Debian and Ubuntu: apt-get install redis-server)")
    with contextlib.ExitStack() as stack:

        def make(*options):
            server = Server(tmp_path_factory.mktemp("redis"), *options)
            stack.callback(server.stop)
            server.start()
            return server

        yield make


@pytest.fixture(scope="session")
def server(make_server):
    """The server that all tests share; nobody does it harm."""
    return make_server()


@pytest.fixture
def own_server(make_server):
    """A server that this test may do harm to."""
    server = make_server()
    yield server
    server.stop()


@pytest.fixture
def proxy(server):
    """A lossy way to the shared server."""
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def url(server):
    """A URL under which nothing is kept yet."""
    return with_options(server.url, prefix=_new_prefix())


@pytest.fixture
def open_books():
    """Opens accounts under a URL; they are closed after the test. Options as by `Books`."""
    opened = []

    def open_(url, **options):
        if "prefix=" not in url:
            options.setdefault("prefix", _new_prefix())
        options.setdefault("timeout", 10)  # of a busy machine; what a test says of time it says by itself
        opened.append(Books(url, **options))
        return opened[-1]

    yield open_
    for books in opened:
        books.store.close()


@pytest.fixture
def books(url, open_books):
    """Accounts in the shared server."""
    return open_books(url)


@pytest.fixture(params=["sync", "async"])
def do(request):
    """Runs a flow, in a sync program or an async one."""
    if request.param == "async":
        return adrive

    async def at_once(flow):
        return drive(flow)

    return at_once


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """No thread is left after a test."""
    before = set(threading.enumerate())
    yield
    # trio and anyio keep their worker threads for the next.
    kept = ("Trio", "AnyIO", "asyncio_")
    left = [t for t in threading.enumerate() if t not in before and not t.name.startswith(kept)]
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []
