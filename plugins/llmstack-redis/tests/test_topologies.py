"""Socket files, TLS, sentinels and clusters: each by its URL, in sync and async programs."""

import contextlib
import shutil
import socket
import subprocess
import time

import anyio
import pytest
import redis.exceptions
import trustme

from llmstack.errors import StoreError
from llmstack.stores import Entry


def entry(value=b"{}"):
    """An entry of now."""
    now = time.time()
    return Entry(value, now, now + 50, now + 100)


async def works(books, do):
    """The cache and the ledger."""
    entries = {f"key {i}": entry(str(i).encode()) for i in range(60)}
    await do(books.cache.set(entries, tenant="tenant"))
    assert await do(books.cache.get(list(entries))) == list(entries.values())
    assert (await do(books.cache.stats())).entries == 60
    assert await do(books.cache.delete(["key 0", "none"])) == 1
    assert await do(books.cache.purge("tenant")) == 59
    await do(books.cache.set({"again": entry()}, tenant=""))
    assert await do(books.cache.purge()) == 1
    assert await do(books.cache.lease("key", "me", 30.0))
    await do(books.cache.unlease("key", "me"))
    await do(books.ledger.reserve(books.reservation("one")))
    await do(books.ledger.settle("one", [7], books.record("one")))
    (balance,) = await do(books.ledger.spent([books.bucket]))
    assert (balance.spent, balance.held) == (7, 0)
    assert [row.id for row in await do(books.ledger.history())] == ["one"]
    assert await do(books.ledger.prune(books.now + 1)) == 1
    await books.store.aclose()


async def test_a_socket_file_at_which_nobody_answers(open_books, tmp_path, do):
    """All that may wait there do already; or there is nobody at all."""
    path = tmp_path / "redis.sock"
    books = open_books(f"redis+unix://{path}", timeout=0.1)
    with pytest.raises(StoreError, match="cannot be reached"):
        await do(books.cache.get(["key"]))
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(str(path))
        listener.listen(0)
        other.connect(str(path))
        with pytest.raises(StoreError, match=r"did not answer in time|cannot be reached"):  # as the system has it
            await do(books.cache.get(["key"]))


async def test_a_socket_file(make_server, open_books, do, tmp_path):
    """In another database."""
    server = make_server("--unixsocket", str(tmp_path / "redis.sock"))
    await works(open_books(f"redis+unix://{tmp_path}/redis.sock?db=3"), do)
    with server.admin(db=3) as admin:
        assert admin.dbsize() > 0
    server.stop()


@pytest.fixture(scope="module")
def secured(make_server, free_port, tmp_path_factory):
    """A server that speaks TLS, and the options to trust it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    port = free_port()
    files = {"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-ca-cert-file": "ca.pem"}
    options = [part for name, file in files.items() for part in (f"--{name}", str(folder / file))]
    make_server("--tls-port", str(port), "--tls-auth-clients", "no", *options)
    return port, f"?ssl_ca_certs={folder / 'ca.pem'}"


async def test_tls(secured, open_books, do):
    """With an authority of one's own."""
    port, options = secured
    await works(open_books(f"rediss://localhost:{port}/0{options}", timeout=5), do)


async def test_a_server_that_is_not_to_be_trusted(secured, open_books, do):
    """Its certificate is of an authority that nobody knows."""
    port, _ = secured
    books = open_books(f"rediss://localhost:{port}/0", timeout=5)
    with pytest.raises(StoreError, match=r"its certificate is not trusted"):
        await do(books.cache.get(["key"]))


async def test_tls_where_none_is_spoken(server, open_books, do):
    """It ends in time."""
    books = open_books(f"rediss://localhost:{server.port}/0", timeout=0.2)
    with pytest.raises(StoreError, match=r"cannot be reached|in time"):
        await do(books.cache.get(["key"]))


