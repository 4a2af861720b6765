"""Secrets and personal data in what a call asks: what is found, where, and what is not."""

import asyncio
import http.client
import inspect
import json
import pathlib
import pickle
import ssl
import time
import urllib.request

import pytest

import llmstack
from llmstack import Call, secrets
from llmstack.middleware._validation.detector import PERSONAL, find_sensitive
from llmstack.middleware._validation.sensitive import Sensitive

MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA2cD4fG6hJ8kL0n"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MjQyIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7v3Zx8rVx1d2e3f4g5h6abcd\n-----END RSA PRIVATE KEY-----"


def call(endpoint="chat.completions", **params):
    """A call with this body."""
    return Call(path="/x", endpoint=endpoint, params=params)


def chat(content, **more):
    """A chat of one message."""
    return call(model="m", messages=[{"role": "user", "content": content, **more}])


def found(text):
    """What is found in a text: kinds and quotes."""
    return [(span.kind, text[span.start : span.end]) for span in find_sensitive(text, secrets=True, personal=PERSONAL)]


@pytest.mark.parametrize(
    ("text", "kind", "quote"),
    [
        (f"my key is sk-proj-{MIXED}.", "API key", f"sk-proj-{MIXED}"),
        (f"?key=AIza{MIXED[:35]}&x", "API key", f"AIza{MIXED[:35]}"),
        (f"export K=ghp_{MIXED[:36]}", "API key", f"ghp_{MIXED[:36]}"),
        (f"sk-ant-api03-{MIXED}", "API key", f"sk-ant-api03-{MIXED}"),
        ("id AKIAQ3EGRXYZABCD2345,", "API key", "AKIAQ3EGRXYZABCD2345"),
        (f"sk_live_{MIXED[:24]}", "API key", f"sk_live_{MIXED[:24]}"),
        (f"xoxb-123456789012-{MIXED}".replace("123456", "193857"), "API key", f"xoxb-193857789012-{MIXED}"),
        (f"a token {JWT} here", "JSON web token", JWT),
        (f"see {PEM} there", "private key", PEM),
        ('password = "tr0ub4dor&3"', "password", "tr0ub4dor&3"),
        ("DB_PASSWORD=kX9!mQ2zT", "password", "kX9!mQ2zT"),
        ("Passwort: Xy7!kk93z.", "password", "Xy7!kk93z"),
        ('{"api_key": "9f8a7b6c5d4e3f2a1b0c9d8e"}', "token", "9f8a7b6c5d4e3f2a1b0c9d8e"),
        (f"githubToken: '{MIXED}'", "token", MIXED),
        (f"Authorization: Bearer {MIXED}", "token", MIXED),
        ("postgres://app:Zk39fjQ2@db.example.com/x", "password", "Zk39fjQ2"),
    ],
)
def test_a_secret_is_found(text, kind, quote):
    """With its kind, and nothing around it."""
    assert found(text) == [(kind, quote)]


def test_a_secret_of_the_program_is_found_by_its_value():
    """Whatever it looks like."""
    secrets.register("a value of 7 words", "not-needed-here")
    assert found("so a value of 7 words it is, not-needed-here") == [("known secret", "a value of 7 words")]


@pytest.mark.parametrize(
    ("text", "kind", "quote"),
    [
        ("mail jane@example.com", "email", "jane@example.com"),
        (r'print("hi\njane@example.com")', "email", "jane@example.com"),
        ("call +1 415 555 2671 now", "phone", "+1 415 555 2671"),
        ("4111 1111 1111 1111 it is", "card", "4111 1111 1111 1111"),
        ("to DE89 3704 0044 0532 0130 00.", "iban", "DE89 3704 0044 0532 0130 00"),
        ("from 203.0.113.9", "ip", "203.0.113.9"),
        ("\u6765\u81ea203.0.113.9\u7684", "ip", "203.0.113.9"),
        ("\uff12\uff10\uff13.\uff10.113.9", "ip", "\uff12\uff10\uff13.\uff10.113.9"),
        ("\u5361\u53f74111\u00a01111\u00a01111\u00a01111", "card", "4111\u00a01111\u00a01111\u00a01111"),
    ],
)
def test_personal_data_is_found(text, kind, quote):
    """By its form and its check digits."""
    assert found(text) == [(kind, quote)]


