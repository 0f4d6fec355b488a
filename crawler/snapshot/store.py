"""The folder of a scan: its layout, its progress and its lock.

::

    ARCHIVE/scan=<scan_id>/manifest.json                   the seal (``manifest``)
    ARCHIVE/scan=<scan_id>/<table>/part-<unit>.parquet     one part for each unit with rows
    ARCHIVE/scan=<scan_id>/trust-roots.pem, ...            what judged the scan
    ARCHIVE/scan=<scan_id>/_work/units/<unit>.json         markers: these units are whole
    ARCHIVE/scan=<scan_id>/_work/targets/                  what each pass asks, planned once
    ARCHIVE/scan=<scan_id>/_work/<name>.json               small states of the scan

A *unit* is one (pass, shard, round), such as ``names-00003-r1``: what is done once and never
again.  Its parts, perhaps of several tables, are written whole under temporary names, then
named, then its marker is written; the marker alone says that the unit is done.  Whatever a crash
leaves behind without a marker is removed by ``recover`` before the next run asks again, so each
(target, attempt) keeps exactly one row.  Files of an unsealed scan that have to change together
do so by ``exchange``.

A scan is run by one process that holds it whole (``lock()``), or by several that each hold a
share of it (``lock("1-of-4")``) and do one after the other what is done once for all
(``turn()``).  The lock is ``flock``: the kernel drops it when its process dies, and every child
that was given it, so no stale lock can exist.  A worker on another machine cannot be given it and
holds its place instead (``hold_place()``).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from crawler.snapshot import files, manifest, parts
from crawler.snapshot.exchange import Exchange
from crawler.snapshot.manifest import Manifest
from crawler.snapshot.parts import Part, Rows

Row = TypeVar("Row")

_UNIT: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
TURN_CHECKED_EVERY: Final = 0.2
"""Seconds.  A wait that cannot be cut short would outlive its own process's orders to stop."""

_PLACE: Final = "lock-worker-"
_SCAN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class StoreError(Exception):
    """The archive cannot do what was asked; the text is one sentence with the remedy."""


class LockedError(StoreError):
    """Another process holds the scan."""


