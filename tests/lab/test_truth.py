"""The truth is written whole, and a scan is compared with it value by value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.lab.catalogue import CATALOGUE
from crawler.lab.population import Population
from crawler.lab.truth import JUDGED, SCHEMA, Scope, compare, write_truth

ASSESSMENTS = pa.schema([("domain", pa.string()), *JUDGED])


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """The truth of 400 domains, every scenario among them."""
    path = tmp_path / "truth.parquet"
    write_truth(Population(domains=400, seed=1), path)
    return path


def scan_of(truth: Path, **changed: Any) -> Path:
    """A scan that found exactly the truth, but for one domain's changed columns."""
    rows = pq.read_table(truth).to_pylist()
    rows = [{name: row[name] for name in ASSESSMENTS.names} for row in rows]
    rows[7] |= changed
    rows.reverse()
    for row in rows:
        row["findings"].reverse()
    folder = truth.parent / "assessments"
    folder.mkdir(exist_ok=True)
    for number, part in enumerate((rows[:100], rows[100:])):
        table = pa.Table.from_pylist(part, schema=ASSESSMENTS)
        pq.write_table(table, folder / f"part-{number}.parquet")
    return folder


def test_one_row_per_domain_with_an_explicit_schema(truth: Path) -> None:
    """An all-null column keeps its type."""
    table = pq.read_table(truth)
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == len(set(table["domain"].to_pylist())) == 400
    assert set(table["scenario"].to_pylist()) == set(CATALOGUE)


def test_the_truth_agrees_with_itself(truth: Path) -> None:
    """Whatever the order of rows and findings."""
    agreement = compare(truth, scan_of(truth))
    assert agreement.perfect
    assert agreement.lines() == ["400 of 400 domains agree with the truth"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("record_outcome", "syntax"),
        ("max_age", 5),
        ("mx_total", None),
        ("misconfigured", None),
        ("findings", ["txt-multi"]),
    ],
)
def test_a_difference_is_told(truth: Path, column: str, value: object) -> None:
    """With its domain, scenario, column and both values; null is a value too."""
    agreement = compare(truth, scan_of(truth, **{column: value}))
    assert not agreement.perfect
    assert (agreement.total, agreement.agreeing) == (400, 399)
    (difference,) = agreement.differences
    assert difference.column == column
    assert difference.domain in agreement.lines()[1]
    assert difference.scenario in agreement.lines()[1]


def test_a_missing_domain_is_told(truth: Path) -> None:
    """Half a scan does not agree."""
    parts = sorted(scan_of(truth).iterdir())[:1]
    agreement = compare(truth, parts)
    assert agreement.agreeing == 100
    assert {d.column for d in agreement.differences} == {"domain"}


def test_the_scope_decides_about_domains_without_a_sign(truth: Path) -> None:
    """Their hosts are looked at under ``--scope all`` only."""
    folder = scan_of(truth)
    agreements = {scope: compare(truth, folder, scope=scope) for scope in _SCOPES}
    assert agreements["adopters"].perfect
    assert agreements["sample"].perfect
    wrong = agreements["all"].differences
    assert {d.column for d in wrong} <= {"mx_total", "dane_outcome", "findings"}
    signless = {name for name, s in CATALOGUE.items() if s.unprobed}
    assert {d.scenario for d in wrong} == signless


_SCOPES: tuple[Scope, ...] = ("adopters", "all", "sample")


def test_both_families_find_more(truth: Path) -> None:
    """The domain whose IPv6 is dead."""
    wrong = compare(truth, scan_of(truth), both_families=True).differences
    assert {d.scenario for d in wrong} == {"ph-v6-dead"}
