"""Calls recorded against a server, replayed with the server gone."""

import threading

import openai
import pytest

from llmstack import OpenAI, Stack
from llmstack.middleware import Retry
from llmstack.testing import MISSING_MODEL, Cassette, CassetteError, FakeClock, LocalServer, Recorder
from llmstack.transports import OpenAITransport
from tests.core.side import KEY, MESSAGES, Side, texts, trio_complains
from tests.testing.cassette_calls import ASKED, PROMPT, ask, client_of, record

pytestmark = trio_complains


@pytest.fixture(params=["sync", "asyncio", "trio"])
def side(request):
    return Side(request.param)


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
