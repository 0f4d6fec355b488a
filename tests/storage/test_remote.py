"""A scan in a store: whoever is at work, on however many machines, every row is there once."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crawler.politeness.opt_out import OptOutList
from crawler.records import TABLES, Assessment, Certificate, Domain, NameTarget, TxtLookup
from crawler.snapshot import damage, lists, manifest, parts
from crawler.snapshot.archives import RemoteArchive, open_archive
from crawler.snapshot.damage import DISTINCT
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.keys import named
from crawler.snapshot.objects import Objects
from crawler.snapshot.patience import StorageError
from crawler.snapshot.purge import purge_archive
from crawler.snapshot.remote import LostError, RemoteFolder
from crawler.snapshot.seal import replace_tables, seal
from crawler.snapshot.store import LockedError, ScanFolder, StoreError
from crawler.snapshot.suffixes import Suffixes
from tests.snapshot.samples import ONE_OF_EACH, SCAN, assessment, certificate, facts, txt
from tests.storage.servers import Store, Weather

Machine = Callable[[str], Path]

RUN = "names-r0-00000"
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def url(moto_store: Store, prefix: str, machine: Machine) -> str:
    """The address of an archive, asked from the machine ``first``."""
    return moto_store.url(prefix)


def begin(url: str) -> ScanFolder:
    return open_archive(url).create_scan(SCAN, identity="of a list")


def opened(url: str, *, label: str = "whole") -> ScanFolder:
    return open_archive(url, label=label).open_scan(SCAN)


def copied(url: str, folder: Path) -> Path:
    """The scan's folder, as anyone would copy it out of the bucket."""
    objects = Objects(url).at(f"scan={SCAN}/")
    if folder.exists():
        shutil.rmtree(folder)
    for name in objects.sizes():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        assert objects.fetch(name, folder / name)
    return folder


def rows_in(url: str, folder: Path) -> Counter[str]:
    """The rows of a sealed scan in a bucket, which is whole and holds nothing else."""
    scan = copied(url, folder)
    assert manifest.verify(scan) == []
    assert not (scan / "_work").exists()
    return Counter(
        key(row)
        for cls in TABLES
        for row in parts.read_all(sorted(scan.glob(f"{cls.table}/part-*.parquet")), cls)
    )


def key(row: Any) -> str:
    """A row as text, whichever of the names of UTC it came with."""
    return str([type(row).__name__, *(str(value) for value in asdict(row).values())])


def names(folder: ScanFolder) -> list[str]:
    """The domains that have an answer, in order."""
    return sorted(row.domain for row in parts.read_all(folder.parts(TxtLookup), TxtLookup))


# --- beginning and finding


def test_a_scan_is_found_from_everywhere_and_its_id_is_taken(url: str, machine: Machine) -> None:
    assert open_archive(url).scans() == []
    begin(url)
    machine("second")
    archive = open_archive(url)
    assert [folder.scan_id for folder in archive.scans()] == [SCAN]
    found = archive.unfinished("of a list")
    assert found is not None
    assert found.scan_id == SCAN
    assert found.location.endswith(f"/scan={SCAN}")
    assert archive.unfinished("of another list") is None
    with pytest.raises(StoreError, match=f"already holds a scan {SCAN}"):
        archive.create_scan(SCAN)
    with pytest.raises(StoreError, match=f"holds no scan other; it holds: {SCAN}"):
        archive.open_scan("other")
    with pytest.raises(StoreError, match="is not usable"):
        archive.create_scan("a/b")


def test_a_scan_that_was_removed_and_begun_again_is_another_one(url: str) -> None:
    """What this machine still has of the first is not taken for the second's."""
    first = begin(url)
    with first.lock():
        first.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
    Objects(url).delete(Objects(url).sizes())
    again = begin(url)
    with again.lock():
        assert again.units() == frozenset()


def test_one_machine_holds_a_scan_once(url: str) -> None:
    begin(url)
    with opened(url).lock(), pytest.raises(LockedError), opened(url).lock():
        pass


def test_removing_a_scan_leaves_nothing(url: str, machine: Machine) -> None:
    folder = begin(url)
    with folder.lock():
        folder.write_state("x", 1)
        folder.remove()
    assert Objects(url).sizes() == {}
    assert open_archive(url).scans() == []


