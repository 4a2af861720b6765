"""Retry-After: the vectors of the SDK, and what a wrong clock must not change."""

import pytest

from llmstack.middleware._retry.after import retry_after

NOW = 1696004797.0  # Fri, 29 Sep 2023 16:26:37 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "60"}, 60.0),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "121"}, 121.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "1" + "0" * 40}, 1e40),
        ({"retry-after": "Fri, 29 Sep 2023 16:26:57 GMT"}, 20.0),
        ({"retry-after": "Friday, 29-Sep-23 16:26:57 GMT"}, 20.0),
        ({"retry-after": "Fri Sep 29 16:26:57 2023"}, 20.0),
        ({"retry-after-ms": "150", "retry-after": "60"}, 0.15),
        ({"retry-after-ms": "120000"}, 120.0),
        ({"retry-after-ms": "junk", "retry-after": "7"}, 7.0),
        ({"retry-after-ms": "0", "retry-after": "7"}, 7.0),
    ],
)
def test_a_usable_wish_is_read(headers, seconds):
    """Milliseconds before seconds before a date; what is not usable is passed over."""
    assert retry_after(headers, NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "-0.0",
        "-10",
        "-5",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "junk",
        "1, 2",
        "Fri, 29 Sep 2023 16:26:37 GMT",
        "Fri, 29 Sep 2023 16:26:27 GMT",
        "Zun, 29 Sep 2023 16:26:57 GMT",
        "29 Sep 2023 16:26:57 GMT",
        "Fri, 99 Sep 2023 16:26:57 GMT",
        "Fri, 29 Sep 99999999999 16:26:57 GMT",
        "\x00",
    ],
)
def test_an_unusable_wish_is_none(text):
    """Nothing, the past, or no time at all."""
    assert retry_after({"retry-after": text}, NOW) is None
    assert retry_after({"retry-after-ms": text}, NOW) is None


def test_no_wish_is_none():
    """Most answers have none."""
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("skew", [-3600.0, 0.0, 3600.0, 86400.0 * 365])
def test_a_date_is_counted_from_the_servers_own_clock(skew):
    """However wrong the clock is here."""
    headers = {"retry-after": "Fri, 29 Sep 2023 16:26:57 GMT", "date": "Fri, 29 Sep 2023 16:26:37 GMT"}
    assert retry_after(headers, NOW + skew) == pytest.approx(20.0)


def test_a_date_without_the_servers_clock_is_counted_from_ours():
    """Also if what it says of its clock cannot be read."""
    headers = {"retry-after": "Fri, 29 Sep 2023 16:26:57 GMT", "date": "yesterday"}
    assert retry_after(headers, NOW + 5) == pytest.approx(15.0)
