"""`llmstack call`, as a user runs it, against a local server."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@pytest.fixture
def running(environment):
    """Start ``llmstack call`` and leave it running."""
    started = []

    def start(*arguments, stdout=subprocess.PIPE):
        command = [sys.executable, "-m", "llmstack.cli", "call", *arguments]
        wanted = {**os.environ, **{name: value for name, value in environment.items() if value is not None}}
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env=wanted, stdin=subprocess.DEVNULL, stdout=stdout, stderr=pipe)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_the_answer_and_nothing_else_goes_to_stdout(llmstack):
    """The text of the answer, a line end, exit 0."""
    done = llmstack("call", "-m", "gpt-5-mini", "hello there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: hello there\n", "")


@pytest.mark.parametrize("stream", [(), ("--stream",)])
@pytest.mark.parametrize(("api", "path"), [("chat", CHAT), ("responses", RESPONSES)])
def test_every_way_of_asking_gives_the_text(ask, server, stream, api, path):
    """Chat or Responses, streamed or not, the text is the same."""
    assert ask("--api", api, *stream, "hello there").stdout == "You said: hello there\n"
    assert server.requests[0].path == path


def test_options_reach_the_wire(ask, server):
    """Model, instructions, temperature and limit arrive under the names of each API."""
    given = ("-m", "gpt-other", "--system", "Be brief.", "--temperature", "0.5", "--max-tokens", "9", "hi")
    ask(*given)
    ask("--api", "responses", *given)
    chat, responses = (request.json for request in server.requests)
    shared = {"model": "gpt-other", "temperature": 0.5}
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    assert chat == {**shared, "messages": asked, "max_completion_tokens": 9}
    assert responses == {**shared, "input": "hi", "instructions": "Be brief.", "max_output_tokens": 9}


@pytest.mark.parametrize("dash", [(), ("-",)])
def test_the_prompt_may_come_from_stdin(ask, dash):
    """Without a prompt, or with -, standard input is read."""
    assert ask(*dash, stdin="from a pipe\n").stdout == "You said: from a pipe\n"


def test_no_prompt_at_all_is_an_error(ask):
    """An empty standard input is no prompt."""
    done = ask()
    assert done.returncode == 1
    assert "no prompt" in done.stderr


def test_what_is_no_text_is_told(ask, server):
    """Bytes that are none do not get as far as the wire, and show no traceback."""
    for arguments, stdin in (((), b"\xff\xfehello"), (("a\udcffb",), ""), (("-s", "a\udcffb", "hi"), "")):
        done = ask(*arguments, stdin=stdin)
        assert done.returncode == 1
        assert "is no text in utf-8" in done.stderr
    assert not server.requests


def test_trace_shows_the_way_on_stderr(ask, server):
    """`--trace` shows layers, attempts, delay and tokens, and leaves stdout alone."""
    server.next(429, headers={"retry-after-ms": "50"})
    done = ask("--trace", "hi")
    assert done.stdout == "You said: hi\n"
    for shown in ("→ retry → openai  ✗ 429 RateLimitError", "↻ 50 ms → openai  ✓ 200", "2 attempts", "5 tokens in"):
        assert shown in done.stderr


def test_trace_shows_the_way_of_a_call_that_failed(ask, server):
    """The way is shown for errors too, above the message."""
    server.next(400, message="that makes no sense")
    done = ask("--trace", "--stream", "hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert "✗ 400 BadRequestError" in done.stderr
    assert done.stderr.splitlines()[-1] == "BadRequestError: 400, that makes no sense (request req_1)"


def test_json_is_the_whole_reply(ask):
    """`--json` prints the reply as it came; streamed, one event a line."""
    whole = json.loads(ask("--json", "hi").stdout)
    assert whole["choices"][0]["message"]["content"] == "You said: hi"
    lines = ask("--json", "--stream", "hi").stdout.splitlines()
    assert {json.loads(line)["object"] for line in lines} == {"chat.completion.chunk"}


def test_without_a_key_the_message_names_the_variable(ask):
    """No key: what to set, and nothing is sent."""
    done = ask("hi", changed={"OPENAI_API_KEY": None})
    assert (done.returncode, done.stdout) == (1, "")
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_quotes_the_key_does_not_get_it_printed(ask, server, environment):
    """The key is taken out of what a server says, in the traceback too."""
    server.next(401, times=None, message=f"Incorrect API key provided: {environment['OPENAI_API_KEY']}")
    done = ask("--trace", "hi", before=["--debug"])
    assert done.returncode == 1
    assert "Incorrect API key provided: ***" in done.stderr


def test_a_server_that_cannot_be_reached_is_named(ask):
    """A wrong address is named in the message."""
    done = ask("--base-url", "http://127.0.0.1:9/v1", "hi")
    assert done.returncode == 1
    assert "cannot reach 127.0.0.1" in done.stderr


def test_a_stream_that_breaks_keeps_what_came(ask, server):
    """The text so far stays on stdout, the error goes to stderr."""
    server.next(fault="cut", after=4)
    done = ask("--stream", "one two three")
    assert (done.returncode, done.stdout) == (1, "You said: on\n")
    assert "hung up" in done.stderr


def test_a_timeout_is_obeyed(ask, server):
    """`--timeout` bounds each request."""
    server.gate(times=None)
    done = ask("--timeout", "0.05", "hi")
    assert done.returncode == 1
    assert "no answer in time" in done.stderr


def test_the_config_decides_the_stack(llmstack, server, tmp_path):
    """`--config` names the stack; ./llmstack.toml is taken if there is one."""
    server.next(500, times=None)
    once = "[retry]\nattempts = 1\n"
    (tmp_path / "named.toml").write_text(f'plugins = ["retry"]\n{once}', encoding="utf-8")
    llmstack("call", "--config", "named.toml", "hi")
    assert server.count() == 1
    (tmp_path / "llmstack.toml").write_text(f'plugins = ["retry"]\n{once}', encoding="utf-8")
    llmstack("call", "hi")
    assert server.count() == 2


def test_tags_reach_the_plugins(llmstack, installed, tmp_path):
    """`--tag label=value` is what plugins see as the call's tags."""
    source = """
from llmstack import hookimpl

class Plugin:
    name = "teller"

    @hookimpl
    def llmstack_call(self, call, next):
        print(dict(call.options.tags))
        return (yield from next(call))
"""
    (tmp_path / "llmstack.toml").write_text('plugins = ["teller"]\n', encoding="utf-8")
    done = llmstack("call", "-t", "team=search", "--tag", "env=a=b", "hi", changed=installed("teller", source))
    assert done.stdout.startswith("{'team': 'search', 'env': 'a=b'}\n")


