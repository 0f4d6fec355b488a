"""Shares of a whole from a part of it: samples, strata, ranks, and what could not be measured.

The expected numbers are computed here in plain Python, by the formulas of the books and by sums over every
outcome of a draw; nothing is taken from a query.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import product
from math import comb, inf, sqrt
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import population
from analysis.archive import Archive, open_archive
from analysis.catalogue import find
from analysis.population import BadPopulation
from crawler import records
from crawler.snapshot import plan
from crawler.snapshot.plan import Planning
from crawler.snapshot.schema import schema_of
from crawler.vocabulary import Scope
from tests.analysis.asking import FIRST, ask

Z = 1.959963984540054
SEED, RATE = "a seed", 0.3


# --- an archive whose control sample is planted


def adopter(name: str, dane: str) -> records.Assessment:
    """A domain with a valid policy, whose MX hosts every scope contacts."""
    return records.Assessment(
        scan_id="one", domain=name, record_outcome="valid", policy_outcome="valid", mode="enforce",
        mx_total=1, misconfigured=False, sender_outcome="protected", tlsrpt_outcome="absent",
        dane_outcome=dane, rules_version="1",
    )  # fmt: skip


def other(name: str, dane: str | None, *findings: str) -> records.Assessment:
    """A domain without a record; *dane* is None where its MX hosts were not contacted."""
    return records.Assessment(
        scan_id="one", domain=name, record_outcome="absent", policy_outcome="not-fetched",
        mx_total=1, misconfigured=False, sender_outcome="absent", tlsrpt_outcome="absent",
        dane_outcome=dane, findings=findings, rules_version="1",
    )  # fmt: skip


def is_drawn(domain: str) -> bool:
    """The crawler's draw: the lower half of an MD5, in the order of its octets, as a fraction."""
    lower = hashlib.md5((SEED + domain).encode(), usedforsecurity=False).digest()[8:]
    return int.from_bytes(lower, "little") < RATE * 2**64


