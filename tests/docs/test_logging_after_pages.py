"""A page that sets up logging does so for itself alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = """\
```python
import logging

logging.basicConfig(level=logging.CRITICAL, force=True)
logging.getLogger("llmstack").setLevel(logging.CRITICAL)
logging.getLogger("llmstack").addHandler(logging.NullHandler())
logging.getLogger("llmstack").propagate = False
logging.getLogger("acme.new").setLevel(logging.CRITICAL)
```

```python
assert logging.getLogger("llmstack").level == logging.CRITICAL  # the page's next example still has it
```
"""
AFTER = """\
import logging

def test_after():
    ours, new = logging.getLogger("llmstack"), logging.getLogger("acme.new")
    assert logging.root.level == logging.WARNING
    assert (ours.level, ours.propagate, ours.handlers, new.level) == (logging.NOTSET, True, [], logging.NOTSET)
    assert not [handler for handler in logging.root.handlers if type(handler) is logging.StreamHandler]
"""


@pytest.mark.slow
def test_what_follows_a_page_does_not_see_its_logging(tmp_path: Path) -> None:
    """Levels, handlers and propagation are as before; within the page they stay."""
    (tmp_path / "page.md").write_text(PAGE)
    (tmp_path / "test_after.py").write_text(AFTER)
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "page.md", "test_after.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
