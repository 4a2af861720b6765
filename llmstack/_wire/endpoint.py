"""Naming the endpoint of a request path: its static segments, without the ids.

Prices, cache rules and metrics are kept by endpoint, so an id must never become part of the name, not even one that
looks like a word. The paths of the API are therefore known as templates, of which the longest of each kind are listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

__all__ = ["endpoint_of"]

_TEMPLATES: Final = """
    agents/* agents/automations/*/invocations/* agents/automations/*/pause agents/automations/*/resume
    agents/environments/*/files agents/environments/templates/* agents/sessions/*/artifacts/*/content
    agents/sessions/*/events agents/sessions/*/items agents/sessions/*/subagents/*/items
    agents/sessions/*/subagents/*/turns/*/items agents/sessions/*/traces agents/sessions/*/turns/*/items
    assistants/* audio/speech audio/transcriptions audio/translations audio/voice_consents/* audio/voices/*
    batches/*/cancel chat/completions/*/messages chatkit/sessions/*/cancel chatkit/threads/*/items completions
    containers/*/files/*/content content_provenance_checks conversations/*/items/* decisions embeddings
    evals/*/runs/*/cancel evals/*/runs/*/output_items/* files/*/content fine_tuning/alpha/graders/run
    fine_tuning/alpha/graders/validate fine_tuning/checkpoints/*/permissions/* fine_tuning/jobs/*/cancel
    fine_tuning/jobs/*/checkpoints fine_tuning/jobs/*/events fine_tuning/jobs/*/pause fine_tuning/jobs/*/resume
    images/edits images/generations images/variations live/sessions/*/accept live/sessions/*/attach
    live/sessions/*/content live/sessions/*/fork live/sessions/*/hangup live/sessions/*/refer
    live/sessions/*/reject models/** moderations organization/admin_api_keys/* organization/audit_logs
    organization/certificates/* organization/certificates/activate organization/certificates/deactivate
    organization/costs organization/data_retention organization/external_keys/*/validate
    organization/external_storage/*/validate organization/groups/*/roles/* organization/groups/*/users/*
    organization/invites/* organization/projects/*/api_keys/* organization/projects/*/archive
    organization/projects/*/certificates/activate organization/projects/*/certificates/deactivate
    organization/projects/*/data_retention organization/projects/*/groups/*
    organization/projects/*/hosted_tool_permissions organization/projects/*/model_permissions
    organization/projects/*/rate_limits/* organization/projects/*/service_accounts/*/api_keys
    organization/projects/*/service_tier_settings organization/projects/*/spend_alerts/*
    organization/projects/*/spend_limit organization/projects/*/users/* organization/roles/*
    organization/spend_alerts/* organization/spend_limit organization/usage/audio_speeches
    organization/usage/audio_transcriptions organization/usage/code_interpreter_sessions
    organization/usage/completions organization/usage/decisions organization/usage/embeddings
    organization/usage/file_search_calls organization/usage/images organization/usage/moderations
    organization/usage/vector_stores organization/usage/web_search_calls organization/users/*/roles/*
    organization/workload_identity_providers/*/federation_rules/* projects/*/groups/*/roles/* projects/*/roles/*
    projects/*/users/*/roles/* realtime/calls/*/accept realtime/calls/*/hangup realtime/calls/*/refer
    realtime/calls/*/reject realtime/client_secrets realtime/sessions realtime/transcription_sessions
    realtime/translations/client_secrets responses/*/cancel responses/*/input_items responses/compact
    responses/input_tokens safety/alerts/* safety/cases/* skills/*/content skills/*/versions/*/content
    threads/*/messages/* threads/*/runs/*/cancel threads/*/runs/*/steps/* threads/*/runs/*/submit_tool_outputs
    threads/runs uploads/*/cancel uploads/*/complete uploads/*/parts vaults/*/credentials/*
    vector_stores/*/file_batches/*/cancel vector_stores/*/file_batches/*/files vector_stores/*/files/*/content
    vector_stores/*/search videos/*/content videos/*/remix videos/characters/* videos/edits videos/extensions
    webhook_endpoints/*/rotate_secret webhook_endpoints/*/test webhook_event_types
"""
"""Every path that is not the beginning of another one, from the SDK's resources; * is an id, ** any number of them."""

_Tree = dict[str, Any]

_version = re.compile(r"v\d+\w*").fullmatch
_word = re.compile(r"[A-Za-z_-]+").fullmatch


def _grown(templates: Sequence[str]) -> _Tree:
    """Make the tree of templates: segment to subtree."""
    root: _Tree = {}
    for template in templates:
        tree = root
        for segment in template.split("/"):
            tree = tree.setdefault(segment, {})
    return root


_ROOT: Final = _grown(_TEMPLATES.split())


@lru_cache(maxsize=2048)
def endpoint_of(path: str) -> str:
    """Name the endpoint of a path.

    Parameters:
        path: The path of a request, relative or absolute, or a whole URL; the prefixes of OpenAI (`/v1`) and Azure
            (`/openai/deployments/NAME`) are left out, and so are queries.

    Returns:
        The static segments joined by dots: "chat.completions", "files.content". The words of an unknown path, which
        are all its segments of letters, and "" for none.
    """
    path = path.partition("?")[0].partition("#")[0]
    scheme, found, rest = path.partition("://")
    absolute = bool(found) and "/" not in scheme
    segments = [segment for segment in (rest.partition("/")[2] if absolute else path).split("/") if segment]
    own = _without_prefix(segments)
    names = _matched(own, _ROOT)
    if names is None and absolute:
        # A gateway may have put anything before the API's own path, as long as all of that is known.
        ends = (_matched(_without_prefix(segments[start:]), _ROOT) for start in range(1, len(segments)))
        names = next((end for end in ends if end), None)
    return ".".join(_guessed(own) if names is None else names)


def _without_prefix(segments: list[str]) -> list[str]:
    """Leave out what comes before the API's own path."""
    start = 0
    while start < len(segments):
        if segments[start] == "openai" or _version(segments[start]):
            start += 1
        elif segments[start] in ("deployments", "engines") and start + 1 < len(segments):
            start += 2
        else:
            break
    return segments[start:]


def _matched(segments: Sequence[str], tree: _Tree) -> list[str] | None:
    """Match segments against the templates, a word before an id; None if none fits."""
    if not segments or "**" in tree:
        return []
    first, rest = segments[0], segments[1:]
    if first in tree and (names := _matched(rest, tree[first])) is not None:
        return [first, *names]
    return _matched(rest, tree["*"]) if "*" in tree else None


def _guessed(segments: Sequence[str]) -> list[str]:
    """Name a path that is not known: as far as it is, by the templates; from there on, whatever looks like a word."""
    names: list[str] = []
    tree: _Tree = _ROOT
    for segment in segments:
        if segment in tree:
            tree = tree[segment]
            names.append(segment)
        elif "*" in tree:
            tree = tree["*"]
        else:
            tree = {}
            if _word(segment):
                names.append(segment)
    return names
