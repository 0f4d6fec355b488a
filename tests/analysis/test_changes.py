"""What changed between two scans: counts that add up, and warnings where they do not compare."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from analysis.cli import main
from crawler.vocabulary import DnsStatus
from tests.analysis.archive_fixture import SCANS
from tests.analysis.customer_fixture import (
    FIRST,
    NO_POLICY,
    NO_RECORD,
    RPT,
    SECOND,
    THIRD,
    Ids,
    Planted,
    write_customer_scan,
)

ABSENT = {"sender": "absent", "judged": NO_RECORD}
LOST = {
    "sender": "unmeasured",
    "judged": {**NO_RECORD, "record_outcome": "unmeasured", "tlsrpt_outcome": "unmeasured"},
    "record_status": DnsStatus.SERVFAIL,
}
TESTING = {"sender": "testing", "judged": {"mode": "testing"}}
BROKEN = {"sender": "fail-open", "judged": NO_POLICY}


def history(domain: str, *scans: tuple[Ids, dict[str, Any]] | None) -> list[Planted | None]:
    """A domain in two scans: its findings and what else was judged; None where it is not listed."""
    return [
        None if scan is None else Planted(domain=domain, findings=(scan[0],) * 3, **scan[1])
        for scan in scans
    ]


HISTORIES = (
    # domain                 the older scan                the newer scan
    history("adopts.example", ((), ABSENT), (RPT, TESTING)),
    history("advances.example", (RPT, TESTING), ((), {})),
    history("breaks.example", ((), {}), (("http-3xx",), BROKEN)),
    history("heals.example", (("http-3xx",), BROKEN), ((), {})),
    history("leaves.example", (RPT, {}), ((), ABSENT)),
    history("lost.example", (RPT, {}), (("txt-dns-error",), LOST)),
    history("found.example", (("txt-dns-error",), LOST), (RPT, {})),
    # The policy is not reached any more, so nobody knows whether its mode is repaired; the
    # redirect in front of it is new.
    history(
        "worse.example",
        (("pol-mode",), {"sender": "fail-open", "judged": {**NO_POLICY, "policy_outcome": "syntax"}}),
        (("http-3xx",), BROKEN),
    ),
    history("unseen.example", (("mx-cert-name",), TESTING), (("mx-unknown",), TESTING)),
    history("arrives.example", None, (RPT, {})),
    history("departs.example", (("http-3xx",), BROKEN), None),
    history("stays.example", (RPT, TESTING), (RPT, TESTING)),
    history("quiet.example", ((), ABSENT), ((), ABSENT)),
)  # fmt: skip


def run(archive: Path, *arguments: str) -> Result:
    """Run ``sts-report diff`` as its user does."""
    return CliRunner().invoke(main, ["diff", str(archive), *arguments])


def write(folder: Path, **newer: Any) -> Path:
    """The two scans of ``HISTORIES``; *newer* replaces what the newer manifest says."""
    for index, stated in ((0, {}), (1, newer)):
        planted = [scans[index] for scans in HISTORIES]
        write_customer_scan(folder, index, [p for p in planted if p is not None], **stated)
    return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two scans."""
    return write(tmp_path_factory.mktemp("changes"))


@pytest.fixture(scope="module")
def answer(archive: Path) -> dict[str, Any]:
    """Their comparison as JSON."""
    ended = run(archive, FIRST, SECOND, "--format", "json")
    assert ended.exit_code == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def test_the_matrix_has_every_domain_once(answer: dict[str, Any]) -> None:
    """Unchanged ones included, and those on one list only."""
    found = {(row["old_state"], row["new_state"]): row["n"] for row in answer["transitions"]}
    assert found == {
        ("none", "testing"): 1,
        ("testing", "enforce"): 1,
        ("enforce", "broken"): 1,
        ("broken", "enforce"): 1,
        ("enforce", "removed"): 1,
        ("enforce", "unmeasured"): 1,
        ("unmeasured", "enforce"): 1,
        ("broken", "broken"): 1,
        ("broken", "testing"): 1,  # its certificate was wrong before and was not seen now
        ("not listed", "enforce"): 1,
        ("broken", "not listed"): 1,
        ("testing", "testing"): 1,
        ("none", "none"): 1,
    }
    assert answer["lists"] == {"on_both": 11, "appeared": 1, "disappeared": 1, "of_n": 13}


def test_findings_come_and_go_for_a_reason(answer: dict[str, Any]) -> None:
    """Fixed is only what was looked at again; each row adds up."""
    kinds = ("appeared", "fixed", "removed", "stays", "unknown", "listed", "unlisted")
    rows = {row["finding"]: row for row in answer["findings"]}
    found = {id_: {kind: row[kind] for kind in kinds if row[kind]} for id_, row in rows.items()}
    assert found == {
        "rpt-missing": {"appeared": 1, "fixed": 1, "removed": 1, "stays": 1, "unknown": 2, "listed": 1},
        "http-3xx": {"appeared": 2, "fixed": 1, "unlisted": 1},
        "pol-mode": {"unknown": 1},
        "txt-dns-error": {"appeared": 1, "fixed": 1},
        "mx-cert-name": {"unknown": 1},
        "mx-unknown": {"appeared": 1},
    }  # fmt: skip
    assert all(sum(row[kind] for kind in kinds) == row["n"] for row in rows.values())
    assert next(iter(rows)) == "mx-cert-name"  # the gravest first


