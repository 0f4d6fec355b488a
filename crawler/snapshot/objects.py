"""An object store that speaks S3, as far as an archive needs it: octets under keys, and who was first.

Parts, and lists of what there is, go through ``pyarrow.fs``.  Small objects, those that decide, go
through ``obstore``, which has words for what ``pyarrow.fs`` has not: a put that only the first of
several wins (``If-None-Match``), one that only replaces what was read (``If-Match``), and a removal
that leaves no empty folder behind.
"""

from __future__ import annotations

import copy
import secrets
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from pyarrow import fs

from crawler.snapshot import files
from crawler.snapshot.address import SCHEME, Address
from crawler.snapshot.patience import PATIENCE, Patience, status
from crawler.snapshot.store import StoreError

T = TypeVar("T")

AT_ONCE: Final = 8
"""Objects in transfer at once."""

_CONNECT: Final = 10.0
_ANSWER: Final = 60.0
"""Seconds that a store may take for a connection, and for the next octets."""

_REMOVED_AT_ONCE: Final = 1000
"""S3 takes no more in one request."""


class Objects:
    """The objects below one prefix of a store.  Methods may be called from any thread.

    Every method raises ``StorageError`` for a store that does not answer and ``StoreError`` for
    one that refuses.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: float = PATIENCE,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.address = Address.parse(url)
        self.url = url
        self._root = f"{self.address.prefix}/" if self.address.prefix else ""
        self._ask = Patience(str(self.address), patience, say)
        self._known: dict[str, bool] = {}
        self._client, self._errors = _client(self.address)
        self._files = self._ask(lambda: _filesystem(self.address))

    def at(self, prefix: str) -> Objects:
        """The objects further below."""
        below = copy.copy(self)
        below._root = f"{self._root}{prefix}"
        return below

    def beside(self, prefix: str) -> Objects:
        """The objects below another prefix of the archive, wherever these are."""
        root = f"{self.address.prefix}/" if self.address.prefix else ""
        other = copy.copy(self)
        other._root = f"{root}{prefix}"
        return other

    def __str__(self) -> str:
        return f"{SCHEME}{self.address.bucket}/{self._root}".rstrip("/")

    def _path(self, key: str) -> str:
        return f"{self.address.bucket}/{self._root}{key}"

    def _name(self, key: str) -> str:
        return f"{self._root}{key}"

    # --- reading

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Octets of every object in the folder *prefix* (``""`` or with a slash at its end)."""
        base = self._path(prefix).rstrip("/")
        selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
        found = self._ask(lambda: self._files.get_file_info(selector))
        start = len(self._path(""))
        return {i.path[start:]: i.size for i in found if i.type is fs.FileType.File}

    def folders(self) -> list[str]:
        """The names of the folders right below, sorted."""
        selector = fs.FileSelector(self._path("").rstrip("/"), allow_not_found=True)
        found = self._ask(lambda: self._files.get_file_info(selector))
        return sorted(i.base_name for i in found if i.type is fs.FileType.Directory)

    def read(self, key: str) -> bytes | None:
        """A small object; None when there is none."""
        return self._ask(lambda: self._stands(key))

    def fetch(self, key: str, path: Path) -> bool:
        """Copy an object to *path*, a temporary name, and flush it; False when there is none."""

        def fetch() -> bool:
            try:
                stream = self._files.open_input_stream(self._path(key))
            except FileNotFoundError:
                return False
            with stream, files.disk_errors(path), path.open("wb") as copied:
                shutil.copyfileobj(stream, copied, 2**20)
            return True

        fetched = self._ask(fetch)
        if fetched:
            files.sync(path)
        return fetched

    def fetch_whole(self, key: str, path: Path, sha256: str | None = None) -> bool:
        """Copy an object to its place *path*; False when it is missing or does not have its hash."""
        # Two passes may fetch the same part at the same moment.
        temporary = files.make_folder(path.parent) / f".{path.name}.{secrets.token_hex(4)}.tmp"
        try:
            if not self.fetch(key, temporary) or sha256 not in (None, files.sha256(temporary)):
                return False
            files.place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return True

    # --- writing

    def put(self, key: str, data: bytes) -> None:
        """Write a small object, over an earlier one."""
        self._ask(lambda: self._client.put(self._name(key), data, use_multipart=False))

    def put_file(self, key: str, source: Path) -> None:
        """Write a file as an object, over an earlier one; it stands whole when this returns."""
        size = source.stat().st_size

        def put() -> None:
            # Not fs.copy_files, which is silent about an object that could not be written.  Nor is
            # the stream a context: leaving that for an error would make half a file an object.
            with source.open("rb") as octets:
                stream = self._files.open_output_stream(self._path(key))
                shutil.copyfileobj(octets, stream, 2**20)
                stream.close()

        def look() -> None:
            (info,) = self._files.get_file_info([self._path(key)])
            if info.size != size:
                put()
                raise OSError(f"{key} has {info.size} octets there, not {size}")

        self._ask(put)
        self._ask(look)

    def put_new(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; whether *data* stands there now.

        The same data of somebody else count as ours, since an answer may get lost on its way to
        us.  See ``conditional`` for stores that cannot tell who was first.
        """
        if not self.conditional:
            if (found := self.read(key)) is None:
                self.put(key, data)
                found = self.read(key)
            return found == data

        def put_new() -> bool:
            if self._create(key, data):
                return True
            if (stands := self._stands(key)) is None:
                raise OSError(f"{key} is being put by several at once")  # none of them has won
            return stands == data

        return self._ask(put_new)

    def replace(self, key: str, old: bytes, new: bytes) -> bool:
        """Write *new* over *old* unless something else stands there; whether *new* stands now."""

        def replace() -> bool:
            found = self._client.get(self._name(key))
            if (stands := bytes(found.bytes())) != old:
                return stands == new
            mode: Any = {"e_tag": found.meta["e_tag"]} if self.conditional else "overwrite"
            try:
                self._client.put(self._name(key), new, mode=mode, use_multipart=False)
            except self._errors.PreconditionError:
                return self._stands(key) == new
            return True

        return self._ask(replace)

    def _create(self, key: str, data: bytes) -> bool:
        """Whether it was put; not, if there is one."""
        try:
            self._client.put(self._name(key), data, mode="create", use_multipart=False)
        except (self._errors.AlreadyExistsError, self._errors.PreconditionError):
            return False
        return True

    def _stands(self, key: str) -> bytes | None:
        try:
            return bytes(self._client.get(self._name(key)).bytes())
        except FileNotFoundError:
            return None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; one that is not there is no error."""
        names = [self._name(key) for key in keys]
        for start in range(0, len(names), _REMOVED_AT_ONCE):
            some = names[start : start + _REMOVED_AT_ONCE]
            self._ask(lambda some=some: self._client.delete(some))  # type: ignore[misc]

    @property
    def conditional(self) -> bool:
        """Whether the store lets only the first of several put a key: found out by trying, once.

        Where it does not, ``put_new`` looks, puts and reads back.  Of two that do so within the
        same moment both may believe that they were first.
        """
        if "conditional" not in self._known:
            self._known["conditional"] = self._ask(self._try_condition)
        return self._known["conditional"]

    def _try_condition(self) -> bool:
        probe = f".probe-{secrets.token_hex(8)}"
        try:
            return self._create(probe, b"first") and not self._create(probe, b"second")
        except Exception as error:
            if status(error) != 501:
                raise
            return False  # the store says that it does not know such a thing
        finally:
            self._client.delete([self._name(probe)])


def side_by_side(work: Callable[[T], object], items: Iterable[T]) -> None:
    """Do *work* with every item, several at once; the first error is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(work, items):
            pass


def _client(address: Address) -> tuple[Any, Any]:
    """The client of ``obstore``, and the module of its errors."""
    try:
        from obstore import exceptions
        from obstore.store import S3Store
    except ImportError as error:
        raise StoreError(
            f"{address} needs {error.name}: install the extra, mta-sts-census[s3]"
        ) from None
    config: Any = {"region": address.region or "us-east-1"}
    if address.endpoint is not None:
        config["endpoint"] = address.endpoint
    client = S3Store(
        address.bucket,
        config=config,
        client_options={
            "allow_http": (address.endpoint or "").startswith("http:"),
            "connect_timeout": timedelta(seconds=_CONNECT),
            "timeout": timedelta(seconds=_ANSWER),
        },
        retry_config={"max_retries": 0},  # ``Patience`` does that
    )
    return client, exceptions


def _filesystem(address: Address) -> fs.S3FileSystem:
    region = address.region
    if region is None and address.endpoint is None:
        region = fs.resolve_s3_region(address.bucket)
    scheme, _, host = (address.endpoint or "https://").partition("://")
    return fs.S3FileSystem(
        region=region or "us-east-1",
        scheme=scheme,
        endpoint_override=host.rstrip("/") or None,
        connect_timeout=_CONNECT,
        request_timeout=_ANSWER,
        background_writes=False,
        allow_delayed_open=True,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )
