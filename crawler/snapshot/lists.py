"""Domain lists in, the ``domains`` table out: every accepted name once, in shards.

All lists are read and what is acceptable is staged, in the order of the lists (``list_staging``);
then the first occurrence of each name, which decides its rank, list and tags, is written shard
by shard, each shard in the seeded pseudorandom order in which its names are visited.  Nothing
holds a whole list in memory.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Final

import duckdb
import pyarrow as pa

from crawler.records import Domain
from crawler.snapshot import duck, files, list_formats, list_sources
from crawler.snapshot.list_formats import Entry
from crawler.snapshot.list_sources import ListError
from crawler.snapshot.list_staging import REASONS, Staging, runs
from crawler.snapshot.sharding import SHARD_SIZE, shard_count
from crawler.snapshot.store import ScanFolder
from crawler.snapshot.suffixes import Suffixes

__all__ = ["REASONS", "ListError", "ListSummary", "domains_unit", "fingerprint", "ingest"]

UNITS: Final = "list-"
"""How the names of the units begin that hold the lists."""

STATE: Final = "list"
"""The state that says what became of the lists."""

_PACKINGS: Final = (".gz", ".zst", ".bz2", ".zip", ".tar")
_KINDS: Final = (".csv", ".tsv", ".txt", ".lst", ".list", ".zone", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSummary:
    """What became of the lists, for the manifest and for people."""

    names: tuple[str, ...]
    """Name of each list, in the order given."""
    sha256: tuple[str, ...]
    """Of each file as it lay there, packed or not."""
    combined_sha256: str
    """Of one list, its own; of several, of their hashes in order, one a line."""
    sizes: tuple[int, ...]
    """Octets of each file."""
    accepted: int
    """Distinct names: rows of ``domains``."""
    duplicates: int
    """Acceptable lines whose name had been seen before."""
    rejected: Mapping[str, int]
    """Lines not accepted, by reason."""
    examples: Mapping[str, tuple[str, ...]]
    """The first rejected lines of each reason, as ``list:line: text``, made printable."""
    shards: int
    shard_rows: tuple[int, ...]
    """Names in each shard."""

    def as_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stated: Mapping[str, Any]) -> ListSummary:
        """Read ``as_dict``'s value back, also after it has been JSON."""
        tuples = ("names", "sha256", "sizes", "shard_rows")
        examples = {reason: tuple(kept) for reason, kept in stated["examples"].items()}
        return cls(**{**stated, **{k: tuple(stated[k]) for k in tuples}, "examples": examples})


def domains_unit(shard: int) -> str:
    """The unit whose part of ``domains`` holds the names of a shard."""
    return f"{UNITS}{shard:05d}"


def forget(folder: ScanFolder) -> None:
    """Have the lists read again, which gives the same parts again."""
    folder.write_state(STATE, None)


def fingerprint(sources: Sequence[str]) -> str:
    """``combined_sha256`` of lists not yet read, to recognise a scan of the same ones.

    Standard input cannot be read twice and gives no fingerprint: "-" counts as its name.
    Raises ``ListError`` for a file that cannot be read.
    """
    return _combined(["-" if s == "-" else _sha256(Path(s)) for s in sources])


def ingest(
    sources: Sequence[str],
    folder: ScanFolder,
    *,
    scan_id: str,
    seed: str | int,
    suffixes: Suffixes,
    list_name: str | None = None,
    shard_size: int = SHARD_SIZE,
    least_shards: int = 1,
    stdin: IO[bytes] | None = None,
    memory_limit: str = "128MB",
    threads: int = 2,
    checkpoint: Callable[[], object] = lambda: None,
) -> ListSummary:
    """Read the lists into the scan's ``domains`` table, or say what an earlier call made of them.

    *sources* are paths; "-" is *stdin*.  *list_name* replaces the name that each list has by its
    file.  The same lists and seed give the same parts.  The caller holds ``folder.lock()``; a
    call cut short is simply made again.  *checkpoint* is called now and then, and may raise.

    Raises ``ListError``, one sentence that names the file and the remedy, when a list cannot be
    read to its end or no line of all lists is acceptable, and ``OSError`` when the disk is full.
    """
    if (earlier := folder.read_state(STATE)) is not None:
        return ListSummary.from_dict(earlier)
    folder.drop(lambda unit: unit.startswith(UNITS))
    scratch = folder.work / "ingest"
    if scratch.is_dir():
        shutil.rmtree(scratch)
    files.make_folder(scratch)
    try:
        with files.disk_errors(scratch):
            lists = [
                _List.of(s, list_name, scratch / f"stdin-{n}", stdin) for n, s in enumerate(sources)
            ]
            with duck.connect(
                spill=scratch, memory_limit=memory_limit, threads=threads
            ) as connection:
                with Staging(scratch, suffixes, connection, checkpoint) as staging:
                    for list_ in lists:
                        staging.take(list_.name, _entries(list_, scratch))
                if staging.staged == 0:
                    raise _nothing_accepted(lists, staging.rejected)
                shards = shard_count(staging.count_distinct(), shard_size, least=least_shards)
                rows = _write_shards(connection, staging, folder, scan_id, str(seed), shards)
            summary = _summary(lists, staging, rows)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return ListSummary.from_dict(folder.settle_state(STATE, summary.as_dict()))


