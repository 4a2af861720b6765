"""What a cassette's modes record and replay, and what it says of a call that it has not."""

import pickle

import pytest

from llmstack import OpenAI, Stack
from llmstack.middleware import Retry
from llmstack.testing import Cassette, CassetteError, Recorder
from tests.core.side import KEY, Side, trio_complains
from tests.testing.cassette_calls import ASKED, ask, client_of

pytestmark = trio_complains


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
