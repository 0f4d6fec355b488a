"""sts-report: data on standard output, everything else on standard error, exit codes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from analysis.catalogue import questions
from analysis.cli import main


def run(*arguments: str | Path, stdin: str = "") -> Result:
    """Run the command as its user does."""
    return CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)


def test_list_shows_every_question() -> None:
    """By name, with its sentence and groupings."""
    shown = run("list")
    assert shown.exit_code == 0
    for question in questions().values():
        assert f"  {question.name} " in shown.stdout
        assert question.question in shown.stdout


def test_ask_writes_rows_only_to_standard_output(planted: Path) -> None:
    """The question and its denominator go to standard error."""
    answered = run("ask", "adoption", planted, "--format", "csv")
    assert answered.exit_code == 0
    rows = list(csv.DictReader(StringIO(answered.stdout)))
    assert [(r["n"], r["of_n"]) for r in rows] == [("113", "383"), ("112", "372")]
    assert "What share of domains" in answered.stderr


def test_ask_in_every_format(planted: Path) -> None:
    """The same numbers in each."""
    rows = json.loads(run("ask", "adoption", planted, "--by", "tld", "--format", "json").stdout)
    parquet = run("ask", "adoption", planted, "--by", "tld", "--format", "parquet").stdout_bytes
    table = run("ask", "adoption", planted, "--by", "tld").stdout
    assert rows == pq.read_table(BytesIO(parquet)).to_pylist()
    assert {row["tld"] for row in rows} == {"com", "se", "org"}
    assert "28.8 %" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ask", "adoption", "{tmp}"), "is no archive"),
        (("ask", "nonsense", "{archive}"), "there is no question 'nonsense'"),
        (("ask", "adoption", "{archive}", "--by", "policy-host"), "cannot be grouped"),
        (("ask", "adoption", "{archive}", "--by", "; drop"), "is not one of"),
        (("sql", "{archive}", "drop view judged"), "single SELECT"),
        (("sql", "{archive}", "select nothing"), "cannot be run"),
        (("build", "{tmp}", "--out", "{tmp}/page"), "is no archive"),
    ],
)
def test_a_wrong_call_says_so_in_one_sentence(
    planted: Path, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    """Exit code 2, nothing on standard output, nothing written."""
    ended = run(*(a.format(tmp=tmp_path, archive=planted) for a in arguments))
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_sql_reads_standard_input(planted: Path) -> None:
    """A dash is standard input."""
    answered = run(
        "sql", planted, "-", "--format", "json", stdin="select 1 as one, 'ff'::blob as raw"
    )
    assert json.loads(answered.stdout) == [{"one": 1, "raw": "6666"}]


@pytest.mark.parametrize(
    "arguments",
    [
        ("customers", "{archive}", "--list", "-"),
        ("ask", "estimates", "{archive}", "--population", "-"),
        ("sql", "{archive}", "-"),
    ],
)
def test_standard_input_that_is_no_utf_8(planted: Path, arguments: tuple[str, ...]) -> None:
    """Said, though Python lets such octets pass in a POSIX locale."""
    octets = "stratum,domains\nbücher.example,10\n".encode("latin-1")
    ended = subprocess.run(
        [sys.executable, "-m", "analysis", *(a.format(archive=planted) for a in arguments)],
        input=octets,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2
    assert b"in UTF-8" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_a_damaged_archive_is_a_failure(planted: Path, tmp_path: Path) -> None:
    """Exit code 1: the call was right."""
    folder = tmp_path / "scan=x"
    folder.mkdir()
    (folder / "manifest.json").write_text("{", "utf-8")
    ended = run("ask", "adoption", tmp_path)
    assert ended.exit_code == 1
    assert "copy the scan again" in ended.stderr
