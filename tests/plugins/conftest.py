"""Config files, and packages that offer plugins: real files, found the way installed packages are."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoints
from pathlib import Path
from textwrap import dedent

import pytest

from llmstack._plugins import discovery

Write = Callable[[str], Path]
Install = Callable[..., None]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables of ours."""
    for name in list(os.environ):
        if name.startswith("LLMSTACK_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the plugin that is there to be copied: it is installed where it is tested."""
    found = discovery.entry_points

    def fewer(*, group: str) -> EntryPoints:
        return EntryPoints(
            point for point in found(group=group) if point.dist is None or point.dist.name != "llmstack-example"
        )

    monkeypatch.setattr(discovery, "entry_points", fewer)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the config file ``llmstack.toml`` of the working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def written(text: str) -> Path:
        path = Path("llmstack.toml")
        path.write_text(dedent(text), encoding="utf-8")
        path.chmod(0o644)
        return path

    return written


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution: one module, and the entry points that name what is in it."""
    modules: list[str] = []

    def installed(
        distribution: str, code: str, *, version: str = "1.2", urls: Mapping[str, str] | None = None, **points: str
    ) -> None:
        site = tmp_path / distribution
        module = distribution.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        links = "".join(f"Project-URL: {label}, {url}\n" for label, url in (urls or {}).items())
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{links}")
        entries = "".join(f"{name.replace('__', '-')} = {module}{value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[llmstack]\n{entries}")
        monkeypatch.syspath_prepend(str(site))
        modules.append(module)

    yield installed
    for module in modules:
        sys.modules.pop(module, None)


ACME = """
    from llmstack import Stage, hookimpl

    class Acme:
        name = "acme"
        stage = Stage.CACHE

        def __init__(self, *, size: int = 1) -> None:
            self.size = size

        @hookimpl
        def llmstack_call(self, call, next):
            return (yield from next(call))
"""
"""A plugin of a third party's."""