def test_each_domain_that_changed_is_told(answer: dict[str, Any]) -> None:
    """With what became of its findings; the others are not."""
    rows = {row["domain"]: row for row in answer["domains"]}
    listed = {planted.domain for scans in HISTORIES for planted in scans if planted}
    assert set(rows) == listed - {"stays.example", "quiet.example"}
    assert rows["worse.example"] == {
        "domain": "worse.example",
        "old_state": "broken",
        "new_state": "broken",
        "appeared": ["http-3xx"],
        "fixed": [],
        "removed": [],
        "unknown": ["pol-mode"],
    }
    assert rows["leaves.example"]["removed"] == ["rpt-missing"]
    assert rows["lost.example"]["unknown"] == ["rpt-missing"]


def test_csv_has_the_domains(archive: Path, answer: dict[str, Any]) -> None:
    """The same as the JSON, ids apart by a blank."""
    ended = run(archive, FIRST, SECOND, "--format", "csv")
    rows = {row["domain"]: row for row in csv.DictReader(StringIO(ended.stdout))}
    assert list(rows) == [row["domain"] for row in answer["domains"]]
    assert rows["worse.example"]["unknown"] == "pol-mode"


def test_the_table_has_the_counts(archive: Path) -> None:
    """Lists, matrix with its sums, findings."""
    ended = run(archive, FIRST, SECOND)
    assert ended.exit_code == 0, ended.stderr
    assert "11 domains on both lists, 1 appeared, 1 disappeared" in ended.stdout
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["none", "testing", "enforce", "broken", "removed", "unmeasured", "not", "listed", "all"] in lines  # fmt: skip
    assert ["broken", "·", "1", "1", "1", "·", "·", "1", "4"] in lines
    assert lines[-1][:3] == ["mx-unknown", "unmeasured", "1"]
    assert "stayed with the same" not in ended.stdout
    assert ended.stderr == ""


def test_the_large_fixture_adds_up(planted: Path) -> None:
    """Against sums done by hand from ``archive_fixture.KINDS``: 395 domains, then 385."""
    answer = json.loads(run(planted, *SCANS, "--format", "json").stdout)
    # Gone: 10 absent, 4 servfail, 5 testing, 1 expired, 5 wrong-name; new: 10 protected.
    assert answer["lists"] == {"on_both": 370, "appeared": 10, "disappeared": 25, "of_n": 395 + 10}
    rows = {row["finding"]: row for row in answer["findings"]}
    assert (rows["tls-name"]["stays"], rows["tls-name"]["unlisted"]) == (10, 5)
    assert rows["rpt-missing"]["fixed"] == 0
    # The table leaves out what did not move, and says so.
    table = run(planted, *SCANS).stdout
    assert "tls-name" in table
    assert "txt-multi" not in table
    assert "The other findings stayed with the same domains." in table


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (
            {"list": {"names": ["b.csv"], "combined_sha256": "2" * 64, "accepted": 1200}},
            "the lists differ (customers.csv with 11 domains, then b.csv with 1,200 domains)",
        ),
        ({"scope": "all"}, "the scopes differ (adopters, then all)"),
        (
            {"scope": "sample", "sample_rate": 0.1, "seed": "x"},
            "the scopes differ (adopters, then sample 0.1 x)",
        ),
        ({"rules_version": "2"}, "the rules versions differ (1, then 2)"),
        ({"vantage": {"name": "home"}}, "the vantages differ (test bench, then home)"),
        (
            {"trust_store": {"name": "other", "sha256": "3" * 64}},
            "the trust stores differ (lab roots 11111111, then other 33333333)",
        ),
        ({"rules_version": None}, "whether the rules versions are the same was not recorded"),
        ({"vantage": 7, "list": []}, "whether the vantages are the same was not recorded"),
        ({"state": "partial"}, "closed before all of its work was done"),
        ({"started_at": "2025-01-01T00:00:00+00:00"}, "started after"),
    ],
)
def test_what_does_not_compare_is_named(tmp_path: Path, stated: dict[str, Any], says: str) -> None:
    """On standard error, and in the JSON for programs."""
    archive = write(tmp_path, **stated)
    ended = run(archive, FIRST, SECOND, "--format", "json")
    assert ended.exit_code == 0, ended.stderr
    warnings = json.loads(ended.stdout)["not_comparable"]
    assert any(says in warning for warning in warnings), warnings
    assert f"Not comparable: {warnings[0]}." in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((FIRST, "2031"), f"there is no sealed scan '2031'; give one of {FIRST}, {SECOND}"),
        (("2026", SECOND), "several scans begin with '2026'"),
        ((FIRST, ""), "there is no sealed scan ''"),
        ((SECOND, "2026-02"), f"{SECOND} is one scan; a comparison needs two"),
        ((FIRST,), "Missing argument"),
    ],
)
def test_a_scan_that_is_not_there_is_a_wrong_call(
    archive: Path, arguments: tuple[str, ...], says: str
) -> None:
    """With the scans that there are."""
    ended = run(archive, *arguments)
    assert ended.exit_code == 2
    assert says in ended.stderr
    assert ended.stdout == ""


def test_a_scan_may_be_named_by_its_beginning(archive: Path) -> None:
    """As far as it is the only one."""
    ended = run(archive, "2026-01", "2026-02", "--format", "json")
    assert json.loads(ended.stdout)["new"] == SECOND != THIRD


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    """In the CSV as on the terminal."""
    for index, told in ((0, ()), (1, ("\x1b[2J", "=1+1"))):
        planted = Planted(domain="=cmd|calc", findings=(told,) * 3)
        write_customer_scan(tmp_path, index, [planted])
    text = run(tmp_path, FIRST, SECOND, "--format", "csv").stdout
    (row,) = csv.DictReader(StringIO(text))
    assert row["domain"] == "'=cmd|calc"
    assert row["unknown"] == r"\x1b[2J =1+1"
    for format_ in ("csv", "table"):
        assert "\x1b" not in run(tmp_path, FIRST, SECOND, "--format", format_).stdout
