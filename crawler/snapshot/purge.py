"""Taking opted-out names and addresses out of scans that hold them already.

What is removed, scan by scan, sealed or not:

- *Rows about it.*  A row of any table whose domain, host or address an entry covers goes.
- *What others say of it.*  An observation of somebody else that names it (as MX host, alias or
  address, in a TXT string, a policy, a greeting) is emptied: the row says ``opted-out`` and when it
  was made, and its answer goes.  From a judgement of somebody else the name goes; the judgement
  stays as it was made.
- *Certificates* that nothing shows any more.  One that others show as well stays, whatever names
  it holds: it is theirs too.
- *What is still to be asked* in a scan under way, and the rejected lines of a list.

Afterwards no value of any table but ``certificates`` holds the name, and none an address that is
covered.  Nothing else changes: parts without such a row are not touched.  A scan changes as a whole
or not at all (``seal.Replacement``, ``exchange``), and purging again finds nothing.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crawler.politeness.opt_out import OptOutList
from crawler.protocol.names import tlsa_qname
from crawler.records import (
    JUDGED,
    OBSERVED,
    TABLES,
    TARGETS,
    CatalogueEntry,
    Certificate,
    Conversation,
    Domain,
)
from crawler.snapshot import files, lists, manifest, parts
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.manifest import ListedPart
from crawler.snapshot.seal import Replacement
from crawler.snapshot.store import Archive, ScanFolder, StoreError
from crawler.vocabulary import Blame, IoStatus

STATE: Final = "purges"
"""The fact of a manifest, and the state of an unsealed scan, that says what was taken out of it."""

_OBSERVATIONS: Final = tuple(cls for cls in OBSERVED if cls is not Certificate)
_JUDGEMENTS: Final = tuple(cls for cls in JUDGED if cls is not CatalogueEntry)  # names nobody

_SUBJECTS: Final = ("domain", "host", "address")
"""Columns that say what a row is about, in whichever table they stand."""

_OURS: Final = ("scan_id", "vantage", "resolver")
"""Columns that name nobody but us."""

_KEPT: Final = (
    *("scan_id", "vantage", "attempt", "started_at", "elapsed_ms", "kind", "qname"),
    *_SUBJECTS,
)
"""What an emptied observation still says."""

_TOKEN: Final = re.compile(r"[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")
"""What may be a name or an address within a text: it has dots, or colons."""

_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")

Covered = Callable[[str | bytes], bool]


@dataclass(slots=True, kw_only=True)
class Purged:
    """What was taken out of one scan, counted; it names nobody."""

    removed: Counter[str] = field(default_factory=Counter)
    """Rows by table."""
    emptied: Counter[str] = field(default_factory=Counter)
    """Rows of others, by table, that lost their answer or a name in it."""
    targets: int = 0
    """Questions that are not asked any more."""
    lines: int = 0
    """Rejected lines of a list."""

    def __bool__(self) -> bool:
        return bool(self.removed or self.emptied or self.targets or self.lines)

    def __str__(self) -> str:
        asked = {"targets": self.targets, "rejected lines": self.lines}
        removed = _listed({**self.removed, **asked})
        emptied = _listed(self.emptied)
        said = [f"removed {removed}"] if removed else []
        said += [f"emptied {emptied}"] if emptied else []
        return "; ".join(said) or "nothing found"


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in sorted(counted.items()) if n)


def purge(folder: ScanFolder, entries: OptOutList, now: datetime) -> Purged:
    """Take what *entries* cover out of a scan at the time *now*.  The caller holds ``folder.lock()``.

    Raises ``DamagedError`` when a part is not as it was written, since what it holds cannot be
    known, and ``OSError`` when the disk is full; the scan is then what it was.
    """
    covered = covering(entries)
    return (_purge_sealed if folder.sealed else _purge_unsealed)(folder, covered, now)


def purge_archive(
    archive: Archive, entries: OptOutList, now: datetime
) -> Iterator[tuple[ScanFolder, Purged | StoreError]]:
    """Purge every scan; one that is being worked on, or is damaged, keeps no other from it.

    Raises ``OSError`` when the disk is full.
    """
    for folder in archive.scans():
        try:
            with folder.lock():
                purged: Purged | StoreError = purge(folder, entries, now)
        except StoreError as error:
            purged = error
        yield folder, purged


def covering(entries: OptOutList) -> Covered:
    """Whether a text or octets hold a name, on a label boundary, or an address of the entries."""

    def is_covered(token: str) -> bool:
        name = token.strip(".").lower()
        if entries.entry_for_domain(name) is not None:
            return True
        if not entries.networks or not _ADDRESS.fullmatch(name):
            return False
        try:
            return entries.entry_for_address(name) is not None
        except ValueError:  # a version number, a time of day
            return False

    def covered(value: str | bytes) -> bool:
        text = value if isinstance(value, str) else value.decode("latin-1")
        return is_covered(text) or any(map(is_covered, _TOKEN.findall(text)))

    return covered


# --- where the parts lie


def _purge_sealed(folder: ScanFolder, covered: Covered, now: datetime) -> Purged:
    stated = folder.manifest()
    if unknown := set(stated.tables).difference(cls.table for cls in TABLES):
        raise StoreError(
            f"{folder.path} has tables that this version does not know ({', '.join(sorted(unknown))}); "
            "purge it with the version that wrote it"
        )
    cleaning = _Cleaning(folder, covered)
    listing = {table: listed.parts for table, listed in stated.tables.items()}
    with Replacement(folder) as replacement:
        cleaning.clean(listing, replacement.revise)
        list_ = cleaning.without_lines(stated.facts["list"])
        if cleaning.purged:
            purges = [*stated.facts.get(STATE, ()), _fact(cleaning.purged, now)]
            replacement.finish({"list": list_, STATE: purges})
    return cleaning.purged


def _purge_unsealed(folder: ScanFolder, covered: Covered, now: datetime) -> Purged:
    for rubbish in ("ingest", "spill"):  # of a run that was cut short
        shutil.rmtree(folder.work / rubbish, ignore_errors=True)
    cleaning = _Cleaning(folder, covered)
    markers = {unit: json.loads(folder.marker(unit).read_text()) for unit in folder.units()}
    with folder.exchange() as exchange:

        def write(path: Path, value: Any) -> None:
            files.flush(exchange.stage(path), json.dumps(value, sort_keys=True).encode())

        changed: set[str] = set()

        def revise(cls: type[Any], part: ListedPart, rows: pa.Table) -> None:
            path = folder.path / part.path
            unit = path.name.removeprefix("part-").removesuffix(".parquet")
            markers[unit]["parts"][cls.table] = asdict(
                parts.stage_as_is(exchange.stage(path), rows)
            )
            changed.add(unit)

        cleaning.clean(_listing(folder, markers), revise)
        for unit in sorted(changed):
            write(folder.marker(unit), markers[unit])
        for cls in TARGETS:
            for path in sorted(folder.work.glob(f"targets/{cls.table}-r*/*.parquet")):
                if (rows := cleaning.without_targets(pq.ParquetFile(path).read())) is not None:
                    parts.stage_as_is(exchange.stage(path), rows)
        if (list_ := folder.read_state(lists.STATE)) is not None:
            write(folder.state(lists.STATE), cleaning.without_lines(list_))
        if cleaning.purged:
            earlier = folder.read_state(STATE) or []
            write(folder.state(STATE), [*earlier, _fact(cleaning.purged, now)])
    return cleaning.purged


def _fact(purged: Purged, now: datetime) -> dict[str, Any]:
    return {"at": now.isoformat(), "removed": purged.removed, "emptied": purged.emptied}


def _listing(
    folder: ScanFolder, markers: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[ListedPart]]:
    """The parts of an unsealed scan by table, as their markers know them."""
    listing: dict[str, list[ListedPart]] = {}
    for unit in sorted(markers):
        for table, facts in markers[unit]["parts"].items():
            part = ListedPart(path=f"{table}/part-{unit}.parquet", **facts)
            if (folder.path / part.path).is_file() or table != Certificate.table:
                listing.setdefault(table, []).append(part)
    return listing


# --- what is taken out


class _Cleaning:
    """Cleans the parts of one scan, and counts what it took out."""

    def __init__(self, folder: ScanFolder, covered: Covered) -> None:
        self.purged = Purged()
        self._folder = folder
        self._covered = covered

    def clean(
        self,
        listing: Mapping[str, Sequence[ListedPart]],
        revise: Callable[[type[Any], ListedPart, pa.Table], None],
    ) -> None:
        """Go through every part, and *revise* those that hold something covered."""
        hidden: set[str] = set()
        """Certificates that a row showed which does so no longer."""
        showing: list[pa.ChunkedArray | ListedPart] = []
        for cls in (Domain, *_OBSERVATIONS, *_JUDGEMENTS):
            for part in listing.get(cls.table, ()):
                table = self._read(part)
                cleaned = self._cleaned(cls, table)
                if cleaned is not None:
                    revise(cls, part, cleaned)
                if issubclass(cls, Conversation):
                    showing.append(part if cleaned is None else cleaned["chain"])
                    hidden |= set() if cleaned is None else _hashes(table["chain"])
        for shown in showing if hidden else ():
            hidden -= _hashes(self._chains(shown) if isinstance(shown, ListedPart) else shown)
        for part in listing.get(Certificate.table, ()) if hidden else ():
            table = self._read(part)
            gone = pc.is_in(table["sha256"], pa.array(sorted(hidden), pa.string()))
            if (count := pc.sum(gone).as_py()) > 0:
                self.purged.removed[Certificate.table] += count
                revise(Certificate, part, table.filter(pc.invert(gone)))

    def _read(self, part: ListedPart) -> pa.Table:
        path = self._folder.path / part.path
        if manifest.fault(self._folder.path, part) is not None:
            raise DamagedError(
                f"{path} is not as it was written, so nobody knows whom it names; restore it from "
                "a copy, or delete its scan"
            )
        return pq.ParquetFile(path).read()

    def _chains(self, part: ListedPart) -> pa.ChunkedArray:
        return pq.ParquetFile(self._folder.path / part.path).read(["chain"])["chain"]

    def _cleaned(self, cls: type[Any], table: pa.Table) -> pa.Table | None:
        """The table without what is covered, or None when nothing in it is."""
        about = _rows(table, _SUBJECTS, self._covered)
        told: set[int] = set()
        if cls is not Domain:
            answers = (n for n in table.column_names if n not in (*_SUBJECTS, *_OURS))
            told = _rows(table, answers, self._covered) - about
        if not about and not told:
            return None
        self.purged.removed.update({cls.table: len(about)} if about else {})
        self.purged.emptied.update({cls.table: len(told)} if told else {})
        others = _taken(table, told)
        emptied = _emptied(others) if cls in _OBSERVATIONS else _unnamed(others, self._covered)
        return pa.concat_tables([_taken(table, _but(table, about | told)), emptied])

    def without_targets(self, table: pa.Table) -> pa.Table | None:
        """Targets without those that name something covered, or None when none does."""
        gone = _rows(table, table.column_names, self._covered)
        if not gone:
            return None
        self.purged.targets += len(gone)
        return _taken(table, _but(table, gone))

    def without_lines(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """A list's summary without the rejected lines that name something covered."""
        kept = {}
        for reason, lines in summary.get("examples", {}).items():
            kept[reason] = [line for line in lines if not self._covered(line)]
            self.purged.lines += len(lines) - len(kept[reason])
        return {**summary, "examples": kept}


