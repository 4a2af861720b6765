"""Calls recorded against a server, replayed with the server gone."""

import base64
import pickle
import re
import threading
from typing import Any

import openai
import pytest
import yaml

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.middleware import Retry
from llmstack.redaction import redact
from llmstack.testing import MISSING_MODEL, Cassette, CassetteError, FakeClock, LocalServer, Recorder
from llmstack.transports import OpenAITransport
from tests.core.side import KEY, MESSAGES, Side, texts, trio_complains

pytestmark = trio_complains
PROMPT = "Tell me of the sea\nand of \N{SNOWMAN} and \N{PILE OF POO}"
REQUEST = "{request: {endpoint: e, method: POST, path: /}"
ASKED: Any = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "cassettes" / "calls.yaml"


@pytest.fixture
def gone():
    """A server's address where nobody listens any more."""
    with LocalServer() as server:
        return server.base_url


@pytest.fixture(params=["sync", "asyncio", "trio"])
def side(request):
    return Side(request.param)


def client_of(side, base_url, layers=(), **more) -> Any:
    kind = AsyncOpenAI if side.asynchronous else OpenAI
    stack = Stack(layers, clock=FakeClock(), **more)
    return kind(api_key=KEY, base_url=base_url, stack=stack, max_retries=0, timeout=20)


async def conversation(side, client):
    """A bit of everything; what the program saw."""
    seen = []
    done = await side.do(client.chat.completions.create(**ASKED))
    seen.append(done.model_dump())
    chunks = await side.read(await side.do(client.chat.completions.create(**ASKED, stream=True)))
    seen.append([chunk.model_dump() for chunk in chunks])
    events = await side.read(await side.do(client.responses.create(model="m", input=PROMPT, stream=True)))
    seen.append([event.model_dump() for event in events])
    seen.append((await side.do(client.embeddings.create(model="e", input=PROMPT))).model_dump())
    speech = await side.do(client.audio.speech.create(model="tts-1", voice="alloy", input=PROMPT))
    seen.append(speech.content)
    uploaded = await side.do(client.files.create(file=("notes.txt", b"\xff\x00notes"), purpose="batch"))
    seen.append(uploaded.model_dump())
    seen.append((await side.do(client.models.retrieve("gpt-5-mini"))).model_dump())
    with pytest.raises(openai.NotFoundError) as caught:
        await side.do(client.chat.completions.create(model=MISSING_MODEL, messages=MESSAGES))
    error = caught.value
    seen.append((type(error), str(error), error.status_code, error.body, error.request_id, error.request.method))
    lazily = client.audio.speech.with_streaming_response.create(model="t", voice="alloy", input="x")
    seen.append(await side.read_bytes(lazily))
    raw = await side.do(client.chat.completions.with_raw_response.create(**ASKED))
    seen.append((raw.status_code, raw.headers["x-request-id"], raw.parse().model_dump()))
    await side.do(client.close())
    return seen


@pytest.mark.parametrize("again", ["sync", "asyncio", "trio"])
def test_recorded_once_and_replayed_with_the_server_gone(side, file, again):
    """By whatever client: the program sees the same to the letter, and no request is made."""
    with LocalServer() as server:
        with Cassette(file) as cassette:
            first = side.run(lambda: conversation(side, client_of(side, server.base_url)))
        base_url = server.base_url
        sent = server.count()
    assert sent == len(first) == cassette.calls
    other = Side(again)
    with Cassette(file, mode="none") as cassette:
        second = other.run(lambda: conversation(other, client_of(other, base_url)))
        assert cassette.unplayed == 0
    assert second == first


def test_as_a_transport_of_one_stack(file, gone, side):
    """Others are left alone; what was recorded is written when the stack is closed."""

    async def program(base_url):
        stack = Stack([Retry()], transport=Cassette(file))
        client = client_of(side, base_url).with_options(stack=stack)
        answer = await side.do(client.chat.completions.create(**ASKED))
        await side.do(client.close())
        await side.do(stack.aclose() if side.asynchronous else stack.close())
        return answer.choices[0].message.content

    with LocalServer() as server:
        first = side.run(lambda: program(server.base_url))
    assert side.run(lambda: program(gone)) == first