# --- another machine goes on


def test_another_machine_has_everything_that_was_committed(url: str, machine: Machine) -> None:
    folder = begin(url)
    with folder.lock():
        folder.write_file("trust-roots.pem", b"roots")
        folder.write_state("began", {"seed": "1"})
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()], Certificate: [certificate()]})
        folder.commit(f"{RUN}-c001", {TxtLookup: [txt("b.example")]})
        folder.commit(RUN, {})
        folder.write_targets("names", 1, NameTarget, {3: [NameTarget(domain="b", question="mx")]})
    machine("second")
    there = opened(url)
    assert there.read_state("began") == {"seed": "1"}, "before it is held, too"
    with there.lock():
        assert there.units() == {RUN, f"{RUN}-c000", f"{RUN}-c001"}
        assert names(there) == ["b.example", "example.com"]
        assert parts.read_all(there.parts(Certificate), Certificate) == [certificate()]
        assert damage.find(there) == []
        assert there.read_state("began") == {"seed": "1"}
        assert (there.path / "trust-roots.pem").read_bytes() == b"roots"
        assert there.planned("names", 1) == {3: 1}
        (target,) = there.read_targets("names", 1, NameTarget, 3)
        assert target.domain == "b"


def test_parts_have_their_hash_in_their_names(url: str) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
        (made,) = folder.made_by(f"{RUN}-c000").values()
    name = f"txt_lookups/part-{RUN}-c000.{made.sha256[:12]}.parquet"
    assert Objects(url).at(f"scan={SCAN}/").sizes()[name] == made.size
    assert named(name, made.sha256) == name


