"""Closing a scan, and replacing tables of a closed one.

``seal`` takes its steps in an order in which each may be repeated after a crash: certificates
become one row per SHA-256, tables without a part get an empty one, the manifest is written, and
then the progress folder goes.  Up to the manifest the scan is unsealed and everything needed to
go on is in place; from the manifest on it is sealed, and ``_work`` is rubbish that the next
``lock()`` would remove as well.

``replace_tables`` serves judging again and removing names.  New parts come in under new names,
then the manifest switches, then the old parts go: whenever it is cut short, the manifest names
either all old or all new parts, and ``lock()`` removes the others.  The price: who reads
``<table>/part-*.parquet`` with a glob instead of the manifest's list can see both generations
for the moment between the first rename and the last removal (milliseconds, as everything is
written and flushed before the first rename).  Reports on an archive that is just being judged
again should be run afterwards.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from crawler.records import TABLES, Certificate
from crawler.snapshot import damage, duck, files, manifest, parts
from crawler.snapshot.damage import DISTINCT, DamagedError
from crawler.snapshot.manifest import Facts, ListedPart, ListedTable, Manifest
from crawler.snapshot.parts import Part, Rows
from crawler.snapshot.store import ScanFolder

_NAME: Final = re.compile(r"[a-z_]+/part-(?:v\d{4,}-)?(.+?)(?:\.[0-9a-f]+)?\.parquet")

CERTIFICATES_PER_PART: Final = 200_000
"""A certificate row has about 2 kB, so a part's rows need about half a gigabyte."""


def seal(
    folder: ScanFolder,
    facts: Facts,
    *,
    memory_limit: str = "1GB",
    threads: int = 2,
    certificates_per_part: int = CERTIFICATES_PER_PART,
) -> Manifest:
    """Close the scan and return its manifest; a sealed scan's manifest is returned as it is.

    The caller holds ``folder.lock()``.  Raises ``DamagedError`` when a part is not as it was
    committed, and ``OSError`` when the disk is full; the scan is then still unsealed.
    """
    if folder.sealed:
        return folder.manifest()
    folder.recover()
    if damages := damage.find(folder):
        raise DamagedError(
            f"{folder.path}: {damages[0]}; the same command asks for them again "
            f"(parts that are not as they were written: {len(damages)})"
        )
    spill = files.make_folder(folder.work / "spill")
    with duck.connect(spill=spill, memory_limit=memory_limit, threads=threads) as connection:
        _deduplicate_certificates(folder, connection, certificates_per_part)
    _fill_empty_tables(folder)
    sealed = Manifest(
        facts=manifest.facts_as_json(facts),
        tables=_list_tables(folder),
        files=_list_files(folder.path),
    )
    sealed = folder.write_manifest(sealed)
    shutil.rmtree(folder.work)
    files.sync(folder.path)
    return sealed


# --- certificates


def _deduplicate_certificates(
    folder: ScanFolder, connection: duckdb.DuckDBPyConnection, per_part: int
) -> None:
    """Bring the certificates down to one row per SHA-256, in the order of the SHA-256.

    Every row of one certificate is read out of the same DER, so it does not matter which stays.
    """
    if folder.read_state(DISTINCT) is None:
        folder.drop(_is_distinct)
        for number, table in enumerate(_distinct(folder, connection, per_part)):
            folder.commit(f"{DISTINCT}-{number:05d}", {Certificate: table})
        folder.write_state(DISTINCT, "one row per sha256")
    if seen := [p for p in folder.parts(Certificate) if not _is_distinct(p.name[len("part-") :])]:
        for path in seen:
            path.unlink()
        files.sync(folder.table_dir(Certificate))


def _is_distinct(unit: str) -> bool:
    return unit.startswith(f"{DISTINCT}-")