def test_a_stream_keeps_its_chunks(file, gone):
    """One read for each event, so that a layer sees them as they came."""
    with LocalServer() as server, Cassette(file), client_of(Side("sync"), server.base_url) as client:
        first = list(client.chat.completions.create(**ASKED, stream=True))
    with Cassette(file), client_of(Side("sync"), gone) as client:
        stream = client.chat.completions.create(**ASKED, stream=True)
        pieces = list(stream.response.iter_bytes())
    assert len(first) > 5
    assert len(pieces) == len(first) + 1  # [DONE]
    assert all(piece.endswith(b"\n\n") for piece in pieces)


def test_failures_are_replayed_in_their_order(file, gone, server):
    """A retry finds the same obstacles."""

    def program(base_url):
        recorder = Recorder()
        clock = FakeClock()
        stack = Stack([Retry(attempts=5), recorder], clock=clock)
        with OpenAI(api_key=KEY, base_url=base_url, stack=stack) as client, Cassette(file):
            answer = client.chat.completions.create(**ASKED)
            stream = client.chat.completions.create(**ASKED, stream=True)
            with pytest.raises(openai.APIConnectionError):
                list(stream)
        kinds = [type(event).__name__ for event in recorder.events]
        return answer.model_dump(), kinds, clock.sleeps[0]

    server.next(429, headers={"retry-after": "7"})
    server.next(fault="close")
    server.next(fault="truncated_json")
    server.next(times=1)
    server.next(fault="cut", after=3)
    first = program(server.base_url)
    assert first[2] == 7.0
    assert program(gone) == first


def test_a_stream_left_early_is_replayed_as_far_as_it_was_read(file, gone, server):
    """Who reads on is told."""

    def program(base_url, *, most):
        with Cassette(file), client_of(Side("sync"), base_url) as client:
            seen = []
            with client.chat.completions.create(**ASKED, stream=True) as stream:
                for chunk in stream:
                    seen.append(chunk)
                    if len(seen) == most:
                        break
            return texts(seen)

    gate = server.gate(after=4)
    first = program(server.base_url, most=3)
    gate.release()
    assert program(gone, most=3) == first
    with pytest.raises(CassetteError, match="the program stopped reading when it was made"):
        program(gone, most=100)


# The file -----------------------------------------------------------------------------------------------------------


def record(server, file, **more):
    with Cassette(file, **more), client_of(Side("sync"), server.base_url) as client:
        client.chat.completions.create(**ASKED)
        list(client.chat.completions.create(**ASKED, stream=True))
        client.audio.speech.create(model="tts-1", voice="alloy", input="x")
    return file.read_text()


def test_the_file_reads_well(server, file):
    """Bodies line by line, sorted as asked, one entry a request."""
    text = record(server, file)
    calls = yaml.safe_load(text)["calls"]
    assert [call["request"]["endpoint"] for call in calls] == ["chat.completions", "chat.completions", "audio.speech"]
    assert '\n      body: |\n        {\n          "messages": [\n            {\n              "content": "Tell' in text
    assert "\n      events: |+\n        data: {" in text
    assert "\N{SNOWMAN}" in text
    assert base64.b64decode(calls[2]["reply"]["base64"])
    assert '\\"' not in text
    ids = re.compile(r"req_\d+|chatcmpl-\d+")
    again = record(server, file.with_name("again.yaml"))
    assert ids.sub("id", again) == ids.sub("id", text)


def test_no_secret_is_written(server, file):
    """Neither the key, nor any header of the request."""
    text = record(server, file)
    assert KEY not in text
    assert "authorization" not in text.lower()
    assert "x-stainless" not in text.lower()


