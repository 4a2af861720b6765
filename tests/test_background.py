"""Background: jobs done later, which whoever hands them over never waits for."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from contextvars import ContextVar

import anyio
import pytest

from llmstack.background import Background


@pytest.fixture
def gate():
    """What a job may block on; released at the end."""
    event = threading.Event()
    yield event
    event.set()


def run(program, *arguments, timeout=60):
    """Run a program in a process of its own; what it printed and how long it took."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), time.monotonic() - started, done.stderr


def test_jobs_are_done_in_order_in_one_other_thread():
    """By a thread of the given name, one after the other."""
    background, done = Background("acme"), []
    for number in range(200):
        assert background.submit(lambda number=number: done.append((number, threading.current_thread().name)))
    assert background.flush()
    assert done == [(number, "acme") for number in range(200)]


def test_the_thread_ends_by_itself_and_another_begins():
    """It lives only while there is work."""
    background, threads = Background("acme"), []
    for _ in range(2):
        background.submit(lambda: threads.append(threading.current_thread()))
        assert background.flush()
        threads[-1].join(5.0)
        assert not threads[-1].is_alive()
        assert background.idle
    assert threads[0] is not threads[1]


def test_a_thread_that_ended_too_early_is_followed_by_one_that_waits_longer(monkeypatch):
    """It sleeps until it is woken by the next job, or by the end of it all."""
    background, threads = Background("acme"), []

    def work():
        background.submit(lambda: threads.append(threading.current_thread()))
        assert background.flush()

    monkeypatch.setattr("llmstack.background.LINGER", 0.0)
    work()
    threads[0].join(5.0)
    monkeypatch.setattr("llmstack.background.LONG_LINGER", 3600.0)
    for _ in range(20):
        work()
    assert threads[0] is not threads[1]
    assert set(threads[1:]) == {threads[1]}
    assert background.close()
    threads[1].join(5.0)
    assert not threads[1].is_alive()


def test_no_thread_is_started_without_a_job():
    """Not by making one, nor by waiting for it."""
    before = threading.active_count()
    background = Background("acme")
    assert background.flush()
    assert background.close()
    assert threading.active_count() == before


def test_a_job_sees_the_context_of_whoever_handed_it_over():
    """Its context variables, as they were then."""
    var = ContextVar("var", default="unset")
    background, seen = Background("acme"), []
    for value in ("a", "b"):
        token = var.set(value)
        background.submit(lambda: seen.append(var.get()))
        var.reset(token)
    assert background.flush()
    assert seen == ["a", "b"]


def test_what_comes_beyond_the_capacity_is_dropped_and_counted(gate, caplog):
    """Without waiting; it is told once, when something is done again."""
    background, entered = Background("acme", capacity=3), threading.Event()
    background.submit(lambda: entered.set() or gate.wait())
    assert entered.wait(5.0)
    assert [background.submit(lambda: None) for _ in range(5)] == [True, True, True, False, False]
    assert background.dropped == 2
    assert background.flush(timeout=0.01) is False
    gate.set()
    assert background.flush()
    assert background.submit(lambda: None)
    assert background.flush()
    (record,) = caplog.records
    assert "acme: more than 3 waited" in record.getMessage()


def test_a_job_that_raises_is_counted_and_told_once(caplog):
    """By its kind, its masked text and its place; the next jobs are done."""
    background, done = Background("acme"), []

    def fail():
        raise RuntimeError("no sk-other-not-a-key\nhere")

    for _ in range(3):
        background.submit(fail)
    background.submit(lambda: done.append(1))
    assert background.flush()
    assert done == [1]
    assert background.failures == 3
    (record,) = caplog.records
    assert "acme: RuntimeError (" in record.getMessage()
    assert "test_background.py:" in record.getMessage()


def test_a_job_that_exits_ends_neither_thread_nor_program():
    """SystemExit is counted like any other."""
    background, done = Background("acme", on_failure=lambda error: done.append(type(error))), []
    background.submit(sys.exit)
    background.submit(lambda: done.append(1))
    assert background.flush()
    assert done == [SystemExit, 1]


def test_a_broken_report_is_passed_over():
    """What `on_failure` raises, too."""
    background, done = Background("acme", on_failure=lambda error: 1 / 0), []
    background.submit(lambda: 1 / 0)
    background.submit(lambda: done.append(1))
    assert background.flush()
    assert (done, background.failures) == ([1], 1)


def test_a_closed_one_takes_nothing_more():
    """What was handed over before is done."""
    background, done = Background("acme"), []
    background.submit(lambda: done.append(1))
    assert background.close()
    assert background.submit(lambda: done.append(2)) is False
    assert (done, background.dropped) == ([1], 1)


def test_a_job_that_waits_for_itself_is_told_so_at_once():
    """No deadlock."""
    background, answers = Background("acme"), []
    background.submit(lambda: answers.append(background.flush(timeout=60)))
    assert background.flush()
    assert answers == [False]


def test_a_job_may_hand_over_another():
    """From the background thread itself."""
    background, done = Background("acme"), []
    background.submit(lambda: background.submit(lambda: done.append(1)))
    assert background.flush()
    assert background.flush()
    assert done == [1]