def _rows(table: pa.Table, names: Iterable[str], covered: Covered) -> set[int]:
    """The rows in which something in the columns *names* is covered."""
    columns = (table[name].combine_chunks() for name in names if name in table.column_names)
    return set().union(*(_rows_of(column, covered) for column in columns))


def _rows_of(array: pa.Array, covered: Covered) -> set[int]:
    type_ = array.type
    if pa.types.is_list(type_):
        inner = sorted(_rows_of(pc.list_flatten(array), covered))
        return set(pc.list_parent_indices(array).take(pa.array(inner, pa.int64())).to_pylist())
    if pa.types.is_struct(type_):
        return set().union(*(_rows_of(member, covered) for member in array.flatten()))
    if not (pa.types.is_string(type_) or pa.types.is_binary(type_)):
        return set()  # numbers, times, and words of the vocabulary
    encoded = array.dictionary_encode()
    hits = [n for n, value in enumerate(encoded.dictionary.to_pylist()) if covered(value)]
    found = pc.is_in(encoded.indices, pa.array(hits, encoded.indices.type))
    return set(pc.indices_nonzero(found).to_pylist())


def _but(table: pa.Table, gone: set[int]) -> set[int]:
    return set(range(table.num_rows)) - gone


def _taken(table: pa.Table, rows: set[int]) -> pa.Table:
    return table.take(pa.array(sorted(rows), pa.int64()))


