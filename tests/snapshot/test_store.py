"""The folder of a scan: units are whole or absent, and one process works at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crawler.records import Certificate, MxLookup, NameTarget, TxtLookup
from crawler.snapshot import manifest, parts
from crawler.snapshot.rows import to_table
from crawler.snapshot.seal import seal
from crawler.snapshot.store import Archive, LockedError, ScanFolder, StoreError
from crawler.vocabulary import Question
from tests.snapshot.samples import SCAN, certificate, facts, mx, txt


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "archive")


@pytest.fixture
def folder(archive: Archive) -> ScanFolder:
    return archive.create_scan(SCAN, identity="me")


def tree(folder: ScanFolder) -> set[str]:
    """Every file of the scan but the lock's."""
    found = (p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*") if p.is_file())
    return {name for name in found if not name.startswith("_work/lock")}


# --- the archive


def test_a_scan_is_a_hive_partition(archive: Archive, folder: ScanFolder) -> None:
    assert archive.path / "scan=s1" == folder.path
    assert folder.scan_id == SCAN
    assert not folder.sealed


def test_scans_are_listed_by_id(archive: Archive) -> None:
    assert archive.scans() == []
    for scan_id in ("b", "a"):
        archive.create_scan(scan_id)
    (archive.path / "notes.txt").write_text("")
    assert [f.scan_id for f in archive.scans()] == ["a", "b"]


def test_an_id_is_taken_once(archive: Archive, folder: ScanFolder) -> None:
    with pytest.raises(StoreError, match="already holds a scan s1; choose another id"):
        archive.create_scan(SCAN)


@pytest.mark.parametrize("scan_id", ["", "..", "a/b", ".a", "-a", "a b", "a" * 101, "a\n", "ä"])
def test_an_id_is_a_plain_file_name(archive: Archive, scan_id: str) -> None:
    with pytest.raises(StoreError, match="not usable"):
        archive.create_scan(scan_id)


def test_a_scan_that_is_not_there_is_named_with_those_that_are(
    archive: Archive, folder: ScanFolder
) -> None:
    with pytest.raises(StoreError, match="holds no scan s2; it holds: s1"):
        archive.open_scan("s2")
    assert archive.open_scan(SCAN).path == folder.path


def test_the_latest_unfinished_scan_of_an_identity_is_found(archive: Archive) -> None:
    for scan_id, identity in (("a", "me"), ("b", "me"), ("c", "me"), ("d", "you")):
        archive.create_scan(scan_id, identity=identity)
    with (sealed := archive.open_scan("c")).lock():
        seal(sealed, facts(scan_id="c"))
    found = archive.unfinished("me")
    assert found is not None
    assert found.scan_id == "b"
    assert archive.unfinished("nobody") is None


def test_a_scan_cut_short_right_after_its_seal_is_found_too(archive: Archive) -> None:
    """Else the same command would scan the same list a second time."""
    folder = archive.create_scan("a", identity="me")
    with folder.lock("1-of-1"):  # a share, so that nothing is cleared
        manifest.write(folder.path, manifest.Manifest(facts={}, tables={}))
    found = archive.unfinished("me")
    assert found is not None
    assert found.sealed


# --- units


def test_a_unit_is_written_to_all_its_tables(folder: ScanFolder) -> None:
    assert not folder.done("names-00000-r0")
    folder.commit("names-00000-r0", {TxtLookup: [txt()], MxLookup: [mx(), mx("b.example")]})
    assert folder.done("names-00000-r0")
    assert folder.units() == {"names-00000-r0"}
    assert folder.read(TxtLookup, "names-00000-r0") == [txt()]
    assert folder.parts(MxLookup) == [folder.part_path(MxLookup, "names-00000-r0")]
    assert {t: p.rows for t, p in folder.made_by("names-00000-r0").items()} == {
        "txt_lookups": 1,
        "mx_lookups": 2,
    }
    assert list((folder.work / "staged").iterdir()) == []


def test_a_table_may_come_from_a_query(folder: ScanFolder) -> None:
    folder.commit("names-00000", {TxtLookup: to_table(TxtLookup, [txt()])})
    assert folder.read(TxtLookup, "names-00000") == [txt()]


def test_a_unit_without_rows_is_done_and_has_no_part(folder: ScanFolder) -> None:
    folder.commit("names-00000-r0", {TxtLookup: []})
    assert folder.done("names-00000-r0")
    assert folder.parts(TxtLookup) == []
    assert folder.read(TxtLookup, "names-00000-r0") == []


def test_a_unit_is_written_once(folder: ScanFolder) -> None:
    folder.commit("names-00000-r0", {TxtLookup: [txt()]})
    with pytest.raises(StoreError, match="written only once"):
        folder.commit("names-00000-r0", {TxtLookup: [txt("b.example")]})
    assert folder.read(TxtLookup, "names-00000-r0") == [txt()]


def test_parts_without_a_marker_do_not_count_and_are_removed(folder: ScanFolder) -> None:
    folder.commit("names-00000-r0", {TxtLookup: [txt()]})
    parts.write(folder.part_path(TxtLookup, "names-00001-r0"), TxtLookup, [txt("b.example")])
    (folder.work / "staged" / "names-00001-r0.mx_lookups").write_bytes(b"half")
    assert folder.parts(TxtLookup) == [folder.part_path(TxtLookup, "names-00000-r0")]
    with folder.lock():
        assert not folder.part_path(TxtLookup, "names-00001-r0").exists()
    assert list((folder.work / "staged").iterdir()) == []


def test_a_share_recovers_its_own_units_only(folder: ScanFolder) -> None:
    for unit in ("names-00000-r0", "names-00001-r0"):
        folder.table_dir(TxtLookup).mkdir(exist_ok=True)
        parts.write(folder.part_path(TxtLookup, unit), TxtLookup, [txt()])
    with folder.lock("1-of-2"):
        folder.recover(lambda unit: unit == "names-00001-r0")
    assert {p.name for p in folder.table_dir(TxtLookup).iterdir()} == {
        "part-names-00000-r0.parquet"
    }


def test_units_can_be_undone(folder: ScanFolder) -> None:
    for n in range(3):
        folder.commit(f"assess-{n:05d}", {TxtLookup: [txt()]})
    folder.drop(lambda unit: unit != "assess-00001")
    assert folder.units() == {"assess-00001"}
    assert folder.parts(TxtLookup) == [folder.part_path(TxtLookup, "assess-00001")]
    folder.commit("assess-00000", {TxtLookup: [txt()]})


class _Unwritable:
    """A row that no schema fits."""


def test_a_failed_unit_leaves_nothing(folder: ScanFolder) -> None:
    before = tree(folder)
    with pytest.raises(AttributeError):
        folder.commit("names-00000-r0", {TxtLookup: [txt()], MxLookup: [_Unwritable()]})
    assert before == tree(folder)
    folder.commit("names-00000-r0", {TxtLookup: [txt()], MxLookup: [mx()]})


def test_a_unit_whose_last_table_cannot_be_placed_leaves_nothing(folder: ScanFolder) -> None:
    """Also the tables that were already in place are taken back."""
    folder.part_path(MxLookup, "names-00000-r0").mkdir(parents=True)
    with pytest.raises(OSError, match="names-00000-r0"):
        folder.commit("names-00000-r0", {TxtLookup: [txt()], MxLookup: [mx()]})
    assert not folder.done("names-00000-r0")
    assert not folder.part_path(TxtLookup, "names-00000-r0").exists()


# --- the lock

_HOLD = """
import sys
from pathlib import Path
from crawler.snapshot.store import ScanFolder
share = sys.argv[2] or None
with ScanFolder(Path(sys.argv[1])).lock(share):
    print("held", flush=True)
    sys.stdin.read()
"""


class _Holder:
    """Another process that holds a lock until it is told to let go, or killed."""

    def __init__(self, folder: ScanFolder, share: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(folder.path), share],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> _Holder:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"
        return self

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def test_p09_l6_a_second_process_is_refused_in_one_sentence(folder: ScanFolder) -> None:
    with _Holder(folder), pytest.raises(LockedError) as raised, folder.lock():
        pytest.fail("the lock was given twice")
    assert str(raised.value) == (
        "scan s1 is being worked on by another process; wait until it ends, or stop it first"
    )
    with folder.lock():
        pass


def test_p09_a_killed_process_holds_nothing(folder: ScanFolder) -> None:
    with _Holder(folder) as holder:
        holder.kill()
        with folder.lock():
            pass


def test_p09_shares_run_side_by_side_but_not_twice_and_not_beside_a_whole_run(
    folder: ScanFolder,
) -> None:
    with _Holder(folder, "0-of-2"):
        with folder.lock("1-of-2"):
            pass
        with pytest.raises(LockedError), folder.lock("0-of-2"):
            pytest.fail("the share was given twice")
        with pytest.raises(LockedError), folder.lock():
            pytest.fail("the whole scan was given beside a share")
    with _Holder(folder), pytest.raises(LockedError), folder.lock("0-of-2"):
        pytest.fail("a share was given beside the whole scan")


def test_a_lock_leaves_no_descriptor_behind(folder: ScanFolder) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with folder.lock(), pytest.raises(LockedError), ScanFolder(folder.path).lock():
        pytest.fail("the lock was given twice")
    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_the_lock_of_a_sealed_scan_leaves_it_as_it_was(folder: ScanFolder) -> None:
    with folder.lock():
        seal(folder, facts())
    before = tree(folder)
    with folder.lock():
        assert folder.work.is_dir()
    assert before == tree(folder)
    assert not folder.work.exists()


# --- small files and targets


def test_states_are_kept(folder: ScanFolder) -> None:
    assert folder.read_state("x") is None
    for value in ({"a": [1, None]}, False, "é"):
        folder.write_state("x", value)
        assert value == ScanFolder(folder.path).read_state("x")


def test_a_judging_file_stands_beside_the_tables(folder: ScanFolder) -> None:
    path = folder.write_file("trust-roots.pem", b"pem")
    assert (folder.path / "trust-roots.pem", b"pem") == (path, path.read_bytes())


def targets(*domains: str) -> list[NameTarget]:
    return [NameTarget(domain=d, question=Question.MX) for d in domains]


@pytest.mark.parametrize("as_iterator", [False, True])
def test_targets_are_planned_once_and_read_by_shard(folder: ScanFolder, as_iterator: bool) -> None:
    shards: dict[int, Any] = {0: targets("b", "a"), 2: to_table(NameTarget, targets("c")), 3: []}
    assert folder.planned("names", 0) is None
    given = iter(shards.items()) if as_iterator else shards
    assert folder.write_targets("names", 0, NameTarget, given) == {0: 2, 2: 1, 3: 0}
    assert folder.planned("names", 0) == {0: 2, 2: 1, 3: 0}
    assert folder.planned("names", 1) is None
    assert folder.read_targets("names", 0, NameTarget, 0) == targets("b", "a")
    assert folder.read_targets("names", 0, NameTarget, 2) == targets("c")
    assert folder.read_targets("names", 0, NameTarget, 3) == []


def test_a_plan_cut_short_does_not_count(folder: ScanFolder) -> None:
    def breaking() -> Any:
        yield 0, targets("a")
        yield 1, [_Unwritable()]

    with pytest.raises(AttributeError):
        folder.write_targets("names", 0, NameTarget, breaking())
    assert folder.planned("names", 0) is None
    folder.write_targets("names", 0, NameTarget, {1: targets("b")})
    assert not folder.target_path("names", 0, 0).exists()
    assert folder.planned("names", 0) == {1: 1}


def test_a_sealed_scan_lists_its_parts_by_its_manifest(folder: ScanFolder) -> None:
    folder.commit("policies-00000-r0", {Certificate: [certificate(1), certificate(1)]})
    with folder.lock():
        seal(folder, facts())
    (folder.table_dir(Certificate) / "part-stray.parquet").write_bytes(b"")
    assert parts.read_all(folder.parts(Certificate), Certificate) == [certificate(1)]


# --- shares


def test_turns_are_taken_one_after_the_other(folder: ScanFolder) -> None:
    waited: list[int] = []

    class Enough(Exception):
        pass

    def checkpoint() -> None:
        waited.append(1)
        if len(waited) > 2:
            raise Enough

    other = ScanFolder(folder.path)
    with folder.turn(lambda: None), pytest.raises(Enough), other.turn(checkpoint):
        pass
    with other.turn(lambda: None):
        pass


def test_states_of_all_shares_are_read_together(folder: ScanFolder) -> None:
    assert folder.read_states("health") == []
    for name, value in (("health", 1), ("health-0-of-2", 2), ("health-1-of-2", 3), ("healthy", 4)):
        folder.write_state(name, value)
    assert folder.read_states("health") == [1, 2, 3]


def test_a_child_that_has_the_lock_s_descriptors_holds_it(folder: ScanFolder) -> None:
    with folder.lock() as held:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=held
        )
    with pytest.raises(LockedError), folder.lock():
        pass
    child.communicate(b"\n")
    with folder.lock():
        pass
