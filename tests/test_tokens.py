"""Counting tokens: estimates that come near, and exact counts where the vocabulary is on this machine."""

from __future__ import annotations

import base64
import hashlib
import sys
import time
from types import SimpleNamespace

import pytest

from llmstack import tokens
from llmstack.tokens import TokenCount, Vocabulary, count_tokens, estimate_tokens, texts_of

EXAMPLE = (
    "Many words map to one token, but some don't: indivisible.\n\nUnicode characters like emojis may be split into "
    "many tokens containing the underlying bytes: \U0001f91a\U0001f3fe\n\nSequences of characters commonly found "
    "next to each other may be grouped together: 1234567890"
)

# Counts of o200k that OpenAI has published: its tokenizer's own example, the greetings of the announcement of GPT-4o,
# and the examples of the cookbook.
PUBLISHED = [
    (EXAMPLE, 53),
    ("Hello, my name is GPT-4o. I'm a new type of language model, it's nice to meet you!", 24),
    ("Hola, me llamo GPT-4o. Soy un nuevo tipo de modelo de lenguaje, ¡es un placer conocerte!", 26),
    ("Olá, meu nome é GPT-4o. Sou um novo tipo de modelo de linguagem, é um prazer conhecê-lo!", 27),
    ("Ciao, mi chiamo GPT-4o. Sono un nuovo tipo di modello linguistico, piacere di conoscerti!", 28),
    ("Merhaba, benim adım GPT-4o. Ben yeni bir dil modeli türüyüm, tanıştığımıza memnun oldum!", 30),  # noqa: RUF001 - Turkish
    ("Xin chào, tên tôi là GPT-4o. Tôi là một loại mô hình ngôn ngữ mới, rất vui được gặp bạn!", 30),
    ("你好,我的名字是GPT-4o。我是一种新型的语言模型,很高兴见到你!", 24),
    ("안녕하세요, 제 이름은 GPT-4o입니다. 저는 새로운 유형의 언어 모델입니다, 만나서 반갑습니다!", 27),
    ("नमस्ते, मेरा नाम जीपीटी-4o है। मैं एक नए प्रकार का भाषा मॉडल हूं। आपसे मिलकर अच्छा लगा!", 31),
    (
        "Bonjour, je m'appelle GPT-4o. Je suis un nouveau type de modèle de langage, c'est un plaisir de vous "  # noqa: ISC004
        "rencontrer!",
        28,
    ),
    ("Hallo, mein Name is GPT-4o. Ich bin ein neues KI-Sprachmodell. Es ist schön, dich kennenzulernen.", 29),
    ("مرحبًا، اسمي جي بي تي-4o. أنا نوع جديد من نموذج اللغة، سررت بلقائك!", 26),
    ("tiktoken is great!", 6),
    ("antidisestablishmentarianism", 6),
    ("2 + 2 = 4", 7),
    ("お誕生日おめでとう", 8),
]


@pytest.mark.parametrize(("text", "published"), PUBLISHED)
def test_an_estimate_comes_near_the_published_count(text, published):
    """Within 30 %, or two tokens, for short texts of many scripts."""
    assert estimate_tokens(text) == pytest.approx(published, rel=0.3, abs=2)


def test_the_errors_of_estimates_even_out():
    """Over all these texts together within 10 %."""
    estimated = sum(estimate_tokens(text) for text, _ in PUBLISHED)
    assert estimated == pytest.approx(sum(count for _, count in PUBLISHED), rel=0.1)


@pytest.mark.parametrize("text", ["", " ", "\n", "a", "\ud800", "\x00", "🙂", "\u0915\u094d" * 3, "é" * 50])
def test_any_text_can_be_estimated(text):
    """None is an error; only an empty one has no tokens."""
    assert (estimate_tokens(text) > 0) == bool(text)


