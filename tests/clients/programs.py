"""The programs of more than one call that are compared: the SDK's helpers, pages, and requests made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.clients.hand_programs import (
    defaults_of_the_client,
    requests_by_hand,
    streams_by_hand,
    strict_validation,
    what_is_said_per_call,
    what_is_said_to_copies,
)
from tests.clients.helper_programs import (
    chat_parse,
    chat_stream_helper,
    chat_stream_helper_left_early,
    responses_parse,
    responses_stream_helper,
    runs_polled,
    runs_streamed,
    stream_as_context_manager,
    stream_left_early,
)
from tests.clients.program_steps import Steps
from tests.clients.resource_programs import (
    binary_streamed,
    file_batches,
    files_and_back,
    pages_iterated,
    pages_of_everything,
    pages_raw,
    pages_turned_by_hand,
    upload_in_chunks,
    uploads,
    vector_stores,
)


@dataclass(frozen=True)
class Script:
    """A program and the arguments of its client."""

    play: Callable[[Any], Steps]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the test is called."""
        return self.play.__name__.replace("_", " ")


SCRIPTS: tuple[Script, ...] = (
    Script(chat_parse),
    Script(chat_stream_helper),
    Script(chat_stream_helper_left_early),
    Script(stream_left_early),
    Script(stream_as_context_manager),
    Script(responses_parse),
    Script(responses_stream_helper),
    Script(pages_iterated),
    Script(pages_turned_by_hand),
    Script(pages_raw),
    Script(pages_of_everything),
    Script(files_and_back),
    Script(binary_streamed),
    Script(uploads),
    Script(upload_in_chunks),
    Script(vector_stores),
    Script(file_batches),
    Script(runs_polled),
    Script(runs_streamed),
    Script(requests_by_hand),
    Script(streams_by_hand),
    Script(what_is_said_per_call),
    Script(what_is_said_to_copies),
    Script(strict_validation, {"_strict_response_validation": True}),
    Script(
        defaults_of_the_client,
        {
            "timeout": 30,
            "organization": "org-1",
            "project": "proj-1",
            "default_headers": {"x-mine": "1", "User-Agent": "mine"},
            "default_query": {"q": "1"},
        },
    ),
)
