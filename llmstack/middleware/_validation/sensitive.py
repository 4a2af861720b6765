"""Sensitive: secrets and personal data in what a call asks, told, refused or replaced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, get_args

from llmstack import Call, Issue
from llmstack.middleware._validation.detector import PERSONAL, Span, find_sensitive
from llmstack.middleware._validation.detector_assignment import is_secret_named
from llmstack.middleware._validation.placeholder import Placeholders
from llmstack.middleware._validation.sensitive_text import rewritten
from llmstack.middleware._validation.vault import Vault

__all__ = ["Action", "Sensitive"]

Action = Literal["off", "warn", "block", "redact"]

_ACTIONS: Final = get_args(Action)
_CONTINUED: Final = ("previous_response_id", "conversation")
_KEPT: Final = ("conversations", "beta.threads", "threads", "realtime")
_NAMES: Final = {"email": "e-mail address", "phone": "phone number", "card": "card number", "iban": "bank account",
                 "ip": "IP address"}  # fmt: skip


class Sensitive:
    """Finds secrets and personal data in the texts that the model will read.

    It finds what has a form, of which only forms that ordinary text does not have. Nothing that it says quotes what it
    found.

    Args:
        secrets: What happens to keys, tokens and passwords.
        personal: What happens to personal data: one action for all kinds, or one for each of those that are looked for,
            such as ``{"email": "redact", "card": "block"}``. The kinds are ``"email"``, ``"phone"``, ``"card"``,
            ``"iban"`` and ``"ip"``.

    Raises:
        ValueError: If an action or a kind is none; the message names those that are.
    """

    __slots__ = ("_personal", "_secrets")

    def __init__(self, secrets: Action = "block", personal: Mapping[str, Action] | Action = "off") -> None:
        self._secrets = _checked("secrets", secrets)
        if isinstance(personal, Mapping):
            unknown = sorted(str(kind) for kind in personal if kind not in PERSONAL)
            if unknown:
                kinds = ", ".join(sorted(PERSONAL))
                raise ValueError(f"personal takes the kinds {kinds}, not {', '.join(unknown)}")
            self._personal = {kind: _checked(f"personal[{kind!r}]", action) for kind, action in personal.items()}
        else:
            self._personal = dict.fromkeys(sorted(PERSONAL), _checked("personal", personal))

    def issues(self, call: Call) -> list[Issue]:
        """What is in the call that shall be refused or told.

        Args:
            call: The call.

        Returns:
            An issue for each text and kind, with the text's path; none for what is redacted.
        """
        secrets, personal = self._sought("warn", "block")
        if not (secrets or personal):
            return []
        counts: dict[tuple[str, str], int] = {}

        def count(path: str, name: str, text: str) -> str:
            for span in _spans(text, name, secrets=secrets, personal=personal):
                counts[path, span.kind] = counts.get((path, span.kind), 0) + 1
            return text

        rewritten(call.params, count)
        return [self._issue(path, kind, number) for (path, kind), number in counts.items()]

    def redacted(self, call: Call) -> tuple[Call, Vault | None]:
        """The call with placeholders in the place of what shall be redacted.

        The answer must pass `Vault.restored`; a streamed one is restored on its way to the program, too.

        Args:
            call: The call.

        Returns:
            The changed call and what its placeholders stand for; the call itself and None if there is nothing.
        """
        secrets, personal = self._sought("redact")
        if not (secrets or personal):
            return call, None
        texts: list[str] = []
        places: dict[tuple[str, str], list[Span]] = {}

        def seek(_path: str, name: str, text: str) -> str:
            texts.append(text)
            spans = _spans(text, name, secrets=secrets, personal=personal)
            if spans:
                places[name, text] = spans
            return text

        rewritten(call.params, seek)
        if not places:
            return call, None
        placeholders = Placeholders(texts, continued=_is_continued(call))

        def put(_path: str, name: str, text: str) -> str:
            spans = places.get((name, text))
            return text if spans is None else _replaced(text, spans, placeholders)

        params = rewritten(call.params, put)
        vault = Vault(placeholders.values, in_json=_answers_json(params))
        changed = call.replace(params=params)
        if call.stream:
            return changed.with_filter(vault.filter), vault
        # A body that is read lazily would pass as it comes.
        return (changed.replace(hold=True) if call.raw == "stream" else changed), vault

    def _sought(self, *actions: Action) -> tuple[bool, frozenset[str]]:
        personal = frozenset(kind for kind, action in self._personal.items() if action in actions)
        return self._secrets in actions, personal

    def _issue(self, path: str, kind: str, number: int) -> Issue:
        action = self._personal[kind] if kind in PERSONAL else self._secrets
        what = _NAMES.get(kind, kind)
        message = f"has what looks like {_counted(number, what)}; remove it, or let it be redacted"
        rule = "personal" if kind in PERSONAL else "secrets"
        return Issue(path=path, message=message, rule=rule, severity="warn" if action == "warn" else "block")


def _is_continued(call: Call) -> bool:
    """Whether the provider keeps, or will keep, turns that this call does not show."""
    return call.endpoint.startswith(_KEPT) or any(call.params.get(name) for name in _CONTINUED)


def _spans(text: str, name: str, *, secrets: bool, personal: Collection[str]) -> list[Span]:
    if secrets and name and is_secret_named(name, text):
        return [Span(0, len(text), "password")]
    return find_sensitive(text, secrets=secrets, personal=personal)


def _replaced(text: str, spans: list[Span], placeholders: Placeholders) -> str:
    pieces: list[str] = []
    at = 0
    for span in spans:
        pieces += [text[at : span.start], placeholders.of(text[span.start : span.end], span.kind)]
        at = span.end
    return "".join((*pieces, text[at:]))


def _answers_json(params: Mapping[str, Any]) -> bool:
    """Whether the answer's text will be JSON: values in it must then be escaped."""
    asked: Any = params.get("response_format")
    if asked is None and isinstance(text := params.get("text"), Mapping):
        asked = text.get("format")
    return isinstance(asked, Mapping) and asked.get("type") in ("json_schema", "json_object")


def _counted(number: int, what: str) -> str:
    if number == 1:
        return f"{'an' if what[0] in 'AEIaei' else 'a'} {what}"
    return f"{number} {what}{'es' if what.endswith('s') else 's'}"


def _checked(name: str, action: object) -> Action:
    if action not in _ACTIONS:
        raise ValueError(f"{name} takes {', '.join(map(repr, _ACTIONS))}, not {action!r}")
    return action  # type: ignore[return-value]  # it is one of them
