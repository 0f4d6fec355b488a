"""A scan in an object store: a folder on this machine, as every scan has, and the store behind it.

::

    s3://BUCKET/PREFIX/scan=<scan_id>/manifest.json                           the seal
    s3://BUCKET/PREFIX/scan=<scan_id>/<table>/part-<unit>.<hash>.parquet      parts
    s3://BUCKET/PREFIX/scan=<scan_id>/trust-roots.pem, ...                    what judged the scan
    s3://BUCKET/PREFIX/scan=<scan_id>/_work/born.json                         that it has begun
    s3://BUCKET/PREFIX/scan=<scan_id>/_work/units/<run>/<unit>.json           markers
    s3://BUCKET/PREFIX/scan=<scan_id>/_work/targets/<step>/                   plans
    s3://BUCKET/PREFIX/scan=<scan_id>/_work/<name>.json                       states

What is done is first whole on this machine's disk, then put.  A part has the beginning of its
SHA-256 in its name there, so two that write the same unit never write the same object; the marker,
put last and only if there is none, decides whose parts count.  What the runner calls a unit, here a
*run*, is a chain of such units, ``-c000``, ``-c001``, ...: who puts a link has seen every link before
it and has asked for none of their targets again.  So each (target, attempt) has one row, whoever else is at work: who
finds that a link is taken stops (``LostError``), and its rows go.

Whoever goes on, on whichever machine, first makes its folder what the store says and puts what the
store lacks.  Judgements stay on the machine until the seal: they can be made again.  The seal puts
its tables, then the manifest, only if there is none, and then removes what the manifest does not list.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from crawler.snapshot import files, keys, lists, manifest, purge, remote_seal
from crawler.snapshot.damage import DISTINCT, DamagedError
from crawler.snapshot.exchange import Exchange
from crawler.snapshot.manifest import Manifest
from crawler.snapshot.objects import Objects, side_by_side
from crawler.snapshot.parts import Part, Rows
from crawler.snapshot.patience import StorageError
from crawler.snapshot.remote_plans import Plans
from crawler.snapshot.store import ScanFolder, StoreError, read_manifest, undoing

_STATE: Final = re.compile(r"_work/([^/]+)\.json")

_KEPT_HERE: Final = ("judge-", f"{DISTINCT}-")
"""How the names of units begin that are made again where they are missing."""

_ALIKE: Final = lists.UNITS
"""That of units that have the same rows, whoever makes them."""


class LostError(StoreError):
    """Somebody else is at work on the same shard; nothing of a row of theirs or ours is there twice."""


def word_of(sealed: bytes) -> str:
    """The word by which this machine keeps the folder of a sealed scan, given its manifest."""
    return hashlib.sha256(sealed).hexdigest()[:16]


class RemoteFolder(ScanFolder):
    """A scan in a store, and its folder at *path*, which is nobody else's but this machine's."""

    def __init__(
        self, path: Path, objects: Objects, *, identity: Any = None, sealed: bytes | None = None
    ) -> None:
        super().__init__(path)
        self._objects = objects
        self._identity = identity
        self._manifest = sealed
        """The manifest that stands in the store, as far as is known."""
        self._plans = Plans(self.work / "targets", objects)
        self._markers: dict[str, bytes] = {}
        """Those that are known to stand in the store as they stand here."""
        self._taken_up: set[str] = set()
        """Runs that are ours, as far as we know: their chains were the store's when we began."""
        self._synced = False

    @property
    def location(self) -> str:
        """Where people find the scan."""
        return str(self._objects)

    @property
    def store(self) -> str:
        """The address of the archive, with which another process makes such a folder again."""
        return self._objects.url

    @property
    def sealed(self) -> bool:
        """Whether the manifest stands in the store."""
        return self._manifest is not None

    def manifest(self) -> Manifest:
        """The manifest of the sealed scan."""
        assert self._manifest is not None
        return read_manifest(self._manifest, self.location)

    def beside(self, scan_id: str) -> ScanFolder:
        """Another scan of the same archive; what is read of it is fetched then."""
        objects = self._objects.beside(f"scan={scan_id}/")
        data = objects.read(manifest.NAME)
        word = "unsealed" if data is None else word_of(data)
        path = self.path.parents[1] / word / f"scan={scan_id}"
        return RemoteFolder(path, objects, sealed=data)

    def parts(self, cls: type[Any]) -> list[Path]:
        """As ever; of a sealed scan they are fetched, those that are not here."""
        if not self.sealed:
            return super().parts(cls)
        listed = self.manifest().tables[cls.table].parts
        remote_seal.fetch(self._objects, self.path, listed)
        return [self.path / part.path for part in listed]

    @property
    def facts(self) -> Mapping[str, Any]:
        """How far the store keeps two owners of one shard apart."""
        return {"storage": {"store": "s3", "conditional_put": self._objects.conditional}}

    def warnings(self) -> Iterable[str]:
        """What is worse here than it might be."""
        if self._objects.conditional:
            return ()
        sentence = (
            f"{self.location}: this store cannot put an object only if there is none, so nothing "
            "but you keeps two machines from the same --shard at the same moment"
        )
        return (sentence,)

    # --- the lock

    @contextmanager
    def lock(self, share: str | None = None) -> Iterator[tuple[int, ...]]:
        """Hold the folder, as ever; what is in it is then what the store has, and more.

        It keeps nobody away who holds another folder of the same scan, on another machine.
        """
        if self._manifest is None:  # it may have been sealed since it was found
            self._manifest = self._objects.read(manifest.NAME)
        if self._manifest is not None:
            files.make_folder(self.path)
            files.write(self.path / manifest.NAME, self._manifest)
        with super().lock(share) as held:
            if self.sealed:
                stated = self.manifest()
                remote_seal.fetch(self._objects, self.path, [*stated.all_parts(), *stated.files])
            else:
                self._sync()
            yield held
        if self.sealed:
            shutil.rmtree(self.path.parent, ignore_errors=True)  # the store has it all

    def tidy(self) -> None:
        """Remove from the store what is not of the sealed scan.

        It may be of a run that was cut short, or of one that did not know of the seal.
        """
        self._objects.delete(remote_seal.strays(self._objects.sizes(), self.manifest()))

    def remove(self) -> None:
        """Remove the scan, here and in the store."""
        self._objects.delete(self._objects.sizes())
        super().remove()

    # --- from the store, and back to it

    def _sync(self) -> None:
        """Make the folder what the store says, and put what the store lacks."""
        self._sync_states()
        for name in self._objects.sizes():
            if "/" not in name and not name.startswith("."):
                self._objects.fetch_whole(name, self.path / name)
        self._markers.clear()
        theirs, ours = self._their_runs(), self._our_runs()
        changed = False
        for run in sorted(theirs.keys() | ours.keys()):
            changed |= self._sync_run(run, theirs.get(run, {}), ours.get(run, {}))
        if changed and super().read_state(DISTINCT) is not None:
            super().drop(_is_kept_here)
            super().write_state(DISTINCT, None)
        self._fetch_parts()
        self._plans.sync()
        self._synced = True

    def _sync_states(self) -> None:
        theirs = {m[1] for key in self._objects.sizes("_work/") if (m := _STATE.fullmatch(key))}
        ours = {path.stem for path in self.work.glob("*.json")} - {DISTINCT}
        for name in theirs - {"born"}:
            data = self._objects.read(f"_work/{name}.json")
            if data is not None:
                files.write(self.state(name), data)
        for name in sorted(ours - theirs):
            self._objects.put_new(f"_work/{name}.json", self.state(name).read_bytes())

    # units

    def _their_runs(self) -> dict[str, dict[str, bytes]]:
        """The markers in the store, by run."""
        ended = set(self._their_units())
        # Listed once more: what had ended in the first list has all its links in the second.
        units = [u for u in self._their_units() if keys.run_of(u) != u or u in ended]
        runs: dict[str, dict[str, bytes]] = defaultdict(dict)
        for unit, data in self._read_markers(units).items():
            runs[keys.run_of(unit)][unit] = data
        return runs

    def _their_units(self, run: str | None = None) -> list[str]:
        """The units that stand in the store; of all runs, or of one."""
        found = self._objects.sizes(keys.UNITS if run is None else f"{keys.UNITS}{run}/")
        return sorted(key.rpartition("/")[2].removesuffix(".json") for key in found)

    def _read_markers(self, units: Iterable[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}

        def read(unit: str) -> None:
            if (data := self._objects.read(keys.marker(unit))) is not None:
                found[unit] = data

        side_by_side(read, units)
        return found

    def _our_runs(self, only: str | None = None) -> dict[str, dict[str, bytes]]:
        """The markers here, of what the store has to have, by run."""
        runs: dict[str, dict[str, bytes]] = defaultdict(dict)
        for unit in self.units():
            if not _is_kept_here(unit) and only in (None, run := keys.run_of(unit)):
                runs[run][unit] = self.marker(unit).read_bytes()
        return runs

    def _look_again(self, run: str) -> bool:
        theirs = self._read_markers(self._their_units(run))
        return self._sync_run(run, theirs, self._our_runs(run).get(run, {}))

    def _sync_run(self, run: str, theirs: Mapping[str, bytes], ours: Mapping[str, bytes]) -> bool:
        """Have here what the store has of a run; whether anything came or went.

        The store's chain stands.  Links of ours behind it are put, unless others have ended the run
        or have put a link of their own there.
        """
        longer = sorted(ours.keys() - theirs.keys(), key=lambda unit: (unit == run, unit))
        agreed = all(theirs[unit] == ours[unit] for unit in theirs.keys() & ours.keys())
        behind = theirs.keys() <= ours.keys()
        if agreed and behind and not (longer and run in theirs):
            self._markers.update(theirs)
            try:
                for unit in longer:
                    self._claim(unit)
            except LostError:
                return self._look_again(run)
            return False
        if not agreed or longer:
            super().drop(lambda unit: unit in ours)
            ours = {}
        side_by_side(
            lambda unit: self._take(unit, theirs[unit]), sorted(theirs.keys() - ours.keys())
        )
        self._markers.update(theirs)
        return True

    def _claim(self, unit: str) -> None:
        """Put a unit that is done here; raises ``LostError`` when somebody else's stands there."""
        data = self.marker(unit).read_bytes()
        self._put_parts(unit, data)
        if self._objects.put_new(keys.marker(unit), data):
            self._markers[unit] = data
            return
        theirs = self._objects.read(keys.marker(unit)) or _EMPTY
        self._objects.delete(keys.parts_of(unit, data).keys() - keys.parts_of(unit, theirs).keys())
        if unit.startswith(_ALIKE) and theirs != _EMPTY:
            self._take(unit, theirs)
            self._markers[unit] = theirs
            return
        super().drop(lambda done: done == unit)
        raise self._lost(unit)

    def _put_parts(self, unit: str, data: bytes) -> None:
        for key, path in keys.parts_of(unit, data).items():
            self._objects.put_file(key, self.path / path)

    def _lost(self, unit: str) -> LostError:
        return LostError(
            f"{unit} of scan {self.scan_id} has been done by another process, with a folder of its "
            "own: two must not work on the same shards, so this one has stopped; the other's rows "
            "count, and none is lost"
        )

    def _take(self, unit: str, data: bytes) -> None:
        """Have here a unit that others have done."""
        self.marker(unit).unlink(missing_ok=True)
        for table, part in keys.made_of(data).items():
            self._fetch_part(keys.part_path(table, unit), part)
        files.write(files.make_folder(self.work / "units") / f"{unit}.json", data)

    def _fetch_parts(self) -> None:
        """Fetch parts whose markers are here and which are not."""
        distinct = super().read_state(DISTINCT) is not None
        lacking = [
            (path, part)
            for unit in self.units()
            if not _is_kept_here(unit)
            for table, part in self.made_by(unit).items()
            if not (distinct and table == "certificates")
            and not (self.path / (path := keys.part_path(table, unit))).is_file()
        ]
        side_by_side(lambda pair: self._fetch_part(*pair), lacking)

    def _fetch_part(self, path: str, part: Part) -> None:
        if not self.restored(path, part):
            raise DamagedError(
                f"{self.location}/{keys.named(path, part.sha256)} is missing, or not as it was written; "
                "restore it from a copy, or scan anew"
            )

    def restored(self, path: str, part: Part) -> bool:
        """Have a part again that is missing here, or not as it was written; whether that was possible."""
        return self._objects.fetch_whole(
            keys.named(path, part.sha256), self.path / path, part.sha256
        )

    # --- units

    def commit(self, unit: str, tables: Mapping[type[Any], Rows]) -> None:
        """As ever, on this machine's disk; and then in the store.

        Raises ``LostError`` when somebody else did it first, and ``StorageError`` when the store
        does not answer: the unit is then done here, and put when the scan goes on.
        """
        if _is_kept_here(unit):
            super().commit(unit, tables)
            return
        run = keys.run_of(unit)
        try:
            if self._caught_up(run) and not unit.startswith(_ALIKE):
                raise self._lost(unit)
        except StorageError:
            if not self.done(unit):
                super().commit(unit, tables)
            raise
        if not self.done(unit):
            super().commit(unit, tables)
            try:
                self._claim(unit)
            except StorageError:
                self._taken_up.discard(run)  # what comes behind it is not put before it
                raise
        elif not unit.startswith(_ALIKE):
            raise self._lost(unit)

    def catch_up(self, run: str) -> None:
        """Learn what others have done of a run, once, before it is gone on with."""
        self._caught_up(run)

    def _caught_up(self, run: str) -> bool:
        """Whether anything of it came or went."""
        if run in self._taken_up or _is_kept_here(run):
            return False
        if self._objects.read(manifest.NAME) is not None:
            raise LostError(
                f"scan {self.scan_id} has been sealed by another process, so this one has stopped; "
                "none of its rows is missing"
            )
        self._require_unpurged()
        changed = self._look_again(run)
        self._taken_up.add(run)
        return changed

    def _require_unpurged(self) -> None:
        """Raise ``LostError`` when names have been taken out of the scan since it is held here."""
        state = self.state(purge.STATE)
        ours = state.read_bytes() if state.is_file() else None
        if self._objects.read(f"_work/{state.name}") not in (None, ours):
            raise LostError(
                f"names have been taken out of scan {self.scan_id} on another machine, and would come "
                "back from this one, so it has stopped; the same command goes on without them"
            )

    def refresh(self) -> None:
        """Learn what others have ended.  In a run of ours that shows when its next link is put."""
        for run, theirs in self._their_runs().items():
            if run in theirs and not self.done(run) and run not in self._taken_up:
                self._sync_run(run, theirs, self._our_runs(run).get(run, {}))

    def drop(self, chosen: Callable[[str], bool]) -> None:
        """As ever; of what is put, the marker in the store goes too.

        Not those of parts that are the same when they are made again.
        """
        super().drop(chosen)
        put = (u for u in self._markers if chosen(u) and not u.startswith(_ALIKE))
        gone = sorted(put, key=undoing)
        self._objects.delete(map(keys.marker, gone))
        for unit in gone:
            del self._markers[unit]

    # --- small files

    def read_state(self, name: str) -> Any:
        """The value kept under a name; before the folder is held, the store's."""
        if name == "identity":
            return self._identity
        if self._synced:
            return super().read_state(name)
        data = None if self.sealed else self._objects.read(f"_work/{name}.json")
        return None if data is None else json.loads(data)

    def write_state(self, name: str, value: Any) -> None:
        """As ever, and then in the store."""
        super().write_state(name, value)
        if name != DISTINCT:
            self._objects.put(f"_work/{name}.json", self.state(name).read_bytes())

    def settle_state(self, name: str, value: Any) -> Any:
        """Keep a value that is decided once; who was first, on whichever machine, has decided."""
        super().write_state(name, value)
        key, ours = f"_work/{name}.json", self.state(name).read_bytes()
        if not self._objects.put_new(key, ours):
            if (theirs := self._objects.read(key)) in (None, _UNDECIDED):
                self._objects.put(key, ours)
            else:
                files.write(self.state(name), theirs or ours)
        return super().read_state(name)

    def write_file(self, name: str, data: bytes) -> Path:
        """As ever, and in the store; who was first has decided."""
        path = super().write_file(name, data)
        if not self._objects.put_new(name, data):
            self._objects.fetch_whole(name, path)
        return path

    # --- targets

    def write_targets(
        self,
        pass_name: str,
        round_: int,
        cls: type[Any],
        shards: Mapping[int, Rows] | Iterable[tuple[int, Rows]],
    ) -> dict[int, int]:
        """As ever; when others, elsewhere, have planned the round first, theirs is the plan."""
        super().write_targets(pass_name, round_, cls, shards)
        self._plans.put(self._targets(pass_name, round_).name)
        return super().planned(pass_name, round_) or {}

    def planned(self, pass_name: str, round_: int) -> dict[int, int] | None:
        """As ever, whoever planned it."""
        planned = super().planned(pass_name, round_)
        if planned is None:
            self._plans.take(self._targets(pass_name, round_).name)
            planned = super().planned(pass_name, round_)
        return planned

    # --- taking out, and sealing

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """As ever; then the store has the same."""
        with super().exchange() as exchange:
            yield exchange
        for run in self._our_runs().values():
            for unit, data in run.items():
                if (stored := self._markers.get(unit)) not in (None, data):
                    self._put_again(unit, data, stored)
        self._plans.put_changed()
        for path in self.work.glob("*.json"):
            if path.stem != DISTINCT:
                self._objects.put(f"_work/{path.name}", path.read_bytes())
        if self._objects.read(manifest.NAME) is not None:
            raise StoreError(
                f"scan {self.scan_id} was sealed by another process meanwhile; repeat the command"
            )

    def _put_again(self, unit: str, data: bytes, stored: bytes) -> None:
        self._put_parts(unit, data)
        self._objects.put(keys.marker(unit), data)
        self._objects.delete(keys.parts_of(unit, stored).keys() - keys.parts_of(unit, data).keys())
        self._markers[unit] = data

    def write_manifest(self, new: Manifest) -> Manifest:
        """Put what the manifest lists, then the manifest; the one that stands then."""
        self._manifest = remote_seal.put(
            self._objects, self.path, new, self._manifest, before_seal=self._require_unpurged
        )
        return self.manifest()


_UNDECIDED: Final = b"null"
"""A state that is to be decided again."""

_EMPTY: Final = b'{"empty": [], "parts": {}}'


def _is_kept_here(unit: str) -> bool:
    return unit.startswith(_KEPT_HERE)
