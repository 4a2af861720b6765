"""`llmstack usage`: what a ledger holds, told to people and programs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmstack.cli.app import build
from llmstack.cli.failure import UsageError
from llmstack.cli.usage import Asked, beginning, usage
from llmstack.cli.usage_report import bar
from llmstack.effects import drive
from llmstack.middleware import Budget
from llmstack.stores import Ledger, Record, open_store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = 86400


def row(name: int, days_ago: float, **more: Any) -> Record:
    """One row, of 1,000 tokens read and 100 written."""
    told: dict[str, Any] = {"tokens": {"input": 1000, "output": 100}, "cost": 2_000_000, "number": 1, **more}
    return Record(id=f"r{name}", call=f"c{name}", at=NOW.timestamp() - days_ago * DAY, endpoint="x", **told)


ROWS = [
    row(1, 40, model="gpt-5", cost=9_000_000_000),
    row(2, 3, model="gpt-5", cost=1_500_000_000, tags={"team": "search"}, tenant="acme"),
    row(3, 3, model="gpt-5-mini", tags={"team": "search"}, estimated="usage"),
    row(4, 1, model="gpt-5-mini", tags={"team": "<b>support"}, outcome="error", status=503, cost=0, tokens={}),
    row(5, 1, model="gpt-5-mini", number=0, outcome="cached", cost=0, saved=250_000_000),
    row(6, 0.1, model="house", cost=None, tags={"team": "=cmd()"}),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger in a file."""
    url = f"sqlite:///{tmp_path}/llm.db"
    ledger = open_store(url).ledger()
    for one in ROWS:
        drive(ledger.add(one))
    ledger.close()
    return url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """The same, open."""
    ledger = open_store(url).ledger()
    yield ledger
    ledger.close()


def asked(**more: Any) -> Asked:
    """What is asked for."""
    told: dict[str, Any] = {"since": "30d", "until": None, "by": (), "form": "tables", "page": None, **more}
    return Asked(**told)


def shown(capsys: pytest.CaptureFixture[str], ledger: Ledger, **more: Any) -> str:
    """What is printed."""
    usage(ledger, asked(**more), NOW)
    return capsys.readouterr().out


def run(*words: str) -> Result:
    """The command as it is typed."""
    return CliRunner().invoke(build(), ["usage", *words])


def test_the_tables(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> None:
    """A summary, then each key, the dearest first, in no more than 80 columns."""
    text = shown(capsys, ledger, by=["model", "team"])
    lines = text.splitlines()
    assert lines[0] == "$1.50 spent from 2026-10-22 12:00 to 2026-11-21 12:00 UTC"
    assert lines[1] == "5 calls, 4 requests (1 failed), 1 answered from a cache"
    assert "$0.2500 saved by the cache" in text
    assert "$0.0020 of it is estimated" in text
    assert "1 requests have no known price and are not in the sum" in text
    models = [line.split()[0] for line in lines if re.match(r"(gpt|house)", line)]
    assert models == ["gpt-5", "gpt-5-mini", "house"]
    assert re.search(r"^gpt-5 +1 +1,000 +100 +\$1.50 +█{16} *$", text, re.MULTILINE)
    assert re.search(r"^\(none\) +0", text, re.MULTILINE)
    assert max(map(len, lines)) <= 80


def test_the_time(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> None:
    """From when, until when."""
    assert shown(capsys, ledger, since="all").startswith("$10.50 spent from the beginning")
    assert shown(capsys, ledger, since="2d").startswith("$0.00 spent")
    assert shown(capsys, ledger, since="all", until="2026-11-01").startswith("$9.00 spent")
    assert shown(capsys, ledger, since="1h").startswith("nothing was spent")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", "2026-11-20T12:00"),
        ("7d", "2026-11-14T12:00"),
        ("2w", "2026-11-07T12:00"),
        ("today", "2026-11-21T00:00"),
        ("Yesterday", "2026-11-20T00:00"),
        ("week", "2026-11-16T00:00"),
        ("month", "2026-11-01T00:00"),
        ("year", "2026-01-01T00:00"),
        ("2026-10-31", "2026-10-31T00:00"),
        ("all", "1970-01-01T00:00"),
    ],
)
def test_a_beginning(text: str, expected: str) -> None:
    """As people write it."""
    assert beginning(text, NOW).isoformat(timespec="minutes") == f"{expected}+00:00"


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "99999999999d"])
def test_no_beginning(text: str) -> None:
    """What can be written is told."""
    with pytest.raises(UsageError, match="write 24h, 7d or 4w"):
        beginning(text, NOW)


