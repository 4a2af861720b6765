"""Streams that are open when the program ends, or when it forks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from llmstack.testing import LocalServer


def _python(code: str, server: LocalServer, *flags: str) -> subprocess.CompletedProcess[str]:
    head = f"""
        import sys
        from llmstack import Call, OpenAI, AsyncOpenAI, Stack, hookimpl
        from llmstack.events import CallFinished

        class Tell:
            name = "tell"

            @hookimpl
            def llmstack_event(self, event):
                if isinstance(event, CallFinished):
                    print("finished", event.outcome, flush=True)

        def layer(call, next):
            try:
                reply = yield from next(call)
                print("resumed", reply.complete, flush=True)
                return reply
            finally:
                print("left", flush=True)

        STACK = Stack([layer, Tell()])
        OPTIONS = dict(base_url={server.base_url!r}, api_key="sk-test-not-a-key", stack=STACK)
        ASK = dict(model="m", messages=[dict(role="user", content="Hi")], stream=True)
    """
    return subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("pass", id="held-by-a-global"),
        pytest.param("del stream", id="dropped"),
        pytest.param("sys.exit(0)", id="exit"),
        pytest.param("cycle = [stream]; cycle.append(cycle); del stream, cycle", id="in-a-cycle"),
    ],
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_open_streams_at_the_end_of_the_program(server: LocalServer, last: str, kind: str) -> None:
    """The flow is resumed and the books close, without a word about it on stderr.

    (The HTTP client's async generators fail noisily if a loop ends before them, with or without llmstack.)
    """
    server.gate(after=4)
    if kind == "sync":
        code = f"""
            stream = OpenAI(**OPTIONS).chat.completions.create(**ASK)
            next(stream)
            {last}
        """
    else:
        code = f"""
            import asyncio

            async def main():
                global stream
                stream = await AsyncOpenAI(**OPTIONS).chat.completions.create(**ASK)
                async for _ in stream:
                    break

            asyncio.run(main())
            {last}
        """
    done = _python(code, server, "-X", "dev")
    assert done.stdout.split("\n") == ["resumed False", "left", "finished incomplete", ""]
    assert "llmstack" not in done.stderr
    assert "never awaited" not in done.stderr
    assert "destroyed" not in done.stderr
    if kind == "sync":
        assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_leaves_the_parents_streams_to_the_parent(server: LocalServer) -> None:
    """The child drops what it inherited without closing it; what it opens itself is closed."""
    server.gate(after=4)
    code = """
        import os
        client = OpenAI(**OPTIONS)
        stream = client.chat.completions.create(**ASK)
        next(stream)
        child = os.fork()
        if child == 0:
            del stream
            import gc; gc.collect()
            from llmstack._drivers.reaper import drain
            drain()
            print("child dropped it", flush=True)
            own = client.chat.completions.create(**ASK)
            next(own)
            del own
            drain()
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("parent again", flush=True)
        del stream
    """
    done = _python(code, server)
    assert done.stderr == ""
    assert done.stdout.split("\n") == [
        "child dropped it",
        "resumed False",
        "left",
        "finished incomplete",
        "parent again",
        "resumed False",
        "left",
        "finished incomplete",
        "",
    ]