class ScanFolder:
    """One scan's folder.  Methods may be called from worker threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work = path / "_work"
        """Progress of an unsealed scan; gone when it is sealed."""
        self.scan_id = path.name.removeprefix("scan=")
        self._exchange = Exchange(path, self.work / "exchange")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @property
    def location(self) -> str:
        """Where people find the scan."""
        return str(self.path)

    def beside(self, scan_id: str) -> ScanFolder:
        """Another scan of the same archive, to be read; it need not be there."""
        return ScanFolder(self.path.with_name(f"scan={scan_id}"))

    def manifest(self) -> Manifest:
        """The manifest of the sealed scan; raises ``StoreError`` for one that cannot be read."""
        return read_manifest((self.path / manifest.NAME).read_bytes(), self.location)

    @property
    def store(self) -> str | None:
        """The address of the object store that has the scan (see ``remote``); None: the disk has."""
        return None

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the manifest should say of how the scan is kept."""
        return {}

    def warnings(self) -> Iterable[str]:
        """What people should know of how the scan is kept."""
        return ()

    @property
    def sealed(self) -> bool:
        """Whether the manifest stands."""
        return (self.path / manifest.NAME).is_file()

    # --- the lock

    @contextmanager
    def lock(self, share: str | None = None) -> Iterator[tuple[int, ...]]:
        """Hold the scan, or only the share named, while the block runs.

        Holding it whole also clears what an earlier crash left behind; a share calls ``recover``
        for its own units.  Yields the descriptors that hold it: a child that inherits them holds it
        as well.  Raises ``LockedError`` when another process holds the scan or the share.
        """
        names = [("lock", fcntl.LOCK_EX)] if share is None else [
            ("lock", fcntl.LOCK_SH), (f"lock-{share}", fcntl.LOCK_EX),
        ]  # fmt: skip
        held: list[int] = []
        try:
            for name, kind in names:
                held.append(self._flock(self.work / name, kind))
            for place in self.work.glob(f"{_PLACE}*"):
                os.close(self._flock(place, fcntl.LOCK_SH))
            if share is None:
                self.recover()
                for temporary in self.path.glob(".*.tmp"):
                    temporary.unlink()
            try:
                yield tuple(held)
            finally:
                if share is None and self.sealed and self.work.is_dir():
                    shutil.rmtree(self.work)
        finally:
            for descriptor in reversed(held):
                os.close(descriptor)

    @contextmanager
    def turn(self, checkpoint: Callable[[], object]) -> Iterator[None]:
        """Wait until no other holder of a share is in such a block, and run it.

        *checkpoint* is called while waiting, and may raise.
        """
        while True:
            checkpoint()
            try:
                held = self._flock(self.work / "lock-turn", fcntl.LOCK_EX)
                break
            except LockedError:
                time.sleep(TURN_CHECKED_EVERY)
        try:
            yield
        finally:
            os.close(held)

    def _flock(self, path: Path, kind: int) -> int:
        while True:
            files.make_folder(self.work)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                # Who seals removes the lock's file with the folder; then what we hold is nothing.
                if os.fstat(descriptor).st_nlink > 0:
                    return descriptor
            except BlockingIOError:
                os.close(descriptor)
                raise LockedError(
                    f"scan {self.scan_id} is being worked on by another process; "
                    "wait until it ends, or stop it first"
                ) from None
            os.close(descriptor)

    def hold_place(self, number: int) -> int:
        """Hold the place of one of a scan's workers, as soon as nobody else does.

        For a worker that cannot inherit the lock of the scan, as it is on another machine.  While
        it holds its place the scan cannot be locked by a later process.  Returns the descriptor
        that holds it.
        """
        path = self.work / f"{_PLACE}{number}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def recover(self, owned: Callable[[str], bool] = lambda _: True) -> None:
        """Remove what a crash left of the *owned* units: temporary files and unmarked parts.

        On a sealed scan: parts that its manifest does not list.
        """
        self._exchange.recover()
        if self.sealed:
            listed = {part.path for part in self.manifest().all_parts()}
            strays = [
                p for p in self._part_files() if p.relative_to(self.path).as_posix() not in listed
            ]
        else:
            done = self.units()
            strays = [
                p for p in self._part_files() if _unit_of(p) not in done and owned(_unit_of(p))
            ]
        staged = self.work / "staged"
        if staged.is_dir():
            strays += [p for p in staged.iterdir() if owned(p.name.partition(".")[0])]
        for path in strays:
            path.unlink()

    def tidy(self) -> None:
        """Remove the progress of a sealed scan, if its run was cut short before it did."""
        if self.work.is_dir():
            with suppress(LockedError), self.lock():
                pass

    def remove(self) -> None:
        """Remove the scan."""
        shutil.rmtree(self.path)

    # --- what others do, who have a folder of their own

    def refresh(self) -> None:
        """Learn what they have finished.  Whoever shares this very folder is seen without that."""

    def catch_up(self, run: str) -> None:
        """Learn what they have done of a unit of the runner, before it is gone on with."""

    def restored(self, path: str, part: Part) -> bool:  # noqa: ARG002
        """Have a part again that is not as it was written; whether that was possible."""
        return False

    def _part_files(self) -> list[Path]:
        return sorted(self.path.glob("*/part-*.parquet"))

    # --- units

    def marker(self, unit: str) -> Path:
        """The file that says that a unit is done, and what it has made."""
        return self.work / "units" / f"{unit}.json"

    def table_dir(self, cls: type[Any]) -> Path:
        """The folder of a table's parts."""
        return self.path / str(cls.table)

    def part_path(self, cls: type[Any], unit: str) -> Path:
        """Where the rows that a unit writes into a table stand, once it is done."""
        return self.table_dir(cls) / f"part-{unit}.parquet"

    def commit(self, unit: str, tables: Mapping[type[Any], Rows]) -> None:
        """Make a unit's rows part of the scan: all of them, durably, or none.

        A table without rows gets no part; the marker says that there were none.  Raises
        ``OSError`` when the disk is full or fails, after removing what was written: the unit is
        then not done and may be committed again.
        """
        assert _UNIT.fullmatch(unit), unit
        if self.done(unit):
            raise StoreError(f"unit {unit} of scan {self.scan_id} is done; it is written only once")
        staging = files.make_folder(self.work / "staged")
        written: list[Path] = []
        made: dict[str, Part] = {}
        try:
            for cls, rows in tables.items():
                if len(rows) > 0:
                    temporary = staging / f"{unit}.{cls.table}"
                    written.append(temporary)
                    made[cls.table] = parts.stage(temporary, cls, rows)
            for cls in tables:
                if cls.table in made:
                    target = files.make_folder(self.table_dir(cls)) / f"part-{unit}.parquet"
                    written.append(target)
                    files.place(staging / f"{unit}.{cls.table}", target)
            empty = [cls.table for cls in tables if cls.table not in made]
            self._write_json(self.marker(unit), _marker_text(made, empty))
        except BaseException:
            # The marker first: it may stand although its folder could not be flushed.
            for path in (self.marker(unit), *written):
                path.unlink(missing_ok=True)
            raise

    def done(self, unit: str) -> bool:
        """Whether the unit is whole; what is done is never asked again."""
        return self.marker(unit).is_file()

    def units(self) -> frozenset[str]:
        """Every unit that is done."""
        folder = self.work / "units"
        if not folder.is_dir():
            return frozenset()
        names = os.listdir(folder)  # noqa: PTH208 - by name alone: there may be thousands
        return frozenset(n[:-5] for n in names if n.endswith(".json") and n[0] != ".")

    def drop(self, chosen: Callable[[str], bool]) -> None:
        """Undo the units chosen: markers first, so that a crash leaves no marker without parts.

        Of the parts of one unit the last goes first, after the unit itself: those that a crash
        leaves are its beginning, and rows do not refer to what came later.
        """
        undone = sorted(filter(chosen, self.units()), key=undoing)
        for unit in undone:
            self.marker(unit).unlink()
        if undone:
            files.sync(self.work / "units")
        self.recover(chosen)

    def made_by(self, unit: str) -> dict[str, Part]:
        """The parts of a unit that is done, by table."""
        stated = json.loads(self.marker(unit).read_text())
        return {table: Part(**facts) for table, facts in stated["parts"].items()}

    def parts(self, cls: type[Any]) -> list[Path]:
        """The parts of a table that count, sorted: of done units, or as the manifest lists them."""
        if self.sealed:
            return [self.path / part.path for part in self.manifest().tables[cls.table].parts]
        done = self.units()
        return [
            p for p in sorted(self.table_dir(cls).glob("part-*.parquet")) if _unit_of(p) in done
        ]

    def read(self, cls: type[Row], unit: str) -> list[Row]:
        """The rows that a done unit wrote into a table; none when it wrote none."""
        path = self.part_path(cls, unit)
        return parts.read_rows(path, cls) if path.is_file() else []

    # --- small files

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Exchange files of the unsealed scan for those staged in the block: all of them or none."""
        with self._exchange.begin():
            yield self._exchange

    def write_state(self, name: str, value: Any) -> None:
        """Keep a small JSON value of the unsealed scan, replacing an earlier one whole."""
        self._write_json(self.state(name), value)

    def settle_state(self, name: str, value: Any) -> Any:
        """Keep a value that is decided once for all, by who is first; what was decided."""
        self.write_state(name, value)
        return value

    def state(self, name: str) -> Path:
        """The file of a small JSON value."""
        return self.work / f"{name}.json"

    def read_state(self, name: str) -> Any:
        """The value kept under a name; None when there is none."""
        path = self.state(name)
        return json.loads(path.read_text()) if path.is_file() else None

    def read_states(self, name: str) -> list[Any]:
        """The values kept under a name: for the scan, and by each holder of a share."""
        paths = [self.state(name), *sorted(self.work.glob(f"{name}-*-of-*.json"))]
        return [json.loads(path.read_text()) for path in paths if path.is_file()]

    def _write_json(self, path: Path, value: Any) -> None:
        files.make_folder(path.parent)
        files.write(path, json.dumps(value, sort_keys=True).encode())

    def write_file(self, name: str, data: bytes) -> Path:
        """Keep a file that judges the scan (trust roots, suffix list) beside its tables."""
        path = self.path / name
        files.write(path, data)
        return path

    def write_manifest(self, new: Manifest) -> Manifest:
        """Put a manifest in its place, the parts that it lists being in theirs; which one stands."""
        manifest.write(self.path, new)
        return new

    # --- targets

    def _targets(self, pass_name: str, round_: int) -> Path:
        return self.work / "targets" / f"{pass_name}-r{round_}"

    def write_targets(
        self,
        pass_name: str,
        round_: int,
        cls: type[Any],
        shards: Mapping[int, Rows] | Iterable[tuple[int, Rows]],
    ) -> dict[int, int]:
        """Write down what a round of a pass asks, shard by shard, before its first probe.

        *shards* may be an iterator, so that one shard is in memory at a time.  Returns the
        number of targets of each shard.  A plan cut short by a crash does not count and is
        made again.
        """
        folder = self._targets(pass_name, round_)
        if folder.is_dir():
            shutil.rmtree(folder)
        files.make_folder(folder)
        pairs = shards.items() if isinstance(shards, Mapping) else shards
        counts = {}
        for shard, rows in pairs:
            counts[shard] = parts.write(folder / f"{shard:05d}.parquet", cls, rows).rows
        self._write_json(folder / "plan.json", counts)
        return counts

    def planned(self, pass_name: str, round_: int) -> dict[int, int] | None:
        """Targets of each shard, as ``write_targets`` returned it; None when not yet planned."""
        plan = self._targets(pass_name, round_) / "plan.json"
        if not plan.is_file():
            return None
        return {int(shard): count for shard, count in json.loads(plan.read_text()).items()}

    def target_path(self, pass_name: str, round_: int, shard: int) -> Path:
        """The file of one shard's targets."""
        return self._targets(pass_name, round_) / f"{shard:05d}.parquet"

    def read_targets(self, pass_name: str, round_: int, cls: type[Row], shard: int) -> list[Row]:
        """The targets of one planned shard, in the order in which they are to be visited."""
        return parts.read_rows(self.target_path(pass_name, round_, shard), cls)


