"""The public names."""

import subprocess
import sys

import pytest

import llmstack


def test_all_is_sorted_and_everything_in_it_exists():
    """Lazy names resolve."""
    assert llmstack.__all__ == sorted(llmstack.__all__)
    for name in llmstack.__all__:
        assert getattr(llmstack, name) is not None
    assert set(dir(llmstack)) == set(llmstack.__all__)


def test_an_unknown_name_is_an_attribute_error():
    """As for any module."""
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = llmstack.Nonsense  # type: ignore[attr-defined]


def test_importing_llmstack_imports_no_sdk():
    """It is cheap to import where it is not used."""
    heavy = "('openai', 'httpx2', 'pydantic', 'asyncio', 'pluggy')"
    code = f"import sys, llmstack; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