def test_secrets_are_scrubbed_by_value(server, file):
    """Wherever they turn up: the server echoes what it is asked."""
    asked = {"model": "m", "messages": [{"role": "user", "content": f"my key is {KEY}, keep it"}]}
    with Cassette(file), client_of(Side("sync"), server.base_url) as client:
        assert KEY in client.chat.completions.create(**asked).choices[0].message.content
    assert KEY not in file.read_text()
    with Cassette(file, mode="none"), client_of(Side("sync"), server.base_url) as client:
        assert "***" in client.chat.completions.create(**asked).choices[0].message.content


@pytest.mark.parametrize(
    "rule",
    ["messages.content", "content", re.compile("(?i)tell me of the sea"), lambda text: text.replace("sea", "***")],
    ids=["path", "name", "pattern", "function"],
)
def test_chosen_fields_are_scrubbed(server, gone, file, rule):
    """On both ways; and the call is found again by what is left."""
    rules = [rule, "content"]
    with Cassette(file, scrub=rules), client_of(Side("sync"), server.base_url) as client:
        assert "the sea" in client.chat.completions.create(**ASKED).choices[0].message.content
        assert "sea" in texts(client.chat.completions.create(**ASKED, stream=True))
    assert " sea" not in file.read_text()
    with Cassette(file, scrub=rules), client_of(Side("sync"), gone) as client:
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "***"
        assert "***" in texts(client.chat.completions.create(**ASKED, stream=True))


def test_personal_data_can_be_scrubbed(server, file):
    """By the function that the logs use."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "mail jane@example.com"}]}
    with Cassette(file, scrub=[redact]), client_of(Side("sync"), server.base_url) as client:
        client.chat.completions.create(**asked)
    assert "jane@" not in file.read_text()
    assert "[email]" in file.read_text()


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"mode": "sometimes"}, ValueError, "mode must be one of none, once, new, all"),
        ({"scrub": "user"}, TypeError, "scrub must be a list"),
        ({"scrub": [7]}, TypeError, "not a int"),
    ],
)
def test_options_are_checked(options, kind, says):
    with pytest.raises(kind, match=says):
        Cassette("x.yaml", **options)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("calls: [", "no YAML at line 1"),
        ("- a", "no list of calls"),
        ("calls: []", "of version None"),
        ("version: 1\ncalls: [{request: {}}]", "call number 1 cannot be read"),
        (
            "version: 1\ncalls:\n- {request: {endpoint: e, method: POST, path: /}, reply: {ending: sad}}",
            "call number 1",
        ),
    ],
)
def test_a_damaged_file_is_told(tmp_path, text, says):
    """Which, where and why."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(CassetteError, match=f"x.yaml is no cassette: .*{says}"), Cassette(file):
        pass


# Modes --------------------------------------------------------------------------------------------------------------


def ask(base_url, file, *words, mode: Any = "once", **more):
    with Cassette(file, mode=mode) as cassette, client_of(Side("sync"), base_url) as client:
        for word in words:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": word}], **more)
    return cassette


def test_once_records_a_file_and_nothing_after(server, gone, file):
    """What was recorded is complete, then."""
    assert ask(server.base_url, file, "one", "two").calls == 2
    before = file.read_bytes()
    ask(gone, file, "one", "two")
    with pytest.raises(CassetteError):
        ask(gone, file, "three")
    assert file.read_bytes() == before


def test_none_never_records(server, file):
    """As in continuous integration."""
    with pytest.raises(CassetteError, match=r"does not exist, and mode 'none' records nothing; to record it"):
        ask(server.base_url, file, "one", mode="none")
    assert server.count() == 0
    assert not file.exists()


def test_new_records_what_is_missing(server, file):
    """And plays the rest."""
    ask(server.base_url, file, "one")
    assert ask(server.base_url, file, "one", "two", mode="new").calls == 2
    assert server.count() == 2
    assert ask(server.base_url, file, "two", "one").unplayed == 0


