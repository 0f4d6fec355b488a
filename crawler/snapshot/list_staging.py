"""Entries of lists -> acceptable names, set aside in buckets until all lists are read.

How many names there are, and so how many shards, is known only at the end; and a name is accepted
once, however far apart its occurrences stand.  So names go to one of ``BUCKETS`` files by the
hash that will also decide their shard: all occurrences of a name meet in one bucket, in the
order of the lists, and buckets are in the order of shards.  Each later step then needs the
memory of one bucket: 80,000 names for a list of ten million.

A line that is not acceptable is counted under its reason, and the first few of each reason are
kept for the person who has to find out why.
"""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from crawler.protocol import names
from crawler.records import Domain
from crawler.snapshot import list_formats
from crawler.snapshot.list_formats import Entry
from crawler.snapshot.schema import schema_of
from crawler.snapshot.suffixes import Suffixes, one_label_more

BUCKETS: Final = 128
_TOGETHER: Final = 20_000  # names of short buckets handed out at a time: each costs a query
_BATCH: Final = 100_000  # names divided into buckets at a time: some 40 MB

EXAMPLES: Final = 5
"""Rejected lines kept for each reason."""

_OURS: Final = ("control-character", "not-utf-8", "wildcard", "url", "e-mail-address")
REASONS: Final = tuple(dict.fromkeys((*names.REASONS, *list_formats.REASONS, *_OURS)))
"""Every reason for which a line is rejected."""

SCHEMA: Final = schema_of(Domain).remove(0)
"""The columns of a bucket: those of ``domains`` but for the scan id."""


@dataclass(slots=True)
class _Batch:
    """Acceptable entries that are not yet divided, as columns: lists of texts and numbers, unlike
    a hundred thousand tuples, are no work for the garbage collector.
    """

    domains: list[str] = field(default_factory=list)
    ranks: list[int | None] = field(default_factory=list)
    tags: list[tuple[str, ...]] = field(default_factory=list)
    originals: list[str | None] = field(default_factory=list)


def _bucket_count() -> int:
    """As many as may be open at once; the shards come out the same from fewer and larger ones."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(BUCKETS, limit // 4))


class Staging:
    """Where the acceptable entries of a scan's lists go; a context that opens the buckets."""

    def __init__(
        self,
        folder: Path,
        suffixes: Suffixes,
        connection: duckdb.DuckDBPyConnection,
        checkpoint: Callable[[], object],
    ) -> None:
        self.staged = 0
        """Acceptable entries so far, repeated names included."""
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._suffixes = suffixes
        self._paths = [folder / f"bucket-{n:03d}" for n in range(_bucket_count())]
        self._connection = connection
        self._checkpoint = checkpoint
        self._open = ExitStack()

    def __enter__(self) -> Staging:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writers = [
            self._open.enter_context(
                pa.ipc.new_stream(self._open.enter_context(pa.OSFile(str(path), "wb")), SCHEMA, options=options)
            )
            for path in self._paths
        ]  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, list_name: str, entries: Iterable[Entry]) -> None:
        """Stage the acceptable entries of a list and count the others."""
        batch = _Batch()
        for line, text, rank, tags, reason in entries:
            if reason is not None:
                self._reject(f"{list_name}:{line}", text, reason)
                continue
            try:
                name = names.normalise(text)
            except names.InvalidName as invalid:
                self._reject(f"{list_name}:{line}", text, reason_for(text, invalid.reason))
                continue
            batch.domains.append(name)
            batch.ranks.append(rank)
            batch.tags.append(tags)
            batch.originals.append(None if text == name else text)
            if len(batch.domains) == _BATCH:
                self._stage(list_name, batch)
                batch = _Batch()
        self._stage(list_name, batch)

    def _reject(self, place: str, text: str, reason: str) -> None:
        self.rejected[reason] += 1
        kept = self.examples.setdefault(reason, [])
        if len(kept) < EXAMPLES:
            kept.append(f"{place}: {_printable(text)}")

    def _stage(self, list_name: str, batch: _Batch) -> None:
        self._checkpoint()
        public = list(map(self._suffixes.public_suffix, batch.domains))
        columns = {
            "domain": batch.domains,
            "rank": batch.ranks,
            "list": pa.repeat(list_name, len(batch.domains)),
            "tld": [name[name.rfind(".") + 1 :] for name in batch.domains],
            "public_suffix": public,
            "registrable_domain": list(map(one_label_more, batch.domains, public)),
            "tags": batch.tags,
            "original": batch.originals,
        }
        for bucket, table in self._divided(pa.table(columns, SCHEMA)):
            self._writers[bucket].write_table(table)
        self.staged += len(batch.domains)

    def _divided(self, table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """A table cut by bucket, each piece in the order of the table."""
        keys = pa.table({"domain": table["domain"], "row": pa.array(range(len(table)))})
        self._connection.register("staging", keys)
        order = self._connection.sql(
            "SELECT row, shard_of(domain, $buckets) AS bucket FROM staging ORDER BY bucket, row",
            params={"buckets": len(self._paths)},
        ).to_arrow_table()
        self._connection.unregister("staging")
        yield from runs(table.take(order["row"]), order["bucket"])

    # --- once all lists are read

    def count_distinct(self) -> int:
        """How many names there are, each counted once."""
        return sum(pc.count_distinct(bucket["domain"]).as_py() for bucket in self._buckets())

    def distinct(self) -> Iterator[pa.Table]:
        """The names in the order of buckets, so of shards; of each name its first entry."""
        gathered: list[pa.Table] = []
        for bucket in self._buckets():
            self._checkpoint()
            first: dict[str, int] = {}
            for row, name in enumerate(bucket["domain"].to_pylist()):
                first.setdefault(name, row)
            gathered.append(
                bucket if len(first) == len(bucket) else bucket.take(list(first.values()))
            )
            if sum(map(len, gathered)) >= _TOGETHER:
                yield pa.concat_tables(gathered)
                gathered = []
        if gathered:
            yield pa.concat_tables(gathered)

    def _buckets(self) -> Iterator[pa.Table]:
        for path in self._paths:
            with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as stream:
                if len(table := stream.read_all()):
                    yield table


def runs(table: pa.Table, numbers: pa.ChunkedArray) -> Iterator[tuple[int, pa.Table]]:
    """A table cut where *numbers*, one for each row, change."""
    start = 0
    encoded = pc.run_end_encode(numbers.combine_chunks())
    for value, end in zip(encoded.values.to_pylist(), encoded.run_ends.to_pylist(), strict=True):
        yield value, table.slice(start, end - start)
        start = end


def reason_for(text: str, reason: str) -> str:
    """A more telling reason than the one for which a text is no name, where there is one."""
    if any("\udc80" <= c <= "\udcff" for c in text):
        return "not-utf-8"
    if any(c < " " or c == "\x7f" for c in text):
        return "control-character"
    if "://" in text:
        return "url"
    if "@" in text:
        return "e-mail-address"
    return "wildcard" if text.startswith("*.") else reason


def _printable(text: str) -> str:
    """The text fit for a terminal and a manifest: escaped, short, and without a mailbox's name."""
    local, at, domain = text[:120].rpartition("@")
    shown = f"…@{domain}" if at and local else text[:120]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown)
