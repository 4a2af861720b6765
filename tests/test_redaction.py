"""Redaction: what has a form is found, ordinary text stays."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmstack import secrets
from llmstack.redaction import redact


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jane.doe+news@mail.example.com.", "mail [email]."),
        ("<müller@bücher.example>", "<[email]>"),
        ("a@example.com,b@example.com", "[email],[email]"),
        ("call +1 415 555 2671 now", "call [phone] now"),
        ("+442079460958", "[phone]"),
        ("(415) 555-2671 or 415-555-2671 or 415.555.2671", "[phone] or [phone] or [phone]"),
        ("030 12345678", "[phone]"),
        ("4111 1111 1111 1111 12/27 123", "[card] 12/27 123"),
        ("5500-0000-0000-0004, 378282246310005", "[card], [card]"),
        ("order 12 4111111111111111", "order 12 [card]"),
        ("4111 1111 1111 1111 2nd try", "[card] 2nd try"),
        ("no. x1 4111-1111-1111-1111-1x", "no. x1 [card]-1x"),
        ("Nr.4111 1111 1111 1111.", "Nr.[card]."),
        ("DE89 3704 0044 0532 0130 00 AND more", "[iban] AND more"),
        ("gb82west12345698765432", "[iban]"),
        ("from 192.168.1.10.", "from [ip]."),
        ("at 2001:db8::8a2e:370:7334, ::1 and fe80::1: gone", "at [ip], [ip] and [ip]: gone"),
        ("::ffff:192.0.2.1", "[ip]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("ghp_0123456789abcdefghij0123", "[key]"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIx.abc_d", "[key]"),
        ('{"password": "hunter2hunter"}', '{"password": [key]}'),
        ("api_key=abcdefgh&x=1", "api_key=[key]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAbC=\n-----END RSA PRIVATE KEY----- rest", "[key] rest"),
        ("-----BEGIN PRIVATE KEY-----\nAbC cut off", "[key]"),
        ("sk-other-made-up-key", "sk-***"),
        ("+33\u202f6\u00a012\u00a034\u00a056\u00a078, 415\u2011555\u20112671", "[phone], [phone]"),
        ("4111\u00a01111\u00a01111\u00a01111, 4111\u20131111\u20131111\u20131111", "[card], [card]"),
        ("DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", "[iban]"),
        ("卡号4111111111111111。カード4111111111111111です", "卡号[card]。カード[card]です"),
        ("บัตร4111111111111111ครับ, 카드 4111111111111111입니다", "บัตร[card]ครับ, 카드 [card]입니다"),
        ("電話は090-1234-5678です", "電話は[phone]です"),
        ("IP是192.168.1.10的", "IP是[ip]的"),
        ("０９０－１２３４－５６７８", "[phone]"),  # noqa: RUF001
        ("４１１１　１１１１　１１１１　１１１１", "[card]"),  # noqa: RUF001
        ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ, 用户@例子.广告", "[email], [email]"),  # noqa: RUF001
        ("密钥sk-other-made-up-key 密钥AKIAIOSFODNN7EXAMPLE", "密钥sk-*** 密钥[key]"),
    ],
)
def test_what_is_private_is_replaced(text, expected):
    """By its kind, and nothing around it."""
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-01-15 at 10:30:45, or 01.02.2024 10:30.",
        "4111111111111112 fails the check, 1700000000000 is a time in milliseconds",
        "GB82 WEST 1234 5698 7654 33 has wrong check digits",
        "version 1.2.3, section 1.2.3.4.5, 256.1.1.1, std::string, A::method",
        "a token: a unit of text; @mention; user@localhost",
        "12 apples, 1,234,567.89 dollars, pi = 3.14159265358979",
        "x4111111111111111 4111111111111111x 3.4111111111111111 .4111111111111111 a_4111111111111111",
        "（20231231）, 订单号20231231123456789, 2023年12月31日, 2010\u20132015",  # noqa: RUF001
        "",
    ],
)
def test_ordinary_text_stays(text):
    """Dates, versions, amounts, numbers that fail their check."""
    assert redact(text) == text


def test_a_known_secret_is_masked_by_its_value():
    """Whatever it looks like."""
    secrets.register("an odd value")
    assert redact("so an odd value it is") == "so *** it is"


@given(st.text(alphabet="0123456789 +-().@:aA/_=", max_size=60))
def test_redacting_again_changes_nothing(text):
    """What was put in is not taken for private itself, and no text makes it fail."""
    once = redact(text)
    assert redact(once) == once


@given(st.integers(min_value=0, max_value=10**15 - 1), st.sampled_from([" ", "-", ""]))
def test_every_valid_card_number_is_found(number, separator):
    """Of sixteen digits, however they are grouped."""
    digits = f"4{number:015d}"[:15]
    total = sum(sum(divmod(2 * int(digit), 10)) if place % 2 == 0 else int(digit) for place, digit in enumerate(digits))
    digits += str(-total % 10)
    written = separator.join(digits[place : place + 4] for place in range(0, 16, 4))
    assert redact(f"card {written}, thanks") == "card [card], thanks"


@pytest.mark.parametrize(
    "piece",
    ["a", "a@", "a.", "1", "1 ", ":", "a:", "+", "(", "-", "eyJ", "DE89", "DE89 ", "x-", "@a.a", "1.", "token=",
     "secret    ", "+1 2 ", "-----BEGIN PRIVATE KEY-----", "0a", "::", "sk-", "Bearer ", "号", "号1", "\u00a0",
     "1\u00a0", "\uff11"],
)  # fmt: skip
def test_the_time_is_linear_in_the_text(piece):
    """A pattern that tries again from every place would take hours for this, not a moment."""
    text = piece * (200_000 // len(piece))
    started = time.process_time()
    redact(text)
    redact(text + "1x")  # the same with an end that makes what has gone on so long fail
    assert time.process_time() - started < 5.0
