"""Choosing plugins: what a config makes active, and what becomes of the broken ones."""

from __future__ import annotations

import sys
import warnings

import pytest

from llmstack import Stack
from llmstack._plugins.config import read_config
from llmstack.errors import ConfigError, OptionError, OrderError, PluginNotFoundError, RegistrationError
from tests.plugins.conftest import ACME, Install, Write

BUILT_IN = ["validation", "moderation", "cache", "budget", "retry", "logging", "sentry"]


def names(stack: Stack) -> list[str]:
    """What is in a stack; the packages of this repository that happen to be installed left out."""
    return [name for name in stack.plugins if name != "redis"]


def test_auto_activates_all_that_are_installed(write: Write, install: Install) -> None:
    """In the order that they declare; a plugin of several names once."""
    install("acme-plugins", ACME, acme=":Acme", acmes=":Acme")
    with Stack.from_config(write('plugins = "auto"\n[acme]\nsize = 3')) as stack:
        assert names(stack) == ["validation", "moderation", "acme", *BUILT_IN[2:]]
        assert stack.plugins["acme"].size == 3


def test_auto_leaves_alone_what_can_do_nothing_by_itself(write: Write) -> None:
    """But for a table of its options, or its name."""
    said = ("is active where it is named, or has a table [route]", False)
    config = read_config(write('plugins = "auto"\nstrict = true'))
    assert [(skipped.reason, skipped.broken) for skipped in config.skipped] == [said]
    assert "route" in names(Stack.from_config(write('plugins = "auto"\n[route]\ntargets = ["gpt-5"]')))
    with pytest.raises(RegistrationError, match="targets"):
        Stack.from_config(write('plugins = ["route"]'))


def test_installed_alone_is_not_active(write: Write, install: Install) -> None:
    """And is not imported."""
    install("acme-plugins", ACME, acme=":Acme")
    assert names(Stack.from_config(write('plugins = ["retry"]'))) == ["retry"]
    assert "acme_plugins" not in sys.modules


@pytest.mark.parametrize(
    ("code", "target"),
    [
        (ACME, ":Acme"),
        (f"{ACME}\n    acme = Acme(size=2)", ":acme"),
        ("from llmstack import hookimpl\nname = 'acme'\n@hookimpl\ndef llmstack_event(event): pass", ""),
        ("def acme(call, next):\n    return (yield from next(call))", ":acme"),
    ],
    ids=["class", "instance", "module", "function"],
)
def test_a_plugin_is_a_class_an_instance_a_module_or_a_function(
    write: Write, install: Install, code: str, target: str
) -> None:
    """Options are for classes: they are the keywords of the constructor."""
    install("acme-plugins", code, acme=target)
    assert names(Stack.from_config(write('plugins = ["acme"]'))) == ["acme"]
    path = write('plugins = ["acme"]\n[acme]\nsize = 3')
    if target == ":Acme":
        assert Stack.from_config(path).plugins["acme"].size == 3
    else:
        with pytest.raises(OptionError) as caught:
            Stack.from_config(path)
        assert str(caught.value) == ("llmstack.toml:2: [acme] has options, but this plugin takes none [plugin 'acme']")


def test_a_contradiction_names_both(write: Write, install: Install) -> None:
    """When the stack is built."""
    code = (
        "from llmstack import hookimpl\nclass {0}:\n    before = ('{1}',)\n    @hookimpl\n"
        "    def llmstack_event(self, event): pass"
    )
    install("acme-one", code.format("One", "two"), one=":One")
    install("acme-two", code.format("Two", "one"), two=":Two")
    with pytest.raises(OrderError) as caught:
        Stack.from_config(write('plugins = ["one", "two"]'))
    assert str(caught.value) in {
        f"llmstack.toml: plugins of stage OBSERVE contradict each other: {cycle}; drop one of their before/after"
        for cycle in ("'one' -> 'two' -> 'one'", "'two' -> 'one' -> 'two'")
    }


# Allowed and blocked ----------------------------------------------------------------------------------------------


