"""Opening an archive: what counts as one, what is read of it, and what cannot be done to it."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir

import pyarrow.parquet as pq
import pytest

from analysis.archive import PACKAGE, Archive, BadQuery, open_archive
from analysis.catalogue import find
from analysis.scans import ArchiveError, NotAnArchive
from crawler import records, vocabulary
from crawler.snapshot.schema import schema_of
from tests.analysis.archive_fixture import KINDS, SCANS, write_archive, write_scan


def test_the_columns_used_are_columns_of_the_records(archive: Archive) -> None:
    """queries/schema.sql states nothing that the crawler's records do not have."""
    rows = archive.query(
        "select table_name, column_name from duckdb_columns() where schema_name = 'expected'"
    ).records()
    known = {(cls.table, name) for cls in records.TABLES for name in schema_of(cls).names}
    assert {(row["table_name"], row["column_name"]) for row in rows} <= known


def test_every_word_of_a_result_is_explained(archive: Archive) -> None:
    """reference/words.csv knows each word of the vocabulary that a chart can show."""
    rows = archive.query("from reference_words").records()
    known = {(row["column"], row["word"]) for row in rows}
    lists = {
        "record_outcome": vocabulary.RecordOutcome,
        "policy_outcome": vocabulary.PolicyOutcome,
        "mode": vocabulary.Mode,
        "sender_outcome": vocabulary.SenderOutcome,
        "tlsrpt_outcome": vocabulary.TlsRptOutcome,
        "dane_outcome": vocabulary.DaneOutcome,
        "mail_outcome": vocabulary.MailOutcome,
        "certificate_problem": vocabulary.CertificateProblem,
        "severity": vocabulary.Severity,
    }
    assert {(column, str(word)) for column, words in lists.items() for word in words} <= known
    assert {row["tone"] for row in rows} == {"good", "fair", "bad", "unknown", "plain"}


@pytest.mark.parametrize("name", ["mail_operators", "policy_hosts"])
def test_suffixes_have_two_to_four_labels(name: str) -> None:
    """The attribution views look up the last two, three and four labels of a name, once each."""
    lines = (PACKAGE / "reference" / f"{name}.csv").read_text("utf-8").splitlines()[1:]
    suffixes = [line.split(",")[0] for line in lines if ",address," not in line]
    assert all(2 <= len(suffix.split(".")) <= 4 for suffix in suffixes)
    assert len(set(suffixes)) == len(suffixes)


def test_a_question_cannot_fill_the_disk(archive: Archive) -> None:
    """The temporary folder has a limit below what is free."""
    (row,) = archive.query("select current_setting('max_temp_directory_size') as size").records()
    stated = re.fullmatch(r"([\d.]+) ([KMGT])iB", row["size"])
    assert stated
    octets = float(stated[1]) * 1024 ** (1 + "KMGT".index(stated[2]))
    assert 0 < octets < 0.9 * disk_usage(gettempdir()).free


def test_nothing_but_data_comes_from_a_long_query(archive: Archive) -> None:
    """DuckDB would draw its progress on stdout, between the rows."""
    (row,) = archive.query("select current_setting('enable_progress_bar') as drawn").records()
    assert row["drawn"] is False


def test_several_scans_are_one_dataset(archive: Archive) -> None:
    """Scans stand in the order of their start."""
    assert [scan.scan_id for scan in archive.scans] == list(SCANS)
    (row,) = archive.query("select count(*) as n from domains").records()
    assert row["n"] == sum(sum(kind.count) for kind in KINDS)


def test_an_unsealed_scan_is_read_only_when_asked(tmp_path: Path) -> None:
    """Without a manifest a scan is not finished."""
    write_scan(tmp_path, 0, KINDS)
    write_scan(tmp_path, 1, KINDS, sealed=False)
    with open_archive(tmp_path) as archive:
        assert [scan.scan_id for scan in archive.scans] == [SCANS[0]]
    with open_archive(tmp_path, unsealed=True) as archive:
        assert {scan.scan_id for scan in archive.scans} == set(SCANS)


def test_an_unsealed_scan_stands_where_it_began(tmp_path: Path) -> None:
    """The newest of its vantage, and not the first of a vantage without a name."""
    write_scan(tmp_path, 0, KINDS)
    folder = write_scan(tmp_path, 1, KINDS, sealed=False)
    with open_archive(tmp_path) as archive:
        (sealed,) = archive.scans
    began = {
        "started_at": "2099-01-01T00:00:00+00:00",
        "seed": "1",
        "asked": {
            "configuration": {
                "vantage": {"name": sealed.vantage}, "net": {"allow_addresses": ["127.0.0.0/8"]},
            },
            "scope": "all",
            "sample_rate": 0.0,
        },
    }  # fmt: skip
    folder.joinpath("_work").mkdir()
    folder.joinpath("_work", "began.json").write_text(json.dumps(began))
    with open_archive(tmp_path, unsealed=True) as archive:
        assert archive.scans[-1].folder == folder
        assert [scan.day for scan in archive.series] == [sealed.day, "2099-01-01"]
        assert archive.scans[-1].closed_world
        (row,) = archive.query("from scans where place = 1").records()
        assert (row["scope"], row["vantage"]) == ("all", sealed.vantage)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", "there is no such folder"),
        ("empty", "has no folder scan="),
        (f"archive/scan={SCANS[0]}", "give the folder above it"),
        ("unsealed", "has no sealed scan"),
    ],
)
def test_what_is_no_archive_is_refused_with_the_remedy(
    tmp_path: Path, name: str, says: str
) -> None:
    """Place and remedy in one sentence."""
    (tmp_path / "empty").mkdir()
    write_archive(tmp_path / "archive", kinds=())
    write_archive(tmp_path / "unsealed", kinds=(), sealed=False)
    with pytest.raises(NotAnArchive, match=says), open_archive(tmp_path / name):
        pass


