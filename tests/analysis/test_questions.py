"""Every question answers with the numbers that were planted, and with their denominators."""

from __future__ import annotations

from collections import Counter
from math import sqrt
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis.archive import Archive, open_archive
from analysis.catalogue import GROUPINGS, CannotGroup, find, questions
from tests.analysis.archive_fixture import KINDS, SCANS, Kind, write_archive
from tests.analysis.asking import FIRST, SECOND, ask, counts

SHARE = ("n", "of_n", "share", "low", "high", "left_out")


@pytest.mark.parametrize("name", questions())
def test_every_question_states_what_it_is(name: str) -> None:
    """A header names question, grain, denominator, section and known groupings."""
    question = find(name)
    assert question.question.endswith("?")
    assert question.grain.startswith("scan")
    assert question.denominator
    assert question.section
    assert set(question.groupings) <= set(GROUPINGS)


@pytest.mark.parametrize(
    ("name", "by"), [(q.name, by) for q in questions().values() for by in q.groupings]
)
def test_every_question_returns_its_share_with_interval(
    archive: Archive, name: str, by: str
) -> None:
    """n, of_n, share, low, high stand in every row, agree with each other and cover both scans."""
    result = find(name).ask(archive, by)
    rows = result.records()
    assert result.columns[-6:] == SHARE
    assert "stratum" not in result.columns
    # What is told of two scans is told of the later one, and nothing changes without a change; what
    # is told of several vantages, or of what was carried over, is told of none here.
    answered = {row["scan_id"] for row in rows}
    assert answered <= set(SCANS)
    silent = find(name).folder in ("longitudinal", "vantages") or name.startswith("carried-")
    assert answered == set(SCANS) or silent
    for row in rows:
        assert 0 <= row["n"] <= row["of_n"]
        if row["of_n"]:
            assert row["share"] == pytest.approx(row["n"] / row["of_n"])
            assert 0 <= row["low"] <= row["share"] <= row["high"] <= 1
        else:
            assert (row["share"], row["low"], row["high"]) == (None, None, None)


@pytest.mark.parametrize(("name", "by"), [(q.name, q.groupings[0]) for q in questions().values()])
def test_every_question_runs_on_an_empty_archive(
    empty_archive: Archive, name: str, by: str
) -> None:
    """A scan of an empty list has the columns and no rows."""
    result = find(name).ask(empty_archive, by)
    assert result.columns[-6:] == SHARE
    assert result.records() == []


@pytest.mark.parametrize(
    ("n", "of_n"), [(0, 10), (1, 10), (5, 10), (10, 10), (68030, 86791845), (1, 1)]
)
def test_the_interval_is_wilsons(archive: Archive, n: int, of_n: int) -> None:
    """Against the textbook form, with the 97.5 % point of the normal distribution."""
    z, p = 1.959963984540054, n / of_n
    centre = (p + z * z / (2 * of_n)) / (1 + z * z / of_n)
    reach = z / (1 + z * z / of_n) * sqrt(p * (1 - p) / of_n + z * z / (4 * of_n * of_n))
    (row,) = archive.query(f"select unnest(wilson({n}, {of_n}))").records()
    assert row["low"] == pytest.approx(centre - reach, abs=1e-12)
    assert row["high"] == pytest.approx(centre + reach, abs=1e-12)


def test_adoption(archive: Archive) -> None:
    """113 of 383 measured; 12 were not measured.  The scan after: 112 of 372; 8."""
    assert [r["n"] for r in ask(archive, "adoption")] == [113]
    assert counts(ask(archive, "adoption"), "scan_id") == {FIRST: (113, 383, 12)}
    assert counts(ask(archive, "adoption", scan=SECOND), "scan_id") == {SECOND: (112, 372, 8)}
    # The null MX is no MX host; everybody else has one.
    assert counts(ask(archive, "adoption-with-mx"), "scan_id") == {FIRST: (112, 382, 12)}


def test_adoption_by_tld(archive: Archive) -> None:
    """The TLDs with the most domains first."""
    rows = ask(archive, "adoption-by-tld")
    assert [row["tld"] for row in rows] == ["com", "se", "org"]
    assert counts(rows, "tld") == {"com": (81, 281, 12), "se": (8, 78, 0), "org": (24, 24, 0)}
    assert counts(ask(archive, "adoption", "tld"), "tld") == counts(rows, "tld")


