"""No framework goes untested, in an environment where it can be."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.frameworks.environment import FRAMEWORKS, Framework

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.lock", "requirements-lowest.lock"]


def pinned(lock: str, package: str) -> str:
    """The version in a lock; empty if it has none."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=str)
def test_each_is_in_the_lock_that_it_fits(framework: Framework) -> None:
    """And there is one."""
    fitting = [lock for lock in LOCKS if framework.fits(pinned(lock, framework.bound.name))]
    assert [lock for lock in LOCKS if pinned(lock, framework.name)] == fitting
    assert len(fitting) == 1


@pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=str)
def test_each_is_installed_where_it_fits(framework: Framework) -> None:
    """Its tests are left out elsewhere only."""
    if not framework.fits_here:
        pytest.skip(f"{framework} is tested with the other lock, which has {framework.bound}")
    import_module(framework.module)


def test_each_has_its_tests() -> None:
    """The table is that of the files."""
    here = Path(__file__)
    files = {path.name for path in here.parent.glob("test_*.py")} - {here.name}
    assert files == set(FRAMEWORKS)
