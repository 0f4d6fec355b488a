"""How domains change from scan to scan, counted by hand from ``stories``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.archive import Archive, open_archive
from analysis.catalogue import questions
from tests.analysis.asking import ask, counts
from tests.analysis.stories import (
    ABSENT,
    DAY,
    DAYS,
    ENFORCE,
    NEW_MX,
    OFF,
    STORIES,
    TESTING,
    TLS,
    UNMEASURED,
    story,
    write_stories,
)

ONE, TWO, THREE, FOUR = DAYS


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The four scans of ``STORIES``."""
    with open_archive(write_stories(tmp_path_factory.mktemp("stories"))) as opened:
        yield opened


def size(*names: str) -> int:
    """How many domains these stories have together."""
    found = {told.name: told.count for told in STORIES}
    return sum(found[name] for name in names)


def test_phases(told: Archive) -> None:
    """Of the domains that ever had a record up to the scan; the outsiders never count."""
    expected = {
        ONE: {"enforce": 29, "testing": 8, "broken": 3},
        TWO: {"enforce": 18, "testing": 7, "off": 4, "broken": 7, "removed": 3, "unmeasured": 1},
        THREE: {"enforce": 18, "testing": 6, "off": 3, "broken": 7, "removed": 7},
        FOUR: {"enforce": 20, "testing": 6, "off": 2, "broken": 5, "removed": 8},
    }
    for scan, phases in expected.items():
        found = counts(ask(told, "phases", scan=scan), "phase")
        assert {phase: n for phase, (n, _, _) in found.items()} == phases
        assert {of_n for _, of_n, _ in found.values()} == {sum(phases.values())}


def test_transitions(told: Archive) -> None:
    """From the second scan to the third; who left the list took part in no transition."""
    assert ask(told, "transitions", scan=ONE) == []
    assert counts(ask(told, "transitions", scan=THREE), "before", "after") == {
        ("enforce", "enforce"): (size("steady", "noisy", "stuck", "left"), 16, 0),
        ("enforce", "broken"): (size("moved", "worse"), 16, 0),
        ("enforce", "removed"): (size("abrupt"), 16, 0),
        ("testing", "testing"): (size("forever"), 7, 0),
        ("testing", "enforce"): (size("graduate"), 7, 0),
        ("off", "off"): (size("proper", "customer"), 4, 0),
        ("off", "removed"): (size("hasty"), 4, 0),
        ("broken", "enforce"): (size("healed", "expired"), 7, 0),
        ("broken", "broken"): (size("relapse", "hidden"), 7, 0),
        ("broken", "removed"): (size("lapsed"), 7, 0),
        ("removed", "removed"): (size("tested", "never", "dangling"), 3, 0),
        ("unmeasured", "enforce"): (size("blind"), 1, 0),
    }


def test_churn(told: Archive) -> None:
    """Coming by a record and coming by the list are told apart, and so is going."""
    assert counts(ask(told, "churn", scan=THREE), "change") == {
        "stayed": (30, 40, 0),
        "adopted": (size("newcomer"), 40, 0),
        "joined the list": (size("joiner"), 40, 0),
        "left the list": (size("leaver"), 40, 0),
        "removed": (size("abrupt", "hasty", "lapsed"), 40, 0),
        "not measured before": (size("blind"), 40, 0),
    }
    assert counts(ask(told, "churn", scan=TWO), "change")["not measured now"] == (1, 40, 0)


def test_removals(told: Archive) -> None:
    """RFC 8461 section 8.3: mode none first, and then the old max_age."""
    assert counts(ask(told, "removals", scan=TWO), "way") == {
        "abruptly, from testing": (size("tested"), 3, 0),
        "abruptly, from enforce": (size("dangling"), 3, 0),
        "no valid policy seen": (size("never"), 3, 0),
    }
    assert counts(ask(told, "removals", scan=THREE), "way") == {
        "abruptly, from enforce": (size("abrupt"), 4, 0),
        "after mode none, too early": (size("hasty"), 4, 0),
        "abruptly, all expired": (size("lapsed"), 4, 0),
    }
    assert counts(ask(told, "removals", scan=FOUR), "way") == {"after mode none": (1, 1, 0)}


def test_stale_policies(told: Archive) -> None:
    """Explained as soon as one looks back to the scan that saw the MX host that is gone."""
    assert counts(ask(told, "stale-policies", scan=TWO), "looking_back_to") == {ONE: (0, 1, 0)}
    assert counts(ask(told, "stale-policies", scan=THREE), "looking_back_to") == {
        TWO: (3, 3, 0),
        ONE: (3, 3, 0),
    }
    assert counts(ask(told, "stale-policies", scan=FOUR), "looking_back_to") == {
        THREE: (0, 4, 0),
        TWO: (3, 4, 0),
        ONE: (3, 4, 0),
    }


