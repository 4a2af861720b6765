"""Benchmarks: what a call costs. `python -m benchmarks` runs them all; see `python -m benchmarks --help`.

Each module with a function `measure(scale)` is one: it returns a `Table`. `scale` multiplies the number of rounds.
"""
