"""The core does no I/O and knows no SDK; importing the package loads none."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from llmstack import _core

FORBIDDEN = {"asyncio", "time", "threading", "socket", "httpx2", "httpx", "openai", "logging", "anyio", "trio"}
CORE = sorted(Path(next(iter(_core.__path__))).glob("*.py"))


@pytest.mark.parametrize("file", CORE, ids=lambda file: file.stem)
def test_the_core_is_sans_io(file: Path) -> None:
    """No file of the core imports anything that does I/O, tells the time, logs, or is the SDK."""
    imported = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported & FORBIDDEN == set()


def test_there_is_a_core() -> None:
    """The test above looks at something."""
    assert {"exchange", "passage", "flow", "effects"} <= {file.stem for file in CORE}


def test_importing_the_package_imports_no_sdk() -> None:
    """`import llmstack` is cheap: the SDK and its HTTP client come when a client does."""
    code = "import sys, llmstack; print(*sorted({'openai', 'httpx2', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
