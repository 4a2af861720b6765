"""`llmstack new-plugin`: a package for a plugin, made of the example that ships with llmstack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.padding import Padding
from rich.text import Text

import llmstack
from llmstack import testing
from llmstack._plugins.settings import RESERVED
from llmstack.cli.failure import UsageError
from llmstack.cli.terminal import console
from llmstack.config import discover

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*")
_LEFT_OUT = frozenset({"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", "dist", "LICENSE"})
"""What running the example's tests leaves behind; and its licence, which names its own authors."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What a plugin's package calls things, derived from the plugin's name.

    Attributes:
        name: The plugin's name, such as ``"house-style"``.
    """

    name: str

    @property
    def distribution(self) -> str:
        """The package's name on an index; its folder's, too."""
        return f"llmstack-{self.name}"

    @property
    def module(self) -> str:
        """What is imported."""
        return f"llmstack_{self.name.replace('-', '_')}"

    @property
    def kind(self) -> str:
        """The class."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    def renamed(self, text: str) -> str:
        """A text of the example, about this plugin."""
        note = self.name.replace("-", "_")
        for ours, theirs in (
            ("llmstack-example", self.distribution),
            ("llmstack_example", self.module),
            ("Example", self.kind),
            ("test_example", f"test_{note}"),
            ("call.note(example", f"call.note({note}"),
            ('notes["example"]', f'notes["{note}"]'),
            ("`example`", f"`{note}`"),
            ("example", self.name),
        ):
            text = text.replace(ours, theirs)
        return text


def new_plugin(name: str, directory: Path) -> Path:
    """Make a package.

    Args:
        name: The plugin's name.
        directory: Where its folder is made.

    Returns:
        The folder.

    Raises:
        UsageError: If the name cannot be, or is taken; or if the folder is there already or cannot be written.
    """
    naming = Naming(_checked(name))
    folder = directory / naming.distribution
    if folder.exists():
        raise UsageError(f"{folder} is there already; remove it, or choose another name or --directory")
    written = []
    try:
        for source in sorted(_files(template())):
            target = folder / naming.renamed(source.relative_to(template()).as_posix())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(naming.renamed(source.read_text("utf-8")), encoding="utf-8")
            written.append(target)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror or error}") from error
    _tell(naming, folder, written)
    return folder


def template() -> Path:
    """The folder of the example: in the wheel, or in a checkout, of which an editable install is made."""
    shipped = Path(__file__).with_name("template")
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "plugins" / "llmstack-example"


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _checked(given: str) -> str:
    name = given.removeprefix("llmstack-")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{given!r} is no name for a plugin; write lower case words joined by hyphens: house-style")
    kind = Naming(name).kind
    if name in RESERVED or kind in llmstack.__all__ or kind in testing.__all__:
        raise UsageError(f"{name!r} means something else in llmstack; choose another name, such as my-{name}")
    taken = next((offer for offer in discover() if name in offer.names), None)
    if taken is not None:
        raise UsageError(f"there is a plugin named {name!r} already, from {taken.origin}; choose another name")
    return name


def _tell(naming: Naming, folder: Path, written: list[Path]) -> None:
    out = console()
    out.print(Text.assemble("Made ", (str(folder), "cyan")))
    for path in written:
        out.print(Text(f"   {path.relative_to(folder)}", "dim"))
    out.print("\nInstall it, and see its tests pass:\n")
    # The pip that comes with a Python may be too old for --group.
    installing = ('python -m pip install --upgrade "pip>=25.1"', "python -m pip install --group dev -e .")
    for line in (f"cd {folder}", *installing, "python -m pytest"):
        out.print(Padding(Text(line), (0, 0, 0, 3), expand=False))
    out.print("\nSwitch it on in llmstack.toml:\n")
    for line in (f'plugins = ["{naming.name}", "retry"]', "", f"[{naming.name}]", 'instructions = "Be brief."'):
        out.print(Padding(Text(line), (0, 0, 0, 3), expand=False))
    out.print(f"\nWhat it does is in {naming.module}/__init__.py: change it, and its tests first.")