def test_id_and_body(told: Archive) -> None:
    """Octet by octet, where both scans received a policy file."""
    assert counts(ask(told, "id-and-body", scan=TWO), "id", "body") == {
        ("same", "same"): (22, 31, 5),
        ("changed", "changed"): (size("proper", "hasty", "customer", "hidden"), 31, 5),
        ("changed", "same"): (size("noisy"), 31, 5),
        ("same", "changed"): (size("stuck"), 31, 5),
    }


def test_time_in_testing(told: Archive) -> None:
    """Since the first scan that saw it; when that is the domain's first, it may be longer."""
    rows = ask(told, "time-in-testing", scan=THREE)
    assert counts(rows, "span", "at_least") == {
        ("new", False): (size("newcomer"), 6, 0),
        ("1 to 3 months", True): (size("forever"), 6, 0),
    }
    assert counts(ask(told, "time-in-testing", scan=TWO), "span", "at_least") == {
        ("1 to 3 months", True): (7, 7, 0)  # 31 days
    }


def test_a_removal_behind_a_scan_that_saw_nothing_is_one(tmp_path: Path) -> None:
    """It is told of the first scan that sees that the record is gone, and of no later one."""
    stories = [story("hidden", 2, ENFORCE, UNMEASURED, ABSENT, ABSENT)]
    with open_archive(write_stories(tmp_path, stories)) as opened:
        found = {scan: counts(ask(opened, "removals", scan=scan), "way") for scan in DAYS}
    assert found == {ONE: {}, TWO: {}, THREE: {"abruptly, from enforce": (2, 2, 0)}, FOUR: {}}


def test_a_beginning_that_nobody_saw_is_none(tmp_path: Path) -> None:
    """Whoever could not be measured before may have been in mode testing all the time."""
    stories = [
        story("unseen", 2, UNMEASURED, TESTING, TESTING, TESTING),
        story("begun", 3, ENFORCE, TESTING, UNMEASURED, TESTING),
    ]
    with open_archive(write_stories(tmp_path, stories)) as opened:
        rows = ask(opened, "time-in-testing", scan=FOUR)
    assert counts(rows, "span", "at_least") == {
        ("1 to 3 months", True): (2, 5, 0),
        ("1 to 3 months", False): (3, 5, 0),
    }


def test_lifetimes(told: Archive) -> None:
    """Only faults whose beginning was seen; what is still there at the end is watched until then."""
    rows = ask(told, "lifetimes", scan=FOUR)
    assert {
        (r["fault"], r["step"]): (
            r["n"],
            r["of_n"],
            r["left_out"],
            round(r["surviving"], 6),
            r["days"],
        )
        for r in rows
    } == {
        # lapsed and hidden end at once, relapse after two scans, worse lasts on.
        ("policy: tls", 1): (2, 5, size("healed", "never"), 0.6, 28),
        ("policy: tls", 2): (2, 2, 3, 0.0, 59),
        ("certificate", 1): (1, 1, 0, 0.0, 28),
        ("pattern", 1): (0, 4, 0, 1.0, 31),
        ("pattern", 2): (0, 1, 0, 1.0, 59),
        ("testing", 1): (0, 2, size("graduate", "forever", "tested"), 1.0, 31),
    }
    assert ask(told, "lifetimes", scan=THREE) == []


def test_fix_rates(told: Archive) -> None:
    """A fault that nobody could see is not repaired, and neither is one of a record that is gone."""
    assert counts(ask(told, "fix-rates", scan=THREE), "fault", "fate") == {
        ("policy: tls", "repaired"): (size("healed"), 5, 0),
        ("policy: tls", "still there"): (size("relapse"), 5, 0),
        ("policy: tls", "given up"): (size("lapsed"), 5, 0),
        ("certificate", "repaired"): (size("expired"), 1, 0),
        ("pattern", "not seen"): (size("hidden"), 1, 0),
    }


def test_left_behind(told: Archive) -> None:
    """What stands at the hoster's names of its customers; who has left altogether is left out."""
    for scan in (TWO, THREE, FOUR):
        assert counts(ask(told, "left-behind", scan=scan), "provider", "found") == {
            ("PowerDMARC", "mode none"): (size("customer"), 3, size("left")),
            ("PowerDMARC", "an alias without a record"): (size("dangling"), 3, size("left")),
        }