def test_a_missing_part_is_noticed(tmp_path: Path) -> None:
    """The manifest lists what must be there."""
    scan = write_scan(tmp_path, 0, KINDS)
    (scan / "assessments" / "part-0001.parquet").unlink()
    with (
        pytest.raises(ArchiveError, match=r"is missing.*copy the scan again"),
        open_archive(tmp_path),
    ):
        pass


def test_one_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """And so is how many rows are lost with it."""
    scan = write_scan(tmp_path, 0, KINDS)
    part = scan / "assessments" / "part-0000.parquet"
    octets = bytearray(part.read_bytes())
    octets[len(octets) // 2] ^= 1
    part.write_bytes(octets)
    says = r"[\d,]+ rows of assessments are lost.*SHA-256.*copy the scan again"
    with pytest.raises(ArchiveError, match=says), open_archive(tmp_path):
        pass


def test_a_part_that_is_cut_short_is_noticed(tmp_path: Path) -> None:
    """Without reading it."""
    scan = write_scan(tmp_path, 0, KINDS)
    part = scan / "domains" / "part-0000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    says = r"rows of domains are lost.* has \d+ octets"
    with pytest.raises(ArchiveError, match=says), open_archive(tmp_path):
        pass


def test_an_older_scan_without_a_column_or_a_table_reads_as_null(tmp_path: Path) -> None:
    """Columns and tables are added over the years; old scans stay in the dataset."""
    scan = write_scan(tmp_path, 0, KINDS)
    write_scan(tmp_path, 1, KINDS)
    manifest = json.loads((scan / "manifest.json").read_text("utf-8"))
    for part in manifest["tables"]["assessments"]["parts"]:
        path = scan / part["path"]
        pq.write_table(pq.read_table(path).drop_columns(["policy_lenient"]), path)
        part["size"] = path.stat().st_size
        part["sha256"] = sha256(path.read_bytes()).hexdigest()
    del manifest["tables"]["mail_verdicts"]
    (scan / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with open_archive(tmp_path) as archive:
        assert {r["scan_id"] for r in find("strictness").ask(archive).records()} == {SCANS[1]}
        assert {r["scan_id"] for r in find("mx-certificate-errors").ask(archive).records()} == {
            SCANS[1]
        }
        assert {r["scan_id"] for r in find("health").ask(archive).records()} == set(SCANS)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/hostname')",  # reading another file
        "select * from read_csv('/etc/passwd')",  # the same as CSV
        "select * from glob('/*')",  # listing a folder
        "from '/etc/hostname'",  # a file as a table
        "from outside",  # a Python variable as a table
        "from read_parquet('/tmp/*.parquet')",  # parts that no manifest lists
        "from read_blob('/etc/hostname')",  # the same as octets
        "from query('copy (select 1) to ''out.csv''')",  # SQL in a text
        "from 'https://example.com/x.parquet'",  # a file from the network
        "copy (select 1) to 'out.csv'",  # writing
        "copy domains from '/etc/passwd'",  # reading as writing
        "export database 'out'",  # writing everything
        "pragma enable_profiling",  # a setting by another name
        "set global threads = 1",  # any setting
        "explain analyze create table t as select 1",  # making something while explaining
        "create table t as select 1",  # making something
        "drop view judged",  # removing something
        "attach 'x.db'",  # another database
        "load httpfs",  # an extension
        "install httpfs",  # the same
        "set enable_external_access = true",  # undoing the lock
        "select 1; select 2",  # more than one
        "",  # nothing
        "selec 1",  # no SQL
    ],
)
def test_p11_sql_from_outside_can_only_read_the_archive(archive: Archive, sql: str) -> None:
    """One SELECT over the views, nothing else."""
    outside = [1, 2, 3]
    with pytest.raises(BadQuery):
        archive.query_from_outside(sql)
    assert outside == [1, 2, 3]


def test_sql_from_outside_sees_tables_and_views(archive: Archive) -> None:
    """The views that the questions use are there for everybody."""
    sql = "select count(*) as n from domain_posture where mx_operator = 'Google' and adopter"
    (row,) = archive.query_from_outside(sql).records()
    assert row["n"] == 75 + 80
