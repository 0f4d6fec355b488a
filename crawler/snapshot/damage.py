"""What of an unsealed scan is not on the disk as it was committed, and having it asked again.

A marker holds the SHA-256 that every part of its unit had when it was read back.  A part that is
missing, cut short or has one flipped bit does not have it any more, and no row of it is believed.
Nothing but its own targets depends on a part: the unit is undone with all its parts, since the
certificates of one part may have been seen first in another, and so is everything judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from crawler.records import Certificate
from crawler.snapshot import lists, manifest
from crawler.snapshot.manifest import ListedPart
from crawler.snapshot.store import ScanFolder, StoreError

DISTINCT: Final = "certificates"
"""The state, and the beginning of the units, of certificates brought down to one row each."""


class DamagedError(StoreError):
    """Something that was written does not read back; the text says which rows are missing."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A part that does not have its hash."""

    unit: str
    table: str
    listed: ListedPart
    kind: str

    @property
    def pass_unit(self) -> str:
        """The unit of the runner that this one is a part of."""
        return self.unit.partition("-c")[0]

    def __str__(self) -> str:
        return (
            f"{self.listed.rows:,} rows of {self.table} are lost: {self.listed.path} is {self.kind}"
        )


def find(folder: ScanFolder) -> list[Damage]:
    """Read every byte of an unsealed scan, and name what is not as its marker says."""
    return list(_find(folder))


def _find(folder: ScanFolder) -> Iterator[Damage]:
    distinct = folder.read_state(DISTINCT) is not None
    for unit in sorted(folder.units()):
        for table, part in folder.made_by(unit).items():
            if distinct and table == Certificate.table and not unit.startswith(f"{DISTINCT}-"):
                continue  # its rows went into the distinct ones, and it was removed
            path = f"{table}/part-{unit}.parquet"
            listed = ListedPart(path=path, rows=part.rows, size=part.size, sha256=part.sha256)
            kind = manifest.fault(folder.path, listed)
            if kind is not None and not folder.restored(path, part):
                yield Damage(unit, table, listed, kind)


def undo(folder: ScanFolder, damages: Iterable[Damage]) -> None:
    """Undo the damaged units, so that resuming does them again.  The caller holds the lock.

    Raises ``DamagedError`` when other units' certificates went into the distinct ones already.
    """
    damages = list(damages)
    if not damages:
        return
    if folder.read_state(DISTINCT) is not None:
        raise DamagedError(f"{folder.path}: {damages[0]}; restore it from a copy, or scan anew")
    units = {damage.pass_unit for damage in damages}
    if any(unit.startswith(lists.UNITS) for unit in units):
        lists.forget(folder)
    # Nobody knows of the damage any more once its unit is undone, so what was judged goes before.
    folder.drop(lambda unit: unit.startswith("judge-"))
    folder.drop(lambda unit: unit.partition("-c")[0] in units)
