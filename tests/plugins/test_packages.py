"""The separately installable packages in plugins/."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / "plugins").glob("*/pyproject.toml"))
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_what_a_package_depends_on_is_locked_with_the_same_bounds(path):
    """And so its tests, here, are of what its users get: at both ends."""
    needs = tomllib.loads(path.read_text())["project"]["dependencies"]
    ours = [need for need in needs if need.startswith("llmstack-openai")]
    assert ours == ["llmstack-openai>=0.1,<0.2"]
    assert set(needs) - set(ours) <= {*WHOLE["project"]["dependencies"], *WHOLE["dependency-groups"]["plugins"]}


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_a_package_has_what_it_needs_to_be_published(path):
    """Its licence, its description, its marker of types, its tests."""
    folder = path.parent
    project = tomllib.loads(path.read_text())["project"]
    assert (folder / project["readme"]).is_file()
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert list(folder.glob("*/py.typed"))
    assert list(folder.glob("tests/test_*.py"))


def test_there_are_packages():
    """The tests above look at something."""
    assert "llmstack-redis" in {path.parent.name for path in PACKAGES}
