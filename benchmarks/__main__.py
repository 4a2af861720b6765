"""Run benchmarks: `python -m benchmarks [names] [--json] [--quick]`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import platform
import sys

import benchmarks

QUICK = 0.1


def available() -> list[str]:
    """The modules here that measure something."""
    names = (module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_"))
    return [name for name in names if hasattr(importlib.import_module(f"benchmarks.{name}"), "measure")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what a call costs.")
    parser.add_argument("names", nargs="*", help=f"which ones: {', '.join(available())}; all if none is named")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds: only to see that it works")
    given = parser.parse_args()
    if unknown := set(given.names) - set(available()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(available())}")
    found = {}
    for name in given.names or available():
        print(f"{name} ...", file=sys.stderr, flush=True)
        table = importlib.import_module(f"benchmarks.{name}").measure(QUICK if given.quick else 1.0)
        found[name] = table.json()
        if not given.json:
            print(table.markdown(), end="\n\n", flush=True)
    if given.json:
        print(json.dumps({"python": platform.python_version(), "machine": platform.machine(), **found}, indent=2))


main()
