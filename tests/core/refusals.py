"""What a layer is refused once its call is over for it."""

from __future__ import annotations

from concurrent.futures import Future

from llmstack import Call, Flow, Next
from llmstack.effects import sleep, wait


def refusals(call: Call, next: Next, error: type[BaseException]) -> Flow[list[str]]:
    """Try to send, to sleep and to wait for what never comes; what this error has refused of it."""
    never: Future[None] = Future()
    refused: list[str] = []
    for name, ask in (
        ("next", lambda: next(call)),
        ("sleep", lambda: sleep(60)),
        ("wait", lambda: wait(never)),
    ):
        try:
            yield from ask()
        except error:
            refused.append(name)
    return refused