def test_many_threads_hand_over_at_once_and_nothing_is_lost_or_done_twice():
    """And exactly one thread serves at a time."""
    background, done, servers = Background("acme"), [], set()

    def hand_over(thread):
        for number in range(300):
            background.submit(
                lambda number=number: (servers.add(threading.get_ident()), done.append((thread, number, len(servers))))
            )

    threads = [threading.Thread(target=hand_over, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert background.flush(timeout=30)
    for thread in range(8):
        assert [number for owner, number, _ in done if owner == thread] == list(range(300))
    assert len(done) == 8 * 300


async def test_it_works_beside_an_event_loop(gate):
    """Handing over takes no time there, whatever the job does."""
    background, done = Background("acme"), []
    background.submit(gate.wait)
    with anyio.fail_after(5):
        for _ in range(100):
            background.submit(lambda: done.append(1))
            await anyio.lowlevel.checkpoint()
        assert done == []
        gate.set()
        assert await anyio.to_thread.run_sync(background.flush)
    assert len(done) == 100


def test_nothing_is_kept_of_a_job_that_is_done():
    """Neither it nor what it holds."""

    class Big:
        pass

    background, big = Background("acme"), Big()
    gone = weakref.ref(big)
    background.submit(lambda big=big: None)
    del big
    assert background.flush()
    gc.collect()
    assert gone() is None


def test_a_capacity_below_one_is_refused():
    """It could hold nothing."""
    with pytest.raises(ValueError, match="capacity must be at least 1 job, not 0"):
        Background("acme", capacity=0)


def test_it_shows_its_counts():
    """And nothing of the jobs."""
    assert repr(Background("acme")) == "<Background 'acme': 0 waiting, 0 dropped, 0 failed>"


def test_what_is_in_flight_at_the_end_of_the_program_is_done():
    """Within its two seconds."""
    printed, _, _ = run(
        "import time; from llmstack.background import Background; background = Background('acme')\n"
        "for n in range(50): background.submit(lambda n=n: (time.sleep(0.005), print(n, flush=True)))\n"
    )
    assert printed == [str(number) for number in range(50)]


def test_a_blocked_job_holds_the_end_of_the_program_up_for_two_seconds_at_most():
    """What could be done before was done; all of them together get two seconds."""
    program = (
        "import threading; from llmstack.background import Background; many = [Background('acme') for _ in range(3)]\n"
        "many[0].submit(lambda: print('before', flush=True)); many[0].flush()\n"
        "for one in many: one.submit(threading.Event().wait); one.submit(lambda: print('never', flush=True))\n"
    )
    printed, seconds, stderr = run(program)
    _, bare, _ = run("import threading; from llmstack.background import Background")
    assert printed == ["before"]
    assert stderr == ""
    assert 1.5 < seconds - bare < 4.0


def test_a_program_that_ends_at_once_is_not_held_up():
    """A thread that waits for more is woken."""
    _, seconds, _ = run("from llmstack.background import Background; Background('acme').submit(print)")
    assert seconds < 1.9  # far from the two seconds


def test_a_job_handed_over_while_the_program_ends_is_done():
    """By a function that runs at exit after ours, such as one that closes open streams."""
    printed, _, _ = run(
        "import atexit\n"
        "atexit.register(lambda: background.submit(lambda: print('late', flush=True)))\n"
        "from llmstack.background import Background\n"
        "background = Background('acme'); background.submit(lambda: print('early', flush=True))\n"
    )
    # The first releases of Python 3.12 start no thread any more at that point.
    assert printed == (["early"] if (3, 12) <= sys.version_info < (3, 12, 2) else ["early", "late"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_begins_with_nothing_and_works():
    """The parent's jobs are done once, by the parent."""
    printed, _, _ = run(
        "import os, sys, threading; from llmstack.background import Background; background = Background('acme', 5)\n"
        "gate, entered = threading.Event(), threading.Event()\n"
        "background.submit(lambda: entered.set() or gate.wait()); entered.wait()\n"
        "for n in range(7): background.submit(lambda n=n: print('parent', n, flush=True))\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    background.submit(lambda: print('child', background.dropped, flush=True)); background.flush()\n"
        "    sys.exit()\n"
        "os.waitpid(pid, 0); gate.set(); background.flush(); print(background.dropped)\n"
    )
    assert " ".join(printed) == "child 0 parent 0 parent 1 parent 2 parent 3 parent 4 2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_job_that_forks_does_not_do_the_other_jobs_in_the_child_too():
    """The child has the job's thread, and nothing more to do in it."""
    printed, _, _ = run(
        "import os; from llmstack.background import Background; background = Background('acme')\n"
        "def fork():\n"
        "    pid = os.fork()\n"
        "    if pid: os.waitpid(pid, 0)\n"
        "    else: print('child', flush=True)\n"
        "background.submit(fork)\n"
        "for n in range(3): background.submit(lambda n=n: print(n, flush=True))\n"
        "background.flush()\n"
    )
    assert printed == ["child", "0", "1", "2"]
