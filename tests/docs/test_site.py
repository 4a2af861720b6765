"""The site has every page, and the reference every public module. `make docs` builds it."""

import pkgutil
import tomllib
from pathlib import Path

import llmstack

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def leaves(entries):
    """The pages of a navigation."""
    for entry in entries:
        for target in entry.values():
            yield from [target] if isinstance(target, str) else leaves(target)


def test_every_page_is_in_the_navigation():
    """Once; and what is in it is a page."""
    site = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    listed = list(leaves(site["nav"]))
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def test_every_public_module_is_in_the_reference():
    """Those whose names begin with no underscore; parts of one are shown with it."""
    public = {f"llmstack.{module.name}" for module in pkgutil.iter_modules(llmstack.__path__)}
    public = {name for name in public if not name.startswith("llmstack._")}
    public -= {"llmstack.cli", "llmstack.clients", "llmstack.stack"}  # a program, and what the façade shows
    pages = {path.stem for path in (DOCS / "api").glob("*.md")} - {"index"}
    assert pages == public | {"llmstack"}
    for name in pages:
        assert f"\n::: {name}\n" in (DOCS / "api" / f"{name}.md").read_text()
        assert f"]({name}.md)" in (DOCS / "api" / "index.md").read_text()
