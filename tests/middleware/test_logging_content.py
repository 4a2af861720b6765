"""Logging content where the program asked for it: redacted or full, within bounds."""

import io
import json
from typing import Any

import openai
import pytest

from llmstack import AsyncOpenAI, OpenAI, Stack
from llmstack.middleware import Logging, Retry
from llmstack.testing import FakeClock, LocalServer, ScriptedTransport, Status

PRIVATE = "I am jane@example.com, +1 415 555 2671"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": PRIVATE}]}
KEY = "sk-test-not-a-key"


class Log:
    """A Logging plugin that writes JSON, and the content lines it has written."""

    def __init__(self, content: Any = "full", **options):
        self.stream = io.StringIO()
        self.plugin = Logging(format="json", stream=self.stream, content=content, **options)

    @property
    def lines(self):
        """The `llm.content` lines."""
        assert self.plugin.flush()
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == "llm.content"]

    def stack(self, script):
        """A stack whose calls follow a script."""
        return Stack([Retry(), self.plugin], transport=ScriptedTransport(script), clock=FakeClock())

    def client(self, script):
        """A client of such a stack."""
        return OpenAI(api_key=KEY, stack=self.stack(script))


def asked(line):
    """The text of the last message of a line's request."""
    return line["content.request"]["messages"][-1]["content"]


def answered(line):
    """The text of a line's answer."""
    return line["content.answer"]["choices"][0]["message"]["content"]


def test_full_content_is_a_line_for_each_attempt():
    """Tied to the other lines by the call's id and the attempt's number."""
    log = Log()
    log.client([Status(500), "ask bob@example.com"]).chat.completions.create(**ASK, temperature=0.5)
    failed, good = log.lines
    assert failed["call_id"] == good["call_id"]
    assert (failed["attempt"], failed["error.type"]) == (1, "InternalServerError")
    assert "content.answer" not in failed
    assert good["attempt"] == 2
    assert good["content.request"] == {"messages": [{"role": "user", "content": PRIVATE}]}
    assert answered(good) == "ask bob@example.com"


def test_redacted_content_is_without_what_is_private():
    """On both sides."""
    log = Log("redacted")
    log.client(["ask bob@example.com"]).chat.completions.create(**ASK)
    (line,) = log.lines
    assert asked(line) == "I am [email], [phone]"
    assert answered(line) == "ask [email]"


def test_short_texts_are_redacted_too():
    """However short."""
    log = Log("redacted")
    log.client(["a@b.example"]).completions.create(model="m", prompt=["a@b.example", "::1"])
    (line,) = log.lines
    assert line["content.request"] == {"prompt": ["[email]", "[ip]"]}
    assert line["content.answer"]["choices"][0]["text"] == "[email]"


@pytest.mark.parametrize(("content", "expected"), [("redacted", "I am [email], [phone]"), ("full", PRIVATE)])
def test_the_programs_redactor_goes_first(content, expected):
    """It alone with "full"."""
    log = Log(content, redact=lambda text: text.replace("I am", "We are"))
    log.client(["hi"]).chat.completions.create(**ASK)
    assert asked(log.lines[0]) == expected.replace("I am", "We are")


@pytest.mark.parametrize("broken", [lambda text: 1 / len(text[:0]), lambda text: None], ids=["raises", "returns None"])
def test_a_redactor_that_fails_loses_the_line_and_tells_no_content(broken, caplog):
    """The call is not affected."""
    log = Log(redact=broken)
    answer = log.client(["hi"]).chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "hi"
    assert log.lines == []
    assert log.plugin.failures == 1
    (record,) = caplog.records
    assert "redact= failed (" in record.getMessage()
    assert "jane" not in record.getMessage()


async def test_a_stream_is_logged_whole_when_it_has_ended():
    """Put together from its chunks; also an async one."""
    log = Log()
    client = AsyncOpenAI(api_key=KEY, stack=log.stack(["one two three"]))
    async with await client.chat.completions.create(**ASK, stream=True) as stream:
        assert [chunk async for chunk in stream]
    await client.stack.aclose()
    assert answered(log.lines[0]) == "one two three"


def test_what_the_program_changes_later_does_not_change_the_line():
    """The list of messages belongs to the program, which goes on using it."""
    log = Log()
    messages: list[Any] = [{"role": "user", "content": "first"}]
    with log.client(["hi"]).chat.completions.create(model="m", messages=messages, stream=True) as stream:
        messages[0]["content"] = "changed"
        messages.append({"role": "user", "content": "added"})
        list(stream)
    assert log.lines[0]["content.request"]["messages"] == [{"role": "user", "content": "first"}]


def test_tools_called_and_their_results_are_content():
    """Arguments included."""
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    log = Log()
    body = {
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [call]}}]
    }
    messages: list[Any] = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "rain"},
    ]
    log.client([body]).chat.completions.create(model="m", messages=messages)
    (line,) = log.lines
    assert line["content.request"]["messages"] == messages
    assert line["content.answer"]["choices"][0]["message"]["tool_calls"] == [call]


def test_a_responses_call_has_its_input_and_output():
    """Instructions too; not the other parameters."""
    log = Log()
    log.client(["four"]).responses.create(model="m", instructions="be brief", input="2 + 2?", user="u-1")
    (line,) = log.lines
    assert line["content.request"] == {"instructions": "be brief", "input": "2 + 2?"}
    assert line["content.answer"]["output"][0]["content"][0]["text"] == "four"


