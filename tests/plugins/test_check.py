"""A config checked without raising."""

from __future__ import annotations

from llmstack.config import check
from tests.plugins.conftest import ACME, Install, Write


def test_a_good_one(write: Write) -> None:
    """Its stack is at hand."""
    found = check(write('plugins = ["retry"]'))
    assert found.good
    assert found.stack is not None
    assert list(found.stack.plugins) == ["retry"]


def test_all_that_is_wrong(write: Write) -> None:
    """One by one; there is no stack."""
    found = check(write('plugins = ["retry"]\n[retry]\natempts = 1\ndeadline = "x"\n'))
    assert [str(error).partition(" must")[0] for error in found.errors] == [
        "llmstack.toml:3: [retry] has no option 'atempts'; did you mean 'attempts'? [plugin 'retry']",
        "llmstack.toml:4: [retry] deadline",
    ]
    assert (found.stack, found.good) == (None, False)
    found = check("none.toml", profile="prod")
    assert [str(error) for error in found.errors] == [
        "cannot read the config file none.toml: No such file or directory"
    ]


def test_what_is_left_out(write: Write, install: Install) -> None:
    """A broken one is worth a warning, a blocked one is not."""
    install("acme-plugins", ACME, acme=":Acme")
    install("broken-plugins", "import nothing_of_this_name", broken=":Broken")
    found = check(write('plugins = "auto"\nblock = ["acme"]\n[profile.x]\n'), profile="x")
    why = "plugin 'broken' from broken-plugins 1.2 cannot be imported: ModuleNotFoundError: No module named "
    assert found.warnings == (f"llmstack.toml: left out: {why}'nothing_of_this_name'",)
    skipped = {(skipped.name, skipped.broken) for skipped in found.skipped}
    assert skipped == {("acme", False), ("broken", True), ("route", False)}
    assert not found.good
    assert found.stack is not None


def test_a_store_that_nobody_offers(write: Write) -> None:
    """It is found when the stack is built."""
    found = check(write('plugins = ["cache"]\n[cache]\nstore = "acme://host"'))
    said = "no plugin offers stores at acme://; known: memory://, sqlite://; is a package missing?"
    assert [str(error) for error in found.errors] == [f"llmstack.toml:2: [cache]: {said} [plugin 'cache']"]