def test_adoption_by_rank(archive: Archive) -> None:
    """In the order of the bands, and domains without a rank apart."""
    rows = ask(archive, "adoption-by-rank")
    assert [(r["rank_band"], r["n"], r["of_n"]) for r in rows] == [
        ("1 to 100", 30, 30),
        ("101 to 1,000", 0, 200),
        ("no rank", 83, 153),
    ]


def test_record_outcomes(archive: Archive) -> None:
    """Unmeasured is a class of its own, and all classes make the list."""
    assert counts(ask(archive, "record-outcomes"), "record_outcome") == {
        "absent": (270, 395, 0),
        "valid": (108, 395, 0),
        "unmeasured": (12, 395, 0),
        "syntax": (3, 395, 0),
        "multiple": (2, 395, 0),
    }


def test_policy_outcomes(archive: Archive) -> None:
    """By the first stage that failed, of all adopters."""
    assert {k: v[0] for k, v in counts(ask(archive, "policy-outcomes"), "policy_outcome").items()} == {
        "valid": 82, "dns": 1, "tcp": 2, "tls": 15, "http": 6, "syntax": 4, "unmeasured": 3,
    }  # fmt: skip
    assert {r["of_n"] for r in ask(archive, "policy-outcomes")} == {113}


def test_mode_and_max_age(archive: Archive) -> None:
    """Of valid policies; the 3 whose policy was not measured are left out and counted."""
    assert counts(ask(archive, "mode"), "mode") == {
        "enforce": (55, 82, 3),
        "testing": (23, 82, 3),
        "none": (4, 82, 3),
    }
    assert counts(ask(archive, "max-age"), "mode", "age_band") == {
        ("enforce", "2 weeks to 30 days"): (47, 55, 3),
        ("enforce", "6 months and more"): (8, 55, 3),
        ("testing", "1 day to 1 week"): (20, 23, 3),
        ("testing", "2 weeks to 30 days"): (3, 23, 3),
        ("none", "1 day to 1 week"): (4, 4, 3),
    }


def test_coverage(archive: Archive) -> None:
    """Of valid policies in mode testing or enforce."""
    assert counts(ask(archive, "mx-coverage"), "coverage") == {
        "all": (72, 78, 3),
        "some": (5, 78, 3),
        "no MX host to cover": (1, 78, 3),
    }


def test_certificate_errors(archive: Archive) -> None:
    """By domain: one with several problems at several addresses counts once for each problem."""
    # Of 113 adopters, no chain was seen of 4 greylisted, 2 plaintext and 1 without mail.
    assert counts(ask(archive, "mx-certificate-errors"), "certificate_problem") == {
        "none": (103, 106, 7),
        "expired": (3, 106, 7),
        "name-mismatch": (3, 106, 7),
    }


def test_mx_hosts_are_counted_once(archive: Archive) -> None:
    """Two Google hosts, one of Microsoft, and the hosts of dane, expired, plaintext, greylisted."""
    assert counts(ask(archive, "mx-tls"), "mail_outcome") == {
        "pass": (2 + 1 + 8, 20, 0),
        "certificate": (3, 20, 0),
        "no-starttls": (2, 20, 0),
        "unmeasured": (4, 20, 0),
    }


def test_health_and_components(archive: Archive) -> None:
    """A domain that was not measured in full is neither right nor misconfigured."""
    assert {k: v[0] for k, v in counts(ask(archive, "health"), "health").items()} == {
        "right": 63, "misconfigured": 41, "refusing": 2, "unmeasured": 7,
    }  # fmt: skip
    found = counts(ask(archive, "components"), "component", "verdict")
    assert {k[0]: v[0] for k, v in found.items() if k[1] == "faulty"} == {
        "any": 41, "record": 5, "policy": 28, "certificate": 3, "pattern": 5,
    }  # fmt: skip
    assert {v[1] for v in found.values()} == {113}
    assert found[("any", "unmeasured")][0] == 7
    assert counts(ask(archive, "misconfigured"), "scan_id") == {FIRST: (41, 113, 0)}


def test_sender_outcomes(archive: Archive) -> None:
    """Of all adopters."""
    assert {k: v[0] for k, v in counts(ask(archive, "sender-outcomes"), "sender_outcome").items()} == {
        "protected": 38, "fail-open": 33, "testing": 20, "unmeasured": 7, "degraded": 5,
        "refused": 5, "off": 4, "no-mail": 1,
    }  # fmt: skip


