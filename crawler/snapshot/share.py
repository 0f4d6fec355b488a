"""A part of a scan's shards, for one of several processes that know nothing of each other.

They meet in the scan's folder: what one has finished the others see there.  What is done once for
all, such as planning a round, is done by whoever takes its turn first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crawler.snapshot.folder import FolderWork
from crawler.snapshot.parts import Rows
from crawler.snapshot.plan import Connection, Relation
from crawler.snapshot.sharding import SHARDS_PER_WORKER
from crawler.snapshot.store import ScanFolder

_PROBED: Final = re.compile(r"[a-z-]+-r\d+-(\d{5})(?:-c\d+)?")
"""Units of the passes, and their parts."""


@dataclass(frozen=True, slots=True)
class Share:
    """The shards whose number, divided by *of*, leaves *index*."""

    index: int
    of: int

    def __str__(self) -> str:
        """As it is written on the command line."""
        return f"{self.index}/{self.of}"

    @property
    def label(self) -> str:
        """As it stands in the names of files."""
        return f"{self.index}-of-{self.of}"

    def owns(self, shard: int) -> bool:
        """Whether a shard is in it."""
        return shard % self.of == self.index

    def owns_unit(self, unit: str) -> bool:
        """Whether a unit of the store is of one of its shards."""
        probed = _PROBED.fullmatch(unit)
        return probed is not None and self.owns(int(probed[1]))


class ShareWork(FolderWork):
    """The ``Work`` of who holds a share of a scan.

    What it remembers is its own.  *checkpoint* is called while it waits for its turn to plan.
    """

    def __init__(
        self, folder: ScanFolder, share: Share, *, seed: str, checkpoint: Callable[[], object]
    ) -> None:
        super().__init__(folder, seed=seed, least_shards=SHARDS_PER_WORKER * share.of)
        self._share = share
        self._checkpoint = checkpoint

    def plan(
        self, step: str, target: type[Any], make: Callable[[Connection], Relation]
    ) -> list[int]:
        """As for everybody: one plans, and the others find it planned."""
        with self.folder.turn(self._checkpoint):
            return super().plan(step, target, make)

    def once(
        self, unit: str, make: Callable[[Connection], Iterable[Mapping[type[Any], Rows]]]
    ) -> None:
        """As for everybody: one makes it, and the others find it made."""
        with self.folder.turn(self._checkpoint):
            super().once(unit, make)

    def remember(self, name: str, value: Any) -> None:
        """Keep a small JSON value for the next run of this share."""
        super().remember(f"{name}-{self._share.label}", value)

    def recall(self, name: str) -> Any:
        """A value that this share has kept."""
        return super().recall(f"{name}-{self._share.label}")
