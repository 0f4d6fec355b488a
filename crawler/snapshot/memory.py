"""A scan that is kept in memory: what ``check`` runs on.  It writes no file."""

from __future__ import annotations

import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from crawler.records import Domain
from crawler.snapshot import duck
from crawler.snapshot.parts import Rows
from crawler.snapshot.plan import Connection, Relation, visit
from crawler.snapshot.rows import from_table, to_instances, to_table
from crawler.snapshot.sharding import visit_order
from crawler.snapshot.views import open_views


class MemoryWork:
    """The ``Work`` of a handful of domains, in one shard.

    Passes run side by side, so one may plan, in a thread of its own, while another commits.
    """

    def __init__(self, scan_id: str, *, seed: str) -> None:
        self.scan_id = scan_id
        self.rows: dict[type[Any], list[Any]] = defaultdict(list)
        self._seed = seed
        self._targets: dict[str, list[Any]] = {}
        self._finished: set[str] = set()
        self._kept: dict[str, Any] = {}
        self._changing = threading.Lock()
        self._database = duck.Database(lambda: Path(tempfile.gettempdir()))

    def connect(self, domain_shard: int | None = None) -> Connection:  # noqa: ARG002 - one shard
        """Views over the rows; DuckDB would spill into the temporary folder, but has no need to."""
        connection = self._database.connect()
        with self._changing:
            tables = {
                cls: to_table(cls, rows) for cls, rows in self.rows.items() if hasattr(cls, "table")
            }
        open_views(connection, tables, seed=self._seed)
        return connection

    def domain_shards(self) -> Sequence[int]:
        """One."""
        return (0,)

    def domains(self, shard: int) -> list[str]:  # noqa: ARG002
        """Every domain."""
        return [row.domain for row in self.rows[Domain]]

    def plan(
        self, step: str, target: type[Any], make: Callable[[Connection], Relation]
    ) -> list[int]:
        """Targets of a step, all in shard 0."""
        if step not in self._targets:
            ordered = make(self.connect()).order(visit(target, self._seed))
            self._targets[step] = from_table(target, ordered.to_arrow_table())
        return [0] if self._targets[step] else []

    def targets(self, step: str, shard: int, target: type[Any]) -> list[Any]:  # noqa: ARG002
        """The targets of a step; of one that was never planned, the domains of the list."""
        if step in self._targets:
            return self._targets[step]
        return sorted(self.domains(shard), key=partial(visit_order, self._seed))

    def commit(self, unit: str, rows: Mapping[type[Any], Rows]) -> None:  # noqa: ARG002
        """Keep rows, as instances."""
        with self._changing:
            for cls, some in rows.items():
                self.rows[cls].extend(to_instances(cls, some))

    def finish(self, unit: str) -> None:
        """Mark a unit as whole."""
        self._finished.add(unit)

    def once(
        self, unit: str, make: Callable[[Connection], Iterable[Mapping[type[Any], Rows]]]
    ) -> None:
        """Keep what *make* yields, once."""
        if self.finished(unit):
            return
        for rows in make(self.connect()):
            self.commit(unit, rows)
        self.finish(unit)

    def discard(self, unit: str) -> None:
        """Nothing to forget: memory does not outlive the run that wrote it."""

    def finished(self, unit: str) -> bool:
        """Whether the unit is whole."""
        return unit in self._finished

    def refresh(self) -> None:
        """Nobody else works on it."""

    def remember(self, name: str, value: Any) -> None:
        """Keep a value for this run."""
        self._kept[name] = value

    def recall(self, name: str) -> Any:
        """A value kept earlier, or ``None``."""
        return self._kept.get(name)