def test_other_standards(archive: Archive) -> None:
    """TLSRPT and DANE among adopters and among others; out of scope is left out and counted."""
    assert counts(ask(archive, "tlsrpt"), "among", "tlsrpt_outcome") == {
        ("adopters", "valid"): (62, 113, 12),
        ("adopters", "absent"): (51, 113, 12),
        ("other domains", "absent"): (260, 270, 12),
        ("other domains", "valid"): (10, 270, 12),
    }
    # No MX host of a domain without a record was looked up, so nothing is said about those.
    assert counts(ask(archive, "dane"), "among", "dane_outcome") == {
        ("adopters", "none"): (102, 113, 12),
        ("adopters", "match"): (8, 113, 12),
        ("adopters", "mismatch"): (3, 113, 12),
    }


def test_mta_sts_and_dane(archive: Archive) -> None:
    """Every pair of outcomes once; without DANE in scope, or without a record known: left out."""
    rows = ask(archive, "mta-sts-and-dane")
    assert counts(rows, "together", "sender_outcome", "dane_outcome") == {
        ("neither protects", "fail-open", "none"): (33, 113, 282),
        ("MTA-STS alone", "protected", "none"): (30, 113, 282),
        ("neither protects", "testing", "none"): (20, 113, 282),
        ("both protect", "protected", "match"): (8, 113, 282),
        ("not measured", "unmeasured", "none"): (7, 113, 282),
        ("MTA-STS alone", "degraded", "none"): (5, 113, 282),
        ("neither protects", "off", "none"): (4, 113, 282),
        ("neither protects", "refused", "mismatch"): (3, 113, 282),
        ("neither protects", "refused", "none"): (2, 113, 282),
        ("neither protects", "no-mail", "none"): (1, 113, 282),
    }


def judged(
    mode: str, sender: str, dane: str, *findings: str, failing: int = 0, total: int = 1
) -> dict[str, Any]:
    """What is judged of a domain with a valid policy and this many MX hosts, *failing* of them."""
    return {
        "record_outcome": "valid",
        "policy_outcome": "valid",
        "mode": mode,
        "mx_total": total,
        "mx_failing": failing,
        "sender_outcome": sender,
        "dane_outcome": dane,
        "findings": findings,
    }


CONFLICT = ("dane-conflict", "dane-mismatch")

# What is judged of a domain, and what MTA-STS and DANE make of it together.
TOGETHER: dict[str, tuple[dict[str, Any], str]] = {
    "stale-tlsa": (
        judged("enforce", "protected", "mismatch", *CONFLICT),
        "MTA-STS passes, DANE refuses",
    ),
    "stale-tlsa-in-testing": (
        judged("testing", "testing", "mismatch", *CONFLICT),
        "MTA-STS passes, DANE refuses",
    ),
    "pinned-and-expired": (
        judged("enforce", "refused", "match", failing=1),
        "DANE passes, MTA-STS refuses",
    ),
    "pinned-and-expired-in-testing": (
        judged("testing", "testing", "partial", failing=1),
        "DANE passes, MTA-STS refuses",
    ),
    # Mode none asks nothing of the MX hosts (RFC 8461 section 5).
    "pinned-and-off": (judged("none", "off", "match", failing=1), "DANE alone"),
    "pinned-in-testing": (judged("testing", "testing", "match"), "DANE alone"),
    "pinned-without-a-policy": (
        {
            "record_outcome": "valid",
            "policy_outcome": "http",
            "mx_total": 1,
            "sender_outcome": "fail-open",
            "dane_outcome": "match",
        },
        "DANE alone",
    ),
    "pinned-without-a-record": ({"mx_total": 1, "dane_outcome": "match"}, "DANE alone"),
    "half-of-both": (
        judged("enforce", "degraded", "partial", failing=1, total=2),
        "both protect",
    ),
    # The host that fails DANE is the one that fails under the policy too.
    "one-bad-host": (
        judged("enforce", "degraded", "mismatch", "dane-mismatch", failing=1, total=2),
        "MTA-STS alone",
    ),
    "unsigned": (judged("enforce", "protected", "insecure"), "MTA-STS alone"),
    "bogus": (judged("enforce", "protected", "unmeasured", "dane-bogus"), "not measured"),
    "not-reached": (judged("enforce", "unmeasured", "match"), "not measured"),
    "both-broken": (judged("enforce", "refused", "mismatch", failing=1), "neither protects"),
    "nothing": ({"mx_total": 1, "dane_outcome": "none"}, "neither protects"),
}