def test_the_caching_sender(told: Archive) -> None:
    """A kept policy refuses what a first meeting would not: after a move, and after a removal."""
    second = counts(ask(told, "caching-sender", scan=TWO), "sender", "delivery", "first_time")
    assert {key[1:]: value for key, value in second.items() if key[0] == "refreshes"} == {
        ("delivered", "not refused"): (36 - 4, 36, 4),
        ("delivered", "unmeasured"): (size("blind"), 36, 4),
        ("refused", "refused"): (size("expired", "hidden"), 36, 4),
        ("unmeasured", "not refused"): (size("dangling"), 36, 4),
    }
    # Who waits for an id that does not come goes on with the policy of the first scan.
    assert {key[1:]: value for key, value in second.items() if key[0] != "refreshes"} == {
        ("delivered", "not refused"): (36 - 6, 36, 4),
        ("delivered", "unmeasured"): (size("blind"), 36, 4),
        ("refused", "refused"): (size("expired", "hidden"), 36, 4),
        ("refused", "not refused"): (size("stuck"), 36, 4),
        ("unmeasured", "not refused"): (size("dangling"), 36, 4),
    }
    third = counts(ask(told, "caching-sender", scan=THREE), "sender", "delivery", "first_time")
    # hasty, lapsed and never: nothing is held.  stuck's old policy has expired, so it is fetched.
    for sender in ("refreshes", "waits for the id"):
        assert {key[1:]: value for key, value in third.items() if key[0] == sender} == {
            ("delivered", "not refused"): (38 - 7, 38, 3),
            ("refused", "refused"): (size("moved"), 38, 3),
            ("refused", "not refused"): (size("abrupt", "hidden"), 38, 3),
            ("unmeasured", "not refused"): (size("dangling"), 38, 3),
        }


SENDERS = (
    # One MX host of two is covered by the kept policy and passes: the message goes there.
    story("spare", 1, ENFORCE, *[replace(ABSENT, mx=("mx.{domain}", *NEW_MX))] * 3),
    # The covered one is there, but shows a bad certificate.
    story("stale", 1, ENFORCE, *[replace(ABSENT, verdict="certificate")] * 3),
    # A wildcard covers the host that came later.
    story(
        "wild",
        1,
        replace(ENFORCE, patterns=("*.{domain}",)),
        *[replace(ABSENT, mx=("mx2.{domain}",))] * 3,
    ),
    # Nothing to deliver to any more.
    story("silent", 1, ENFORCE, *[replace(ABSENT, mx=())] * 3),
    # Kept for exactly as long as its max_age: gone at the very second of the next scan.
    story("exact", 1, replace(ENFORCE, max_age=31 * DAY), *[replace(ABSENT, mx=NEW_MX)] * 3),
    # Off the list for a scan, and remembered all the same.
    story("away", 1, ENFORCE, None, replace(TLS, mx=NEW_MX), replace(TLS, mx=NEW_MX)),
    # Mode none has replaced enforce in the cache, and expires there in its turn.
    story("off", 1, ENFORCE, replace(OFF, mx=NEW_MX), *[replace(ABSENT, mx=NEW_MX)] * 2),
)


def test_what_becomes_of_each_message(tmp_path: Path) -> None:
    """Domain by domain, for the sender that refreshes."""
    with open_archive(write_stories(tmp_path, SENDERS)) as opened:
        rows = opened.query(
            "select scan_id, domain, delivery from sender_deliveries where sender = 'refreshes'"
        ).records()
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row["domain"].partition("-")[0], {})[row["scan_id"]] = row["delivery"]
    assert found == {
        "spare": {ONE: "delivered", TWO: "delivered", THREE: "delivered", FOUR: "delivered"},
        "stale": {ONE: "delivered", TWO: "refused", THREE: "refused", FOUR: "refused"},
        "wild": {ONE: "delivered", TWO: "delivered", THREE: "delivered", FOUR: "delivered"},
        "silent": {ONE: "delivered", TWO: "no mail", THREE: "no mail", FOUR: "no mail"},
        "exact": {ONE: "delivered"},
        "away": {ONE: "delivered", THREE: "refused", FOUR: "refused"},
        "off": {ONE: "delivered", TWO: "delivered"},
    }


@pytest.mark.parametrize(
    ("name", "by"),
    [
        (q.name, by)
        for q in questions().values()
        if q.folder == "longitudinal"
        for by in q.groupings
    ],
)
def test_regrouped_histories_add_up(told: Archive, name: str, by: str) -> None:
    """However the domains are grouped, each is in exactly one stratum."""
    total = sum(row["n"] for row in ask(told, name, scan=FOUR))
    assert sum(row["n"] for row in ask(told, name, by, scan=FOUR)) == total


def test_every_phase_fault_and_delivery_is_explained(told: Archive) -> None:
    """reference/words.csv has a label and a meaning for each word of these answers."""
    known = {(row["column"], row["word"]) for row in told.query("from reference_words").records()}
    for name, column in (
        ("phases", "phase"),
        ("fix-rates", "fault"),
        ("caching-sender", "delivery"),
    ):
        for scan in DAYS:
            assert {(column, r[column]) for r in ask(told, name, scan=scan)} <= known