@pytest.mark.parametrize("piece", ["a", " ", "\n", "\xa0", ".", "1", "é", "a é", "\u094d", "字", " \n", "'s"])
def test_an_estimate_takes_time_in_proportion_to_the_text(piece):
    """No text makes it look back again and again: 100 KB in far less than a second."""
    text = piece * (100_000 // len(piece))
    started = time.process_time()
    estimate_tokens(text)
    assert time.process_time() - started < 1.0


def test_random_letters_cost_more_than_words():
    """Base64 is no prose."""
    noise = base64.b64encode(hashlib.sha512(b"x").digest() * 20).decode().replace("/", "a").replace("+", "b")
    assert estimate_tokens(noise) > len(noise) / 4


# Conversations ------------------------------------------------------------------------------------------------------


def test_a_conversation_costs_more_than_its_texts(monkeypatch):
    """Each message has some tokens around it."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}]
    alone = estimate_tokens("Be brief.") + estimate_tokens("Hello there")
    assert count_tokens(messages) == TokenCount(alone + 2 * 4 + 3, estimated=True)


def test_texts_are_found_wherever_a_model_reads_them():
    """Not ids, kinds or media."""
    messages = [
        {
            "role": "user",
            "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}}],
        },
        {"role": "assistant", "tool_calls": [{"id": "x", "type": "function", "function": {"arguments": "two"}}]},
        {"role": "tool", "tool_call_id": "x", "content": "three"},
        {"type": "function_call_output", "call_id": "x", "output": "four"},
    ]
    assert list(texts_of(messages)) == ["one", "two", "three", "four"]
    assert list(texts_of([1, 2.5, None, ["five"]])) == ["five"]


def test_a_count_says_whether_it_is_an_estimate():
    """In words, too."""
    assert str(TokenCount(12, estimated=True)) == "about 12"
    assert str(TokenCount(12, estimated=False)) == "12"
    assert int(TokenCount(12, estimated=False)) == 12


# Exact counts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """A tiktoken that would tell if it were asked for a vocabulary, and an empty cache."""
    names: list[str] = []

    def get_encoding(name):
        names.append(name)
        return SimpleNamespace(encode_ordinary=str.split)

    module = SimpleNamespace(get_encoding=get_encoding, __spec__=SimpleNamespace(name="tiktoken"))
    monkeypatch.setitem(sys.modules, "tiktoken", module)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return names


def vocabulary(folder, content=b"data", digest=None):
    """One whose file is in the cache."""
    (folder / "file").write_bytes(content)
    return Vocabulary("o200k_base", "file", digest or hashlib.sha256(content).hexdigest())


def test_with_a_vocabulary_in_the_cache_counts_are_exact(asked, tmp_path):
    """tiktoken counts."""
    counter = vocabulary(tmp_path).counter()
    assert counter is not None
    assert counter("one two three") == 3
    assert asked == ["o200k_base"]


def test_tiktoken_is_not_asked_for_what_it_would_have_to_fetch(asked, tmp_path):
    """Nor for a file that it would throw away."""
    assert count_tokens("one two three", "gpt-4o").estimated
    assert vocabulary(tmp_path, digest="0" * 64).counter() is None
    assert asked == []


def test_without_a_cache_or_without_tiktoken_there_are_estimates(asked, tmp_path, monkeypatch):
    """An empty variable tells tiktoken to keep no files."""
    known = vocabulary(tmp_path)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    assert known.counter() is None
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(other))
    assert known.counter() is None
    assert asked == []


def test_the_cache_is_where_tiktoken_has_it(monkeypatch):
    """Its second variable, and its default."""
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", "/nowhere")
    assert str(tokens.cache_directory()) == "/nowhere"
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    assert str(tokens.cache_directory()).endswith("data-gym-cache")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (None, "o200k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("gpt-6-luna", "o200k_base"),
        ("ft:gpt-4o:acme::1", "o200k_base"),
        ("o3", "o200k_base"),
        ("llama-4", None),
    ],
)
def test_a_model_has_its_vocabulary(model, name):
    """Models of others have none here: theirs are estimated."""
    found = tokens.vocabulary_of(model)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_a_vocabularys_file_is_named_as_tiktoken_names_it(name):
    """The SHA-1 of its address."""
    address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    files = {tokens.vocabulary_of(model) for model in ("gpt-4o", "gpt-4")}
    expected = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
    assert [known.file for known in files if known and known.name == name] == [expected]
