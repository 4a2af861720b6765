"""The marker llm_cassette, as programs meet it: in a pytest of its own."""

import pytest

from llmstack.testing import LocalServer

pytest_plugins = ["pytester"]

PROGRAM = """
import os
import pytest
from llmstack import OpenAI, Stack
from llmstack.secrets import register

KEY = "sk-example-of-a-test"

def ask(word, **more):
    with OpenAI(api_key=KEY, base_url=os.environ["URL"], stack=Stack([]), max_retries=0, timeout=10) as client:
        messages = [{"role": "user", "content": word}]
        return client.chat.completions.create(model="m", messages=messages, **more).choices[0].message.content

@pytest.mark.llm_cassette
def test_alone(llm_cassette):
    assert ask("alone") == "You said: alone"
    assert llm_cassette.file.name == "test_alone.yaml"

@pytest.mark.llm_cassette("shared.yaml", scrub=["user"])
def test_named():
    assert ask("named", user="ann@example.com") == "You said: named"

@pytest.mark.llm_cassette
class TestGroup:
    @pytest.mark.parametrize("word", ["a b", "c"])
    def test_word(self, word):
        assert ask(word) == f"You said: {word}"

@pytest.fixture
def greeting():
    return ask("in a fixture")

@pytest.mark.llm_cassette
def test_fixtures_are_recorded_too(greeting):
    assert greeting == "You said: in a fixture"
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs the program in a pytest of its own, with the network blocked."""
    pytester.makepyfile(test_it=PROGRAM)
    pytester.makeini("[pytest]\nllmstack_block_network = true")

    def run(url, *arguments):
        monkeypatch.setenv("URL", url)
        return pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "--strict-markers", *arguments)

    return run


def test_recorded_next_to_the_test_and_replayed_with_the_server_gone(run, pytester):
    """One file a test, named for it; and a blocked network is no obstacle to either."""
    with LocalServer() as server:
        run(server.base_url).assert_outcomes(passed=5)
        assert server.count() == 5
        url = server.base_url
    files = sorted(path.name for path in (pytester.path / "cassettes").iterdir())
    assert files == [
        "TestGroup.test_word-a-b.yaml",
        "TestGroup.test_word-c.yaml",
        "shared.yaml",
        "test_alone.yaml",
        "test_fixtures_are_recorded_too.yaml",
    ]
    written = "".join((pytester.path / "cassettes" / name).read_text() for name in files)
    assert "ann@example.com" not in written
    assert "sk-example" not in written
    run(url).assert_outcomes(passed=5)
    run(url, "--llm-cassette=none").assert_outcomes(passed=5)


def test_the_mode_of_the_command_line_wins(run, pytester):
    """Nothing is recorded where it must not be; the failure tells how it would be."""
    with LocalServer() as server:
        result = run(server.base_url, "--llm-cassette=none")
        result.assert_outcomes(failed=4, errors=1)
        result.stdout.fnmatch_lines(["*CassetteError: *test_alone.yaml does not exist, and mode 'none' records*"])
        assert server.count() == 0
    assert not (pytester.path / "cassettes").exists()


def test_a_call_that_is_not_there_fails_the_test(run, pytester):
    """With the difference, and without content."""
    with LocalServer() as server:
        run(server.base_url, "-k", "alone").assert_outcomes(passed=1, deselected=4)
        pytester.makepyfile(test_it=PROGRAM.replace('ask("alone")', 'ask("together")'))
        result = run(server.base_url, "-k", "alone")
    result.assert_outcomes(failed=1, deselected=4)
    result.stdout.fnmatch_lines(["*messages[[]0[]].content: recorded a text of 5 characters, asked a text of 8 char*"])


def test_the_folder_may_be_another(run, pytester):
    """Seen from the test file."""
    pytester.makeini("[pytest]\nllmstack_cassette_dir = recorded/calls")
    with LocalServer() as server:
        run(server.base_url, "-k", "alone").assert_outcomes(passed=1, deselected=4)
    assert (pytester.path / "recorded" / "calls" / "test_alone.yaml").exists()


def test_the_fixture_is_for_marked_tests(pytester):
    """Others are told."""
    pytester.makepyfile("def test_it(llm_cassette): pass")
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the fixture llm_cassette is for tests marked with @pytest.mark.llm_cassette*"])
