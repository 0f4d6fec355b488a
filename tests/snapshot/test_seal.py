"""Closing a scan, and replacing tables of a closed one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from crawler.records import TABLES, Assessment, CatalogueEntry, Certificate, TxtLookup
from crawler.snapshot import manifest, parts
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.rows import to_table
from crawler.snapshot.schema import schema_of
from crawler.snapshot.seal import Replacement, replace_tables, seal
from crawler.snapshot.store import Archive, ScanFolder
from tests.snapshot.samples import ONE_OF_EACH, SCAN, assessment, certificate, facts, txt


@pytest.fixture
def folder(tmp_path: Path) -> ScanFolder:
    return Archive(tmp_path / "archive").create_scan(SCAN)


def read(folder: ScanFolder, cls: type[Any]) -> list[Any]:
    """What a reader's glob finds."""
    return parts.read_all(sorted(folder.path.glob(f"{cls.table}/part-*.parquet")), cls)


def close(folder: ScanFolder, **other: Any) -> manifest.Manifest:
    with folder.lock():
        return seal(folder, facts(**other))


def test_a_sealed_scan_has_its_manifest_and_no_progress(folder: ScanFolder) -> None:
    folder.commit("all-00000", {type(row): [row] for row in ONE_OF_EACH})
    close(folder)
    assert folder.sealed
    assert not folder.work.exists()
    assert {p.name for p in folder.path.iterdir()} == {"manifest.json", *(c.table for c in TABLES)}
    assert manifest.verify(folder.path) == []
    for row in ONE_OF_EACH:
        assert read(folder, type(row)) == [row]


def test_every_table_of_an_empty_scan_has_a_part_with_its_schema(folder: ScanFolder) -> None:
    sealed = close(folder)
    for cls in TABLES:
        (path,) = folder.path.glob(f"{cls.table}/part-*.parquet")
        assert pq.read_schema(path).equals(schema_of(cls))
        assert sealed.tables[cls.table].rows == 0
    assert manifest.verify(folder.path) == []


def test_certificates_come_down_to_one_row_each(folder: ScanFolder) -> None:
    """However often and in however many units a certificate was seen; in the order of the hash."""
    for unit in range(5):
        rows = [certificate(n * 7919 % 100) for n in range(unit, 100, unit + 1)]
        folder.commit(f"mail-{unit:05d}-r0", {Certificate: rows * 2})
    sealed = close(folder)
    assert read(folder, Certificate) == [certificate(n) for n in range(100)]
    assert sealed.tables["certificates"].rows == 100


def test_many_certificates_make_several_parts(folder: ScanFolder) -> None:
    rows = [
        Certificate(scan_id=SCAN, sha256=hashlib.sha256(bytes([n])).hexdigest(), der=bytes([n]))
        for n in range(200)
    ]
    folder.commit("mail-00000-r0", {Certificate: rows + rows[:50]})
    with folder.lock():
        seal(folder, facts(), certificates_per_part=30)
    assert read(folder, Certificate) == sorted(rows, key=lambda row: row.sha256)
    assert len(list(folder.path.glob("certificates/part-*"))) == 7


def test_the_manifest_states_rows_sizes_and_hashes(folder: ScanFolder) -> None:
    folder.commit("names-00000-r0", {TxtLookup: [txt()]})
    folder.commit("names-00001-r0", {TxtLookup: [txt("b.example"), txt("c.example")]})
    folder.write_file("trust-roots.pem", b"pem")
    close(folder)
    stated = json.loads((folder.path / "manifest.json").read_text())
    assert stated["tables"]["txt_lookups"]["rows"] == 3
    assert [p["path"] for p in stated["tables"]["txt_lookups"]["parts"]] == [
        "txt_lookups/part-names-00000-r0.parquet",
        "txt_lookups/part-names-00001-r0.parquet",
    ]
    assert [f["path"] for f in stated["files"]] == ["trust-roots.pem"]
    for part in stated["tables"]["txt_lookups"]["parts"]:
        assert part["size"] == (folder.path / part["path"]).stat().st_size


def test_sealing_twice_changes_nothing(folder: ScanFolder) -> None:
    first = close(folder)
    assert first == close(folder, seed="other") == manifest.read(folder.path)


def test_a_committed_part_that_is_gone_stops_the_seal(folder: ScanFolder) -> None:
    folder.commit("names-00000-r0", {TxtLookup: [txt()]})
    folder.part_path(TxtLookup, "names-00000-r0").unlink()
    with (
        pytest.raises(DamagedError, match=r"1 rows of txt_lookups are lost.* is missing"),
        folder.lock(),
    ):
        seal(folder, facts())
    assert not folder.sealed