def test_json(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> None:
    """Money is text, exact."""
    told = json.loads(shown(capsys, ledger, form="json", by=["model"]))
    assert told["total"]["cost"] == "1.502"
    assert [(one["key"], one["cost"], one["saved"]) for one in told["by"]["model"]] == [
        ("gpt-5", "1.5", "0"),
        ("gpt-5-mini", "0.002", "0.25"),
        ("house", "0", "0"),
    ]
    assert list(told["by"]) == ["model"]


def test_csv(capsys: pytest.CaptureFixture[str], ledger: Ledger) -> None:
    """A row for each group; no tag becomes a formula in a spreadsheet."""
    rows = list(csv.DictReader(io.StringIO(shown(capsys, ledger, form="csv", by=["team", "day"]))))
    assert {(one["by"], one["key"], one["cost"]) for one in rows} == {
        ("team", "search", "1.502"),
        ("team", "<b>support", "0"),
        ("team", "'=cmd()", "0"),
        ("team", "", "0"),
        ("day", "2026-11-18", "1.502"),
        ("day", "2026-11-20", "0"),
        ("day", "2026-11-21", "0"),
    }


class _Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page(ledger: Ledger, tmp_path: Path) -> None:
    """It needs nothing else, has a bar for each day, and takes no tag for markup."""
    file = tmp_path / "usage.html"
    usage(ledger, asked(by=["model", "team"], page=file), NOW)
    parsed = _Page()
    parsed.feed(file.read_text("utf-8"))
    names = [tag for tag, _ in parsed.tags]
    assert not {"script", "link", "img", "iframe", "b"} & {tag for tag in names if tag != "b"}
    assert not [attrs for _, attrs in parsed.tags if "src" in attrs or "href" in attrs]
    assert names.count("rect") == 4  # from the first day with a row to the last, the one without included
    assert "$1.50" in parsed.text
    assert "<b>support" in parsed.text
    assert "1 requests have no known price" in parsed.text


def test_an_empty_page(tmp_path: Path) -> None:
    """Of a ledger without rows."""
    file = tmp_path / "usage.html"
    usage(open_store("memory://").ledger(), asked(page=file), NOW)
    assert "Nothing was spent" in file.read_text("utf-8")


@pytest.mark.parametrize(
    ("share", "expected"), [(0, ""), (0.0001, "▏"), (0.5, "████"), (1, "████████"), (7, "████████")]
)
def test_a_bar(share: float, expected: str) -> None:
    """As long as its share, and seen if it is anything."""
    assert bar(share, 8) == expected


def test_as_it_is_typed(url: str, tmp_path: Path) -> None:
    """With the URL, with a config, and onto a page."""
    assert "gpt-5-mini" in run("--store", url, "--since", "all").output
    config = tmp_path / "llmstack.toml"
    config.write_text(f'plugins = ["budget"]\n[budget]\nstore = "{url}"\n')
    result = run("--config", str(config), "--since", "all", "--by", "tenant", "--json")
    assert result.exit_code == 0, result.output
    assert [one["key"] for one in json.loads(result.output)["by"]["tenant"]] == ["", "acme"]
    assert run("--store", url, "--html", str(tmp_path / "page.html")).exit_code == 0
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is no ledger to read"),
        (["--store", "nowhere://x"], "no plugin offers stores at nowhere://"),
        (["--store", "sqlite:///none.db"], "none.db: no call has been booked there"),
        (["--store", "memory://", "--json", "--csv"], "choose one of"),
        (["--store", "memory://", "--since", "soon"], "is no time"),
        (["--store", "memory://", "--html", "/no/such/folder/page.html"], "cannot write"),
    ],
)
def test_what_cannot_be(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message, no traceback."""
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not [*tmp_path.iterdir()]


def test_the_same_in_code(url: str) -> None:
    """`budget.spending` adds up as the command does."""
    budget = Budget(store=url)
    found = {one.key: one.cost for one in budget.spending("model", since=NOW.timestamp() - 30 * DAY)}
    assert {key: f"{cost:f}" for key, cost in found.items()} == {"gpt-5": "1.5", "gpt-5-mini": "0.002", "house": "0"}
    budget.close()