@pytest.fixture(scope="module")
def sentinel(make_server, free_port, tmp_path_factory):
    """A master with a password, and a sentinel that knows it."""
    master = make_server("--requirepass", "right")
    folder = tmp_path_factory.mktemp("sentinel")
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass sesame\n"
        f"sentinel monitor main 127.0.0.1 {master.port} 1\nsentinel auth-pass main right\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(shutil.which("redis-server")), str(config), "--sentinel"], stdout=log, stderr=log
        )
    for _ in range(250):
        with contextlib.suppress(redis.exceptions.RedisError), redis.Redis(port=port, password="sesame") as admin:
            if admin.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"):
                break
        time.sleep(0.02)
    yield port
    process.kill()
    process.wait(10)


async def test_a_master_that_a_sentinel_names(sentinel, open_books, do):
    """Both have passwords; the first sentinel is down."""
    url = f"redis+sentinel://:right@127.0.0.1:1,127.0.0.1:{sentinel}/main/1?sentinel_password=sesame"
    await works(open_books(url, timeout=5), do)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1/main", "the sentinels name no master"),
        ("127.0.0.1:{port}/other?sentinel_password=sesame", "the sentinels name no master"),
        ("127.0.0.1:{port}/main?sentinel_password=sesame", "password"),
    ],
)
async def test_sentinels_that_cannot_help(sentinel, open_books, do, address, words):
    """None is there, none knows the name, or the master wants a password."""
    books = open_books(f"redis+sentinel://{address.format(port=sentinel)}", timeout=1)
    with pytest.raises(StoreError, match=words):
        await do(books.ledger.spent([books.bucket]))


@pytest.fixture(scope="module")
def cluster(make_server, free_port):
    """Two masters, which share the slots between them."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    buses = [free_port(), free_port()]  # by itself it takes a port that may be none: Redis's own and 10,000
    servers = [make_server(*options, "--cluster-port", str(bus)) for bus in buses]
    with servers[0].admin() as first, servers[1].admin() as second:
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8000)
        second.execute_command("CLUSTER", "ADDSLOTSRANGE", 8001, 16383)
        second.execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
        first.execute_command("CLUSTER", "MEET", "127.0.0.1", servers[1].port, buses[1])
        states = []
        for _ in range(500):
            states = [admin.execute_command("CLUSTER", "INFO") for admin in (first, second)]
            if all(b"cluster_state:ok" in state for state in states):
                break
            time.sleep(0.02)
        else:
            raise AssertionError(states)
    return servers


async def test_a_cluster(cluster, open_books, do):
    """Of two nodes: the cache is spread over both, the ledger is at one."""
    first, second = cluster
    books = open_books(f"redis+cluster://127.0.0.1:1,127.0.0.1:{first.port}", timeout=5)
    await works(books, do)
    await do(books.cache.set({f"key {i}": entry() for i in range(50)}, tenant="t"))
    sizes = []
    for each in (first, second):
        with each.admin() as admin:
            sizes.append(len(admin.keys(books.cached("*"))))
    assert sum(sizes) == 50
    assert min(sizes) > 0


async def test_a_cluster_that_is_not_there(open_books, do):
    """It ends in time, and says so."""
    books = open_books("redis+cluster://127.0.0.1:1", timeout=0.3)
    with pytest.raises(StoreError, match=r"the Redis cluster cannot be used|cannot be reached"):
        await do(books.cache.get(["key"]))


async def test_a_cluster_that_hangs(cluster, open_books, do):
    """And is used again when it does not."""
    books = open_books(f"redis+cluster://127.0.0.1:{cluster[0].port}", timeout=0.5)
    await do(books.ledger.reserve(books.reservation("one")))
    with cluster[0].hung(), cluster[1].hung(), pytest.raises(StoreError, match=r"in time|cannot be"):
        await do(books.ledger.spent([books.bucket]))
    for _ in range(100):
        with contextlib.suppress(StoreError):
            assert (await do(books.ledger.spent([books.bucket])))[0].held == 10
            return
        await anyio.sleep(0.05)
    raise AssertionError("it is not used again")