def _unit_of(part: Path) -> str:
    return part.name.removeprefix("part-").removesuffix(".parquet")


def read_manifest(data: bytes, location: str) -> Manifest:
    """The manifest of a scan at *location*; raises ``StoreError`` for what is none."""
    try:
        return Manifest.from_json(data.decode())
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{location}/{manifest.NAME} cannot be read ({type(error).__name__}: {error}); restore it "
            "from a copy, or remove the scan"
        ) from error


def undoing(unit: str) -> tuple[str, int]:
    """The order in which units are undone."""
    run, _, link = unit.partition("-c")
    return run, -int(link) if link.isdecimal() else -sys.maxsize


def _marker_text(made: Mapping[str, Part], empty: list[str]) -> dict[str, Any]:
    facts = {t: {"rows": p.rows, "size": p.size, "sha256": p.sha256} for t, p in made.items()}
    return {"parts": facts, "empty": empty}


def require_usable(scan_id: str) -> None:
    """Raise ``StoreError`` for an id that is no plain file name."""
    if not _SCAN_ID.fullmatch(scan_id):
        raise StoreError(
            f"scan id {scan_id!r} is not usable; take letters, digits, '.', '_' and '-', at most 100"
        )


class Archive:
    """A folder of scans."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def create_scan(self, scan_id: str, *, identity: str = "") -> ScanFolder:
        """Begin a scan.  *identity* tells scans of the same list and configuration from others.

        Raises ``StoreError`` when the id is taken or is no plain file name.
        """
        require_usable(scan_id)
        folder = self._folder(scan_id)
        # Begun beside its place, so that no crash leaves a scan that does not know what it is of.
        begun = ScanFolder(self.path / f".scan={scan_id}.{secrets.token_hex(4)}")
        try:
            begun.write_state("identity", identity)
            files.place(begun.path, folder.path)
        except OSError as error:
            shutil.rmtree(begun.path, ignore_errors=True)
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise StoreError(
                f"{self.path} already holds a scan {scan_id}; choose another id"
            ) from None
        return folder

    def _folder(self, scan_id: str) -> ScanFolder:
        return ScanFolder(self.path / f"scan={scan_id}")

    def find(self, scan_id: str) -> ScanFolder | None:
        """The scan of that id, sealed or not; None when there is none."""
        folder = self._folder(scan_id)
        return folder if folder.path.is_dir() else None

    def open_scan(self, scan_id: str) -> ScanFolder:
        """The scan of that id, sealed or not; raises ``StoreError`` when there is none."""
        folder = self.find(scan_id)
        if folder is None:
            known = ", ".join(f.scan_id for f in self.scans()) or "none"
            raise StoreError(f"{self} holds no scan {scan_id}; it holds: {known}")
        return folder

    def scans(self) -> list[ScanFolder]:
        """Every scan, by id."""
        if not self.path.is_dir():
            return []
        return [ScanFolder(p) for p in sorted(self.path.glob("scan=*")) if p.is_dir()]

    def unfinished(self, identity: str) -> ScanFolder | None:
        """The latest scan of the same identity that was cut short; None when there is none.

        It may be sealed: when it was cut short between the seal and the removal of its progress,
        which is where the identity stands.
        """
        alike = (f for f in reversed(self.scans()) if f.read_state("identity") == identity)
        return next(alike, None)
