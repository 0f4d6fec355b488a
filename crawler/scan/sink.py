"""Rows of one unit on their way to disk: collected, and committed at checkpoints.

A unit is one (pass, round, shard).  It is written as a sequence of parts, each atomic: after so
many rows, after so many seconds, and once more when the unit ends for whatever reason.  So a
crash costs at most the rows of the last half minute, and an interruption costs nothing.

Probes do not know where they run: the name of the vantage is put into the rows here.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pyarrow as pa
import trio

from crawler.protocol import certificate
from crawler.records import Certificate
from crawler.snapshot.parts import Rows
from crawler.snapshot.patience import StorageError
from crawler.snapshot.rows import to_table
from crawler.snapshot.work import Work

CHECKPOINT_SECONDS = 30.0
"""What a crash may cost at the most; a part a half minute is cheap even for a week's scan."""

CHECKPOINT_ROWS = 20_000
"""Bounds the memory of a unit in flight: a STARTTLS row with its evidence is about 3 kB."""

PLAIN_WEIGHT = 0.2
"""What a plain row counts towards ``CHECKPOINT_ROWS``: in Arrow it is some 150 octets, and a part
costs a fixed 4 ms."""

PLAIN_BLOCK = 1_000
"""Plain rows that become Arrow at a time: while the processor's cache holds them, so that their
memory is there for the next ones and few are alive at once."""


class Sink:
    """Collects the rows of one unit, all observed from *vantage*.  ``emit`` never blocks."""

    def __init__(self, work: Work, unit: str, vantage: str | None = None) -> None:
        self._work = work
        self._unit = unit
        self._vantage = vantage
        self._rows: dict[type[Any], list[Any]] = defaultdict(list)
        self._tables: dict[type[Any], list[pa.Table]] = defaultdict(list)
        self._pending = 0.0
        self._certificates: set[str] = set()
        self._full = trio.Event()
        self.total = 0

    def emit(self, *rows: Any, ders: Iterable[bytes] = ()) -> None:
        """Take the rows of one target, and the certificates that they refer to."""
        for row in rows:
            self._rows[type(row)].append(row)
        self._count(len(rows))
        for der in ders:
            sha256 = hashlib.sha256(der).hexdigest()
            if sha256 not in self._certificates:
                self._certificates.add(sha256)
                self._rows[Certificate].append(_certificate(self._work.scan_id, sha256, der))

    def emit_plain(self, cls: type[Any], rows: Iterable[Any]) -> None:
        """Take many light rows of *cls*, nearly all of them plain tuples, see ``snapshot.rows``."""
        kept = self._rows[cls]
        before = len(kept)
        kept.extend(rows)
        self._count(len(kept) - before, PLAIN_WEIGHT)
        if len(kept) >= PLAIN_BLOCK:
            self._tables[cls].append(to_table(cls, self._rows.pop(cls)))

    def _count(self, rows: int, weight: float = 1.0) -> None:
        self._pending += rows * weight
        self.total += rows
        if self._pending >= CHECKPOINT_ROWS:
            self._full.set()

    async def commit(self) -> None:
        """Write what has been collected as the unit's next part."""
        rows, tables = self._rows, self._tables
        self._rows, self._tables = defaultdict(list), defaultdict(list)
        self._pending, self._full = 0.0, trio.Event()
        if any(rows.values()) or tables:
            try:
                with trio.CancelScope(shield=True):  # rows taken out must reach the disk
                    await trio.to_thread.run_sync(self._write, rows, tables)
            except StorageError:
                raise  # they have reached it
            except Exception:
                self._take_back(rows, tables)
                raise

    def _take_back(
        self, rows: dict[type[Any], list[Any]], tables: dict[type[Any], list[pa.Table]]
    ) -> None:
        """Have what could not be written in front of what came since, which refers to its certificates."""
        for cls, some in rows.items():
            self._rows[cls] = some + self._rows[cls]
        for cls, made in tables.items():
            self._tables[cls] = made + self._tables[cls]

    def _write(
        self, rows: dict[type[Any], list[Any]], tables: dict[type[Any], list[pa.Table]]
    ) -> None:
        whole = {
            cls: self._placed(cls, rows.get(cls, []), tables.get(cls, []))
            for cls in {**rows, **tables}
        }
        self._work.commit(self._unit, whole)

    def _placed(self, cls: type[Any], rows: list[Any], tables: list[pa.Table]) -> Rows:
        """The rows, with their vantage where they have a place for it."""
        if self._vantage is None and not tables:
            return rows
        table = pa.concat_tables([*tables, to_table(cls, rows)])
        place = table.schema.get_field_index("vantage")
        if place < 0:
            return table
        named = pa.repeat(pa.scalar(self._vantage, pa.string()), len(table))
        return table.set_column(place, table.schema.field(place), named)

    async def _checkpoints(self) -> None:
        while True:
            with trio.move_on_after(CHECKPOINT_SECONDS):
                await self._full.wait()
            await self.commit()


def _certificate(scan_id: str, sha256: str, der: bytes) -> Certificate:
    facts = certificate.read(der)
    return Certificate(
        scan_id=scan_id,
        sha256=sha256,
        der=der,
        subject=facts.subject,
        common_name=facts.common_name,
        names=facts.names,
        issuer=facts.issuer,
        serial=facts.serial,
        not_before=facts.not_before,
        not_after=facts.not_after,
        key=facts.key,
        signature=facts.signature,
        is_ca=facts.is_ca,
        self_issued=facts.self_issued,
        parse_error=facts.parse_error,
    )


@asynccontextmanager
async def open_sink(work: Work, unit: str, *, vantage: str | None) -> AsyncIterator[Sink]:
    """A sink that commits at checkpoints, and what remains when the block ends or is cancelled."""
    sink = Sink(work, unit, vantage)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink._checkpoints)
            yield sink
            nursery.cancel_scope.cancel()
    finally:
        await sink.commit()
