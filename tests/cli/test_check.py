"""`llmstack check`: whether a stack would work."""

import json

import pytest

KEYS = {"OPENAI_API_KEY": "sk-test-not-a-key-0123456789"}


@pytest.fixture
def check(run, tmp_path):
    """Check a config; gives the exit status and the findings by what they are about."""

    def check(text, *arguments, changed=None):
        path = tmp_path / "stack.toml"
        path.write_text(text, encoding="utf-8")
        done = run("check", "--json", "--config", str(path), *arguments, changed={**KEYS, **(changed or {})})
        said = json.loads(done.stdout)
        assert said["good"] == (done.returncode == 0)
        return done.returncode, [(found["verdict"], found["what"], found["said"]) for found in said["findings"]]

    return check


def bad(findings):
    return [(what, said) for verdict, what, said in findings if verdict == "bad"]


def test_a_good_config_is_good(check, tmp_path):
    """Exit 0; each thing that was looked at is told."""
    text = f'plugins = ["cache", "budget", "retry"]\n[budget]\nstore = "sqlite:///{tmp_path}/llm.db"\n'
    status, findings = check(text)
    assert status == 0
    assert {what for _, what, _ in findings} == {"config", "plugin", "store", "key"}
    assert ("ok", "store", f"the ledger at sqlite:///{tmp_path}/llm.db answers") in findings
    assert ("ok", "plugin", "cache, budget, retry (llmstack-openai 0.1.0)") in findings


def test_every_mistake_in_a_config_is_told(check):
    """Not only the first; with file and line."""
    status, findings = check('plugins = ["retry"]\n[retry]\natempts = 3\nstrict = "maybe"\n')
    assert status == 1
    assert len(bad(findings)) == 2
    assert "stack.toml:3" in bad(findings)[0][1]
    assert "did you mean 'attempts'?" in bad(findings)[0][1]
    assert "stack.toml:4" in bad(findings)[1][1]


def test_a_store_that_cannot_be_used_is_bad(check, tmp_path):
    """Its address is told, without user and password."""
    (tmp_path / "file").write_text("")
    status, findings = check(f'plugins = ["cache"]\n[cache]\nstore = "sqlite:///{tmp_path}/file/llm.db"\n')
    assert status == 1
    ((what, said),) = bad(findings)
    assert what == "store"
    assert said.startswith(f"the cache at sqlite:///{tmp_path}/file/llm.db cannot be used: ")


def test_a_password_in_a_stores_address_is_not_told(check):
    """Nor anything else that may be secret."""
    address = "redis://ann:hunter22-not-a-key@127.0.0.1:1/0"
    text = 'plugins = ["cache"]\n[cache]\nstore = "env:ACME_STORE"\n'
    status, findings = check(text, changed={"ACME_STORE": address})
    assert status == 1
    assert "redis://127.0.0.1:1/0" in bad(findings)[0][1]
    assert "not-a-key" not in json.dumps(findings)
    assert "ann" not in bad(findings)[0][1].split()


def test_a_missing_key_is_bad(check):
    """It names the variable."""
    status, findings = check('plugins = ["retry"]\n', changed={"OPENAI_API_KEY": None})
    assert status == 1
    assert bad(findings)[0][0] == "key"
    assert "OPENAI_API_KEY is not set" in bad(findings)[0][1]


def test_a_transport_with_a_key_of_its_own_needs_no_other(check):
    """And the key it has by reference is not printed."""
    text = (
        'plugins = ["retry"]\n[transport]\nuse = "openai"\nbase_url = "https://llm.example.com"\napi_key = "env:ACME"\n'
    )
    status, findings = check(text, changed={"OPENAI_API_KEY": None, "ACME": "acme-not-a-key"})
    assert status == 0
    assert ("ok", "key", "the transport openai has its own") in findings
    status, findings = check(text, changed={"ACME": None})
    assert status == 1
    assert "ACME is not set" in bad(findings)[0][1]


def test_the_price_of_a_named_model_must_be_known(check):
    """Published, or in the config's own table."""
    own = 'plugins = ["budget"]\n[budget.prices.my-llama]\ninput = "0.20"\noutput = "0.80"\n'
    status, findings = check(own, "-m", "my-llama", "-m", "gpt-5-mini")
    assert status == 0
    assert ("ok", "price", "my-llama: $0.20 for a million tokens read, $0.80 written") in findings
    status, findings = check(own, "-m", "nobody-knows")
    assert status == 1
    assert "nobody knows what nobody-knows costs" in bad(findings)[0][1]


@pytest.mark.slow
def test_a_plugin_that_is_broken_or_blocked_is_named(llmstack, installed, tmp_path):
    """The one is an error even where the config lets it be left out; the other is on purpose."""
    found = installed("acme_broken", "raise RuntimeError('no such luck')")
    (tmp_path / "llmstack.toml").write_text('plugins = ["acme_broken", "retry"]\nstrict = false\n')
    done = llmstack("check", changed=found)
    assert done.returncode == 1
    assert "'acme_broken' from acme_broken 1.0" in " ".join(done.stdout.split())
    done = llmstack("check", changed={**found, "LLMSTACK_BLOCK": "acme_broken"})
    assert done.returncode == 0
    assert "is blocked by LLMSTACK_BLOCK" in " ".join(done.stdout.split())
    assert done.stderr == ""


def test_people_read_what_is_to_be_mended(run, tmp_path):
    """In words, at 80 columns."""
    (tmp_path / "llmstack.toml").write_text('plugins = ["retry"]\n')
    done = run("check")
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith("1 thing to mend")
    assert run("check", changed=KEYS).stdout.rstrip().endswith("all good")
    assert [line for line in done.stdout.splitlines() if len(line.rstrip()) > 80] == []
