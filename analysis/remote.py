"""An archive in an object store: its scans are copied here once, and read here.

::

    $STS_STORAGE_CACHE/reports/<archive>/<SHA-256 of the manifest>/scan=<id>/

A copy is kept until the manifest changes, which judging again and purging do; then it goes, so that
nobody who has opted out stays in it.  Whether its parts are as the manifest lists them is seen to by
``scans``, as for every archive.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

T = TypeVar("T")

SCHEME: Final = "s3://"
OPTIONS: Final = ("endpoint_override", "region", "scheme")

PATIENCE: Final = 60.0
"""Seconds for which a store that does not answer is asked again."""

AT_ONCE: Final = 8
"""Objects in transfer at once."""

_SCAN: Final = re.compile(r"scan=([^/]+)")
_UNITS: Final = "_work/units"

_NO: Final = re.compile(r"ACCESS_DENIED|NOT_FOUND|ACCESS_KEY|SIGNATURE|TOKEN|status 4(?!08|29)")
"""What a store says that will not say anything else when it is asked again."""


class StoreError(Exception):
    """The store does not give what was asked for; one sentence."""


class NothingThere(StoreError):
    """The address is of no archive."""


def is_remote(archive: object) -> bool:
    """Whether an archive is in an object store."""
    return isinstance(archive, str) and archive.startswith(SCHEME)


def scan_folders(url: str, *, unsealed: bool = False) -> list[Path]:
    """The folders here of the scans at *url*, by id; of unfinished ones, too, if asked.

    Raises ``StoreError``.
    """
    store = _Store.open(url)
    ids = [m[1] for name in store.folders() if (m := _SCAN.fullmatch(name))]
    if not ids:
        raise NothingThere(
            f"{url} is no archive: it has no scan=<id>/; give the address that `sts-crawl scan --out` "
            "had"
        )
    with _only_one(store.place):
        folders = [_copy(store, scan_id, unsealed=unsealed) for scan_id in ids]
        for old in store.place.glob("*/scan=*"):
            if old not in folders:
                shutil.rmtree(old)
    return folders


@contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Wait until no other report copies the same archive, and keep others waiting."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- one scan


def _copy(store: _Store, scan_id: str, *, unsealed: bool) -> Path:
    """The folder of a scan; there is nothing in that of an unfinished one that nobody asked for."""
    manifest = store.read(f"scan={scan_id}/manifest.json")
    word = "unsealed" if manifest is None else hashlib.sha256(manifest).hexdigest()
    folder = store.place / word / f"scan={scan_id}"
    folder.mkdir(parents=True, exist_ok=True)
    if manifest is not None:
        listed = _listed(manifest)
    else:
        listed = _marked(store, scan_id) if unsealed else []
        kept = {file.path for file in listed}
        for path in folder.glob("*/part-*.parquet"):
            if path.relative_to(folder).as_posix() not in kept:
                path.unlink()

    def fetch(file: _File) -> None:
        store.fetch(f"scan={scan_id}/{file.path}", folder / file.path, file.sha256)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(fetch, (file for file in listed if not file.stands(folder))):
            pass
    if manifest is not None:
        (folder / "manifest.json").write_bytes(manifest)
    return folder


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a scan, as it is listed."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        inside = PurePosixPath(self.path)
        if inside.is_absolute() or ".." in inside.parts:
            raise StoreError(f"a manifest lists {self.path}, which is outside of its scan")

    def stands(self, folder: Path) -> bool:
        """Whether it is in *folder*."""
        path = folder / self.path
        return path.is_file() and path.stat().st_size == self.size


def _listed(manifest: bytes) -> list[_File]:
    """The files that a manifest lists; none of one that lists none."""
    try:
        stated = json.loads(manifest)
        tables = [part for table in stated["tables"].values() for part in table["parts"]]
        files = [*tables, *stated.get("files", ())]
        return [_File(f["path"], f["size"], f["sha256"]) for f in files]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []  # what is wrong with it is said by who reads the copy


def _marked(store: _Store, scan_id: str) -> list[_File]:
    """The parts of an unfinished scan that are part of it, by their markers."""

    def of(key: str) -> list[_File]:
        unit, marker = PurePosixPath(key).stem, store.read(key)
        parts = {} if marker is None else json.loads(marker)["parts"]
        return [
            _File(f"{t}/part-{unit}.{p['sha256'][:12]}.parquet", p["size"], p["sha256"])
            for t, p in parts.items()
        ]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        keys = store.keys(f"scan={scan_id}/{_UNITS}")
        return [file for files in pool.map(of, keys) for file in files]


# --- the store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Store:
    """A prefix of a bucket, read only."""

    url: str
    files: fs.S3FileSystem
    base: str
    place: Path
    """The folder here of everything below it."""

    @classmethod
    def open(cls, url: str) -> _Store:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(set(options).difference(OPTIONS)):
            raise NothingThere(
                f"{url}: unknown option {unknown[0]!r}; the options are {', '.join(OPTIONS)}"
            )
        if not parts.netloc or "@" in parts.netloc:
            raise NothingThere(f"{url} is no address; write s3://bucket/prefix, without keys")
        variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        endpoint = next(filter(None, map(os.environ.get, variables)), "https://")
        scheme, _, host = endpoint.partition("://")
        if "endpoint_override" in options:
            scheme, host = options.get("scheme", "https"), options["endpoint_override"]
        regions = (
            options.get("region"),
            *map(os.environ.get, ("AWS_REGION", "AWS_DEFAULT_REGION")),
        )
        region = next(filter(None, regions), None)
        base = f"{parts.netloc}/{parts.path.strip('/')}".rstrip("/")
        whose = hashlib.sha256(f"{scheme} {host} {base}".encode()).hexdigest()[:16]

        def connect() -> fs.S3FileSystem:
            return fs.S3FileSystem(
                region=region or ("us-east-1" if host else fs.resolve_s3_region(parts.netloc)),
                scheme=scheme,
                endpoint_override=host.rstrip("/") or None,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
            )

        return cls(
            url=url,
            files=_patiently(url, connect),
            base=base,
            place=_cache() / "reports" / whose,
        )

    def folders(self) -> list[str]:
        """The names of the folders right below, sorted."""
        selector = fs.FileSelector(self.base, allow_not_found=True)
        found = _patiently(self.url, lambda: self.files.get_file_info(selector))
        return sorted(i.base_name for i in found if i.type is fs.FileType.Directory)

    def keys(self, folder: str) -> list[str]:
        """Every object in a folder, however deep."""
        selector = fs.FileSelector(f"{self.base}/{folder}", recursive=True, allow_not_found=True)
        found = _patiently(self.url, lambda: self.files.get_file_info(selector))
        return [i.path[len(self.base) + 1 :] for i in found if i.type is fs.FileType.File]

    def read(self, key: str) -> bytes | None:
        """A small object; None when there is none."""

        def read() -> bytes | None:
            try:
                with self.files.open_input_stream(f"{self.base}/{key}") as stream:
                    found: bytes = stream.readall()
            except FileNotFoundError:
                return None
            return found

        return _patiently(self.url, read)

    def fetch(self, key: str, path: Path, sha256: str) -> None:
        """Copy an object to its place; one that is not there is left to who reads the copy."""
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")

        def fetch() -> None:
            try:
                stream = self.files.open_input_stream(f"{self.base}/{key}")
            except FileNotFoundError:
                return
            with stream, temporary.open("wb") as copied:
                shutil.copyfileobj(stream, copied, 2**20)
            with temporary.open("rb") as copied:
                found = hashlib.file_digest(copied, "sha256").hexdigest()
            if found != sha256:
                raise StoreError(
                    f"{self.url}: {key} does not have its SHA-256; scan or copy it anew"
                )
            temporary.replace(path)

        try:
            _patiently(self.url, fetch)
        finally:
            temporary.unlink(missing_ok=True)


def _patiently(url: str, ask: Callable[[], T]) -> T:
    """What the store answers, asked again for a while when it does not."""
    began, pause = time.monotonic(), 0.1
    while True:
        try:
            return ask()
        except OSError as error:
            if error.errno is not None:
                raise  # of this machine's disk
            said = " ".join(str(error).split())
            if re.search("NO_SUCH_BUCKET", said):
                raise NothingThere(f"{url} is no archive: there is no such bucket") from error
            if _NO.search(said):
                raise StoreError(f"{url} cannot be read: {said}") from error
            if time.monotonic() - began > _patience():
                raise StoreError(f"{url} does not answer: {said}") from error
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - nobody gains from guessing it
        pause = min(2 * pause, 10.0)


def _cache() -> Path:
    if given := os.environ.get("STS_STORAGE_CACHE"):
        return Path(given).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mta-sts-census"


_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "": 1}


def _patience() -> float:
    """As the crawler reads it: seconds, or text such as ``5m``."""
    stated = re.fullmatch(
        r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|)\s*", os.environ.get("STS_STORAGE_PATIENCE", "")
    )
    return float(stated[1]) * _SECONDS[stated[2]] if stated else PATIENCE
