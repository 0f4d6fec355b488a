"""Rows on their way to disk."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from crawler.records import Certificate, StarttlsSession, TxtLookup
from crawler.scan import sink
from crawler.scan.sink import open_sink
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.memory import MemoryWork
from crawler.snapshot.parts import Rows
from crawler.snapshot.store import Archive
from tests import rows

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Half a minute passes at once."""
    return "trio", {"clock": MockClock(autojump_threshold=0.01)}


@pytest.fixture
def work() -> MemoryWork:
    return MemoryWork(rows.SCAN_ID, seed="s")


async def test_rows_are_committed_when_the_block_ends(work: MemoryWork) -> None:
    async with open_sink(work, "unit", vantage=None) as open_:
        open_.emit(rows.txt("a.example"))
        assert not work.rows
    assert [r.domain for r in work.rows[TxtLookup]] == ["a.example"]


async def test_every_row_says_from_where_it_was_observed(work: MemoryWork) -> None:
    """Plain rows and instances; a certificate is the same from everywhere."""
    async with open_sink(work, "unit", vantage="Vienna") as open_:
        open_.emit(rows.session("mx.example", "192.0.2.1"), ders=[b"not a certificate"])
        open_.emit_plain(TxtLookup, [_plain("a.example")])
        open_.emit(rows.txt("b.example"))
    assert [r.vantage for r in work.rows[TxtLookup]] == ["Vienna"] * 2
    assert [r.vantage for r in work.rows[StarttlsSession]] == ["Vienna"]
    assert len(work.rows[Certificate]) == 1


async def test_rows_are_committed_while_the_block_goes_on(work: MemoryWork) -> None:
    async with open_sink(work, "unit", vantage=None) as open_:
        open_.emit(rows.txt("a.example"))
        await trio.sleep(sink.CHECKPOINT_SECONDS + 1)
        assert len(work.rows[TxtLookup]) == 1
    assert len(work.rows[TxtLookup]) == 1


async def test_many_rows_do_not_wait_for_the_clock(work: MemoryWork) -> None:
    async with open_sink(work, "unit", vantage=None) as open_:
        for n in range(sink.CHECKPOINT_ROWS):
            open_.emit(rows.txt(f"d{n}.example"))
        await trio.sleep(1)
        assert len(work.rows[TxtLookup]) == sink.CHECKPOINT_ROWS


def _plain(name: str) -> tuple[object, ...]:
    row = rows.txt(name)
    return tuple(getattr(row, field.name) for field in fields(row))


async def test_plain_rows_and_instances_of_one_table_meet_in_it(work: MemoryWork) -> None:
    names = [f"d{n}.example" for n in range(2 * sink.PLAIN_BLOCK)]
    async with open_sink(work, "unit", vantage=None) as open_:
        for name in names:
            open_.emit_plain(TxtLookup, [_plain(name)])
        open_.emit(rows.txt("b.example"))
        open_.emit_plain(TxtLookup, iter([_plain("c.example")]))
        open_.emit_plain(TxtLookup, [])
        assert open_.total == len(names) + 2
    expected = [*names, "b.example", "c.example"]
    assert work.rows[TxtLookup] == [rows.txt(name) for name in expected]


class _Counting(MemoryWork):
    """Only counts what is committed, at once: no clock jumps while a thread makes instances."""

    committed = 0

    def commit(self, unit: str, rows: Mapping[type[Any], Rows]) -> None:
        self.committed += sum(map(len, rows.values()))


async def test_plain_rows_weigh_less_but_do_not_wait_for_the_clock() -> None:
    work, some = _Counting(rows.SCAN_ID, seed="s"), [_plain("a.example")] * sink.CHECKPOINT_ROWS
    async with open_sink(work, "unit", vantage=None) as open_:
        open_.emit_plain(TxtLookup, some)
        await trio.sleep(1)
        assert not work.committed
        while open_.total * sink.PLAIN_WEIGHT < sink.CHECKPOINT_ROWS:
            open_.emit_plain(TxtLookup, some)
        await trio.sleep(1)
        assert work.committed == open_.total


async def test_nothing_emitted_is_nothing_committed(tmp_path: Path) -> None:
    folder = FolderWork(Archive(tmp_path).create_scan(rows.SCAN_ID), seed="s")
    async with open_sink(folder, "names-r0-00000", vantage=None) as open_:
        open_.emit_plain(TxtLookup, [])
    assert not folder.folder.units()


async def test_an_interruption_loses_nothing_that_was_emitted(work: MemoryWork) -> None:
    with trio.CancelScope() as scope:
        async with open_sink(work, "unit", vantage=None) as open_:
            open_.emit(rows.txt("a.example"))
            scope.cancel()
            await trio.sleep_forever()
    assert len(work.rows[TxtLookup]) == 1


async def test_an_error_of_ours_loses_nothing_that_was_emitted(work: MemoryWork) -> None:
    with pytest.RaisesGroup(ZeroDivisionError):
        async with open_sink(work, "unit", vantage=None) as open_:
            open_.emit(rows.txt("a.example"))
            raise ZeroDivisionError
    assert len(work.rows[TxtLookup]) == 1


async def test_a_certificate_is_written_once_a_unit_however_many_sessions_show_it(
    work: MemoryWork,
) -> None:
    der = b"not a certificate, which is kept all the same"
    async with open_sink(work, "unit", vantage=None) as open_:
        for n in range(3):
            open_.emit(rows.session("mx.example", f"192.0.2.{n}"), ders=[der])
    (certificate,) = work.rows[Certificate]
    assert certificate.sha256 == hashlib.sha256(der).hexdigest()
    assert certificate.der == der
    assert certificate.parse_error
    assert len(work.rows[StarttlsSession]) == 3


class _FullOnce(MemoryWork):
    """A disk that is full at first."""

    full = True

    def commit(self, unit: str, rows: Mapping[type[Any], Rows]) -> None:
        if self.full:
            self.full = False
            raise OSError(errno.ENOSPC, "full")
        super().commit(unit, rows)


async def test_what_a_full_disk_did_not_take_is_in_front_of_what_comes_behind_it() -> None:
    """A certificate is written once, with the first row that shows it: later rows lean on that."""
    work = _FullOnce(rows.SCAN_ID, seed="s")
    sha256 = hashlib.sha256(b"der").hexdigest()

    def shown_by(host: str) -> StarttlsSession:
        return rows.session(host, "192.0.2.1", chain=(sha256,))

    with pytest.RaisesGroup(OSError):
        async with open_sink(work, "unit", vantage=None) as open_:
            open_.emit(shown_by("a.example"), ders=[b"der"])
            open_.emit_plain(TxtLookup, [_plain("a.example")] * sink.PLAIN_BLOCK)
            try:
                await trio.sleep_forever()
            finally:
                open_.emit(shown_by("b.example"), ders=[b"der"])
    assert [r.host for r in work.rows[StarttlsSession]] == ["a.example", "b.example"]
    assert [c.sha256 for c in work.rows[Certificate]] == [sha256]
    assert len(work.rows[TxtLookup]) == sink.PLAIN_BLOCK