@pytest.mark.parametrize(
    "text",
    [
        "listen on 127.0.0.1 or ::1 or 0.0.0.0",
        "\uff11\uff12\uff17.0.0.1",
        "mask 255.255.255.0",
        "git@github.com:a/b.git",
    ],
)
def test_what_leads_to_nobody_is_not_personal(text):
    """Loopback addresses, masks, the login of a version control."""
    assert found(text) == []


ORDINARY = [
    "token: str = Depends(oauth2_scheme)", "password: str", 'password = "password123"', "password = getpass()",
    'api_key = os.environ["OPENAI_API_KEY"]', "secret: ${DB_SECRET1}", "max_tokens=1000, stop_token='<|endoftext|>'",
    "tokenizer = tiktoken.get_encoding('cl100k_base')", "api_key='sk-your-key-here-0123456789abcdef'", "sk-learn",
    "AKIAIOSFODNN7EXAMPLE", "postgres://user:password@localhost:5432/db", "Use Bearer authentication for the API.",
    "a token is a unit of text, and a password should have 12 characters", "-----BEGIN PRIVATE KEY----- begins a key",
    "next_page_token=CAUQAA8f3k29fks93jf93k", "Das Passwort: bitte nie weitergeben!", "Le mot de passe: voir 1Password",
    "def check(private_key: ed25519.Ed25519PrivateKey) -> None: ...", '"AWS::IAM::AccessKey": "62d91b17309e76c8"',
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "550e8400-e29b-41d4-a716-446655440000",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "d41d8cd98f00b204e9800998ecf8427e  empty.txt",
    "2026-01-15T10:30:45.123Z INFO [req-8f14e45f] token refreshed in 12ms, token=expired",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore",
    "このパスワードは秘密です。トークン: 後で送ります。", "Пароль: его никто не знает. Секрет фирмы.",  # noqa: RUF001 - Russian
    "كلمة المرور سرية", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "curl -H 'Authorization: Bearer $TOKEN' https://api.example.com/v1", "eyJust.a.word", "https://example.com:8080/a@b",
]  # fmt: skip


@pytest.mark.parametrize("text", ORDINARY)
def test_no_secret_is_seen_in_ordinary_text(text):
    """Source code, logs, prose of several languages, hashes, base64, placeholders and the examples of documentation."""
    assert find_sensitive(text, secrets=True, personal=()) == []


def test_no_secret_is_seen_in_programs():
    """More than a hundred files of source code that has much to do with keys, tokens and passwords."""
    modules = [http.client, ssl, urllib.request, inspect, asyncio, json]
    files = [pathlib.Path(str(inspect.getsourcefile(module))) for module in modules]
    files += sorted(pathlib.Path(llmstack.__file__).parent.rglob("*.py"))
    assert len(files) > 100
    seen = {str(path): find_sensitive(path.read_text(), secrets=True, personal=()) for path in files}
    # The keys of the conformance suite are known by their value, if it has run before.
    found = {path: [span for span in spans if span.kind != "known secret"] for path, spans in seen.items()}
    assert {path: spans for path, spans in found.items() if spans} == {}


@pytest.mark.parametrize(
    "piece",
    ["sk-", "sk-a", "password=", "token=abc", "password: ", "eyJ", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----",
     "a://b:", "a://", "a+", "bearer ", "xoxb-", "secret='", 'pwd="aaaaaaaa', "İpassword=", "a@", "1 ", "SG.a", "["],
)  # fmt: skip
def test_the_time_is_linear_in_the_text(piece):
    """A megabyte made to be slow takes a moment; a pattern that tries again from every place would take hours."""
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    find_sensitive(text, secrets=True, personal=PERSONAL)
    assert time.process_time() - started < 8.0


