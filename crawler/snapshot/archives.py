"""Where an archive is: a folder on this machine's disks, or a prefix in an object store.

Of a scan in a store this machine keeps a folder in ``$STS_STORAGE_CACHE``, by default in
``~/.cache/mta-sts-census`` (or below ``$XDG_CACHE_HOME``), until it is sealed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from crawler.config import ConfigError, seconds
from crawler.snapshot import manifest
from crawler.snapshot.address import is_remote
from crawler.snapshot.keys import BORN
from crawler.snapshot.objects import AT_ONCE, Objects
from crawler.snapshot.patience import PATIENCE
from crawler.snapshot.remote import RemoteFolder, word_of
from crawler.snapshot.store import Archive, ScanFolder, StoreError, require_usable

CACHE: Final = "STS_STORAGE_CACHE"
"""The environment variable that names the folder for scans in stores."""

WAIT: Final = "STS_STORAGE_PATIENCE"
"""The environment variable that says how long a store may be silent, such as ``5m``."""

WHOLE: Final = "whole"
"""The label of the folder of who holds no share of a scan, but all of it."""

_SCAN: Final = re.compile(r"scan=(.+)")

Say = Callable[[str], object]


def open_archive(location: Path | str, *, label: str = WHOLE, say: Say = lambda _: None) -> Archive:
    """The archive at a path or at an ``s3://`` address, which need not be there yet.

    *label* keeps the folders apart that one machine has of one scan in a store: each share has
    its own.  *say* is told when the store does not answer.  Raises ``StoreError`` for an address
    that cannot be used.
    """
    if is_remote(location):
        return RemoteArchive(str(location), label=label, say=say)
    return Archive(location)


def folder_at(path: Path, store: str | None) -> ScanFolder:
    """The folder of a scan that another process of this machine holds; of *store*, if in one."""
    if store is None:
        return ScanFolder(path)
    scan = Objects(store, patience=_patience()).at(f"{path.name}/")
    return RemoteFolder(path, scan)


class RemoteArchive(Archive):
    """A prefix in an object store, with scans below it."""

    def __init__(self, url: str, *, label: str = WHOLE, say: Say = lambda _: None) -> None:
        self._objects = Objects(url, patience=_patience(), say=say)
        self._label = label
        address = self._objects.address
        whose = hashlib.sha256(f"{address} {address.endpoint}".encode()).hexdigest()[:16]
        super().__init__(_cache() / "scans" / whose)

    def __str__(self) -> str:
        return str(self._objects)

    def create_scan(self, scan_id: str, *, identity: str = "") -> ScanFolder:
        """Begin a scan.  *identity* tells scans of the same list and configuration from others.

        Raises ``StoreError`` when the id is taken or is no plain file name.
        """
        require_usable(scan_id)
        born = {"identity": identity, "word": secrets.token_hex(8)}
        objects = self._objects.at(f"scan={scan_id}/")
        taken = objects.read(manifest.NAME) is not None
        if taken or not objects.put_new(BORN, json.dumps(born).encode()):
            raise StoreError(f"{self} already holds a scan {scan_id}; choose another id")
        return self._begun(scan_id, objects, born)

    def find(self, scan_id: str) -> ScanFolder | None:
        """The scan of that id, sealed or not; None when there is none."""
        objects = self._objects.at(f"scan={scan_id}/")
        born = objects.read(BORN)
        # In this order: the seal comes before the removal of what says that the scan has begun.
        if (data := objects.read(manifest.NAME)) is not None:
            word = word_of(data)
            identity = None if born is None else json.loads(born)["identity"]
            return RemoteFolder(self._place(scan_id, word), objects, identity=identity, sealed=data)
        return None if born is None else self._begun(scan_id, objects, json.loads(born))

    def _begun(self, scan_id: str, objects: Objects, born: Any) -> RemoteFolder:
        word = f"{born['word']}.{self._label}"
        return RemoteFolder(self._place(scan_id, word), objects, identity=born["identity"])

    def _place(self, scan_id: str, word: str) -> Path:
        """The folder here of a scan: no two scans share it, even when they have had the same id."""
        return self.path / word / f"scan={scan_id}"

    def scans(self) -> list[ScanFolder]:
        """Every scan, by id."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [folder for folder in pool.map(self.find, self._ids()) if folder is not None]

    def _ids(self) -> Iterator[str]:
        return (m[1] for name in self._objects.folders() if (m := _SCAN.fullmatch(name)))


def _cache() -> Path:
    if given := os.environ.get(CACHE):
        return Path(given).expanduser().resolve()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mta-sts-census"


def _patience() -> float:
    try:
        return seconds(os.environ.get(WAIT, PATIENCE), WAIT)
    except ConfigError as error:
        raise StoreError(str(error)) from None