def write(folder: Path, rows: Sequence[records.Assessment], scan: str = "one", **said: Any) -> Path:
    """A scan of nothing but judged domains; the manifest says *said* as well."""
    part = folder / f"scan={scan}" / "assessments" / "part-0.parquet"
    part.parent.mkdir(parents=True)
    schema = schema_of(records.Assessment)
    mine = [{**asdict(row), "scan_id": scan} for row in rows]
    pq.write_table(pa.Table.from_pylist(mine, schema=schema), part)
    manifest = {
        "scan_id": scan, "state": "sealed", "started_at": "2026-01-01T00:00:00+00:00", **said,
        "tables": {"assessments": {"parts": [{"path": "assessments/part-0.parquet"}]}},
    }  # fmt: skip
    (part.parents[1] / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def a_list() -> Iterable[records.Assessment]:
    """60 adopters of whom 15 have DANE, 5 unmeasured; 900 others, of whom each ninth has it.

    Of the others only the drawn were contacted, and the forty that ask for reports, which all have DANE.
    """
    for n in range(60):
        yield adopter(f"a{n}.example", "match" if n < 15 else "unmeasured" if n < 20 else "none")
    for n in range(900):
        name = f"o{n}.example"
        dane = "match" if n % 9 == 0 else "unmeasured" if n % 10 == 1 else "none"
        yield other(name, dane if is_drawn(name) else None)
    for n in range(40):
        yield other(f"r{n}.example", "match")


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """The list above, scanned with a control sample."""
    folder = tmp_path_factory.mktemp("sampled")
    write(folder, list(a_list()), scope="sample", sample_rate=RATE, seed=SEED)
    with open_archive(folder) as opened:
        yield opened


def answers(archive: Archive, by: str | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    """The estimates by stratum and measure."""
    rows = find("estimates").ask(archive, by).records()
    return {(str(row.get(by or "", "")), row["measure"]): row for row in rows}


# --- the formulas, from the books


def wilson(share: float, n: int, size: float) -> tuple[float, float]:
    """Wilson's interval over as many observations as n of *size* are worth."""
    if n >= size:
        return share, share
    worth = n if size == inf else n * (size - 1) / (size - n)
    centre = (share + Z * Z / (2 * worth)) / (1 + Z * Z / worth)
    reach = Z / (1 + Z * Z / worth) * sqrt(share * (1 - share) / worth + (Z / (2 * worth)) ** 2)
    return max(0.0, centre - reach), min(1.0, centre + reach)


def together(parts: Sequence[tuple[int, int, int]]) -> tuple[float, float, float]:
    """The share of strata (size, n, of_n) with Newcombe's way of adding intervals."""
    total = sum(size for size, _, _ in parts)
    share = sum(size / total * n / of_n for size, n, of_n in parts)
    down = up = 0.0
    for size, n, of_n in parts:
        low, high = wilson(n / of_n, of_n, size)
        down += (size / total * (n / of_n - low)) ** 2
        up += (size / total * (high - n / of_n)) ** 2
    return share, share - sqrt(down), share + sqrt(up)


# --- the control sample


def test_the_estimate_weighs_the_sample_and_what_is_known_in_full(sampled: Archive) -> None:
    """The 40 that were contacted for another reason than the draw do not count with it."""
    rows = list(a_list())
    drawn = [r.dane_outcome for r in rows[60:] if is_drawn(r.domain)]
    assert 200 < len(drawn) < 360
    n, left = drawn.count("match"), drawn.count("unmeasured")
    row = answers(sampled)["", "DANE"]
    assert (row["population"], row["looked_at"]) == (1000, 60 + len(drawn))
    assert (row["n"], row["of_n"]) == (15 + n, 55 + len(drawn) - left)
    assert row["left_out"] == 1000 - row["of_n"]
    assert (row["estimate"], row["estimate_low"], row["estimate_high"]) == pytest.approx(
        together([(60, 15, 55), (940, n, len(drawn) - left)])
    )
    # As though nobody, and as though everybody, of those not measured had DANE.
    assert row["at_least"] == pytest.approx(0.06 * 15 / 60 + 0.94 * n / len(drawn))
    assert row["at_most"] == pytest.approx(0.06 * 20 / 60 + 0.94 * (n + left) / len(drawn))


def test_what_every_scan_asks_of_every_domain_has_no_sampling_error(sampled: Archive) -> None:
    """The record was asked of the whole list, and all of it was measured."""
    row = answers(sampled)["", "adopted"]
    assert row["estimate"] == row["estimate_low"] == row["estimate_high"] == 0.06
    assert (row["at_least"], row["at_most"], row["left_out"]) == (0.06, 0.06, 0)
    assert row["low"] < 0.06 < row["high"]


def test_the_draw_is_the_crawlers(sampled: Archive) -> None:
    """Its own plan picks the same domains."""
    names = [row.domain for row in a_list()]
    with duckdb.connect() as connection:
        connection.execute("create table domains as select unnest($1::varchar[]) domain", [names])
        connection.execute(
            "create table latest_txt_lookups (records blob[][], cname_chain varchar[])"
        )
        connection.execute("create table signs (domain varchar)")
        planning = Planning(
            scope=Scope.SAMPLE, seed=SEED, sample_rate=RATE, mx_hosts=5, addresses_per_family=2,
            refusal=lambda _: None,
        )  # fmt: skip
        plan.mark_scope(connection, planning)
        chosen = {d for (d,) in connection.sql("select domain from mail_scope").fetchall()}
    assert chosen == {name for name in names if is_drawn(name)}
    found = sampled.query(
        "select domain from assessments join scans using (scan_id) "
        "where drawn(scope, sample_rate, seed, domain)"
    ).records()
    assert chosen == {row["domain"] for row in found}


SCOPES: dict[str, tuple[dict[str, Any], bool]] = {
    "everybody": ({"scope": "all"}, True),
    "all-drawn": ({"scope": "sample", "sample_rate": 1.0, "seed": SEED}, True),
    "none-drawn": ({"scope": "sample", "sample_rate": 0.0, "seed": SEED}, False),
    "adopters": ({"scope": "adopters", "sample_rate": 0.0, "seed": SEED}, False),
    "unsaid": ({}, False),  # an older manifest
}


def test_without_a_sample_nothing_is_known_of_the_others(tmp_path: Path) -> None:
    """Whom nobody looked at may all have it, or none: there is a bound and no estimate."""
    rows = [adopter("a.example", "match"), *(other(f"o{n}.example", "none") for n in range(3))]
    for scan, (said, _) in SCOPES.items():
        write(tmp_path, rows, scan, **said)
    with open_archive(tmp_path) as opened:
        found = [r for r in find("estimates").ask(opened).records() if r["measure"] == "DANE"]
    assert {r["scan_id"]: (r["estimate"], r["at_least"], r["at_most"]) for r in found} == {
        scan: (0.25, 0.25, 0.25) if known else (None, 0.25, 1.0)
        for scan, (_, known) in SCOPES.items()
    }


def test_a_certificate_that_fails_is_a_fact_even_where_another_host_is_unknown(
    tmp_path: Path,
) -> None:
    """What was seen counts; what was not seen leaves only the others open."""
    rows = [
        other("bad.example", "none", "mx-cert-any", "mx-unknown"),
        other("unknown.example", "none", "mx-unknown"),
        other("plain.example", "none", "mx-no-starttls"),
        other("fine.example", "none"),
    ]
    with open_archive(write(tmp_path, rows, scope="all")) as opened:
        found = answers(opened)
    certificate = found["", "an MX certificate fails"]
    assert (certificate["n"], certificate["of_n"]) == (1, 3)
    assert (certificate["at_least"], certificate["at_most"]) == (0.25, 0.5)
    plain = found["", "an MX host without STARTTLS"]
    assert (plain["n"], plain["of_n"]) == (1, 2)
    assert (plain["at_least"], plain["at_most"]) == (0.25, 0.75)


# --- a list that is a sample


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Of 20 domains of one zone 5 adopt, of 30 of another 3, and of a third one of one."""
    folder = tmp_path_factory.mktemp("zones")
    rows = [
        *(adopter(f"a{n}.se", "none") for n in range(5)),
        *(other(f"o{n}.se", "none") for n in range(15)),
        *(adopter(f"a{n}.com", "none") for n in range(3)),
        *(other(f"o{n}.com", "none") for n in range(27)),
        adopter("a.org", "none"),
    ]
    with open_archive(write(folder, rows, scope="all")) as opened:
        yield opened


def of_population(
    archive: Archive, by: str | None, **sizes: int
) -> dict[tuple[str, str], dict[str, Any]]:
    """The estimates for a population."""
    population.load(archive, sizes, find("estimates"), by)
    return answers(archive, by)


def test_a_list_stands_for_the_zones_that_it_was_drawn_from(zones: Archive) -> None:
    """Each stratum weighs what it has, not how much of it was listed; what is not named is left out."""
    found = of_population(zones, "tld", se=100, com=3000)
    assert {key for key, _ in found} == {"se", "com", "(all)"}
    for key, parts in {
        "se": [(100, 5, 20)],
        "com": [(3000, 3, 30)],
        "(all)": [(100, 5, 20), (3000, 3, 30)],
    }.items():
        row = found[key, "adopted"]
        assert (row["estimate"], row["estimate_low"], row["estimate_high"]) == pytest.approx(
            together(parts)
        )
        assert row["population"] == sum(size for size, _, _ in parts)
        assert (row["n"], row["of_n"]) == (sum(p[1] for p in parts), sum(p[2] for p in parts))


def test_a_stratum_that_nobody_listed_leaves_the_whole_open(zones: Archive) -> None:
    """It has no estimate, and its bound is everything."""
    found = of_population(zones, "tld", se=100, org=1, net=101)
    empty, whole = found["net", "adopted"], found["(all)", "adopted"]
    assert (empty["estimate"], empty["at_least"], empty["at_most"]) == (None, 0, 1)
    assert (empty["of_n"], empty["left_out"]) == (0, 101)
    assert whole["estimate"] is None
    assert (whole["at_least"], whole["at_most"]) == pytest.approx((26 / 202, 127 / 202))


def test_the_whole_list_may_be_one_stratum(zones: Archive) -> None:
    """Without a grouping it is called all, and who has listed all of it makes no sampling error."""
    row = of_population(zones, None, all=51)["", "adopted"]
    assert row["estimate"] == row["estimate_low"] == row["estimate_high"] == pytest.approx(9 / 51)


def test_a_population_smaller_than_its_sample_is_refused(zones: Archive) -> None:
    """Somebody has mixed up two numbers."""
    with pytest.raises(BadPopulation, match="lists 20 domains of se, more than the 19"):
        of_population(zones, "tld", se=19, com=3000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the first line"),
        ("domains,stratum\n5,com\n", "the first line"),
        ("stratum,domains\n", "names no stratum"),
        ("stratum,domains\ncom,many\n", "line 2"),
        ("stratum,domains\ncom,0\n", "line 2"),
        ("stratum,domains\ncom,-5\n", "line 2"),
        ("stratum,domains\ncom,1.5\n", "line 2"),
        ("stratum,domains\ncom,٣\n", "line 2"),
        ("stratum,domains\ncom,1" + "0" * 5000 + "\n", "line 2"),
        ("stratum,domains\nse,5\n\ncom\n", "line 4"),
        ("stratum,domains\nse,5\nse,6\n", "names se again"),
        ('stratum,domains\n"se"x,5\n', "not CSV"),
        ("stratum,domains\n\xff,5\n", "not CSV in UTF-8"),
    ],
)
def test_a_population_that_is_none_is_refused_by_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    """Every mistake is said with its place."""
    path = tmp_path / "sizes.csv"
    path.write_bytes(text.encode("latin-1" if "\xff" in text else "utf-8"))
    with pytest.raises(BadPopulation, match=problem):
        population.read(path)


def test_a_population_is_read(tmp_path: Path) -> None:
    """Spaces, a byte order mark and empty lines do no harm."""
    path = tmp_path / "sizes.csv"
    path.write_text("\ufeffstratum, domains\r\ncom, 160000000\r\n\r\nse,1500000\r\n", "utf-8")
    assert population.read(path) == {"com": 160_000_000, "se": 1_500_000}


# --- how good the intervals are


def drawn_exactly(size: int, having: int, n: int) -> Iterable[tuple[int, Fraction]]:
    """Every number that a draw of n of *size* may bring, with its exact probability."""
    for found in range(max(0, n - (size - having)), min(n, having) + 1):
        ways = comb(having, found) * comb(size - having, n - found)
        yield found, Fraction(ways, comb(size, n))


@pytest.mark.parametrize(
    ("strata", "least"),
    [
        # (size, how many have it, how many are drawn)
        ([(400, 40, 100)], 0.93),
        ([(60, 30, 20)], 0.93),
        ([(1000, 20, 100)], 0.95),
        ([(1000, 5, 100)], 0.90),  # so rare that a single find is taken too seriously
        ([(400, 40, 60), (100, 60, 100)], 0.93),  # the second is known in full
        ([(400, 40, 40), (200, 80, 30)], 0.94),
        ([(3000, 30, 60), (300, 150, 20)], 0.94),
        ([(500, 0, 50), (500, 250, 50)], 0.93),
    ],
)
def test_the_interval_holds_the_truth_as_often_as_it_says(
    strata: list[tuple[int, int, int]], least: float
) -> None:
    """By the sum of the probabilities of every possible sample; with fewer, 95 % is a step function."""
    truth = sum(having for _, having, _ in strata) / sum(size for size, _, _ in strata)
    held = Fraction(0)
    for outcome in product(*(list(drawn_exactly(*stratum)) for stratum in strata)):
        parts = [(s[0], found, s[2]) for s, (found, _) in zip(strata, outcome, strict=True)]
        _, low, high = together(parts)
        if low - 1e-12 <= truth <= high + 1e-12:
            chance = Fraction(1)
            for _, probability in outcome:
                chance *= probability
            held += chance
    assert least <= held <= 1


@pytest.mark.parametrize(
    ("n", "of_n"), [(0, 30), (1, 40), (12, 40), (20, 40), (113, 383), (3, 1000)]
)
def test_the_plain_interval_agrees_with_exact_binomial_sums(
    archive: Archive, n: int, of_n: int
) -> None:
    """At each end, the chance of a count as far off, half of this very count included, is near 2.5 %.

    The lower end of a count below five lies too high, as METHOD.md says.
    """
    (row,) = archive.query(f"select unnest(wilson({n}, {of_n}))").records()

    def tail(share: float, counts: Iterable[int]) -> float:
        return sum(comb(of_n, k) * share**k * (1 - share) ** (of_n - k) for k in counts)

    upper = tail(row["high"], range(n)) + tail(row["high"], [n]) / 2
    assert 0.005 < upper < 0.045
    if n:
        lower = tail(row["low"], range(n + 1, of_n + 1)) + tail(row["low"], [n]) / 2
        assert 0.005 < lower < (0.045 if n > 4 else 0.1)


# --- bounds and ranks


def test_the_headline_carries_what_the_unmeasured_could_change(archive: Archive) -> None:
    """From the planted plan: who could fall to a measure, and who is counted in it for certain."""
    rows = {row["measure"]: row for row in ask(archive, "summary")}
    bounds = {m: (round(r["at_least"] * 113), round(r["at_most"] * 113)) for m, r in rows.items()}
    adopted = rows["adopted"]
    assert (adopted["at_least"], adopted["at_most"]) == pytest.approx((113 / 395, 125 / 395))
    # Not measured in full are three policies and the MX hosts of four.
    assert {m: b for m, b in bounds.items() if rows[m]["of_what"] == "adopters"} == {
        "valid record": (108, 108),
        "valid policy": (82, 85),
        "enforcing": (55, 58),
        "testing": (23, 26),
        "right": (63, 70),
        "misconfigured": (41, 48),
        "failing MX host": (2, 9),
        "not fully measured": (7, 7),
        "protected": (38, 45),
        "degraded": (5, 12),
        "refused": (5, 12),
        "fail-open": (33, 36),  # mail hosts do not decide that
        "sender unmeasured": (7, 7),
    }
    for row in rows.values():
        base = row["of_n"] + row["left_out"]
        assert row["at_least"] <= row["n"] / base <= row["at_most"]


def test_a_bound_knows_what_an_unknown_host_may_still_spoil(tmp_path: Path) -> None:
    """A protected domain may prove degraded, one that fails may prove misconfigured, a right one too."""
    mail = {"mx_total": 2, "mx_covered": 2, "mx_passing": 1}
    rows = [
        _judged("half-seen.example", "protected", **mail, mx_unmeasured=1),
        _judged("half-plain.example", "degraded", **mail, mx_failing=1, mx_unmeasured=1),
        _judged("off.example", "off", mode="none", mx_total=2),
    ]
    with open_archive(write(tmp_path, rows)) as opened:
        found = {r["measure"]: r for r in find("summary").ask(opened).records()}
    bounds = {
        m: (round(r["at_least"] * 3), r["n"], round(r["at_most"] * 3)) for m, r in found.items()
    }
    assert bounds["protected"] == (0, 1, 1)
    assert bounds["degraded"] == (1, 1, 2)
    assert bounds["failing MX host"] == (0, 1, 2)
    assert bounds["right"] == (0, 1, 2)
    assert bounds["misconfigured"] == (0, 0, 3)


def _judged(name: str, sender: str, *, mode: str = "enforce", **more: Any) -> records.Assessment:
    """An adopter with an MX host that could not be measured."""
    return records.Assessment(
        scan_id="one", domain=name, record_outcome="valid", policy_outcome="valid", mode=mode,
        misconfigured=False, sender_outcome=sender, tlsrpt_outcome="absent", dane_outcome="none",
        findings=("mx-unknown",), rules_version="1", **more,
    )  # fmt: skip


def test_rank_weighted_shares(archive: Archive) -> None:
    """Ranks 1 to 30 adopt, 101 to 300 do not; each counts by 1 / rank."""
    adopting = [1 / rank for rank in range(1, 31)]
    weights = adopting + [1 / rank for rank in range(101, 301)]
    share = sum(adopting) / sum(weights)
    worth = sum(weights) ** 2 / sum(w * w for w in weights)
    rows = {row["measure"]: row for row in ask(archive, "rank-weighted")}
    row = rows["adopted"]
    assert (row["weighted_share"], row["effective_n"]) == pytest.approx((share, worth))
    centre = (share + Z * Z / (2 * worth)) / (1 + Z * Z / worth)
    reach = Z / (1 + Z * Z / worth) * sqrt(share * (1 - share) / worth + (Z / (2 * worth)) ** 2)
    assert (row["weighted_low"], row["weighted_high"]) == pytest.approx(
        (centre - reach, centre + reach)
    )
    assert (row["n"], row["of_n"], row["left_out"]) == (30, 230, 165)
    protected = rows["protected"]
    assert (protected["weighted_share"], protected["weighted_high"]) == (1, 1)
    assert (protected["n"], protected["of_n"], protected["left_out"]) == (30, 30, 83)
    assert row["scan_id"] == FIRST