def _cut(content: bytes) -> bytes:
    return content[:-1]


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flipped])
def test_a_part_that_is_not_what_was_committed_stops_the_seal(
    folder: ScanFolder, damage: Callable[[bytes], bytes]
) -> None:
    folder.commit("names-00000-r0", {TxtLookup: [txt()]})
    path = folder.part_path(TxtLookup, "names-00000-r0")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedError, match="is changed; the same command asks for them again"):
        close(folder)
    assert not folder.sealed


# --- replacing


@pytest.fixture
def sealed(folder: ScanFolder) -> ScanFolder:
    folder.commit("names-00000-r0", {TxtLookup: [txt()]})
    folder.commit("assess-00000", {Assessment: [assessment("a.example")]})
    folder.commit("assess-00001", {Assessment: [assessment("b.example")]})
    folder.write_file("public_suffix_list.dat", b"com\n")
    close(folder)
    return folder


def test_a_table_is_replaced_whole(sealed: ScanFolder) -> None:
    new = [assessment(f"{c}.example", rules_version="2") for c in "abc"]
    with sealed.lock():
        stated = replace_tables(
            sealed,
            {Assessment: iter([new[:1], [], to_table(Assessment, new[1:])])},
            {"rules_version": "2"},
        )
    assert read(sealed, Assessment) == new
    assert read(sealed, TxtLookup) == [txt()]
    assert stated == manifest.read(sealed.path)
    assert (stated.revision, stated.facts["rules_version"]) == (2, "2")
    assert stated.tables["assessments"].rows == 3
    assert manifest.verify(sealed.path) == []
    assert not sealed.work.exists()


def test_a_table_can_be_replaced_again_and_again(sealed: ScanFolder) -> None:
    for version in ("2", "3", "4"):
        with sealed.lock():
            replace_tables(sealed, {Assessment: [[assessment(rules_version=version)]]})
        assert read(sealed, Assessment) == [assessment(rules_version=version)]
    assert manifest.read(sealed.path).revision == 4
    assert manifest.verify(sealed.path) == []


def test_a_table_replaced_by_nothing_keeps_an_empty_part(sealed: ScanFolder) -> None:
    with sealed.lock():
        replace_tables(sealed, {Assessment: []})
    (path,) = sealed.path.glob("assessments/part-*.parquet")
    assert pq.read_schema(path).equals(schema_of(Assessment))
    assert manifest.verify(sealed.path) == []


def test_a_failed_replacement_changes_nothing(sealed: ScanFolder) -> None:
    before = manifest.read(sealed.path)

    def breaking() -> Iterator[list[Assessment]]:
        yield [assessment(rules_version="2")]
        raise RuntimeError("the judge failed")

    with pytest.raises(RuntimeError, match="judge"), sealed.lock():
        replace_tables(sealed, {Assessment: breaking()})
    with sealed.lock():
        pass
    assert before == manifest.read(sealed.path)
    assert manifest.verify(sealed.path) == []
    assert not sealed.work.exists()


def test_tables_that_come_together_are_replaced_together(sealed: ScanFolder) -> None:
    entry = next(row for row in ONE_OF_EACH if isinstance(row, CatalogueEntry))
    with sealed.lock(), Replacement(sealed) as replacement:
        for domain in ("x.example", "y.example"):
            replacement.add(Assessment, [assessment(domain)])
        replacement.add(CatalogueEntry, [entry])
        replacement.finish()
    assert [row.domain for row in read(sealed, Assessment)] == ["x.example", "y.example"]
    assert read(sealed, CatalogueEntry) == [entry]


def test_what_a_crash_between_the_renames_and_the_manifest_leaves_is_removed(
    sealed: ScanFolder,
) -> None:
    """New parts in place, the old manifest: the old tables count, also after the next lock."""
    stray = sealed.table_dir(Assessment) / "part-v0002-00000.parquet"
    parts.write(stray, Assessment, [assessment(rules_version="2")])
    assert {p.kind for p in manifest.verify(sealed.path)} == {"unlisted"}
    with sealed.lock():
        pass
    assert manifest.verify(sealed.path) == []
    assert Counter(r.rules_version for r in read(sealed, Assessment)) == {"1": 2}


def test_sealing_memory_is_bounded_by_the_slice(folder: ScanFolder) -> None:
    """The limit is passed on; a slice of the hash space fits in little memory."""
    rows = [certificate(n) for n in range(2000)]
    for unit in range(4):
        folder.commit(f"mail-{unit:05d}-r0", {Certificate: rows})
    with folder.lock():
        seal(folder, facts(), memory_limit="64MB", threads=1)
    assert len(read(folder, Certificate)) == 2000
