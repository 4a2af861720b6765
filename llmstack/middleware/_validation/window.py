"""The context window: does the prompt, with the answer asked for, fit into it?"""

from __future__ import annotations

from llmstack import Call, Issue
from llmstack.middleware._validation.catalog import window_of
from llmstack.middleware._validation.finding import Severity
from llmstack.middleware._validation.prompt import Prompt
from llmstack.middleware._validation.settings import Settings

_TRUNCATING = "auto"


def window_issues(call: Call, prompt: Prompt, settings: Settings, severity: Severity) -> list[Issue]:
    """Tell of a prompt that is too long for the model; nothing of a model that is not known."""
    model = call.model
    if model is None or call.params.get("truncation") == _TRUNCATING:
        return []
    window = window_of(model, settings.context_windows, openai=settings.is_strict(call.host))
    if window is None or not prompt.present:
        return []
    limit = prompt.output_limit
    answer = 0 if limit is None else max(0, limit[1])
    # Counting takes milliseconds, these microseconds: nothing is counted where it cannot matter.
    if prompt.very_most_tokens + answer <= window or prompt.most_tokens + answer <= window:
        return []
    if prompt.tokens.tokens + answer <= window:
        return []
    asked = f" and the answer up to {answer}" if answer else ""
    message = f"the prompt has {prompt.tokens} tokens{asked}; {model} takes {window} together"
    return [Issue(path="", message=message, rule="context_window", severity=severity)]
