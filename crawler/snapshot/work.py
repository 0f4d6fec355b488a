"""Where a running scan keeps its rows and its plan: a folder, or memory.

The runner speaks to this interface only, so that ``check`` runs the very passes of a scan and
writes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from crawler.snapshot.parts import Rows
from crawler.snapshot.plan import Connection, Relation


class Work(Protocol):
    """The rows and the plan of one scan that is under way."""

    @property
    def scan_id(self) -> str:
        """The scan."""
        ...

    def connect(self, domain_shard: int | None = None) -> Connection:
        """Views over what has been committed; of one shard of the domains, or of all."""
        ...

    def domain_shards(self) -> Sequence[int]:
        """The shards that the list was divided into."""
        ...

    def domains(self, shard: int) -> list[str]:
        """The domains of one shard of the list."""
        ...

    def plan(
        self, step: str, target: type[Any], make: Callable[[Connection], Relation]
    ) -> list[int]:
        """Divide a step's targets into shards, once; return those that have any.

        A step planned before, in an earlier run too, is not planned again.  A later round of a
        pass keeps the number of shards of the first, so that a destination stays in its shard.
        """
        ...

    def targets(self, step: str, shard: int, target: type[Any]) -> list[Any]:
        """The targets of one shard of a step, without those whose rows are committed.

        They come in the order in which they are to be visited, which the seed alone decides.  The
        first round of names is not planned, and there the text of a domain stands for every
        question about it.
        """
        ...

    def commit(self, unit: str, rows: Mapping[type[Any], Rows]) -> None:
        """Write rows as one more part of a unit: all of them or none."""
        ...

    def finish(self, unit: str) -> None:
        """Mark a unit as whole."""
        ...

    def once(
        self, unit: str, make: Callable[[Connection], Iterable[Mapping[type[Any], Rows]]]
    ) -> None:
        """Write what *make* yields as the parts of a unit, once: a unit that is whole is not made again."""
        ...

    def discard(self, unit: str) -> None:
        """Forget what an unfinished unit has written, to write it anew."""
        ...

    def finished(self, unit: str) -> bool:
        """Whether the unit is whole, as far as is known here."""
        ...

    def refresh(self) -> None:
        """Learn which units others have finished, on other machines."""
        ...

    def remember(self, name: str, value: Any) -> None:
        """Keep a small JSON value for the next run."""
        ...

    def recall(self, name: str) -> Any:
        """A value kept earlier, or ``None``."""
        ...
