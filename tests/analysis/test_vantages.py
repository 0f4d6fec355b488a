"""Scans of one list from several vantages, counted by hand from ``vantage_fixture``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analysis.archive import Archive, open_archive
from analysis.catalogue import find
from analysis.cli import main
from analysis.figures import OF_SEVERAL_VANTAGES, Figure, Words, answer
from analysis.scans import NotAnArchive
from tests.analysis.asking import counts
from tests.analysis.vantage_fixture import FINE, TARGETS, Made, write_campaign, write_empty

NEWEST = "vienna"
WITH_RECORD = 21  # all but "silent"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of ``TARGETS``."""
    return write_campaign(tmp_path_factory.mktemp("vantages"))


@pytest.fixture(scope="module")
def archive(campaign: Path) -> Iterator[Archive]:
    with open_archive(campaign) as opened:
        yield opened


def ask(archive: Archive, name: str) -> list[dict[str, Any]]:
    rows = find(name).ask(archive).records()
    assert {row["scan_id"] for row in rows} == {NEWEST}
    return rows


def size(*names: str) -> int:
    """How many domains have one of these names."""
    found = {name: count for name, count, _ in TARGETS}
    return sum(found[name] for name in names)


def test_agreement(archive: Archive) -> None:
    """What only one vantage measured is left out; what none of them saw is not counted at all."""
    assert size(*(name for name, _, _ in TARGETS if name != "silent")) == WITH_RECORD
    assert counts(ask(archive, "vantage-agreement"), "fact") == {
        # lonely alone was measured once; new is absent from Boston
        "MTA-STS record": (18, 20, 1),
        # rolled-out has another id from Vienna; absent records have none, and new has two
        "record id": (19, 20, 1),
        # geo-blocked and rolled-out; shut is the same everywhere
        "policy": (20 - size("geo-blocked", "rolled-out"), 20, 1),
        # nobody has shut's
        "policy text": (19 - size("edge", "rolled-out"), 19, 1),
        # silent has some too, but publishes nothing that they matter for
        "MX records": (WITH_RECORD, WITH_RECORD, 0),
        "addresses of a host": (20 - size("near"), 20, 1),
        # near's two addresses: Vienna's own was seen once; elsewhere two saw the other
        "MX host": (20, 20, 1 + size("near")),
        "MX certificate": (20, 20, 1 + size("near")),
        # new: absent and protected; geo-blocked: fail-open; rolled-out: testing
        "what a sender does": (20 - size("new", "geo-blocked", "rolled-out"), 20, 1),
    }


def test_differences(archive: Archive) -> None:
    """What each sees that the others do not, and of how many targets."""
    found = counts(ask(archive, "vantage-differences"), "fact", "vantage", "sees", "others")
    assert {key[1:]: n for key, (n, _, _) in found.items() if key[0] == "policy"} == {
        ("Boston", "tcp", "enforce"): size("geo-blocked"),
        ("Tokyo", "enforce", "tcp"): size("geo-blocked"),
        ("Vienna", "enforce", "tcp"): size("geo-blocked"),
        ("Boston", "enforce", "testing"): size("rolled-out"),
        ("Tokyo", "enforce", "testing"): size("rolled-out"),
        ("Vienna", "testing", "enforce"): size("rolled-out"),
    }
    assert found["policy", "Boston", "tcp", "enforce"] == (3, 4, 0)
    assert {key[1:]: n for key, (n, _, _) in found.items() if key[0] == "addresses of a host"} == {
        ("Boston", "the same as some", "another"): size("near"),
        ("Tokyo", "the same as some", "another"): size("near"),
        ("Vienna", "its own", "another"): size("near"),
    }
    assert not [key for key in found if key[0] in ("MX host", "MX records")]


