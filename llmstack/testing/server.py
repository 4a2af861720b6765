"""Run the local server alone: ``python -m llmstack.testing.server --port 8080``."""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import Sequence

from llmstack.testing.local_server import LocalServer

_GREETING = """\
An OpenAI-compatible server listens on {base_url}

  client = OpenAI(base_url="{base_url}", api_key="sk-test-not-a-key")
  client = AzureOpenAI(azure_endpoint="{azure_endpoint}", api_key="not-a-key", api_version="2024-10-21")

or, for a program that reads its environment:

  export OPENAI_BASE_URL={base_url} OPENAI_API_KEY=sk-test-not-a-key

Ctrl+C stops it."""


def main(arguments: Sequence[str] | None = None, *, until: threading.Event | None = None) -> None:
    """Serve until interrupted.

    Args:
        arguments: The command line, without the program's name.
        until: Ends the serving when set, as Ctrl+C does.
    """
    parser = argparse.ArgumentParser(prog="python -m llmstack.testing.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port, 0 for any free one (default: %(default)s)")
    options = parser.parse_args(arguments)
    with LocalServer(host=options.host, port=options.port) as server:
        print(_GREETING.format(base_url=server.base_url, azure_endpoint=server.azure_endpoint), flush=True)  # noqa: T201 -- its output
        with contextlib.suppress(KeyboardInterrupt):
            (until or threading.Event()).wait()


if __name__ == "__main__":
    main()
