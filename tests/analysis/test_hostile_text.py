"""What strangers wrote is shown and never obeyed: by a terminal, a spreadsheet, a page or SQL.

The page of a whole archive is looked at in ``test_report``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner
from rich.console import Console

from analysis import change_formats, customer_formats, customer_page
from analysis.archive import Archive, Result, open_archive
from analysis.catalogue import find
from analysis.changes import Changes
from analysis.cli import main
from analysis.customers import Customers
from analysis.tables import print_table, to_csv, to_json
from crawler import records
from tests.analysis.customer_fixture import FIRST, THIRD, write_customers
from tests.analysis.hostile import TEXTS, Page, formulas, poison, texts_of, unprintable


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return poison(write_customers(tmp_path_factory.mktemp("poisoned")))


@pytest.fixture(scope="module")
def opened(poisoned: Path) -> Iterator[Archive]:
    with open_archive(poisoned) as archive:
        yield archive


def terminal(out: IO[str]) -> Console:
    return Console(file=out, width=1000)


def customers(write: Callable[[Customers, IO[str]], None]) -> Callable[[Archive, IO[str]], None]:
    return lambda archive, out: write(Customers(archive, None), out)


def changes(write: Callable[[Changes, IO[str]], None]) -> Callable[[Archive, IO[str]], None]:
    return lambda archive, out: write(Changes(archive, FIRST, THIRD), out)


def rows(write: Callable[[Result], str]) -> Callable[[Archive, IO[str]], None]:
    """Every column of every table, and an answer of the catalogue."""

    def written(archive: Archive, out: IO[str]) -> None:
        for cls in records.TABLES:
            out.write(write(archive.query(f'from "{cls.table}"')))
        out.write(write(find("adoption").ask(archive, "tld")))

    return written


def as_table(result: Result) -> str:
    out = StringIO()
    print_table(terminal(out), result.columns, result.records())
    return out.getvalue()


OUTPUTS: dict[str, Callable[[Archive, IO[str]], None]] = {
    "customers table": customers(lambda c, out: customer_formats.print_table(c, terminal(out))),
    "customers csv": customers(customer_formats.write_csv),
    "customers json": customers(customer_formats.write_json),
    "customers html": customers(customer_page.write_html),
    "diff table": changes(lambda c, out: change_formats.print_tables(c, terminal(out))),
    "diff csv": changes(change_formats.write_csv),
    "diff json": changes(change_formats.write_json),
    "ask and sql table": rows(as_table),
    "ask and sql csv": rows(lambda result: to_csv(result.columns, result.records())),
    "ask and sql json": rows(lambda result: to_json(result.records())),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_p11_no_output_acts(opened: Archive, output: str) -> None:
    """In the way that its form could; what was written is there to be read."""
    out = StringIO()
    OUTPUTS[output](opened, out)
    text = out.getvalue()
    assert unprintable(text) == []
    if output.endswith("csv"):
        assert formulas(text) == []
    if output.endswith("html"):
        assert Page(text).faults == []
    if output != "diff table":  # which has counts alone
        assert any(word in text for word in ("alert(1)", "HYPERLINK", "DROP TABLE", "@SUM"))


def test_json_has_what_it_escapes(opened: Archive) -> None:
    found = "".join(texts_of(json.loads(to_json(opened.query("from domains").records()))))
    assert sum(text in found for text in TEXTS) >= 5


def test_p11_an_error_may_quote_a_cell(poisoned: Path) -> None:
    sql = "select location::int from policy_fetches where location like '%' || chr(27) || '%'"
    ended = CliRunner().invoke(main, ["sql", str(poisoned), sql])
    assert ended.exit_code == 2
    assert "Could not convert string" in ended.stderr
    assert r"\x1b[31m" in ended.stderr
    assert unprintable(ended.stderr) == []