@pytest.mark.parametrize(
    ("params", "paths"),
    [
        ({"messages": [{"role": "user", "content": "a@example.com"}]}, ["messages[0].content"]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"text": "a@example.com"}]}]},
            ["messages[0].content[1].text"],
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [
                {"id": "a@example.com", "function": {"name": "f", "arguments": '{"to":"a@example.com"}'}}]},
                {"role": "tool", "tool_call_id": "a@example.com", "content": "b@example.com"}]},
            ["messages[0].tool_calls[0].function.arguments", "messages[1].content"],
        ),
        ({"instructions": "a@example.com", "input": "b@example.com"}, ["instructions", "input"]),
        ({"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a@example.com"}]},
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":"b@example.com"}'},
                    {"type": "function_call_output", "call_id": "c", "output": "c@example.com"}]},
         ["input[0].content[0].text", "input[1].arguments", "input[2].output"]),
        ({"prompt": ["x", "a@example.com"]}, ["prompt[1]"]),
        ({"input": ["a@example.com"]}, ["input[0]"]),
        ({"input": [1, 2, 3], "user": "a@example.com", "metadata": {"x": "a@example.com"}}, []),
        ({"messages": [{"role": "user", "name": "a@example.com", "content": [
            {"type": "image_url", "image_url": {"url": "https://a@example.com/x.png"}},
            {"type": "input_audio", "input_audio": {"data": "a@example.com", "format": "wav"}},
            {"type": "file", "file": {"file_data": "a@example.com", "file_id": "a@example.com"}}]}]}, []),
    ],
)  # fmt: skip
def test_every_text_that_the_model_reads_is_searched(params, paths):
    """Each issue has the path of its text; names, ids, addresses and data are not looked at."""
    issues = Sensitive(secrets="off", personal="warn").issues(call(**params))
    assert [issue.path for issue in issues] == paths
    assert {issue.rule for issue in issues} <= {"personal"}


def test_an_issue_says_what_and_how_many_but_not_which():
    """Nor does it when pickled."""
    sensitive = Sensitive(secrets="block", personal={"email": "warn"})
    issues = sensitive.issues(chat(f"sk-proj-{MIXED} jane@example.com john@example.com"))
    assert [(issue.rule, issue.severity) for issue in issues] == [("secrets", "block"), ("personal", "warn")]
    assert "an API key" in issues[0].message
    assert "2 e-mail addresses" in issues[1].message
    said = str(issues) + repr(pickle.dumps(issues))
    assert MIXED not in said
    assert "example.com" not in said


def test_a_key_in_json_is_no_path():
    """What the program's own names are may be as private as the text."""
    prompt = {"id": "p", "variables": {"jane@example.com": "jane@example.com"}}
    (issue,) = Sensitive(personal="block").issues(call("responses", prompt=prompt))
    assert issue.path == "prompt.variables.*"


def test_what_is_redacted_or_off_is_no_issue():
    """Each kind has its own action."""
    sensitive = Sensitive(secrets="redact", personal={"email": "redact", "phone": "off", "card": "block"})
    assert sensitive.issues(chat(f"sk-proj-{MIXED} jane@example.com +1 415 555 2671")) == []
    assert len(sensitive.issues(chat("4111 1111 1111 1111"))) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secrets": "hide"}, "secrets takes 'off', 'warn', 'block', 'redact', not 'hide'"),
        ({"personal": "hide"}, "personal takes 'off', 'warn', 'block', 'redact', not 'hide'"),
        ({"personal": {"name": "block"}}, "personal takes the kinds card, email, iban, ip, phone, not name"),
        ({"personal": {"email": "hide"}}, "personal\\['email'\\] takes"),
    ],
)
def test_an_option_that_is_none_is_an_error(options, message):
    """It says what it takes."""
    with pytest.raises(ValueError, match=message):
        Sensitive(**options)