def test_a_block_list_keeps_a_plugin_out(write: Write, install: Install) -> None:
    """Nothing of it is imported; its table may stay where it is."""
    install("acme-plugins", ACME, acme=":Acme")
    config = read_config(write('plugins = ["acme", "retry"]\nblock = ["acme"]\n[acme]\nsize = 3'))
    assert [plugin.name for plugin in config.plugins] == ["retry"]
    assert [(skipped.name, skipped.reason, skipped.broken) for skipped in config.skipped] == [
        ("acme", "is blocked by `block` in llmstack.toml:2", False)
    ]
    assert "acme_plugins" not in sys.modules


def test_an_allow_list_keeps_all_others_out(write: Write, install: Install) -> None:
    """Also where all are asked for."""
    install("acme-plugins", ACME, acme=":Acme")
    assert names(Stack.from_config(write('plugins = "auto"\nallow = ["retry", "logging"]'))) == ["retry", "logging"]
    assert "acme_plugins" not in sys.modules


def test_the_environment_has_the_last_word_and_says_so(
    write: Write, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the program may leave out what its config names; the config's author hears of it."""
    install("acme-plugins", ACME, acme=":Acme")
    monkeypatch.setenv("LLMSTACK_BLOCK", "acme")
    path = write('plugins = ["acme", "retry"]')
    with pytest.warns(UserWarning, match="left out") as told:
        assert names(Stack.from_config(path)) == ["retry"]
    assert [str(warning.message) for warning in told] == [
        "llmstack.toml: left out: plugin 'acme' from acme-plugins 1.2 is blocked by LLMSTACK_BLOCK"
    ]
    write('plugins = "auto"\nallow = ["acme", "retry"]')
    assert names(Stack.from_config(path)) == ["retry"]


def test_the_lists_hold_for_stores_too(write: Write, install: Install) -> None:
    """A URL names a plugin as well."""
    code = "from llmstack import hookimpl\nname = 'acme'\n@hookimpl\ndef llmstack_stores(): return {}"
    install("acme-store", code, acme="")
    for line, why in (
        ('block = ["acme"]', "is blocked by `block` in llmstack.toml:2"),
        ('allow = ["cache"]', "is not among those that `allow` in llmstack.toml:2 allows"),
    ):
        with pytest.raises(ConfigError) as caught:
            Stack.from_config(write(f'plugins = ["cache"]\n{line}\n[cache]\nstore = "acme://host"'))
        assert str(caught.value) == f"llmstack.toml: plugin 'acme' from acme-store 1.2 {why} [plugin 'acme']"
    assert "acme_store" not in sys.modules


# Broken ones ------------------------------------------------------------------------------------------------------

NEEDY = """
    from llmstack import hookimpl

    class Acme:
        def __init__(self, token_file: str):
            pass

        @hookimpl
        def llmstack_event(self, event):
            pass
"""
BROKEN = {
    "import": ("import nothing_of_this_name", "cannot be imported: ModuleNotFoundError: No module named"),
    "needs": (NEEDY, "cannot be made without options: [acme] needs 'token_file', which has no default"),
    "raises": (
        "class Acme:\n    def __init__(self):\n        raise OSError('no such device')",
        "cannot be made: OSError: no such device",
    ),
    "no hook": ("class Acme: pass", "plugin 'acme' (Acme) implements no hook; it needs at least one of llmstack_call"),
    "async": (
        "from llmstack import hookimpl\nclass Acme:\n    @hookimpl\n    async def llmstack_event(self, event): pass",
        "plugin 'acme', hook llmstack_event: it is async, but must be a plain function (def)",
    ),
    "stage": (
        ACME.replace("Stage.CACHE", '"outer"'),
        "plugin 'acme': stage is 'outer', but must be one of OBSERVE, VALIDATE",
    ),
    "name": (
        ACME.replace('"acme"', '"other"'),
        "the plugin that acme-plugins 1.2 offers as 'acme' calls itself 'other': give both the same name",
    ),
    "nothing": ("Acme = 'acme'", "'acme' is no plugin: list instances"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_one_that_is_named_is_an_error(write: Write, install: Install, kind: str) -> None:
    """The program was meant to have it."""
    code, why = BROKEN[kind]
    install("acme-plugins", code, acme=":Acme")
    with pytest.raises(RegistrationError) as caught:
        Stack.from_config(write('plugins = ["acme", "retry"]'))
    assert str(caught.value).startswith("llmstack.toml:1: ")
    assert why in str(caught.value)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_one_that_was_only_found_is_left_out(write: Write, install: Install, kind: str) -> None:
    """With one warning; the others work."""
    code, why = BROKEN[kind]
    install("acme-plugins", code, acme=":Acme")
    path = write('plugins = "auto"')
    with pytest.warns(UserWarning, match="left out") as told, Stack.from_config(path) as stack:
        assert names(stack) == BUILT_IN
    (warning,) = told
    assert str(warning.message).startswith("llmstack.toml: left out: ")
    assert why in str(warning.message)


def test_strict_decides(write: Write, install: Install) -> None:
    """In both directions."""
    install("acme-plugins", "import nothing_of_this_name", acme=":Acme")
    with pytest.raises(RegistrationError) as caught:
        Stack.from_config(write('plugins = "auto"\nstrict = true'))
    broken = "plugin 'acme' from acme-plugins 1.2 cannot be imported: ModuleNotFoundError: No module named "
    assert str(caught.value) == f"llmstack.toml:1: {broken}'nothing_of_this_name' [plugin 'acme']"
    path = write('plugins = ["acme", "retry"]\nstrict = false')
    with pytest.warns(UserWarning, match="left out: plugin 'acme' from acme-plugins 1.2 cannot be imported"):
        assert names(Stack.from_config(path)) == ["retry"]


def test_a_mistake_in_the_file_is_never_skipped(write: Write, install: Install) -> None:
    """It is not the plugin that is broken."""
    install("acme-plugins", ACME, acme=":Acme")
    with pytest.raises(OptionError) as caught:
        Stack.from_config(write('plugins = "auto"\nstrict = false\n[acme]\nsize = "large"'))
    assert str(caught.value) == "llmstack.toml:4: [acme] size must be a whole number, not \"large\" [plugin 'acme']"


def test_two_of_one_name_are_an_error_also_if_found(write: Write, install: Install) -> None:
    """Nobody can tell which was meant. Blocking the name helps."""
    install("acme-plugins", ACME, acme=":Acme")
    install("acme-fork", ACME, acme=":Acme")
    with pytest.raises(RegistrationError, match=r"^llmstack.toml:1: two packages offer a plugin named 'acme': acme-"):
        Stack.from_config(write('plugins = "auto"\nstrict = false'))
    assert names(Stack.from_config(write('plugins = "auto"\nblock = ["acme"]'))) == BUILT_IN


def test_a_name_that_a_config_needs_for_itself(write: Write, install: Install) -> None:
    """Its table would be another's."""
    install("acme-plugins", ACME, transport=":Acme")
    with pytest.raises(RegistrationError) as caught:
        Stack.from_config(write('plugins = ["transport"]'))
    assert str(caught.value) == (
        "llmstack.toml:1: a plugin cannot be called 'transport': a config means something else by it "
        "[plugin 'transport']"
    )


def test_an_unknown_name(write: Write) -> None:
    """Whether strict or not."""
    with pytest.raises(PluginNotFoundError) as caught:
        Stack.from_config(write('strict = false\nplugins = ["retri"]'))
    assert str(caught.value) == (
        "llmstack.toml:2: no installed package offers a plugin named 'retri'; did you mean 'retry'?"
    )


def test_a_plugin_that_cannot_tell_its_transports(write: Write, install: Install) -> None:
    """It is named."""
    code = """
        from llmstack import hookimpl
        name = "acme"

        @hookimpl
        def llmstack_transports():
            raise OSError("no such device")
    """
    install("acme-plugins", code, acme="")
    with pytest.raises(RegistrationError) as caught:
        Stack.from_config(write('plugins = ["acme"]'))
    assert str(caught.value) == (
        "llmstack.toml:1: plugin 'acme' cannot tell which transports it offers: OSError: no such device [plugin 'acme']"
    )


def test_nothing_is_said_when_all_is_well(write: Write) -> None:
    """No warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Stack.from_config(write('plugins = ["retry"]'))
