"""What importing costs, beyond starting the interpreter: each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.table import Table, interleaved, middle

TARGET = 80.0
"""Milliseconds that `import llmstack` may take."""

HELP = """
import sys
from llmstack.cli import main
sys.argv = ["llmstack", "--help"]
try:
    main()
except SystemExit:
    pass
"""

STATEMENTS = {
    "import llmstack": "import llmstack",
    "from llmstack import hookimpl": "from llmstack import hookimpl",
    "from llmstack import Stack": "from llmstack import Stack",
    "from llmstack import OpenAI": "from llmstack import OpenAI",
    "import openai (for comparison)": "import openai",
    "llmstack --help": HELP,
}


def milliseconds(statement: str) -> float:
    """What a statement takes in a fresh interpreter, as measured in there."""
    code = (
        "import time; started = time.perf_counter()\n"
        f"{statement}\n"
        "import sys; print((time.perf_counter() - started) * 1e3, file=sys.stderr)"
    )
    # Our own statements and this interpreter: nothing here comes from outside.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return float(done.stderr)


def measure(scale: float = 1.0) -> Table:
    works = {name: partial(milliseconds, statement) for name, statement in STATEMENTS.items()}
    found = interleaved(works, rounds=max(3, int(15 * scale)))
    rows = [[name, middle(values), min(values)] for name, values in found.items()]
    took = middle(found["import llmstack"])
    verdict = "met" if took < TARGET else "MISSED"
    notes = [f"`import llmstack` takes {took:.1f} ms; the target of {TARGET:.0f} ms is {verdict}."]
    return Table("Imports: ms beyond the interpreter", ["statement", "median", "min"], rows, notes)
