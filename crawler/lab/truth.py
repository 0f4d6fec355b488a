"""The truth as a table, and how far a scan agrees with it.

``write_truth`` puts one row per domain into a Parquet file; ``compare`` reads the judged rows
of a scan beside it.  The truth comes from the literals of the catalogue alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from crawler.lab.catalogue import FAMILY_OF
from crawler.lab.population import Placement
from crawler.lab.scenario import Truth

JUDGED: Final = pa.schema(
    [
        ("record_outcome", pa.string()),
        ("policy_outcome", pa.string()),
        ("policy_lenient", pa.bool_()),
        ("mode", pa.string()),
        ("max_age", pa.int64()),
        ("mx_total", pa.int64()),
        ("mx_covered", pa.int64()),
        ("mx_passing", pa.int64()),
        ("mx_failing", pa.int64()),
        ("mx_unmeasured", pa.int64()),
        ("misconfigured", pa.bool_()),
        ("sender_outcome", pa.string()),
        ("tlsrpt_outcome", pa.string()),
        ("dane_outcome", pa.string()),
        ("findings", pa.list_(pa.string())),
    ]
)
"""The judged columns that the truth has; ``findings`` sorted."""

SCOPED: Final = ("mx_total", "dane_outcome", "findings")
"""Columns that depend on the scope of the scan where a domain shows no sign of MTA-STS."""
_ALL: Final = "_scope_all"
"""Ending of their values under ``--scope all``; the plain ones are those of ``--scope adopters``."""

_BOTH: Final = "findings_both_families"
"""The findings of a scan with ``--both-families``."""

SCHEMA: Final = pa.schema(
    [
        ("domain", pa.string()),
        ("scenario", pa.string()),
        ("family", pa.string()),
        *JUDGED,
        (_BOTH, pa.list_(pa.string())),
        *(pa.field(name + _ALL, JUDGED.field(name).type) for name in SCOPED),
    ]
)
_ROWS: Final = 10_000

Scope = Literal["adopters", "all", "sample"]


def judged(truth: Truth) -> dict[str, Any]:
    """The columns of a truth as plain values."""
    values: dict[str, Any] = {name: getattr(truth, name) for name in JUDGED.names}
    values["findings"] = sorted(truth.findings)
    return {k: str(v) if isinstance(v, StrEnum) else v for k, v in values.items()}


def _row(placement: Placement) -> dict[str, Any]:
    everywhere = judged(placement.truth)
    return {
        "domain": placement.domain,
        "scenario": placement.scenario.name,
        "family": FAMILY_OF[placement.scenario.name],
        **judged(placement.truth_unprobed),
        _BOTH: sorted(placement.truth_both_families.findings),
        **{name + _ALL: everywhere[name] for name in SCOPED},
    }


def write_truth(placements: Iterable[Placement], path: Path) -> None:
    """Write one row per domain to *path*, in batches."""
    rows = map(_row, placements)
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while batch := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that a scan has wrong."""

    domain: str
    scenario: str
    column: str
    """A judged column; ``domain`` when the row itself is missing."""
    expected: object
    found: object

    def __str__(self) -> str:
        where = f"{self.domain} ({self.scenario})"
        return f"{where}: {self.column} is {self.found!r}, the truth is {self.expected!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the judged rows of a scan agree with the truth."""

    total: int
    """Domains of the truth."""
    agreeing: int
    """Domains of which every column is right."""
    differences: tuple[Difference, ...]

    @property
    def perfect(self) -> bool:
        """Whether everything is as the truth says."""
        return self.agreeing == self.total

    def lines(self) -> list[str]:
        """The agreement in words: how many of how many, then every difference."""
        share = f"{self.agreeing} of {self.total} domains agree with the truth"
        return [share, *map(str, self.differences)]


def _assessments(parts: Iterable[Path]) -> dict[str, dict[str, Any]]:
    columns = ["domain", *JUDGED.names]
    rows: dict[str, dict[str, Any]] = {}
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(columns=columns):
            for row in batch.to_pylist():
                row["findings"] = sorted(row["findings"] or ())
                rows[row["domain"]] = row
    return rows


def compare(
    truth: Path,
    assessments: Path | Iterable[Path],
    *,
    scope: Scope = "adopters",
    both_families: bool = False,
) -> Agreement:
    """Compare the judged rows of a scan with the truth.

    *assessments* is the folder of the table ``assessments`` of a snapshot, or its parts.  Under
    ``sample`` a domain without a sign may be judged in scope or out of it.  *both_families* says
    that the scan had that option.
    """
    folder = isinstance(assessments, Path) and assessments.is_dir()
    if isinstance(assessments, Path):
        assessments = sorted(assessments.glob("*.parquet")) if folder else (assessments,)
    found = _assessments(assessments)
    total = agreeing = 0
    differences: list[Difference] = []
    for batch in pq.ParquetFile(truth).iter_batches():
        for row in batch.to_pylist():
            if both_families and row[_BOTH] != row["findings"]:
                row["findings"] = row["findings" + _ALL] = row[_BOTH]
            wrong = tuple(_differences(row, found.get(row["domain"]), scope))
            total, agreeing = total + 1, agreeing + (not wrong)
            differences += wrong
    return Agreement(total=total, agreeing=agreeing, differences=tuple(differences))


def _differences(
    truth: dict[str, Any], found: dict[str, Any] | None, scope: Scope
) -> Iterator[Difference]:
    if found is None:
        yield Difference(
            domain=truth["domain"],
            scenario=truth["scenario"],
            column="domain",
            expected=truth["domain"],
            found=None,
        )
        return
    for column in JUDGED.names:
        allowed = [truth[column]]
        if column in SCOPED and scope != "adopters":
            everywhere = truth[column + _ALL]
            allowed = [everywhere] if scope == "all" else [*allowed, everywhere]
        if found[column] not in allowed:
            yield Difference(
                domain=truth["domain"],
                scenario=truth["scenario"],
                column=column,
                expected=allowed[0],
                found=found[column],
            )