def _distinct(
    folder: ScanFolder, connection: duckdb.DuckDBPyConnection, per_part: int
) -> Iterator[pa.Table]:
    """Distinct certificates in slices of the hash space, so that memory stays bounded."""
    duck.view(connection, Certificate, folder.parts(Certificate))
    query = "SELECT count(*) FROM (SELECT DISTINCT sha256 FROM certificates)"
    (total,) = connection.execute(query).fetchall()[0]
    slices = -(-total // per_part)
    for number in range(slices):
        # SHA-256 is uniform, so equal ranges of its first 32 bits hold about equally many.
        low, high = (f"{(2**32 * n // slices):08x}" for n in (number, number + 1))
        yield connection.sql(
            """SELECT DISTINCT ON (sha256) * FROM certificates
               WHERE sha256 >= $low AND ($last OR sha256 < $high) ORDER BY sha256""",
            params={"low": low, "high": high, "last": number == slices - 1},
        ).to_arrow_table()


# --- what the manifest lists


def _fill_empty_tables(folder: ScanFolder) -> None:
    """Every table has at least one part, so that a reader's glob always finds a schema."""
    for cls in TABLES:
        path = folder.part_path(cls, "empty")
        if not folder.parts(cls) and not path.exists():
            parts.write(files.make_folder(path.parent) / path.name, cls, [])


def _list_tables(folder: ScanFolder) -> dict[str, ListedTable]:
    made: dict[str, list[ListedPart]] = {cls.table: [] for cls in TABLES}
    for unit in sorted(folder.units()):
        for table, part in folder.made_by(unit).items():
            listed = _listed(f"{table}/part-{unit}.parquet", part)
            if table != Certificate.table or _is_distinct(unit):
                made[table].append(listed)
    for cls in TABLES:
        empty = folder.part_path(cls, "empty")
        if not made[cls.table]:
            part = Part(rows=0, size=empty.stat().st_size, sha256=files.sha256(empty))
            made[cls.table].append(_listed(f"{cls.table}/{empty.name}", part))
    return {table: _total(listed) for table, listed in made.items()}


def _listed(path: str, part: Part) -> ListedPart:
    return ListedPart(path=path, rows=part.rows, size=part.size, sha256=part.sha256)


def _total(listed: Iterable[ListedPart]) -> ListedTable:
    ordered = tuple(sorted(listed, key=lambda p: p.path))
    return ListedTable(rows=sum(p.rows or 0 for p in ordered), parts=ordered)


def _list_files(path: Path) -> tuple[ListedPart, ...]:
    """The files beside the tables: trust roots, suffix list, configuration."""
    return tuple(
        ListedPart(path=p.name, size=p.stat().st_size, sha256=files.sha256(p))
        for p in sorted(path.iterdir())
        if p.is_file() and p.name != manifest.NAME and not p.name.startswith(".")
    )


# --- a sealed scan


class Replacement:
    """A new generation of some tables of a sealed scan, written batch by batch.

    The caller holds ``folder.lock()``.  Nothing of the scan changes before ``finish``; leaving
    the ``with`` block without it throws the new parts away.
    """

    def __init__(self, folder: ScanFolder) -> None:
        self._folder = folder
        self._old = folder.manifest()
        self._revision = self._old.revision + 1
        self._staging = folder.work / "replacement"
        self._new: dict[str, list[ListedPart]] = {}
        self._staged = 0

    def __enter__(self) -> Replacement:
        if self._staging.is_dir():
            shutil.rmtree(self._staging)
        files.make_folder(self._staging)
        self._folder.recover()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        if kind is not None:
            self._folder.recover()

    def add(self, cls: type[Any], rows: Rows) -> None:
        """Append one batch, which becomes one part; a table that is named is replaced whole."""
        made = self._new.setdefault(cls.table, [])
        if len(rows) > 0:
            self._stage(cls, rows, made)

    def revise(self, cls: type[Any], part: ListedPart, rows: pa.Table) -> None:
        """Put *rows* in the place of one part; the other parts of its table stay as they are.

        They keep their schema: within a scan there is one.  So does the name the unit's: it tells
        of which shard the rows are.
        """
        made = self._new.setdefault(cls.table, list(self._old.tables[cls.table].parts))
        unit = _unit_of(part)
        made[made.index(part)] = self._staged_part(
            cls, unit, lambda path: parts.stage_as_is(path, rows)
        )

    def staged(self, cls: type[Any]) -> list[Path]:
        """The parts written so far for a table, to be read before the switch."""
        return [self._staging / part.path for part in self._new.get(cls.table, ())]

    def _stage(self, cls: type[Any], rows: Rows, made: list[ListedPart]) -> None:
        number = f"{self._staged:05d}"
        self._staged += 1
        made.append(self._staged_part(cls, number, lambda path: parts.stage(path, cls, rows)))

    def _staged_part(self, cls: type[Any], of: str, stage: Callable[[Path], Part]) -> ListedPart:
        name = f"part-v{self._revision:04d}-{of}.parquet"
        folder = files.make_folder(self._staging / cls.table)
        return _listed(f"{cls.table}/{name}", stage(folder / name))

    def finish(
        self, updates: Mapping[str, Any] | None = None, *, replaced: Iterable[ListedPart] = ()
    ) -> Manifest:
        """Switch to the new generation; *updates* are facts that change, such as the rules version.

        *replaced* are the listings of files beside the tables that the caller has rewritten.
        """
        classes = {cls.table: cls for cls in TABLES}
        for table, made in self._new.items():
            if not made:
                self._stage(classes[table], [], made)
        changed = {f.path: f for f in replaced}
        new = replace(
            self._old,
            facts={**self._old.facts, **(updates or {})},
            tables={**self._old.tables, **{t: _total(made) for t, made in self._new.items()}},
            files=tuple(changed.get(f.path, f) for f in self._old.files),
            revision=self._revision,
        )
        return self._switch(new)

    def _switch(self, new: Manifest) -> Manifest:
        # From here to the last removal a glob may see both generations: nothing slow in between.
        old = {table: set(self._old.tables[table].parts) for table in self._new}
        for table, made in self._new.items():
            with files.disk_errors(self._folder.path / table):
                for part in (p for p in made if p not in old[table]):
                    (self._staging / part.path).replace(self._folder.path / part.path)
                files.sync(self._folder.path / table)
        stands = self._folder.write_manifest(new)
        for table, made in self._new.items():
            for part in old[table].difference(made):
                (self._folder.path / part.path).unlink(missing_ok=True)
            files.sync(self._folder.path / table)
        return stands


def _unit_of(part: ListedPart) -> str:
    """The unit that has written a part, whatever has become of its rows since."""
    found = _NAME.fullmatch(part.path)
    assert found is not None, part.path
    return found[1]


def replace_tables(
    folder: ScanFolder,
    tables: Mapping[type[Any], Iterable[Rows]],
    updates: Mapping[str, Any] | None = None,
) -> Manifest:
    """Replace tables of a sealed scan whole, each by batches of rows, and return the manifest.

    The caller holds ``folder.lock()``.  See this module for what a crash can leave.
    """
    with Replacement(folder) as replacement:
        for cls, batches in tables.items():
            replacement.add(cls, [])
            for rows in batches:
                replacement.add(cls, rows)
        return replacement.finish(updates)
