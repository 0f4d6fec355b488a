"""What the disk has not kept is found by its hash, and asked again."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from crawler.records import Assessment, Certificate, TxtLookup
from crawler.snapshot import damage
from crawler.snapshot.damage import DISTINCT, DamagedError
from crawler.snapshot.store import Archive, ScanFolder
from tests.snapshot.samples import SCAN, assessment, certificate, txt

CHUNKS = ("names-r0-00000-c000", "names-r0-00000-c001")


@pytest.fixture
def folder(tmp_path: Path) -> ScanFolder:
    folder = Archive(tmp_path).create_scan(SCAN)
    folder.commit(CHUNKS[0], {TxtLookup: [txt()], Certificate: [certificate()]})
    folder.commit(CHUNKS[1], {TxtLookup: [txt("b.example"), txt("c.example")]})
    folder.commit("names-r0-00000", {})
    folder.commit("names-r0-00001-c000", {TxtLookup: [txt("d.example")]})
    folder.commit("judge-domains-00000-c000", {Assessment: [assessment()]})
    return folder


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_an_undamaged_scan_stays_as_it_is(folder: ScanFolder) -> None:
    before = folder.units()
    damage.undo(folder, damage.find(folder))
    assert folder.units() == before


def test_a_flipped_bit_and_a_missing_part_are_named_with_the_rows_that_are_lost(
    folder: ScanFolder,
) -> None:
    _flip(folder.part_path(TxtLookup, CHUNKS[1]))
    folder.part_path(Certificate, CHUNKS[0]).unlink()
    assert [str(d) for d in damage.find(folder)] == [
        "1 rows of certificates are lost: certificates/part-names-r0-00000-c000.parquet is missing",
        "2 rows of txt_lookups are lost: txt_lookups/part-names-r0-00000-c001.parquet is changed",
    ]


def test_the_whole_unit_is_undone_and_what_was_judged(folder: ScanFolder) -> None:
    _flip(folder.part_path(TxtLookup, CHUNKS[1]))
    damage.undo(folder, damage.find(folder))
    assert folder.units() == {"names-r0-00001-c000"}
    assert [p.name for p in folder.path.glob("*/part-*")] == ["part-names-r0-00001-c000.parquet"]


def test_what_cannot_be_asked_again_is_left_to_a_person(folder: ScanFolder) -> None:
    """Certificates of all units are one row each by now, and the units' own are gone."""
    folder.write_state(DISTINCT, "one row per sha256")
    _flip(folder.part_path(TxtLookup, CHUNKS[1]))
    with pytest.raises(DamagedError, match="restore it from a copy, or scan anew"):
        damage.undo(folder, damage.find(folder))
    assert folder.done(CHUNKS[1])


class _Dying(ScanFolder):
    """A folder whose process dies when so many units are undone."""

    def __init__(self, path: Path, left: int) -> None:
        super().__init__(path)
        self._left = left

    def marker(self, unit: str) -> Path:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().marker(unit)


@pytest.mark.parametrize("steps", range(5))
def test_who_dies_undoing_leaves_the_beginning_of_a_unit_and_nothing_that_was_judged(
    folder: ScanFolder, steps: int
) -> None:
    """The damage may not be found again, so what is left has to be good as it is."""
    _flip(folder.part_path(TxtLookup, CHUNKS[0]))
    damages = damage.find(folder)
    dying = pytest.raises(KeyboardInterrupt) if steps < 4 else nullcontext()
    with dying:
        damage.undo(_Dying(folder.path, steps), damages)
    left = folder.units() - {"names-r0-00001-c000"}
    assert left in [
        {"judge-domains-00000-c000", "names-r0-00000", *CHUNKS},  # as if nothing had been begun
        {"names-r0-00000", *CHUNKS},
        {*CHUNKS},
        {CHUNKS[0]},
        set(),
    ]