def test_what_mta_sts_and_dane_make_together(tmp_path: Path) -> None:
    """One domain of each kind, a TLD of its own for each."""
    kinds = [
        Kind(name="x", count=(1, 0), tld=name, judged=columns)
        for name, (columns, _) in TOGETHER.items()
    ]
    with open_archive(write_archive(tmp_path, kinds)) as opened:
        rows = ask(opened, "mta-sts-and-dane", by="tld")
    assert {row["tld"]: row["together"] for row in rows} == {
        name: together for name, (_, together) in TOGETHER.items()
    }


def test_providers(archive: Archive) -> None:
    """By the suffix of the first MX host, and by the aliases or the address of the policy host."""
    assert counts(ask(archive, "mx-operators"), "operator") == {
        "Google": (75, 112, 1),
        "Microsoft": (20, 112, 1),
        "(below the domain itself)": (17, 112, 1),
    }
    found = counts(ask(archive, "policy-hosts"), "provider")
    assert {provider: n for provider, (n, _, _) in found.items()} == {
        "(no alias)": 52, "PowerDMARC": 30, "URIports": 20, "GitHub Pages": 6,
        "mxascen (one administrator)": 4, "(no address known)": 1,
    }  # fmt: skip


def test_regrouped_numbers_add_up(archive: Archive) -> None:
    """However the adopters are grouped, each is in exactly one stratum."""
    for by in ("tld", "rank", "mx-operator", "policy-host", "policy-entity", "mx-entity"):
        rows = ask(archive, "health", by)
        assert sum(row["n"] for row in rows) == 113, by


def test_findings_name_the_fix(archive: Archive) -> None:
    """Every finding is counted, also one that the scan's catalogue does not describe."""
    rows = {(r["among"], r["finding"]): r for r in ask(archive, "findings")}
    assert rows["adopters", "rpt-missing"]["n"] == 51
    assert rows["adopters", "tls-name"]["fix"] == "Get one for mta-sts.<domain>."
    assert rows["adopters", "http-any"]["sentence"] is None
    assert rows["other domains", "txt-dns-error"]["n"] == 12
    planted = Counter[str]()
    for kind in KINDS:
        for finding in kind.judged.get("findings", ()):
            planted[finding] += kind.count[0]
    assert {key[1]: row["n"] for key, row in rows.items()} == planted


def test_quality(archive: Archive) -> None:
    """Attempts, repeated tries and timeouts of the record lookups, counted from the plan."""
    found = counts(ask(archive, "scan-quality"), "probe", "measure")
    # 395 domains, two questions, a second attempt for 7 late and 2 x 12 failing answers.
    assert found["TXT lookups", "a repeated try"] == (31, 821, 0)
    assert found["TXT lookups", "timed out"] == (31, 821, 0)
    assert found["TXT lookups", "answered"] == (790 - 24, 821, 0)
    assert counts(ask(archive, "unmeasured"), "fact")["DANE"] == (0, 113, 282)


def test_numbers_agree_with_a_count_in_plain_python(planted: Path, archive: Archive) -> None:
    """The files read without DuckDB and counted by hand give the same."""
    folder = planted / f"scan={SECOND}" / "assessments"
    rows = [row for part in sorted(folder.iterdir()) for row in pq.read_table(part).to_pylist()]
    adopters = [r for r in rows if r["record_outcome"] in ("valid", "multiple", "syntax")]
    senders = Counter(r["sender_outcome"] for r in adopters)
    asked = counts(ask(archive, "sender-outcomes", scan=SECOND), "sender_outcome")
    assert {key: n for key, (n, _, _) in asked.items()} == senders
    assert {of_n for _, of_n, _ in asked.values()} == {len(adopters)}


def test_a_grouping_that_makes_no_sense_is_explained() -> None:
    """Domains without a record have no policy host."""
    with pytest.raises(CannotGroup, match=r"cannot be grouped by policy-host.*tld, rank"):
        find("adoption").grouping("policy-host")
