"""The plans of a scan in an object store: who plans a round first has planned it for everybody."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Final

from crawler.snapshot import files, keys
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.objects import Objects, side_by_side

_STORED: Final = "stored.json"
"""Beside a plan: the object that the store has of it."""

_PLAN: Final = re.compile(rf"{keys.TARGETS}([^/]+)\.json")


class Plans:
    """The plans in *folder*, and what the store has of them.  A plan is a folder, named by its step."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        self._folder = folder
        self._objects = objects

    def sync(self) -> None:
        """Have every plan that the store has, and put those that it lacks."""
        theirs = {m[1] for key in self._objects.sizes(keys.TARGETS) if (m := _PLAN.fullmatch(key))}
        for name in sorted(theirs):
            self.take(name)
        for plan in sorted(self._folder.glob("*/plan.json")):
            if plan.parent.name not in theirs:
                self.put(plan.parent.name)

    def take(self, step: str) -> None:
        """Have the store's plan of a step here, if it has one."""
        stored, data = self._folder / step / _STORED, self._objects.read(keys.plan(step))
        if data is not None and not (stored.is_file() and stored.read_bytes() == data):
            self._take(step, data)

    def _take(self, step: str, data: bytes) -> None:
        folder = self._folder / step
        if folder.is_dir():
            shutil.rmtree(folder)
        files.make_folder(folder)

        def fetch(target: tuple[str, tuple[str, str]]) -> None:
            shard, (key, sha256) = target
            if not self._objects.fetch_whole(key, folder / f"{shard}.parquet", sha256):
                raise DamagedError(
                    f"{self._objects}/{key} is missing, or not as it was written; scan anew"
                )

        side_by_side(fetch, keys.targets(step, data).items())
        files.write(folder / "plan.json", json.dumps(json.loads(data)["counts"]).encode())
        files.write(folder / _STORED, data)

    def put(self, step: str) -> None:
        """Put a plan that was made here; if others were first, theirs takes its place."""
        data = self._put_targets(step)
        if self._objects.put_new(keys.plan(step), data):
            files.write(self._folder / step / _STORED, data)
        else:
            self.take(step)

    def put_changed(self) -> None:
        """Put the plans whose targets have changed here, over those that the store has."""
        for stored in sorted(self._folder.glob(f"*/{_STORED}")):
            step, before = stored.parent.name, stored.read_bytes()
            if self._text(step) != before:
                data = self._put_targets(step)
                self._objects.put(keys.plan(step), data)
                files.write(stored, data)
                kept = {key for key, _ in keys.targets(step, data).values()}
                gone = {key for key, _ in keys.targets(step, before).values()} - kept
                self._objects.delete(gone)

    def _put_targets(self, step: str) -> bytes:
        data = self._text(step)
        for shard, (key, _) in keys.targets(step, data).items():
            self._objects.put_file(key, self._folder / step / f"{shard}.parquet")
        return data

    def _text(self, step: str) -> bytes:
        """A plan as the store has it: targets by shard, and the SHA-256 of each shard's file."""
        folder = self._folder / step
        counts = json.loads((folder / "plan.json").read_bytes())
        hashes = {path.stem: files.sha256(path) for path in sorted(folder.glob("*.parquet"))}
        return json.dumps({"counts": counts, "sha256": hashes}, sort_keys=True).encode()