# --- the lists


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """One list to read."""

    name: str
    source: str
    """As people know it, for errors."""
    path: Path

    @classmethod
    def of(cls, source: str, name: str | None, spool: Path, stdin: IO[bytes] | None) -> _List:
        name = name or names_of([source])[0]
        if source != "-":
            return cls(name=name, source=source, path=Path(source))
        if stdin is None:
            raise ListError("standard input is not available here; name a file instead of '-'")
        with spool.open("wb") as copy:
            shutil.copyfileobj(stdin, copy, list_sources.BLOCK)
        return cls(name=name, source="standard input", path=spool)


def names_of(sources: Sequence[str]) -> tuple[str, ...]:
    """What lists are called, which does not change from week to week."""
    return tuple("stdin" if source == "-" else _stem(Path(source).name) for source in sources)


def _stem(file_name: str) -> str:
    """A list's name: its file's, without what says how it is packed and written."""
    stem = file_name
    for endings in (_PACKINGS, _PACKINGS, _KINDS):
        stem = next((stem[: -len(e)] for e in endings if stem.lower().endswith(e)), stem)
    return stem or file_name


def _sha256(path: Path) -> str:
    try:
        return files.sha256(path)
    except OSError as error:
        raise ListError(f"{path} {list_sources.failure(error)}") from None


def _combined(digests: Sequence[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(f"{d}\n" for d in digests).encode()).hexdigest()


def _entries(list_: _List, scratch: Path) -> Iterator[Entry]:
    """The entries of a list; whatever is wrong with its file becomes one sentence."""
    try:
        for stream in list_sources.open_streams(list_.path, scratch):
            yield from list_formats.read(stream, name=list_.name)
    except ListError as error:
        raise ListError(f"{list_.source} {error}") from None
    except list_sources.READ_ERRORS as error:
        raise ListError(f"{list_.source} {list_sources.failure(error)}") from None


def _nothing_accepted(lists: Sequence[_List], rejected: Counter[str]) -> ListError:
    which = " and ".join(list_.source for list_ in lists)
    if not rejected:
        return ListError(f"{which} holds no domain; give a list with one domain a line")
    reason, count = rejected.most_common(1)[0]
    return ListError(
        f"{which} holds no usable domain (most often: {reason}, {count} lines); "
        "give a list with one domain a line"
    )


# --- into shards


def _write_shards(
    connection: duckdb.DuckDBPyConnection,
    staging: Staging,
    folder: ScanFolder,
    scan_id: str,
    seed: str,
    shards: int,
) -> list[int]:
    """Write the distinct names as one unit for each shard; the number of names in each."""
    rows = [0] * shards
    keyed = _keyed(connection, staging.distinct(), scan_id, seed, shards)
    for shard, table in _by_shard(keyed):
        # A shard may come out of several buckets, each in its own order.
        folder.commit(domains_unit(shard), {Domain: table.sort_by("visit")})
        rows[shard] = table.num_rows
    for shard in (s for s in range(shards) if not rows[s]):
        folder.commit(domains_unit(shard), {Domain: []})
    return rows


def _keyed(
    connection: duckdb.DuckDBPyConnection,
    buckets: Iterator[pa.Table],
    scan_id: str,
    seed: str,
    shards: int,
) -> Iterator[pa.Table]:
    """Each bucket with the columns ``scan_id``, ``shard`` and ``visit``, sorted by shard."""
    for bucket in buckets:
        connection.register("bucket", bucket)
        yield connection.sql(
            """SELECT *, $scan_id AS scan_id, shard_of(domain, $shards) AS shard,
                      visit_order($seed, domain) AS visit
               FROM bucket ORDER BY shard""",
            params={"scan_id": scan_id, "shards": shards, "seed": seed},
        ).to_arrow_table()
        connection.unregister("bucket")


def _by_shard(tables: Iterator[pa.Table]) -> Iterator[tuple[int, pa.Table]]:
    """Tables sorted by shard, one after the other, cut into one table for each shard."""
    pieces = (piece for table in tables for piece in runs(table, table["shard"]))
    for shard, run in groupby(pieces, key=lambda pair: pair[0]):
        yield shard, pa.concat_tables([piece for _, piece in run])


def _summary(lists: Sequence[_List], staging: Staging, rows: Sequence[int]) -> ListSummary:
    digests = tuple(_sha256(list_.path) for list_ in lists)
    return ListSummary(
        names=tuple(list_.name for list_ in lists),
        sha256=digests,
        combined_sha256=_combined(digests),
        sizes=tuple(list_.path.stat().st_size for list_ in lists),
        accepted=sum(rows),
        duplicates=staging.staged - sum(rows),
        rejected=dict(sorted(staging.rejected.items())),
        examples={reason: tuple(kept) for reason, kept in sorted(staging.examples.items())},
        shards=len(rows),
        shard_rows=tuple(rows),
    )