def test_no_mail_host_and_no_address_are_something_to_see(tmp_path: Path) -> None:
    """Who is told that a name does not exist has measured it; what is nowhere is not counted."""
    nowhere = replace(FINE, exists=False)
    write_campaign(tmp_path, (("hidden", 3, (FINE, FINE, nowhere)), ("gone", 2, (nowhere,) * 3)))
    with open_archive(tmp_path) as opened:
        agreed = counts(ask(opened, "vantage-agreement"), "fact")
        seen = counts(ask(opened, "vantage-differences"), "fact", "vantage", "sees", "others")
    for fact in ("MX records", "addresses of a host"):
        assert agreed[fact] == (0, 3, 0)
        assert {key[1:]: n for key, (n, _, _) in seen.items() if key[0] == fact} == {
            ("Boston", "the same as some", "another"): 3,
            ("Tokyo", "the same as some", "another"): 3,
            ("Vienna", "its own", "another"): 3,
        }


def test_the_targets_of_a_difference_are_there_one_by_one(archive: Archive) -> None:
    found = archive.query(
        "select target, vantage, value from vantage_differences where fact = 'record id' order by all"
    ).records()
    assert [tuple(row.values()) for row in found] == [
        ("rolled-out-0.example", "Boston", "1"),
        ("rolled-out-0.example", "Tokyo", "1"),
        ("rolled-out-0.example", "Vienna", "2"),
    ]


def test_reach(archive: Archive) -> None:
    """A target that one vantage reaches is reachable; its own failure is no try of a vantage."""
    assert counts(ask(archive, "vantage-reach"), "probe", "vantage") == {
        # Boston did not see the records of new and lonely, and got into neither geo-blocked nor shut
        ("policy host", "Boston"): (20 - size("new", "geo-blocked", "lonely"), 17, 3),
        ("policy host", "Tokyo"): (20, 20, 0),
        ("policy host", "Vienna"): (19, 19, size("lonely")),
        ("policy host", "any of them"): (20, 21, 0),
        ("MX host", "Boston"): (18, 18, size("new", "lonely")),
        ("MX host", "Tokyo"): (20 - size("portless") - 1, 20, size("portless")),
        ("MX host", "Vienna"): (20, 20, size("lonely")),
        ("MX host", "any of them"): (21, 21, 0),
    }


def test_together(archive: Archive) -> None:
    """The outcome of the vantage that got furthest."""
    found = counts(ask(archive, "vantages-together"), "fact", "vantage", "outcome")
    assert {key[2]: v[:2] for key, v in found.items() if key[:2] == ("policy", "together")} == {
        "valid": (20, 21),
        "tcp": (size("shut"), 21),
    }
    assert {key[2]: v[:2] for key, v in found.items() if key[:2] == ("policy", "Boston")} == {
        "valid": (14, 18),
        "tcp": (size("geo-blocked", "shut"), 18),
    }
    records = {key[1:]: n for key, (n, _, _) in found.items() if key[0] == "MTA-STS record"}
    assert records["together", "valid"] == WITH_RECORD
    assert records["Boston", "unmeasured"] == size("lonely")
    assert ("together", "unmeasured") not in records
    mail = {key[1:]: n for key, (n, _, _) in found.items() if key[0] == "MX host"}
    assert mail["Tokyo", "unmeasured"] == size("mail-blocked", "portless")
    assert mail["together", "pass"] == WITH_RECORD + size("near")  # at two addresses
    assert ("together", "unmeasured") not in mail


@pytest.mark.parametrize("figure", OF_SEVERAL_VANTAGES, ids=lambda figure: figure.name)
def test_the_page_draws_it(archive: Archive, figure: Figure) -> None:
    drawn = answer(archive, figure, NEWEST, Words(archive))
    assert drawn.drawing is not None
    assert drawn.note == ""


