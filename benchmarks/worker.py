"""One subject, measured in a process of its own: `python -m benchmarks.worker <subject> <url> [core]`.

It reads the name of a case a line, does a batch of it and answers the microseconds of CPU that a unit of it took, all
threads of this process together. ``growth <calls> <streams>`` is answered with blocks of memory.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
from time import process_time_ns

from benchmarks.case import CASES, Case
from benchmarks.growth import growth
from benchmarks.subject import Subject


def measured(case: Case, subject: Subject, loop: asyncio.Runner) -> float:
    asynchronous = inspect.iscoroutinefunction(case.work)
    gc.collect()
    gc.disable()  # a collection would strike whoever happens to allocate the last object
    started = process_time_ns()
    if asynchronous:
        loop.run(case.work(subject))
    else:
        case.work(subject)
    took = process_time_ns() - started
    gc.enable()
    return took / case.units / 1000


def main(name: str, url: str, core: str = "") -> None:
    if core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core)})
    subject = Subject(name, url)
    cases = {case.name: case for case in CASES}
    with asyncio.Runner() as loop:
        for line in sys.stdin:
            what = line.strip()
            if what.startswith("growth "):
                print(growth(subject, *map(int, what.split()[1:])), flush=True)
            else:
                print(measured(cases[what], subject, loop), flush=True)
        loop.run(subject.close())


if __name__ == "__main__":
    main(*sys.argv[1:])