def test_what_the_store_lacks_is_put_before_the_scan_goes_on(
    stormy: Weather, prefix: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store falls silent between two parts, and at every request from the second on."""
    monkeypatch.setenv("STS_STORAGE_PATIENCE", "200ms")
    url = stormy.url(prefix)
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
        stormy.fate = lambda _: "503"
        with pytest.raises(StorageError, match="the same command goes on with that"):
            folder.commit(f"{RUN}-c001", {TxtLookup: [txt("b.example")]})
        assert names(folder) == ["b.example", "example.com"]
    stormy.fate = lambda _: "pass"
    with opened(url).lock():
        pass
    machine("second")
    there = opened(url)
    with there.lock():
        assert names(there) == ["b.example", "example.com"]


@pytest.mark.parametrize("step", [15, pytest.param(1, marks=pytest.mark.soak)])
def test_no_request_may_fail_without_the_scan_being_whole_afterwards(
    stormy: Weather,
    prefix: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    step: int,
) -> None:
    """Each run of the command is given up at one request later than the one before, or *step* later."""
    monkeypatch.setenv("STS_STORAGE_PATIENCE", "0")
    url = stormy.url(prefix)
    for number in range(1, 400, step):
        countdown = iter(range(number, 0, -1))
        stormy.fate = lambda _, left=countdown: "503" if next(left, 0) == 1 else "pass"
        try:
            archive = open_archive(url)
            folder = archive.find(SCAN) or archive.create_scan(SCAN)
            if folder.sealed:
                break
            with folder.lock():
                folder.settle_state("began", {"seed": "1"})
                for link in range(2):
                    if not folder.done(f"{RUN}-c{link:03d}"):
                        row = txt(f"d{link}.example")
                        folder.commit(
                            f"{RUN}-c{link:03d}", {TxtLookup: [row], Certificate: [certificate()]}
                        )
                if folder.planned("names", 1) is None:
                    folder.write_targets("names", 1, NameTarget, {})
                if not folder.done(RUN):
                    folder.commit(RUN, {})
                seal(folder, facts())
        except StorageError:
            continue
    stormy.fate = lambda _: "pass"
    opened(url).tidy()
    found = rows_in(url, tmp_path / "copy")
    assert found == Counter(map(key, [txt("d0.example"), txt("d1.example"), certificate()]))
    assert number > 20


# --- two at once


def _two(url: str, machine: Machine) -> tuple[ScanFolder, ScanFolder]:
    """The same scan, held on two machines."""
    machine("first")
    first = opened(url)
    machine("second")
    return first, opened(url)


def test_of_two_at_the_same_shard_one_is_stopped_and_every_row_is_there_once(
    url: str, machine: Machine, tmp_path: Path
) -> None:
    begin(url)
    first, second = _two(url, machine)
    with first.lock(), second.lock():
        first.commit(f"{RUN}-c000", {TxtLookup: [txt("a"), txt("b")]})
        with pytest.raises(LostError, match=f"{RUN}-c000 of scan {SCAN} has been done by another"):
            second.commit(f"{RUN}-c000", {TxtLookup: [txt("b"), txt("a"), txt("c")]})
        assert names(second) == ["a", "b"]
        first.commit(f"{RUN}-c001", {TxtLookup: [txt("c")]})
        first.commit(RUN, {})
    with second.lock():
        assert names(second) == ["a", "b", "c"]
        seal(second, facts())
    assert rows_in(url, tmp_path / "copy") == Counter(map(key, [txt("a"), txt("b"), txt("c")]))


def test_who_takes_over_stops_who_was_only_slow(url: str, machine: Machine) -> None:
    """The second goes on behind the first's last part; then the first wakes up."""
    begin(url)
    first, second = _two(url, machine)
    with first.lock():
        first.commit(f"{RUN}-c000", {TxtLookup: [txt("a")]})
        with second.lock():
            work = FolderWork(second, seed="1")
            work.commit(RUN, {TxtLookup: [txt("b")]})
            assert names(second) == ["a", "b"]
            with pytest.raises(LostError):
                first.commit(f"{RUN}-c001", {TxtLookup: [txt("b"), txt("c")]})
            work.commit(RUN, {TxtLookup: [txt("c")]})
            work.finish(RUN)
    with first.lock():
        assert names(first) == ["a", "b", "c"]


def test_what_was_written_while_others_went_on_gives_way_to_theirs(
    stormy: Weather, prefix: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first machine has two parts that never reached the store, and comes back too late."""
    monkeypatch.setenv("STS_STORAGE_PATIENCE", "0")
    url = stormy.url(prefix)
    begin(url)
    first, second = _two(url, machine)
    with first.lock():
        first.commit(f"{RUN}-c000", {TxtLookup: [txt("a")]})
        stormy.fate = lambda _: "503"
        for link, name in enumerate("bc", 1):
            with pytest.raises(StorageError):
                first.commit(f"{RUN}-c{link:03d}", {TxtLookup: [txt(name)]})
        stormy.fate = lambda _: "pass"
    with second.lock():
        FolderWork(second, seed="1").commit(RUN, {TxtLookup: [txt("b"), txt("c"), txt("d")]})
        FolderWork(second, seed="1").finish(RUN)
    with first.lock():
        assert names(first) == ["a", "b", "c", "d"]
        assert damage.find(first) == []


@pytest.mark.parametrize("taken_over", [False, True])
def test_what_a_shard_still_has_to_write_when_the_store_is_silent(
    stormy: Weather,
    prefix: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    taken_over: bool,
) -> None:
    """It is told that of the store, and nothing of others, and has it all on its disk."""
    monkeypatch.setenv("STS_STORAGE_PATIENCE", "0")
    url = stormy.url(prefix)
    begin(url)
    first, second = _two(url, machine)
    with first.lock():
        work = FolderWork(first, seed="1")
        work.commit(RUN, {TxtLookup: [txt("a")]})
        stormy.fate = lambda _: "503"
        for name in "bc":
            with pytest.raises(StorageError):
                work.commit(RUN, {TxtLookup: [txt(name)]})
        assert names(first) == ["a", "b", "c"]
        stormy.fate = lambda _: "pass"
        if taken_over:
            with second.lock():
                FolderWork(second, seed="1").commit(RUN, {TxtLookup: [txt("d"), txt("c")]})
            with pytest.raises(LostError):
                work.commit(RUN, {TxtLookup: [txt("d")]})
        else:
            work.commit(RUN, {TxtLookup: [txt("d")]})
    with second.lock():
        assert names(second) == (["a", "c", "d"] if taken_over else ["a", "b", "c", "d"])


def test_a_worker_puts_what_the_one_before_it_had_written(url: str, machine: Machine) -> None:
    """A worker dies between its disk and the store; the next one has the same folder."""
    folder = begin(url)
    with folder.lock():
        dead = ScanFolder(folder.path)
        dead.commit(f"{RUN}-c000", {TxtLookup: [txt("a")]})
        assert isinstance(folder, RemoteFolder)
        worker = RemoteFolder(folder.path, Objects(folder.store).at(f"scan={SCAN}/"))
        FolderWork(worker, seed="1").commit(RUN, {TxtLookup: [txt("b")]})
        machine("second")
        there = opened(url)
        with there.lock():
            assert names(there) == ["a", "b"]


def test_shares_learn_what_the_others_have_finished(url: str, machine: Machine) -> None:
    begin(url)
    one = opened(url, label="0-of-2")
    other = opened(url, label="1-of-2")
    assert one.path != other.path
    with one.lock("0-of-2"), other.lock("1-of-2"):
        FolderWork(one, seed="1").commit(RUN, {TxtLookup: [txt("a")]})
        work = FolderWork(other, seed="1")
        work.commit("names-r0-00001", {TxtLookup: [txt("b")]})
        work.refresh()
        assert not work.finished(RUN), "it is not at its end"
        FolderWork(one, seed="1").finish(RUN)
        assert not work.finished(RUN), "nobody has looked"
        work.refresh()
        assert work.finished(RUN)
        assert names(other) == ["a", "b"]


def test_what_is_decided_once_is_decided_by_the_first(url: str, machine: Machine) -> None:
    begin(url)
    first, second = _two(url, machine)
    with first.lock(), second.lock():
        assert first.settle_state("shares", 2) == 2
        assert second.settle_state("shares", 3) == 2
        assert second.read_state("shares") == 2
        assert first.write_file("trust-roots.pem", b"one").read_bytes() == b"one"
        assert second.write_file("trust-roots.pem", b"two").read_bytes() == b"one"
        mine, theirs = ([NameTarget(domain=d, question="mx")] for d in "ab")
        assert first.write_targets("names", 1, NameTarget, {0: mine}) == {0: 1}
        assert second.write_targets("names", 1, NameTarget, {0: theirs, 1: theirs}) == {0: 1}
        assert second.planned("names", 1) == {0: 1}
        (target,) = second.read_targets("names", 1, NameTarget, 0)
        assert target.domain == "a"


def test_what_is_taken_back_may_be_decided_again(url: str, machine: Machine) -> None:
    begin(url)
    first, second = _two(url, machine)
    with first.lock():
        first.settle_state("list", 1)
        first.write_state("list", None)
    with second.lock():
        assert second.read_state("list") is None
        assert second.settle_state("list", 2) == 2
    with first.lock():
        assert first.read_state("list") == 2


def test_two_that_read_the_same_list_have_the_same_domains(
    url: str, machine: Machine, tmp_path: Path
) -> None:
    source = tmp_path / "list.txt"
    source.write_text("".join(f"d{n}.example\n" for n in range(50)))
    begin(url)
    first, second = _two(url, machine)

    def read(folder: ScanFolder) -> lists.ListSummary:
        return lists.ingest(
            (str(source),),
            folder,
            scan_id=SCAN,
            seed="1",
            suffixes=Suffixes.bundled(),
            least_shards=4,
        )

    with first.lock(), second.lock():
        assert read(first) == read(second)
        domains = [
            sorted(parts.read_all(f.parts(Domain), Domain), key=repr) for f in (first, second)
        ]
        assert len(domains[0]) == 50
        assert domains[0] == domains[1]


def test_of_two_that_seal_one_manifest_stands(url: str, machine: Machine, tmp_path: Path) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()], Certificate: [certificate()]})
        folder.commit(RUN, {})
    first, second = _two(url, machine)
    with first.lock(), second.lock():
        first.commit("judge-domains-00000-c000", {Assessment: [assessment()]})
        second.commit("judge-domains-00000-c000", {Assessment: [assessment(rules_version="2")]})
        sealed = seal(first, facts())
        assert seal(second, facts(rules_version="2")) == sealed
    rows = [txt(), certificate(), assessment()]
    assert rows_in(url, tmp_path / "copy") == Counter(map(key, rows))
    assert opened(url).manifest() == sealed
    with opened(url).lock():
        pass


def test_who_finds_a_scan_sealed_when_it_holds_it_leaves_it_so(
    url: str, machine: Machine, tmp_path: Path
) -> None:
    begin(url)
    first, second = _two(url, machine)
    with second.lock():
        second.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
        second.commit(RUN, {})
        sealed = seal(second, facts())
    with first.lock():
        assert first.sealed
        assert first.manifest() == sealed
        assert names(first) == ["example.com"]
    assert rows_in(url, tmp_path / "copy") == Counter([key(txt())])


def test_who_goes_on_although_others_have_sealed_is_stopped_and_adds_nothing(
    url: str, machine: Machine, tmp_path: Path
) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt("a")], Certificate: [certificate()]})
    first, second = _two(url, machine)
    with first.lock(), second.lock():
        slow = FolderWork(first, seed="1")
        slow.targets("names-r0", 0, NameTarget)
        FolderWork(second, seed="1").commit(RUN, {TxtLookup: [txt("b")]})
        FolderWork(second, seed="1").finish(RUN)
        sealed = seal(second, facts())
        slow.commit(RUN, {TxtLookup: [txt("b")], Certificate: [certificate(1)]})
        with pytest.raises(LostError, match="has been sealed by another process"):
            slow.targets("names-r0", 1, NameTarget)
        assert seal(first, facts()) == sealed
    rows = [txt("a"), txt("b"), certificate()]
    assert rows_in(url, tmp_path / "copy") == Counter(map(key, rows))


def test_what_is_taken_out_of_a_scan_under_way_elsewhere_does_not_come_back(
    url: str, machine: Machine, tmp_path: Path
) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt("gone.example"), txt("stays.example")]})
        folder.commit(RUN, {})
    machine("first")
    first = opened(url)
    with first.lock():
        machine("second")
        ((_, purged),) = purge_archive(open_archive(url), OptOutList.parse("gone.example"), NOW)
        assert purged, purged
        with pytest.raises(LostError, match="names have been taken out"):
            FolderWork(first, seed="1").targets("names-r0", 1, NameTarget)
        with pytest.raises(LostError, match="names have been taken out"):
            seal(first, facts())
    machine("first")
    again = opened(url)
    with again.lock():
        seal(again, facts())
    assert rows_in(url, tmp_path / "copy") == Counter([key(txt("stays.example"))])


# --- what this machine loses


def test_what_judges_a_scan_is_what_the_store_has(url: str) -> None:
    """It was written here, by who died before it was put; another machine was first."""
    folder = begin(url)
    with folder.lock():
        ScanFolder(folder.path).write_file("trust-roots.pem", b"of this machine")
        Objects(url).at(f"scan={SCAN}/").put("trust-roots.pem", b"of the first")
    with folder.lock():
        assert (folder.path / "trust-roots.pem").read_bytes() == b"of the first"


def test_a_part_that_this_disk_has_not_kept_comes_from_the_store(url: str) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
        folder.commit(f"{RUN}-c001", {TxtLookup: [txt("b")]})
    folder.part_path(TxtLookup, f"{RUN}-c000").unlink()
    damaged = folder.part_path(TxtLookup, f"{RUN}-c001")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with folder.lock():
        assert damage.find(folder) == []
        assert names(folder) == ["b", "example.com"]


def test_what_neither_has_kept_is_asked_again(url: str, machine: Machine) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
        (made,) = folder.made_by(f"{RUN}-c000").values()
        name = named(f"txt_lookups/part-{RUN}-c000.parquet", made.sha256)
        Objects(url).at(f"scan={SCAN}/").put(name, b"rubbish")
        folder.part_path(TxtLookup, f"{RUN}-c000").write_bytes(b"rubbish")
        damage.undo(folder, damage.find(folder))
        assert folder.units() == frozenset()
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
    machine("second")
    there = opened(url)
    with there.lock():
        assert names(there) == ["example.com"]


def test_judgements_are_made_again_where_the_observations_have_changed(
    url: str, machine: Machine
) -> None:
    """The first machine dies while it seals; meanwhile another one has asked more."""
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()], Certificate: [certificate()]})
        folder.commit("judge-domains-00000-c000", {Assessment: [assessment()]})
        folder.commit(f"{DISTINCT}-00000", {Certificate: [certificate()]})
        folder.write_state(DISTINCT, "one row per sha256")
        folder.part_path(Certificate, f"{RUN}-c000").unlink()
    first, second = _two(url, machine)
    with second.lock():
        assert second.read_state(DISTINCT) is None
        assert second.units() == {f"{RUN}-c000"}
        FolderWork(second, seed="1").commit(RUN, {Certificate: [certificate(1)]})
    with first.lock():
        assert first.read_state(DISTINCT) is None
        assert first.units() == {f"{RUN}-c000", f"{RUN}-c001"}
        assert len(parts.read_all(first.parts(Certificate), Certificate)) == 2


# --- sealed scans


@pytest.fixture
def sealed(url: str, machine: Machine) -> str:
    """An archive with a sealed scan of one row in each table."""
    folder = begin(url)
    with folder.lock():
        folder.write_file("trust-roots.pem", b"roots")
        folder.commit(f"{RUN}-c000", {type(row): [row] for row in ONE_OF_EACH})
        seal(folder, facts())
    assert not folder.path.exists(), "the store has it all"
    return url


def test_a_sealed_scan_lies_in_the_bucket_as_it_would_in_a_folder(
    sealed: str, tmp_path: Path
) -> None:
    assert rows_in(sealed, tmp_path / "copy") == Counter(map(key, ONE_OF_EACH))
    stated = manifest.read(tmp_path / "copy")
    assert [f.path for f in stated.files] == ["trust-roots.pem"]


def test_a_later_scan_reads_an_earlier_one(sealed: str, machine: Machine) -> None:
    machine("second")
    later = open_archive(sealed).create_scan("later")
    earlier = later.beside(SCAN)
    assert earlier.sealed
    assert list(map(key, parts.read_all(earlier.parts(TxtLookup), TxtLookup))) == [key(txt())]
    assert not later.beside("never").sealed


def test_what_is_carried_over_is_the_same_whoever_does_it(url: str, machine: Machine) -> None:
    begin(url)
    first, second = _two(url, machine)
    unit = "carried-policies-r0-00000"
    with first.lock(), second.lock():
        for folder in (first, second):
            work = FolderWork(folder, seed="1")
            work.once(unit, lambda _: iter([{TxtLookup: [txt("a")]}, {TxtLookup: [txt("b")]}]))
            assert names(folder) == ["a", "b"]


def test_who_carries_over_less_or_more_than_the_one_before_adds_what_is_missing(
    url: str, machine: Machine
) -> None:
    """The first dies after one part; the opt-out list of the second has an entry less."""
    begin(url)
    first, second = _two(url, machine)
    unit = "carried-policies-r0-00000"

    def making(domains: str, *, dies: bool = False) -> Any:
        def make(connection: Any) -> Any:
            known = connection.sql("SELECT domain FROM txt_lookups").fetchall()
            for domain in sorted(set(domains) - {name for (name,) in known}):
                yield {TxtLookup: [txt(domain)]}
                if dies:
                    raise KeyboardInterrupt

        return make

    with first.lock(), pytest.raises(KeyboardInterrupt):
        FolderWork(first, seed="1").once(unit, making("bc", dies=True))
    with second.lock():
        FolderWork(second, seed="1").once(unit, making("abc"))
        assert names(second) == ["a", "b", "c"]
    with first.lock():
        FolderWork(first, seed="1").once(unit, making("abc"))
        assert names(first) == ["a", "b", "c"]


def test_tables_of_a_sealed_scan_are_replaced(
    sealed: str, machine: Machine, tmp_path: Path
) -> None:
    machine("second")
    folder = opened(sealed)
    assert folder.sealed
    with folder.lock():
        new = replace_tables(folder, {Assessment: [[assessment(rules_version="2")]]})
    assert new.revision == 2
    rows = Counter(map(key, ONE_OF_EACH))
    rows[key(assessment())] -= 1
    rows[key(assessment(rules_version="2"))] += 1
    assert rows_in(sealed, tmp_path / "copy") == +rows
    assert opened(sealed).manifest() == new


def test_of_two_that_change_a_sealed_scan_the_second_is_told(
    sealed: str, machine: Machine, tmp_path: Path
) -> None:
    first, second = _two(sealed, machine)
    with first.lock(), second.lock():
        replace_tables(first, {Assessment: [[assessment(rules_version="2")]]})
        with pytest.raises(StoreError, match="changed by another process; repeat"):
            replace_tables(second, {Assessment: [[assessment(rules_version="3")]]})
    assert key(assessment(rules_version="2")) in rows_in(sealed, tmp_path / "copy")


def test_a_sealed_scan_that_the_store_has_not_kept_is_said_so(sealed: str) -> None:
    objects = Objects(sealed).at(f"scan={SCAN}/")
    (part,) = (name for name in objects.sizes() if name.startswith("domains/"))
    objects.put(part, b"rubbish")
    damaged = pytest.raises(damage.DamagedError, match=f"{part} is missing, or not as the manifest")
    with damaged, opened(sealed).lock():
        pass


def test_progress_that_was_left_behind_a_seal_goes(sealed: str, tmp_path: Path) -> None:
    objects = Objects(sealed).at(f"scan={SCAN}/")
    objects.put("_work/born.json", json.dumps({"identity": "of a list", "word": "0"}).encode())
    found = open_archive(sealed).unfinished("of a list")
    assert found is not None
    assert found.sealed
    found.tidy()
    assert objects.sizes("_work/") == {}


@pytest.mark.parametrize("closed", [True, False])
def test_who_has_opted_out_goes_from_the_store_and_from_every_folder(
    url: str, machine: Machine, tmp_path: Path, closed: bool
) -> None:
    folder = begin(url)
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt("gone.example"), txt("stays.example")]})
        folder.commit(f"{RUN}-c001", {TxtLookup: [txt("other.example")]})
        folder.commit(RUN, {})
        targets = [NameTarget(domain=d, question="mx") for d in ("gone.example", "stays.example")]
        folder.write_targets("names", 1, NameTarget, {0: targets})
        if closed:
            seal(folder, facts())
    machine("second")
    entries = OptOutList.parse("gone.example")
    ((_, purged),) = purge_archive(open_archive(url), entries, NOW)
    assert purged, purged
    objects = Objects(url).at(f"scan={SCAN}/")
    for name in objects.sizes():
        assert b"gone.example" not in (objects.read(name) or b""), name
    machine("first")
    there = opened(url)
    with there.lock():
        assert names(there) == ["other.example", "stays.example"]
        if not closed:
            assert there.planned("names", 1) is not None
            (target,) = there.read_targets("names", 1, NameTarget, 0)
            assert target.domain == "stays.example"
            seal(there, facts())
    found = rows_in(url, tmp_path / "copy")
    assert found == Counter(map(key, [txt("other.example"), txt("stays.example")]))
    ((_, again),) = purge_archive(open_archive(url), entries, NOW)
    assert not again


# --- weaker stores


def test_a_store_without_conditions_is_told_of(
    stormy: Weather, prefix: str, machine: Machine
) -> None:
    stormy.fate = lambda _: "forget"
    folder = begin(stormy.url(prefix))
    assert folder.facts == {"storage": {"store": "s3", "conditional_put": False}}
    (warning,) = folder.warnings()
    assert "cannot put an object only if there is none" in warning
    with folder.lock():
        folder.commit(f"{RUN}-c000", {TxtLookup: [txt()]})
        seal(folder, facts())
    assert isinstance(open_archive(stormy.url(prefix)), RemoteArchive)
    with opened(stormy.url(prefix)).lock():
        pass


def test_every_store_keeps_two_owners_apart(
    store: Store, prefix: str, machine: Machine, tmp_path: Path
) -> None:
    url = store.url(prefix)
    begin(url)
    first, second = _two(url, machine)
    assert list(first.warnings()) == []
    assert first.facts["storage"]["conditional_put"]
    with first.lock(), second.lock():
        first.commit(f"{RUN}-c000", {TxtLookup: [txt("a")]})
        with pytest.raises(LostError):
            second.commit(f"{RUN}-c000", {TxtLookup: [txt("a")] * 2})
        first.commit(RUN, {})
        seal(first, facts())
    with opened(url).lock():
        pass
    assert rows_in(url, tmp_path / "copy") == Counter([key(txt("a"))])
