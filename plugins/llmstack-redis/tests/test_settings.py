"""What a URL says."""

import pytest

from llmstack.errors import OptionError
from llmstack.secrets import mask
from llmstack.stores import open_store
from llmstack_redis.settings import read_url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", {"kind": "server", "addresses": (("localhost", 6379),), "db": 0, "tls": False}),
        ("redis://h:1/2", {"addresses": (("h", 1),), "db": 2}),
        ("redis://h?db=3", {"addresses": (("h", 6379),), "db": 3}),
        ("redis://[::1]:7/1", {"addresses": (("::1", 7),), "db": 1}),
        ("rediss://u:p%40ss@h", {"tls": True, "username": "u", "password": "p@ss"}),
        ("redis://:word@h", {"username": None, "password": "word"}),
        ("redis+unix:///run/r.sock?db=4", {"kind": "unix", "path": "/run/r.sock", "db": 4, "addresses": ()}),
        ("redis+unix://u:p@/run/r.sock", {"path": "/run/r.sock", "username": "u", "password": "p"}),
        (
            "redis+sentinel://a,b:7/main/1",
            {"kind": "sentinel", "addresses": (("a", 26379), ("b", 7)), "service": "main", "db": 1},
        ),
        (
            "rediss+sentinel://u:p@a/main?sentinel_password=s",
            {"tls": True, "service": "main", "password": "p", "sentinel_password": "s", "db": 0},
        ),
        ("redis+cluster://a:1,b", {"kind": "cluster", "addresses": (("a", 1), ("b", 6379)), "db": 0}),
        (
            "redis://h?prefix=shop&timeout=0.1&connections=4&init=no&history_days=7&max_entry_bytes=9",
            {
                "prefix": "shop",
                "timeout": 0.1,
                "connections": 4,
                "init": False,
                "history_days": 7,
                "max_entry_bytes": 9,
            },
        ),
        (
            "rediss://h?ssl_ca_certs=/ca.pem&ssl_check_hostname=no&client_name=shop",
            {"options": {"ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False, "client_name": "shop"}},
        ),
    ],
)
def test_a_url_says_where_redis_is_and_how_it_is_used(url, said):
    """Every form."""
    settings = read_url(url)
    assert {name: getattr(settings, name) for name in said} == said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://h/one", "the path: it must be a whole number"),
        ("redis://h/1/2", "nothing else"),
        ("redis://h/1?db=1", "named twice"),
        ("redis://h:x", "port"),
        ("redis://h:99999", "port"),
        ("redis://a,b", "redis\\+sentinel"),
        ("redis://h?tiemout=1", "did you mean 'timeout'"),
        ("redis://h?nothing=1", "there are: client_name, connections"),
        ("redis://h?timeout=1&timeout=2", "given twice"),
        ("redis://h?timeout=0", "above 0"),
        ("redis://h?timeout=nan", "above 0"),
        ("redis://h?timeout=inf", "above 0"),
        ("redis://h?connections=0", "at least 1"),
        ("redis://h?init=maybe", "yes or no"),
        ("redis://h?prefix=", "1 to 100"),
        ("redis://h?prefix={a}", "braces"),
        ("redis://h?prefix=*", "spaces, braces"),
        ("redis://h?ssl_ca_certs=/x", "rediss://"),
        ("redis://h#x", "%23"),
        ("redis+unix://run/r.sock", "three slashes"),
        ("redis+unix://", "three slashes"),
        ("rediss+unix:///run/r.sock", "no plugin offers"),
        ("redis+sentinel://a", "NAME"),
        ("redis+cluster://a/1", "only database 0"),
    ],
)
def test_a_wrong_url_is_refused_with_what_to_change(url, words):
    """As an error of options, when the store is opened."""
    with pytest.raises(OptionError, match=words):
        open_store(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:hunter2hunter2@h/x",
        "redis://:hunter2?hunter2@h",
        "redis://:hunter2#hunter2@h",
        "redis://:hunter2/hunter2@h",
        "redis://h?password=hunter2",
        "redis+sentinel://h/m/x?sentinel_password=hunter2",
    ],
)
def test_no_message_quotes_a_password(url):
    """Not even if what is wrong is that the password was not quoted."""
    with pytest.raises(OptionError) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


def test_a_password_is_a_secret_from_then_on():
    """It is masked in any text, and not shown in the settings."""
    settings = read_url("redis://u:hunter2hunter2@h?sentinel_password=swordfish2")
    assert "hunter2" not in repr(settings)
    assert "swordfish" not in repr(settings)
    assert mask("it says hunter2hunter2 and swordfish2") == "it says *** and ***"
