"""Rules of the program's own: plain functions from a call to what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmstack import Call, Issue, StackError
from llmstack.errors import PluginError
from llmstack.middleware._validation.settings import Rule


def custom_issues(call: Call, rules: Sequence[Rule]) -> list[Issue]:
    """What the program's rules say.

    Raises:
        PluginError: A rule failed; the message names it.
    """
    issues: list[Issue] = []
    for rule in rules:
        name = name_of(rule)
        try:
            said = rule(call)
            found = [said] if isinstance(said, Issue) else list(said or ())
        except StackError:
            raise
        except Exception as error:
            message = f"the rule {name} failed ({type(error).__name__}); a rule returns an Issue, several, or None"
            raise PluginError(message, call=call.info, plugin="validation") from error
        for issue in found:
            if not isinstance(issue, Issue):  # pyright: ignore[reportUnnecessaryIsInstance]
                message = (
                    f"the rule {name} returned a {type(issue).__name__}; a rule returns an Issue, several, or None"
                )
                raise PluginError(message, call=call.info, plugin="validation")
            issues.append(issue if issue.rule else replace(issue, rule=name))
    return issues


def name_of(rule: Rule) -> str:
    """What a rule is called: its own name, or that of its class."""
    return str(getattr(rule, "__name__", type(rule).__name__))