def test_what_goes_to_a_pipe_is_left_as_it_is(ask):
    """Without a terminal the model's text is not touched."""
    assert ask("red \x1b[31m text").stdout == "You said: red \x1b[31m text\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("stream", [(), ("--stream",)])
def test_a_terminal_gets_no_control_characters(running, stream):
    """On a terminal the model cannot move the cursor."""
    outer, inner = os.openpty()
    process = running(*stream, "red \x1b[31m text", stdout=inner)
    os.close(inner)
    shown = b""
    try:
        while data := os.read(outer, 1024):
            shown += data
    except OSError:  # Linux ends a pseudo-terminal with an error
        pass
    os.close(outer)
    assert process.wait(30) == 0
    assert shown.split() == [b"You", b"said:", b"red", rb"\u001b[31m", b"text"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_ctrl_c_ends_quietly(running, server):
    """Ctrl-C in the midst of a stream: exit 130, no traceback, the line ended."""
    gate = server.gate(after=3)
    process = running("--stream", "one two three")
    gate.wait_reached(30)
    assert process.stdout.read(len(b"You said")) == b"You said"
    wait_until_it_reads(process)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert rest == b"\n"
    assert errors == b""


def wait_until_it_reads(process):
    """Wait until a process that has shown what came waits for more, where the system tells.

    Between its last look at signals and its sleep in the read, Python hears of one only when the read ends; so does any
    program that reads from a socket.
    """
    status = Path(f"/proc/{process.pid}/stat")
    while status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "RD":
        time.sleep(0.001)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")  # noqa: PTH110 - at import
def test_a_full_disk_is_told(running):
    """`llmstack call ... > answer.txt` where there is no more room."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - no path of ours
        process = running("hi", stdout=full)
        assert process.wait(30) == 1
    assert process.stderr.read() == b"cannot write: No space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pipe that breaks")
def test_a_broken_pipe_is_quiet(running, server):
    """`llmstack call --stream ... | head -c 4` prints no error."""
    server.next(event_delay=0.02)
    process = running("--stream", "word " * 50)
    os.read(process.stdout.fileno(), 4)
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr.read() == b""
