"""What a release holds: its files, with what a data package says of each.

==================================  =============================================================
``aggregates/<question>.csv``       the answer to each question of the catalogue, all scans
``domains/<scan>.parquet``          one row for each domain: judgement, rank, operator, provider
``findings_catalogue.csv``          what each finding id means, by scan
``words.csv``                       what each word of an aggregate means
``manifests/<scan>.json``           how each scan was made
``evidence/``                       on demand: the scans themselves, an archive to judge again
==================================  =============================================================

The same archive gives the same octets: rows are sorted, and no file says when it was written.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from analysis import tables
from analysis.archive import Archive, Column, Result, part_columns
from analysis.catalogue import Question
from analysis.scans import Scan, files_beside

_DOMAINS: Final = """
select * replace (rank_band::varchar as rank_band)
from domain_posture
where scan_id = $scan_id
order by domain
"""
_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "findings_catalogue": (
        "What the rules of each scan can find, and what to do about it.",
        "from findings_catalogue order by scan_id, id",
    ),
    "words": (
        "What each word means that stands in a column of an aggregate.",
        "from reference_words order by rowid",
    ),
}
"""Lists that a reader looks words up in: what each is, and its SQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One table of the release."""

    name: str
    """Lower case, as the data package wants it."""
    paths: tuple[str, ...]
    """Its files, from the release folder."""
    title: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    note: str = ""


def write(
    archive: Archive, out: Path, questions: Iterable[Question], *, evidence: bool
) -> Sequence[Resource]:
    """Write the tables of a release into the folder *out*; returns what they are."""
    meanings = _Meanings(archive)
    scans = list(zip(archive.scans, _names(archive.scans), strict=True))
    resources = [
        *(_aggregate(archive, out, question, meanings) for question in questions),
        *(_lookup(archive, out, name, meanings) for name in _LISTS),
        *(_domains(archive, out, scan, name, meanings) for scan, name in scans),
    ]
    for scan, name in scans:
        _copy(scan.folder / "manifest.json", out / "manifests" / f"{name}.json")
    if evidence:
        resources += [r for scan, name in scans for r in _evidence(scan, name, out)]
    return resources


def slug(name: str) -> str:
    """*name* in the characters that names and paths of a data package may have.

    >>> slug("Tranco 2026/Q1")
    'tranco-2026-q1'
    """
    return re.sub(r"[^a-z0-9._-]", "-", name.lower())


def _names(scans: Iterable[Scan]) -> Iterator[str]:
    """A name for each scan, none twice, though ids may differ in case alone."""
    taken: set[str] = set()
    for scan in scans:
        base = slug(scan.scan_id)
        name = next(n for k in count(1) if (n := base if k == 1 else f"{base}-{k}") not in taken)
        taken.add(name)
        yield name


class _Meanings:
    """What columns mean: ``reference/columns.csv``, and for judged ones what the crawler wrote."""

    def __init__(self, archive: Archive) -> None:
        rows = archive.query("select * from reference_columns").records()
        self._said = {(r["column"], r["question"] or ""): str(r["meaning"]) for r in rows}
        parts = [
            Path(part)
            for scan in archive.scans
            for table in ("assessments", "findings_catalogue")
            for part in scan.parts(table)[:1]
        ]
        self._written = {c.name: c.meaning for part in parts for c in part_columns(part)}

    def of(self, table: str) -> Mapping[str, str]:
        """By column, of a question or another table."""
        general = {column: text for (column, of), text in self._said.items() if not of}
        own = {column: text for (column, of), text in self._said.items() if of == table}
        judged = self._written if table in ("domains", "findings_catalogue") else {}
        return {**general, **judged, **own}


def _aggregate(archive: Archive, out: Path, question: Question, meanings: _Meanings) -> Resource:
    path = f"aggregates/{question.name}.csv"
    answer = question.ask(archive)
    _csv(out / path, answer)
    return Resource(
        name=question.name,
        paths=(path,),
        title=question.question,
        columns=answer.described(meanings.of(question.name)),
        note=f"One row: {question.grain}. Denominator: {question.denominator}. After: "
        f"{question.section}.",
    )


def _lookup(archive: Archive, out: Path, name: str, meanings: _Meanings) -> Resource:
    title, sql = _LISTS[name]
    answer = archive.query(sql)
    _csv(out / f"{name}.csv", answer)
    return Resource(
        name=name,
        paths=(f"{name}.csv",),
        title=title,
        columns=answer.described(meanings.of(name)),
        primary_key=answer.columns[:2],
    )


def _domains(archive: Archive, out: Path, scan: Scan, name: str, meanings: _Meanings) -> Resource:
    path = f"domains/{name}.parquet"
    (out / path).parent.mkdir(exist_ok=True)
    columns = archive.write_parquet(
        out / path, meanings.of("domains"), _DOMAINS, scan_id=scan.scan_id
    )
    return Resource(
        name=f"domains-{name}",
        paths=(path,),
        title=f"Every domain of the scan {scan.scan_id} as it was judged.",
        columns=columns,
        primary_key=("scan_id", "domain"),
    )


def _evidence(scan: Scan, name: str, out: Path) -> Iterator[Resource]:
    """The scan as it is: its listed parts, and what judged it."""
    folder = f"evidence/{scan.folder.name}"
    for beside in (scan.folder / "manifest.json", *files_beside(scan)):
        _copy(beside, out / folder / beside.name)
    for table, parts in scan.listed.items():
        paths = tuple(f"{folder}/{part.relative_to(scan.folder).as_posix()}" for part in parts)
        for part, path in zip(parts, paths, strict=True):
            _copy(part, out / path)
        yield Resource(
            name=f"evidence-{name}-{slug(table)}",
            paths=paths,
            title=f"Observations of the scan {scan.scan_id}: {table}.",
            columns=part_columns(parts[0]),
        )


def _csv(path: Path, answer: Result) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(tables.to_csv(answer.columns, answer.records()), "utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
