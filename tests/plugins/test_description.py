"""What is in a stack, for those who show it."""

from __future__ import annotations

import tenacity

from llmstack import Stack
from llmstack.config import Described, describe
from llmstack.middleware import Cache, Logging, Retry
from tests.plugins.conftest import ACME, Install, Write

KEY = "described-not-a-key"


def test_outermost_first_with_all_that_is_known() -> None:
    """Stage, class, hooks, distribution, options."""
    cache, retry, logging = describe(
        Stack([Cache(60, store=f"redis://:{KEY}@h/0"), Retry(wait=tenacity.wait_fixed(1)), Logging(sample=0.5)])
    )
    assert cache == Described(
        name="cache",
        stage="CACHE",
        kind="llmstack.middleware.cache.Cache",
        hooks=("llmstack_call",),
        package="llmstack-openai",
        version=cache.version,
        options={"ttl": "60", "store": "***"},
    )
    assert cache.version
    assert retry.options == {"wait": "<wait_fixed>"}
    assert (logging.hooks, logging.options) == (("llmstack_event",), {"sample": "0.5"})


def test_a_plugin_of_the_programs_own() -> None:
    """It has no distribution, whatever its name."""

    def retry(call, next):
        return (yield from next(call))

    (found,) = describe(Stack([retry]))
    assert (found.name, found.package, found.version) == ("retry", "", "")
    assert found.kind == f"{__name__}.{retry.__qualname__}"


def test_a_plugin_of_others(write: Write, install: Install) -> None:
    """Where it is documented, and what its config says."""
    install("acme-plugins", ACME, acme=":Acme", urls={"Homepage": "https://example.com/acme"})
    (found,) = describe(Stack.from_config(write('plugins = ["acme"]\n[acme]\nsize = 4')))
    assert found == Described(
        name="acme",
        stage="CACHE",
        kind="acme_plugins.Acme",
        hooks=("llmstack_call",),
        package="acme-plugins",
        version="1.2",
        documentation="https://example.com/acme",
        options={"size": "4"},
    )


def test_a_module(install: Install, write: Write) -> None:
    """Its name is its kind."""
    code = "from llmstack import hookimpl\nname = 'acme'\n@hookimpl\ndef llmstack_event(event): pass"
    install("acme-plugins", code, acme="")
    (found,) = describe(Stack.from_config(write('plugins = ["acme"]')))
    assert (found.kind, found.package, found.hooks) == ("acme_plugins", "acme-plugins", ("llmstack_event",))
