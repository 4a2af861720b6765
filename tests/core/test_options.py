"""Options: from code, from headers, nested."""

import pytest

import llmstack
from llmstack._core.options import Options, current_options, options_from_headers


def test_options_hold_inside_the_block_only():
    """What was in force before comes back."""
    assert dict(current_options()) == {}
    with llmstack.options(tenant="acme", deadline=20):
        assert current_options().tenant == "acme"
        assert current_options().deadline == 20.0
    assert dict(current_options()) == {}


def test_inner_options_win_and_tags_merge():
    """Blocks nest."""
    with llmstack.options(tenant="acme", tags={"team": "search", "env": "prod"}, cache="off"):
        with llmstack.options(tenant="beta", tags={"env": "dev"}):
            options = current_options()
            assert options.tenant == "beta"
            assert options.tags == {"team": "search", "env": "dev"}
            assert options["cache"] == "off"
        assert current_options().tags == {"team": "search", "env": "prod"}


def test_one_block_object_may_be_entered_twice():
    """Each exit undoes its own entry."""
    block = llmstack.options(tenant="acme")
    with block, block:
        assert current_options().tenant == "acme"
    assert current_options().tenant is None


def test_headers_give_options():
    """Names in any case, tags as a list, a deadline as a number."""
    found = options_from_headers(
        {
            "X-LLMStack-Tags": "team=search, env = prod,",
            "x-llmstack-deadline": "2.5",
            "x-llmstack-cache": "refresh",
            "x-other": "1",
        }
    )
    assert found == {"tags": {"team": "search", "env": "prod"}, "deadline": 2.5, "cache": "refresh"}


@pytest.mark.parametrize("deadline", [0, -1, "soon", float("nan"), float("inf"), None])
def test_a_deadline_that_is_none_is_refused(deadline):
    """A deadline is a positive number of seconds."""
    with pytest.raises(ValueError, match="deadline must be a number of seconds"):
        options_from_headers({"x-llmstack-deadline": str(deadline)})


def test_a_tag_without_value_is_refused():
    """The message shows the form."""
    with pytest.raises(ValueError, match="'search' is not label=value"):
        options_from_headers({"x-llmstack-tags": "search"})


def test_tags_must_be_text():
    """A number would be lost in the books."""
    with pytest.raises(TypeError, match="tags must be a mapping of text to text"):
        llmstack.options(tags={"team": 1})  # type: ignore[dict-item]


def test_repr_shows_names_only():
    """Values may be content."""
    assert repr(Options(tenant="secret-tenant", note="words")) == "Options(note, tenant)"