def test_files_and_vectors_are_told_by_their_size_only():
    """Images, audio, files in messages; also in the midst of a text."""
    data = "QUJD" * 100
    url = f"data:image/png;base64,{data}"
    parts = [
        {"type": "text", "text": f"see {url} there"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "QUJD"}},
        {"type": "text", "text": data},
    ]
    log = Log()
    log.client(["hi"]).chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])  # type: ignore[list-item]
    said = asked(log.lines[0])
    assert "QUJD" not in log.stream.getvalue()
    assert said[0]["text"] == f"see [image/png, {len(url)} characters] there"
    assert said[1]["image_url"] == {"url": f"[image/png, {len(url)} characters]"}
    assert said[3]["input_audio"] == {"data": "[4 characters of data]", "format": "wav"}
    assert said[4]["file"] == {"filename": "a.pdf", "file_data": "[4 characters of data]"}
    assert said[5]["text"] == "[400 characters of data]"


def test_a_file_in_the_midst_of_a_text_does_not_hide_the_text():
    """However much longer than the limit the file is."""
    log = Log(content_limit=100)
    prompt = f"look: data:image/png;base64,{'QUJD' * 10_000} and tell"
    log.client(["hi"]).completions.create(model="m", prompt=prompt)
    assert log.lines[0]["content.request"]["prompt"] == "look: [image/png, 40022 characters] and tell"


def test_embeddings_are_told_by_their_size_only():
    """As numbers and as base64, and tokens given as numbers."""
    log = Log()
    with LocalServer() as server, OpenAI(api_key=KEY, base_url=server.base_url, stack=Stack([log.plugin])) as client:
        client.embeddings.create(model="m", input=["hello"], encoding_format="float")
        client.embeddings.create(model="m", input=list(range(50)))
    numbers, encoded = log.lines
    assert numbers["content.request"] == {"input": ["hello"]}
    assert numbers["content.answer"]["data"][0]["embedding"].endswith(" numbers]")
    assert encoded["content.request"] == {"input": "[50 numbers]"}
    assert encoded["content.answer"]["data"][0]["embedding"].endswith(" characters of data]")
    assert len(log.stream.getvalue()) < 5000


def test_sound_is_told_by_its_size():
    """An answer that is no JSON."""
    log = Log()
    with LocalServer() as server, OpenAI(api_key=KEY, base_url=server.base_url, stack=Stack([log.plugin])) as client:
        spoken = client.audio.speech.create(model="m", voice="alloy", input="hello")
    assert log.lines[0]["content.request"] == {"input": "hello"}
    assert log.lines[0]["content.answer"] == f"[{len(spoken.content)} bytes]"


def test_the_newest_messages_get_the_room():
    """A text that does not fit is cut; older ones are counted."""
    log = Log(content_limit=100)
    messages: list[Any] = [{"role": "user", "content": f"{number} " + "x" * 60} for number in range(30)]
    log.client(["y " * 250]).chat.completions.create(model="m", messages=messages)
    (line,) = log.lines
    older, cut, newest = line["content.request"]["messages"]
    assert older == "[28 more]"
    assert cut["content"] == "28 " + "x" * 34 + "… [63 characters]"
    assert newest["content"] == "29 " + "x" * 60
    assert answered(line) == "y " * 50 + "… [500 characters]"


def test_what_straddles_the_cut_is_redacted():
    """Nobody sees the half of an address."""
    for length in range(80, 101):
        log = Log("redacted", content_limit=100)
        log.client(["hi"]).completions.create(model="m", prompt=" " * length + "jane.doe@example.com" + " x" * 9000)
        assert "jane" not in log.stream.getvalue() + str(log.lines)


def test_content_is_bounded_in_number_and_depth():
    """Whatever a program or a server sends."""
    deep: Any = "bottom"
    for _ in range(5000):
        deep = [deep]
    log = Log()
    client = log.client(["hi", {"choices": [{"message": {str(n): n for n in range(5000)}}]}])
    client.responses.create(model="m", input=deep)
    client.completions.create(model="m", prompt=[str(number) for number in range(5000)])
    first, second = log.lines
    assert "nested too deep" in json.dumps(first)
    assert second["content.request"]["prompt"][0] == "[4001 more]"
    assert second["content.answer"] == {"choices": [{"message": "[5000 entries]"}]}


def test_content_that_cannot_be_looked_at_does_not_fail_the_call():
    """The line says so."""

    class Broken(dict[str, Any]):
        def items(self):
            raise LookupError("private")

    def breaking(call, next):
        return (yield from next(call.with_params(messages=Broken())))

    log = Log()
    stack = Stack([breaking, log.plugin], transport=ScriptedTransport([lambda call: {"choices": []}]))
    OpenAI(api_key=KEY, stack=stack).chat.completions.create(**ASK)
    assert log.lines[0]["content.request"] == "[cannot be logged: LookupError]"


def test_a_sample_keeps_the_content_of_failed_attempts():
    """And of the calls in the sample."""
    log = Log(sample=0.0)
    client = log.client(["hi", Status(400)])
    client.chat.completions.create(**ASK)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(**ASK)
    (line,) = log.lines
    assert line["error.type"] == "BadRequestError"


def test_nothing_is_captured_below_the_level():
    """Where no line would be written."""
    log = Log(level="WARNING")
    log.client(["hi"]).chat.completions.create(**ASK)
    assert log.lines == []
