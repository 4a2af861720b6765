"""Detector of keys: what looks like the key of a known provider, by its fixed beginning and its exact form.

Where gitleaks has a rule for a provider (config/gitleaks.toml), the form follows it, with lengths that leave room. Each
key is found by its beginning with `str.find`, which costs next to nothing where there is none, and only there is its
pattern tried. No pattern can begin again inside a run that it has looked at, so the time is linear in the text.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Final

from llmstack.redaction import Span

__all__ = ["find_keys"]

_FORMS: Final[tuple[tuple[str, str], ...]] = (
    ("sk-ant-", r"[\w-]{24,256}+"),  # Anthropic
    ("sk-", r"(?:proj|svcacct|admin|None)-[\w-]{20,256}+"),  # OpenAI
    ("sk-", r"or-v1-[0-9a-f]{64}"),  # OpenRouter
    ("sk-", r"[A-Za-z0-9]{32,128}+"),  # OpenAI's former ones, and those who copied them
    ("gsk_", r"[A-Za-z0-9]{40,80}+"),  # Groq
    ("xai-", r"[A-Za-z0-9]{60,128}+"),  # xAI
    ("pplx-", r"[A-Za-z0-9]{40,80}+"),  # Perplexity
    ("hf_", r"[A-Za-z]{30,40}+"),  # Hugging Face
    ("r8_", r"[A-Za-z0-9]{37}"),  # Replicate
    ("AKIA", r"[A-Z2-7]{16}"),  # AWS access key ids
    ("ASIA", r"[A-Z2-7]{16}"),
    ("AIza", r"[\w-]{35}"),  # Google
    ("GOCSPX-", r"[\w-]{28}"),
    ("ya29.", r"[\w-]{20,512}+"),
    *((beginning, r"[A-Za-z0-9]{36,255}+") for beginning in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),  # GitHub
    ("github_pat_", r"\w{60,255}+"),
    ("glpat-", r"[\w-]{20,64}+"),  # GitLab
    *((beginning, r"[\w-]{20,255}+") for beginning in ("xoxb-", "xoxp-", "xoxa-", "xoxe-", "xoxr-", "xoxs-")),  # Slack
    ("xapp-", r"\d-[A-Z0-9]{6,20}+-\d{6,20}+-[a-z0-9]{20,128}+"),
    ("hooks.slack.com/services/", r"T\w{6,14}+/B\w{6,14}+/\w{20,30}+"),
    *((beginning, r"[A-Za-z0-9]{20,128}+") for beginning in ("sk_live_", "rk_live_", "sk_test_", "rk_test_")),  # Stripe
    ("whsec_", r"[A-Za-z0-9+/]{24,64}+"),
    ("SG.", r"[\w-]{22}\.[\w-]{43}"),  # SendGrid
    ("npm_", r"[A-Za-z0-9]{36}"),
    ("pypi-AgEI", r"[\w-]{50,512}+"),
    ("dop_v1_", r"[0-9a-f]{64}"),  # DigitalOcean
    ("shpat_", r"[0-9A-Fa-f]{32}"),  # Shopify
    ("dapi", r"[0-9a-f]{32}"),  # Databricks
    ("hvs.", r"[\w-]{24,256}+"),  # Vault
    ("lin_api_", r"[A-Za-z0-9]{40}"),  # Linear
    ("NRAK-", r"[A-Z0-9]{27}"),  # New Relic
    ("sntrys_", r"[\w+/=-]{40,512}+"),  # Sentry
    ("sntryu_", r"[0-9a-f]{64}"),
    ("glsa_", r"[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}"),  # Grafana
    ("sbp_", r"[0-9a-f]{40}"),  # Supabase
    ("AccountKey=", r"[A-Za-z0-9+/]{86}=="),  # Azure storage
    ("AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),  # age
)

# A key stands alone: nothing of its own alphabet is beside it. `=` and `/` may be, as in `?key=AIza…`.
_KEYS: Final = tuple(
    (beginning, re.compile(rf"(?<![\w+-]){re.escape(beginning)}{rest}(?![\w-])", re.ASCII))
    for beginning, rest in _FORMS
)

_JWT: Final = re.compile(r"(?<![\w-])(eyJ[\w-]{8,4096}+)\.[\w-]{8,}+\.[\w-]{16,}+", re.ASCII)
_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----((?:[^-]|-(?!----))*+)"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
_BODY: Final = re.compile(r"[A-Za-z0-9+/=]{32,}+")
"""A line of a key's body; without one a text only speaks of keys."""

_EXAMPLE: Final = re.compile(r"(?i)example|your[-_]?|placeholder|x{6,}|\.\.\.|0{8}|1234567")
"""What documentation puts in the place of a key."""


def find_keys(text: str) -> Iterator[Span]:
    """Find keys, private keys and JSON web tokens.

    Args:
        text: Any text.

    Yields:
        Their places; they may overlap, and are in no order.
    """
    for beginning, pattern in _KEYS:
        at = text.find(beginning)
        while at >= 0:
            found = pattern.match(text, at)
            if found is not None and _is_random(found.group()[len(beginning) :]):
                yield Span(*found.span(), "API key")
            at = text.find(beginning, at + len(beginning) if found is None else found.end())
    if "PRIVATE KEY" in text:
        for found in _BLOCK.finditer(text):
            if _BODY.search(found[1]):
                yield Span(*found.span(), "private key")
    if "eyJ" in text:
        for found in _JWT.finditer(text):
            if _is_header(found[1]):
                yield Span(*found.span(), "JSON web token")


def _is_random(rest: str) -> bool:
    """Whether what follows a key's beginning was made by a machine; words and what says it is an example were not."""
    mixed = any(c.isdigit() for c in rest) or (any(c.islower() for c in rest) and any(c.isupper() for c in rest))
    return mixed and len(set(rest)) >= 8 and not _EXAMPLE.search(rest)  # noqa: PLR2004 - fewer are a pattern


def _is_header(segment: str) -> bool:
    """Whether it is the header of a JSON web token (RFC 7515): base64url of an object that names its algorithm."""
    try:
        header = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except ValueError:
        return False
    return header.startswith(b"{") and b'"alg"' in header