def _emptied(table: pa.Table) -> pa.Table:
    """Observations that say ``opted-out`` and nothing else."""

    def column(name: str, type_: pa.DataType) -> pa.Array | pa.ChunkedArray:
        if name == "qname" and "host" in table.column_names:  # may be that of an alias
            return pa.array(map(tlsa_qname, table["host"].to_pylist()), type_)
        if name in _KEPT:
            return table[name]
        value: Any = None
        if name.startswith("status"):
            value = IoStatus.OPTED_OUT
        elif name == "blame":
            value = Blame.POLICY
        elif pa.types.is_list(type_):
            value = ()
        elif name in ("null_mx", "implicit_mx"):
            value = False
        return pa.array([value] * table.num_rows, type_)

    return pa.Table.from_arrays([column(f.name, f.type) for f in table.schema], schema=table.schema)


def _unnamed(table: pa.Table, covered: Covered) -> pa.Table:
    """Judgements as they are, but for what is covered: gone from lists, and null elsewhere."""

    def unnamed(value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in value if not covered(item)]
        return None if isinstance(value, (str, bytes)) and covered(value) else value

    for index, field_ in enumerate(table.schema):
        if field_.name not in (*_SUBJECTS, *_OURS) and _rows(table, [field_.name], covered):
            values = pa.array(map(unnamed, table[field_.name].to_pylist()), field_.type)
            table = table.set_column(index, field_, values)
    return table


def _hashes(chains: pa.ChunkedArray) -> set[str]:
    return set(pc.unique(pc.list_flatten(chains)).to_pylist())
