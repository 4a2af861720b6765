"""Locks that a fork leaves free."""

import os
import threading

import pytest

from llmstack.locks import fork_safe_lock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_never_finds_it_held_by_a_thread_that_it_does_not_have():
    """Who forks waits until it is free."""
    lock = fork_safe_lock()
    held, forking = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            forking.wait(10)

    os.register_at_fork(before=forking.set)  # asked for last, so called first
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.acquire(blocking=False) else 1)
    _, status = os.waitpid(child, 0)
    thread.join()
    assert os.waitstatus_to_exitcode(status) == 0
    assert lock.acquire(blocking=False)
    lock.release()


def test_it_lets_its_own_thread_in_again_and_no_other():
    """As a garbage collector may need."""
    lock = fork_safe_lock()
    found = []
    with lock, lock:
        other = threading.Thread(target=lambda: found.append(lock.acquire(blocking=False)))
        other.start()
        other.join()
    assert found == [False]
