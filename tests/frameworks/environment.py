"""Which of the frameworks are installed where: their bounds decide, see the dependency groups in pyproject.toml.

The newest dependencies are too new for one of them, and the oldest too old for the others. So each is tested with one
of the locks, and a lock without what it could have fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from packaging.requirements import Requirement


@dataclass(frozen=True)
class Framework:
    """One of them.

    Attributes:
        name: Of the package.
        module: What is imported.
        bound: What it asks for, where the two locks differ.
    """

    name: str
    module: str
    bound: Requirement

    def fits(self, installed: str) -> bool:
        """Whether it may be installed beside this version of what it asks for."""
        return self.bound.specifier.contains(installed, prereleases=True)

    @property
    def fits_here(self) -> bool:
        """Whether it is to be tested in this environment."""
        return self.fits(version(self.bound.name))

    def __str__(self) -> str:
        return self.name


FRAMEWORKS = {
    "test_instructor.py": Framework("instructor", "instructor", Requirement("jiter<0.15")),
    # It would take the oldest, too: its dozen packages are in one lock only.
    "test_langchain.py": Framework("langchain-openai", "langchain_openai", Requirement("pydantic>=2.12")),
    "test_agents.py": Framework("openai-agents", "agents", Requirement("pydantic>=2.12.2")),
    "test_pydantic_ai.py": Framework("pydantic-ai-slim", "pydantic_ai", Requirement("pydantic>=2.12")),
}
"""By the file that tests it."""