def test_all_records_everything_anew(server, file):
    """And forgets what is not asked any more."""
    ask(server.base_url, file, "one", "two")
    assert ask(server.base_url, file, "one", mode="all").calls == 1
    assert server.count() == 3


def test_the_same_call_is_played_in_order_and_as_often_as_recorded(server, gone, file):
    """Not once more."""
    answers = iter(["first", "second"])
    server.script(lambda request: {**BODY, "choices": [choice(next(answers))]})

    def program(base_url, times):
        with Cassette(file), client_of(Side("sync"), base_url) as client:
            return [client.chat.completions.create(**ASKED).choices[0].message.content for _ in range(times)]

    assert program(server.base_url, 2) == ["first", "second"]
    assert program(gone, 2) == ["first", "second"]
    with pytest.raises(CassetteError, match=r"has this call 2 time\(s\), and each has been played"):
        program(gone, 3)


BODY = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}


def choice(text):
    return {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}


def test_what_is_missing_is_told_by_its_difference(server, gone, file, caplog):
    """Field by field, and no content in it."""
    ask(server.base_url, file, "the private words of ann", temperature=0.5)
    with pytest.raises(CassetteError) as caught:
        ask(gone, file, "the private words of bob", temperature=1, max_tokens=5)
    error, length = caught.value, "a text of 24 characters"
    assert error.differences == (
        "max_tokens: recorded nothing, asked 5",
        f"messages[0].content: recorded {length}, asked {length}, different from character 22 on",
        "temperature: recorded 0.5, asked 1",
    )
    assert "the nearest, number 1, differs in\n  - max_tokens: " in str(error)
    assert 'to record it, use mode "new" (pytest --llm-cassette=new)' in str(error)
    assert "private" not in str(error) + repr(error) + caplog.text
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_another_endpoint_is_told(server, gone, file):
    """With what there is."""
    ask(server.base_url, file, "one")
    with (
        pytest.raises(CassetteError, match=r"has no call of this endpoint, only of: chat\.completions"),
        Cassette(file),
        client_of(Side("sync"), gone) as client,
    ):
        client.responses.create(model="m", input="x")


def test_a_retry_does_not_try_a_missing_call_again(server, gone, file):
    """It is no failure of the provider's."""
    ask(server.base_url, file, "one")
    stack = Stack([Retry(), recorder := Recorder()])
    with Cassette(file), OpenAI(api_key=KEY, base_url=gone, stack=stack) as client, pytest.raises(CassetteError):
        client.chat.completions.create(**ASKED)
    assert recorder.finished.attempts == 1


# Around it ----------------------------------------------------------------------------------------------------------


def test_cassettes_nest_and_leave_nothing(server, gone, tmp_path):
    """The innermost takes the calls."""
    before = OpenAITransport.send
    outer, inner = tmp_path / "outer.yaml", tmp_path / "inner.yaml"
    with Cassette(outer) as first:
        ask(server.base_url, inner, "in")
        ask_here(server.base_url, "out")
    assert first.calls == 1
    assert OpenAITransport.send is before
    ask(gone, inner, "in")


def ask_here(base_url, word):
    with client_of(Side("sync"), base_url) as client:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": word}])


def test_many_threads_share_one(server, gone, file):
    """Each finds its own answer."""

    def program(base_url):
        found = {}

        def one(number):
            asked = [{"role": "user", "content": f"number {number}"}]
            answer = client.chat.completions.create(model="m", messages=asked)
            found[number] = answer.choices[0].message.content

        with Cassette(file) as cassette, client_of(Side("sync"), base_url) as client:
            threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert cassette.calls == 8
        return found

    first = program(server.base_url)
    assert program(gone) == first == {n: f"You said: number {n}" for n in range(8)}


def test_what_is_not_closed_is_not_half_written(server, file):
    """A file is there as a whole or not at all, and no other is left beside it."""
    record(server, file)
    assert [path.name for path in file.parent.iterdir()] == ["calls.yaml"]
