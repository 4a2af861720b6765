"""Policy: what the program itself does not want sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from llmstack import Call, Issue
from llmstack.middleware._validation.finding import Severity
from llmstack.middleware._validation.prompt import Prompt
from llmstack.middleware._validation.settings import Settings

Add = Callable[[str, str, str], None]
"""Takes an issue: path, message, rule."""

_ANSWERING = {
    "chat.completions": "max_completion_tokens",
    "responses": "max_output_tokens",
    "completions": "max_tokens",
}
"""Endpoints that write texts, with the parameter that limits them."""

_MODELLED = frozenset({
    *_ANSWERING, "responses.compact", "images.generations", "images.edits", "images.variations",
})  # fmt: skip
"""Endpoints that ask a model of the provider's choice if none is named: that of a stored prompt, an old default."""


def policy_issues(call: Call, prompt: Prompt, settings: Settings, severity: Severity) -> list[Issue]:
    """What breaks the program's own rules: models, endpoints and sizes."""
    issues: list[Issue] = []

    def add(path: str, message: str, rule: str) -> None:
        issues.append(Issue(path=path, message=message, rule=rule, severity=severity))

    if settings.endpoints is not None and not _any_matches(call.endpoint, settings.endpoints):
        add("", f"the endpoint {call.endpoint!r} is not allowed", "endpoints")
    model = call.model
    if model is not None:
        if settings.models is not None and not _any_matches(model, settings.models):
            add("model", f"{model!r} is not allowed", "models")
        elif settings.denied_models is not None and _any_matches(model, settings.denied_models):
            add("model", f"{model!r} is denied", "models")
    elif settings.models is not None and call.method == "POST" and call.endpoint in _MODELLED:
        add("model", "is missing: name one of those that are allowed, or the provider chooses", "models")
    _check_output(call, prompt, settings, add)
    _check_sizes(prompt, settings, add)
    return issues


def _check_output(call: Call, prompt: Prompt, settings: Settings, add: Add) -> None:
    most = settings.max_output_tokens
    name = _ANSWERING.get(call.endpoint)
    if most is None or name is None or call.method != "POST":
        return
    given = prompt.output_limit
    if given is None:
        add(name, f"is missing: the answer may be of any length; set it to at most {most}", "max_output_tokens")
    elif given[1] > most:
        add(given[0], f"must be at most {most}, not {given[1]}", "max_output_tokens")


def _check_sizes(prompt: Prompt, settings: Settings, add: Add) -> None:
    if not prompt.present:
        return
    most = settings.max_prompt_characters
    if most is not None and prompt.characters > most:
        add("", f"the prompt has {prompt.characters} characters, at most {most} are allowed", "max_prompt_characters")
    most = settings.max_prompt_bytes
    if most is not None and prompt.size > most:
        add("", f"the prompt has {prompt.size} bytes, at most {most} are allowed", "max_prompt_bytes")
    most = settings.max_prompt_tokens
    if most is not None and prompt.tokens.tokens > most:
        add("", f"the prompt has {prompt.tokens} tokens, at most {most} are allowed", "max_prompt_tokens")


def _any_matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)
