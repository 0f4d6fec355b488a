"""The seal of a scan in an object store: what its manifest lists, and then the manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from crawler.snapshot import keys, manifest
from crawler.snapshot.damage import DamagedError
from crawler.snapshot.manifest import ListedPart, Manifest
from crawler.snapshot.objects import Objects, side_by_side
from crawler.snapshot.store import StoreError

_OF_A_RUN: Final = re.compile(r"_work/.*|[a-z_]+/part-(?!v\d{4,}-).*")
"""What runs put: progress, and parts; not those that replace others in a sealed scan."""


def put(
    objects: Objects,
    folder: Path,
    new: Manifest,
    before: bytes | None,
    *,
    before_seal: Callable[[], object],
) -> bytes:
    """Put what *new* lists of the scan in *folder*, then *new*; the manifest that stands then.

    *before* is the manifest that is replaced, or None at the seal.  Whoever seals at the same time
    has judged the same rows, so the first one's manifest is as good.  *before_seal* is called last
    before the seal, and may raise.  Raises ``StoreError`` when others have replaced *before* meanwhile.
    """
    # Listed now, so that nothing goes that others put there once the manifest stands.
    there = objects.sizes()
    tables = {
        table: replace(listed, parts=tuple(map(_renamed, listed.parts)))
        for table, listed in new.tables.items()
    }
    stored = replace(new, tables=tables)
    pairs = [*zip(new.all_parts(), stored.all_parts(), strict=True), *((f, f) for f in new.files)]
    lacking = [(here, name) for here, name in pairs if there.get(name.path) != name.size]
    side_by_side(lambda pair: objects.put_file(pair[1].path, folder / pair[0].path), lacking)
    added = {name.path for _, name in lacking}
    data = stored.to_json().encode()
    if before is not None:
        if not objects.replace(manifest.NAME, before, data):
            objects.delete(added - there.keys())
            raise StoreError(f"{objects} has been changed by another process; repeat the command")
        objects.delete(there.keys() - _listed(stored))
        return data
    before_seal()
    if objects.put_new(manifest.NAME, data):
        objects.delete(there.keys() - _listed(stored))
        return data
    data = objects.read(manifest.NAME) or data
    objects.delete(strays(added | there.keys(), Manifest.from_json(data.decode())))
    return data


def strays(there: Iterable[str], stated: Manifest) -> set[str]:
    """Of what is *there* the objects that runs have put and that are not of the sealed scan.

    What is about to replace its tables is not listed yet, and stays.
    """
    return {key for key in set(there) - _listed(stated) if _OF_A_RUN.fullmatch(key)}


def fetch(objects: Objects, folder: Path, listed: Iterable[ListedPart]) -> None:
    """Have these parts and files of a sealed scan in *folder*.

    Raises ``DamagedError`` for one that the store has not kept.
    """

    def have(part: ListedPart) -> None:
        path = folder / part.path
        if not path.is_file() and not objects.fetch_whole(part.path, path, part.sha256):
            raise DamagedError(
                f"{objects}/{part.path} is missing, or not as the manifest lists it; restore it "
                "from a copy"
            )

    side_by_side(have, listed)


def _listed(stored: Manifest) -> set[str]:
    """Everything that a manifest lists, and itself."""
    return {manifest.NAME, *(f.path for f in (*stored.all_parts(), *stored.files))}


def _renamed(part: ListedPart) -> ListedPart:
    return replace(part, path=keys.named(part.path, part.sha256))