def test_one_vantage_alone_is_compared_with_nobody(campaign: Path) -> None:
    with open_archive(campaign, vantage="Tokyo") as opened:
        assert [scan.scan_id for scan in opened.scans] == ["tokyo"]
        assert find("vantage-agreement").ask(opened).records() == []
        (row,) = find("adoption").ask(opened).records()
        assert (row["n"], row["of_n"]) == (21, 41)
    with (
        pytest.raises(NotAnArchive, match="'Rome'; it has some from Boston, Tokyo, Vienna"),
        open_archive(campaign, vantage="Rome"),
    ):
        pass


def test_which_scans_are_a_campaign(tmp_path: Path) -> None:
    """One scan each of as many vantages as there are, of one list, scope and rules, within a week."""

    def of(list_: str, *scans: Made) -> list[Made]:
        return [replace(made, list=list_) for made in scans]

    write_empty(
        tmp_path,
        [
            *of("within a week", Made(scan_id="a1", vantage="A"),
                Made(scan_id="a2", vantage="B", day="2026-01-08")),
            *of("a day too late", Made(scan_id="b1", vantage="A"),
                Made(scan_id="b2", vantage="B", day="2026-01-09")),
            *of("another scope", Made(scan_id="c1", vantage="A"),
                Made(scan_id="c2", vantage="B", scope="all")),
            *of("other rules", Made(scan_id="d1", vantage="A"),
                Made(scan_id="d2", vantage="B", rules="2")),
            *of("another list", Made(scan_id="e1", vantage="A")),
            *of("the same place twice", Made(scan_id="f1", vantage="A"),
                Made(scan_id="f2", vantage="A")),
            # Who comes again opens the next campaign; one without a name is one of its own.
            *of("again", Made(scan_id="g1", vantage="A"), Made(scan_id="g2", vantage="B"),
                Made(scan_id="g3"), Made(scan_id="g4", vantage="B", day="2026-01-02"),
                Made(scan_id="g5", vantage="A", day="2026-01-02")),
        ],
    )  # fmt: skip
    with open_archive(tmp_path) as opened:
        found = opened.query(
            "select campaign, list(scan_id order by scan_id) as scans from campaigns group by all"
        ).records()
    assert {row["campaign"]: row["scans"] for row in found} == {
        "a2": ["a1", "a2"],
        "g3": ["g1", "g2", "g3"],
        "g5": ["g4", "g5"],
    }


def test_changes_are_told_of_the_vantage_of_the_newest_scan(tmp_path: Path) -> None:
    """Scans of two vantages in turn are two series, not one that goes to and fro."""
    turns = [("a", "A", 1), ("b", "B", 2), ("c", "A", 3), ("d", "B", 4)]
    write_empty(tmp_path, [Made(scan_id=i, vantage=v, day=f"2026-01-0{d}") for i, v, d in turns])
    with open_archive(tmp_path) as opened:
        assert opened.vantages == ("A", "B")
        assert [scan.scan_id for scan in opened.series] == ["b", "d"]
        order = opened.query("select scan_id, place from scan_order order by place").records()
    assert [(row["scan_id"], row["place"]) for row in order] == [("b", 0), ("d", 1)]
    with open_archive(tmp_path, vantage="A") as opened:
        assert [scan.scan_id for scan in opened.series] == ["a", "c"]


def test_the_command_line_says_from_where(campaign: Path) -> None:
    """And takes the scans of one vantage only, if asked."""
    asked = CliRunner().invoke(main, ["ask", "adoption", str(campaign), "--format", "csv"])
    assert "3 vantages: Boston, Tokyo, Vienna; changes are told of Vienna's scans" in asked.stderr
    assert len(asked.stdout.splitlines()) == 4
    asked = CliRunner().invoke(
        main, ["ask", "adoption", str(campaign), "--format", "csv", "--vantage", "Tokyo"]
    )
    assert "vantages" not in asked.stderr
    assert [line.partition(",")[0] for line in asked.stdout.splitlines()] == ["scan_id", "tokyo"]
    asked = CliRunner().invoke(main, ["ask", "adoption", str(campaign), "--vantage", "Rome"])
    assert (asked.exit_code, asked.stdout) == (2, "")
