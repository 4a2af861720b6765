"""Compare llmstack with the bare SDK: `python -m benchmarks.run [cases] [--quick] [--json FILE] [--markdown FILE]`.

A server with prepared answers runs on one core, the clients on another, each in a process of its own. They take turns
in every round, so that what disturbs the machine disturbs all of them; a ratio is between two neighbours in a round.
What counts is CPU time, not the clock's: it does not matter who else uses the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.case import CASES, Case
from benchmarks.subject import ALONE, BARE, BARE_AIOHTTP, EMPTY, REDIS, SMALL, SQLITE, STORES, SUBJECTS
from benchmarks.table import Table

WHERE = Path(__file__).parent.parent
LIBRARIES = ("openai", "httpx2", "httpcore2", "pydantic-core", "aiohttp", "sentry-sdk")


class Process:
    """A child that answers each line with a line."""

    def __init__(self, stack: ExitStack, *command: str) -> None:
        # Our own modules and this interpreter: nothing here comes from outside.
        self._process = stack.enter_context(
            subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=WHERE
            )
        )
        assert self._process.stdin is not None
        stack.callback(self._process.stdin.close)

    def read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a measured process has ended; see its error above")
        return line.strip()

    def ask(self, what: str) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return float(self.read())


@contextmanager
def processes() -> Generator[dict[str, Process], None, None]:
    """The server and everyone who is measured, started; the server on the last core, all others on the first."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pinned = ([str(cores[-1])], [str(cores[0])]) if len(cores) > 1 else ([], [])
    with ExitStack() as stack:
        url = f"http://127.0.0.1:{Process(stack, 'benchmarks.server', *pinned[0]).read()}"
        os.environ[STORES[SQLITE]] = f"sqlite:///{stack.enter_context(TemporaryDirectory())}/cache.db"
        os.environ[STORES[REDIS]] = redis(stack)
        names = [name for name in SUBJECTS if os.environ.get(STORES.get(name, ""), url)]
        yield {name: Process(stack, "benchmarks.worker", name, url, *pinned[1]) for name in names}


def redis(stack: ExitStack) -> str:
    """A Redis of our own; its URL, empty if there is no server to start."""
    command = shutil.which("redis-server")
    if command is None:
        return ""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = stack.enter_context(
        subprocess.Popen([command, "--port", str(port), "--save", "", "--daemonize", "no"], stdout=subprocess.DEVNULL)  # noqa: S603
    )
    stack.callback(process.terminate)
    return f"redis://127.0.0.1:{port}/0"


def measured(workers: dict[str, Process], case: Case, rounds: int) -> list[dict[str, Any]]:
    names = [name for name in case.who if name in workers]
    for name in names:  # once for the caches and the connections
        workers[name].ask(case.name)
    found: dict[str, list[float]] = {name: [] for name in names}
    for i in range(max(1, rounds // 3) if case.paced else rounds):
        for k in range(len(names)):
            name = names[(i + k) % len(names)]
            found[name].append(workers[name].ask(case.name))
    return [_row(case, name, values, found[BARE]) for name, values in found.items()] if names[1:] else []


def _row(case: Case, name: str, values: Sequence[float], bare: Sequence[float]) -> dict[str, Any]:
    target = case.target if name == case.who[-1] else case.empty_target if name == EMPTY else None
    return {
        "case": case.name,
        "client": name,
        "unit": case.unit,
        "median": median(values),
        "min": min(values),
        "max": max(values),
        "ratio": median([value / base for value, base in zip(values, bare, strict=True)]),
        "target": target,
    }


def grown(workers: dict[str, Process], calls: int, streams: int) -> list[dict[str, Any]]:
    found = {name: workers[name].ask(f"growth {calls} {streams}") for name in (EMPTY, SMALL)}
    return [{"client": name, "calls": calls, "streams": streams, "blocks": int(n)} for name, n in found.items()]


def imported(rounds: int) -> list[dict[str, Any]]:
    from benchmarks.imports import milliseconds

    statements = ("import openai", "import llmstack", "from llmstack import OpenAI")
    found = {statement: [milliseconds(statement) for _ in range(rounds)] for statement in statements}
    return [{"statement": name, "median": median(took), "min": min(took)} for name, took in found.items()]


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0] if lines else model
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, {libraries}"


def summary(cases: Sequence[dict[str, Any]]) -> Table:
    """A row for each case: what the bare SDK takes, and of that the share of each of ours."""
    rows: dict[str, list[Any]] = {}
    for one in cases:
        name = f"{one['case']}, a {one['unit']}"
        row = rows.setdefault(name, [name, "", "", "", "", "", ""])
        if one["client"] == BARE:
            row[1] = one["median"]
        elif one["client"] == BARE_AIOHTTP:
            row[2] = one["ratio"]
        elif one["client"] in (EMPTY, ALONE):
            row[3 if one["client"] == EMPTY else 4] = one["ratio"]
        else:
            row[5], row[6] = one["ratio"], "" if one["target"] is None else one["target"]
    columns = ["case", "openai, µs", BARE_AIOHTTP, EMPTY, "plugins", "plugins and Sentry's integrations", "aim"]
    return Table("CPU, as a share of bare openai", columns, list(rows.values()))


def markdown(found: dict[str, Any]) -> str:
    columns = ["case", "client", "median", "min", "max", "ratio", "at most"]
    rows = [
        [f"{row['case']} (µs a {row['unit']})", row["client"], row["median"], row["min"], row["max"], row["ratio"],
         "" if row["target"] is None else row["target"]]
        for row in found["cases"]
    ]  # fmt: skip
    tables = [summary(found["cases"]).markdown(), Table("CPU", columns, rows).markdown()]
    if found["growth"]:
        rows = [[f"{row['client']}: {row['calls']} calls, {row['streams']} streams", row["blocks"]]
                for row in found["growth"]]  # fmt: skip
        tables.append(Table("Memory held afterwards", ["client", "blocks more"], rows).markdown())
    if found["imports"]:
        rows = [[row["statement"], row["median"], row["min"]] for row in found["imports"]]
        tables.append(Table("Import", ["statement", "median ms", "min ms"], rows).markdown())
    return f"{found['machine']}. {found['at']}, {found['rounds']} rounds.\n\n" + "\n".join(tables)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Compare llmstack with the bare SDK.")
    parser.add_argument("cases", nargs="*", help="words of the names of the cases wanted; all if none is given")
    parser.add_argument("--rounds", type=int, default=15, help="a third of them where streams are paced")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--markdown", type=Path, help="file for the tables")
    parser.add_argument("--quick", action="store_true", help="3 rounds, and no memory: only to see that it works")
    given = parser.parse_args()
    rounds = 3 if given.quick else given.rounds
    cases = [case for case in CASES if not given.cases or any(word in case.name for word in given.cases)]
    found: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).date().isoformat(), "rounds": rounds}
    found |= {"cases": [], "growth": [], "imports": []}
    with processes() as workers:
        for case in cases:
            found["cases"] += measured(workers, case, rounds)
            for row in found["cases"][-len(case.who) :]:
                if row["case"] == case.name:
                    print(f"{row['case']:32} {row['client']:28} {row['median']:9.1f} {row['ratio']:6.2f}", flush=True)
        if not (given.cases or given.quick):
            found["growth"] = grown(workers, 20_000, 2_000)
    if not given.cases:
        found["imports"] = imported(5)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    text = markdown(found)
    if given.markdown:
        given.markdown.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
