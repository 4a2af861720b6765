"""Validation: stop a call before it is sent when it is wrong, and say all that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from llmstack import Bytes, Call, Configurable, Flow, Issue, Next, Reply, Stage, hookimpl
from llmstack.effects import emit, now
from llmstack.errors import OptionError, ValidationError
from llmstack.events import IssuesFound
from llmstack.middleware._validation.answer import AnswerCheck
from llmstack.middleware._validation.custom import custom_issues
from llmstack.middleware._validation.lifecycle import ending, lifecycle_issues
from llmstack.middleware._validation.policy import policy_issues
from llmstack.middleware._validation.prompt import Prompt
from llmstack.middleware._validation.sensitive import Sensitive
from llmstack.middleware._validation.settings import Action, Rule, SensitiveAction, Settings
from llmstack.middleware._validation.shape import shape_issues
from llmstack.middleware._validation.window import window_issues

__all__ = ["Issue", "Validation"]


class Validation(Configurable):
    """Refuses calls that the API would refuse, or that break the program's own rules, before anything is sent.

    All that is wrong is found at once: what blocks is one `llmstack.errors.ValidationError`, what only warns is one
    `llmstack.events.IssuesFound` event. Neither quotes content. In its default setting it refuses nothing that OpenAI
    accepts; unknown parameters, roles and models pass.

    The option ``validation`` of a call (``llmstack.options(validation="off")``) lets it pass unlooked at; ``"warn"``
    only tells what would have been refused.

    Args:
        shape: What becomes of a call that the API would refuse: ``"block"``, ``"warn"`` or ``"off"``.
        api: Whose rules those are. ``"openai"``: all rules of OpenAI's API reference; ``"compatible"``: those that
            every compatible server has, the rest only warns; ``"auto"``: the first at OpenAI, else the second.
        policy: What becomes of a call that breaks one of the following limits.
        models: Patterns of model names that are allowed, such as ``["gpt-5*", "o3"]``; None for all. What asks for a
            text or an image must name one then.
        denied_models: Patterns of model names that are not.
        endpoints: Patterns of endpoints that are allowed, such as ``["chat.*", "embeddings"]``; None for all.
        max_prompt_characters: Characters that the texts of a prompt may have.
        max_prompt_bytes: Bytes that a prompt may have, pictures and files in it included.
        max_prompt_tokens: Tokens that a prompt may have; see `llmstack.tokens`.
        max_output_tokens: Tokens that a call may ask for; one that names no limit of its own breaks this one.
        context_window: What becomes of a prompt that does not fit into the model's context window.
        context_windows: Tokens by model, in addition to the table that is built in.
        lifecycle: ``"warn"`` tells, once for each model and process, that it is or will be shut down; ``"block"``
            refuses those that have been.
        shutdowns: Models and when they end, in addition to the table that is built in:
            ``{"my-model": {"date": "2027-01-14", "successor": "another"}}``; ``{}`` for one that does not end.
        secrets: What becomes of secrets in a prompt; ``"redact"`` puts placeholders in their place and restores them in
            the answer.
        personal: The same for personal data, for all kinds of it or kind by kind.
        answers: What becomes of an answer that does not fit the JSON schema asked for.
        repair: How often to ask again for one that fits. Needs, as `answers` does, the package jsonschema.
        rules: Rules of the program's own: functions from a call to an `Issue`, several, or None.
        tenants: Options for calls of single tenants, on top of these: ``{"acme": {"models": ["gpt-5-mini"]}}``.

    Raises:
        ValueError: If an option is none of those it may be.
    """

    name = "validation"
    stage = Stage.VALIDATE

    def __init__(  # noqa: PLR0913 - each is an option of its own, all have defaults
        self,
        *,
        shape: Action = "block",
        api: Literal["auto", "openai", "compatible"] = "auto",
        policy: Action = "block",
        models: Sequence[str] | None = None,
        denied_models: Sequence[str] | None = None,
        endpoints: Sequence[str] | None = None,
        max_prompt_characters: int | None = None,
        max_prompt_bytes: Bytes | None = None,
        max_prompt_tokens: int | None = None,
        max_output_tokens: int | None = None,
        context_window: Action = "warn",
        context_windows: Mapping[str, int] | None = None,
        lifecycle: Action = "warn",
        shutdowns: Mapping[str, Mapping[str, Any]] | None = None,
        secrets: SensitiveAction = "off",
        personal: Mapping[str, SensitiveAction] | SensitiveAction = "off",
        answers: Action = "off",
        repair: int = 0,
        rules: Sequence[Rule] = (),
        tenants: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        general = Settings(
            shape=shape,
            api=api,
            policy=policy,
            models=models,
            denied_models=denied_models,
            endpoints=endpoints,
            max_prompt_characters=max_prompt_characters,
            max_prompt_bytes=max_prompt_bytes,
            max_prompt_tokens=max_prompt_tokens,
            max_output_tokens=max_output_tokens,
            context_window=context_window,
            context_windows=context_windows,
            lifecycle=lifecycle,
            shutdowns=shutdowns,
            secrets=secrets,
            personal=personal,
            answers=answers,
            repair=repair,
            rules=tuple(rules),
        )
        self.settings = general
        self._general = _Checks(general)
        self._tenants = {tenant: _checks_of(tenant, own, general) for tenant, own in (tenants or {}).items()}

    @hookimpl
    def llmstack_call(self, call: Call, next: Next) -> Flow[Reply]:
        """Look at the call, and pass it on if it may."""
        mode = call.options.get("validation")
        if mode == "off":
            return (yield from next(call))
        if mode not in (None, "on", "warn"):
            message = f'the option validation of a call is "off", "warn" or "on", not {mode!r}'
            raise OptionError(message, call=call.info, plugin=self.name)
        checks = self._tenants.get(call.options.tenant or "", self._general)
        issues = checks.issues(call)
        shutdown = ending(call, checks.settings)
        if shutdown is not None:
            issues += lifecycle_issues(call, shutdown, checks.settings, (yield from now()))
        if issues:
            yield from self._judge(call, issues, refusing=mode != "warn")
        # Answers are checked as the program will see them; what is asked again is redacted again.
        send = partial(_redacted, checks.sensitive, next) if checks.redacts else next
        if checks.answers.active:
            return (yield from checks.answers.passed(call, send, partial(self._tell, call)))
        return (yield from send(call))

    def _judge(self, call: Call, issues: list[Issue], *, refusing: bool) -> Flow[None]:
        blocking = [issue for issue in issues if issue.severity == "block"] if refusing else []
        yield from self._tell(call, [issue for issue in issues if issue not in blocking])
        if blocking:
            listed = "; ".join(map(str, blocking))
            raise ValidationError(f"the call was not sent: {listed}", issues=blocking, call=call.info, plugin=self.name)

    def _tell(self, call: Call, issues: list[Issue]) -> Flow[None]:
        if issues:
            yield from emit(IssuesFound(call=call.info, issues=tuple(issues)))


def _redacted(sensitive: Sensitive, next: Next, call: Call) -> Flow[Reply]:
    inner, vault = sensitive.redacted(call)
    reply = yield from next(inner)
    return reply if vault is None else vault.restored(reply)


class _Checks:
    """What is run for the calls that some settings hold for."""

    __slots__ = ("_limited", "_seeks", "answers", "redacts", "sensitive", "settings")

    def __init__(self, settings: Settings, where: str = "") -> None:
        self.settings = settings
        try:
            self.sensitive = Sensitive(settings.secrets, settings.personal)
            self.answers = AnswerCheck(settings.answers, settings.repair)
        except ValueError as error:
            raise ValueError(f"{where}{error}") from None
        personal = settings.personal.values() if isinstance(settings.personal, Mapping) else (settings.personal,)
        self._seeks = any(action in ("warn", "block") for action in (settings.secrets, *personal))
        self.redacts = any(action == "redact" for action in (settings.secrets, *personal))
        limits = (settings.models, settings.denied_models, settings.endpoints, settings.max_prompt_characters,
                  settings.max_prompt_bytes, settings.max_prompt_tokens, settings.max_output_tokens)  # fmt: skip
        self._limited = any(limit is not None for limit in limits)

    def issues(self, call: Call) -> list[Issue]:
        """All that is wrong with a call."""
        settings = self.settings
        issues: list[Issue] = []
        if settings.shape != "off":
            issues = shape_issues(call, settings.shape, strict=settings.is_strict(call.host))
        prompt = Prompt(call)
        if self._limited and settings.policy != "off":
            issues += policy_issues(call, prompt, settings, settings.policy)
        if settings.context_window != "off":
            issues += window_issues(call, prompt, settings, settings.context_window)
        if self._seeks:
            issues += self.sensitive.issues(call)
        if settings.rules:
            issues += custom_issues(call, settings.rules)
        return issues


def _checks_of(tenant: str, own: Mapping[str, Any], general: Settings) -> _Checks:
    """What is run for the calls of one tenant, whose own options stand on top of the general ones."""
    return _Checks(general.for_tenant(tenant, own), f"tenants[{tenant!r}]: ")
