"""`llmstack explain`: the stack drawn, and the ways of a call."""

import pytest

FULL = 'plugins = ["validation", "moderation", "cache", "budget", "retry", "logging"]\n[cache]\nttl = 60\n'


@pytest.fixture
def drawn(run, tmp_path):
    """What is drawn of a config."""

    def explain(text, **more):
        path = tmp_path / "stack.toml"
        path.write_text(text, encoding="utf-8")
        done = run("explain", "--config", str(path), **more)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return explain


def ways(text):
    """The ways of a call, by what is said of them."""
    found = {}
    for line in text.partition("The ways of a call")[2].splitlines()[1:]:
        if line.startswith("   "):
            found[next(reversed(found))].append(line.strip())
        elif line:
            found[line.strip()] = []
    return found


def test_layers_stand_between_program_and_transport(drawn):
    """From top to bottom, as a call goes; with the options that were given."""
    text = drawn(FULL)
    places = [text.index(name) for name in ("your program", "  validation", "  cache", "  retry", "openai  the")]
    assert places == sorted(places)
    assert "ttl = 60" in text


def test_who_only_listens_stands_beside(drawn):
    """Calls do not pass it."""
    text = drawn(FULL)
    assert "logging  hears of events" in text.partition("Beside the way")[2]
    assert "logging" not in text.partition("The ways of a call")[2]


def test_the_ways_of_a_call_follow_from_the_stages(drawn):
    """Through, answered by the cache, refused, sent again."""
    found = ways(drawn(FULL))
    through = "→ validation → moderation → cache → budget → retry → openai"
    assert found["It is answered."] == [f"{through}  ✓", "← validation ← moderation ← cache ← budget ← retry"]
    assert found["cache has the answer."][0].endswith("→ cache  ✓ answers by itself: nothing is sent")
    refused = found["A layer in VALIDATE, MODERATE or BUDGET refuses it."]
    assert refused[0].endswith("→ budget  ✗ refuses: nothing is sent")
    assert found["It fails, and retry sends it again."][:2] == [f"{through}  ✗ Failure", "↻ → openai  ✓"]


def test_a_stack_without_layers_has_one_way(drawn):
    """Straight to the transport."""
    assert ways(drawn("plugins = []\n")) == {"It is answered.": ["→ openai  ✓"]}


def test_another_transport_is_named(drawn):
    """With its class."""
    text = drawn('plugins = ["retry"]\n[transport]\nuse = "responses"\n')
    assert "responses  ResponsesTransport" in text
    assert "→ retry → responses  ✓" in text


def test_no_line_is_wider_than_a_terminal(drawn):
    """At 80 columns nothing is longer than 80."""
    assert [line for line in drawn(FULL).splitlines() if len(line.rstrip()) > 80] == []


def test_without_a_config_it_is_the_default_stack(run):
    """And says so."""
    assert run("explain").stdout.startswith("The default stack (there is no config file)")


def test_a_secret_is_not_drawn(drawn):
    """A key given by reference is not among the options shown."""
    key = "sk-test-not-a-key-0123456789"
    transport = '[transport]\nuse = "openai"\nbase_url = "https://llm.example.com/v1"\napi_key = "env:ACME_KEY"\n'
    text = drawn(f'plugins = ["retry"]\n{transport}', changed={"ACME_KEY": key})
    assert key not in text
    assert "OpenAITransport, to https://llm.example.com/v1" in text
