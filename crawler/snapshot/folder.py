"""A scan that is kept in its folder: the ``Work`` of ``scan``, resumable at every moment.

A unit of the runner, one (pass, round, shard), is a sequence of parts ``<unit>-c000``,
``<unit>-c001``, ..., each a unit of the store and so whole or absent; the unit itself is marked
when its last part stands.  A run that was cut short goes on behind the parts that stand: their
targets are not contacted again.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from crawler.records import (
    JUDGED,
    Domain,
    HostTarget,
    MailTarget,
    MxLookup,
    NameTarget,
    PolicyTarget,
    TxtLookup,
)
from crawler.snapshot import duck, files, parts
from crawler.snapshot.parts import Rows
from crawler.snapshot.patience import StorageError
from crawler.snapshot.plan import Connection, Relation, names, visit
from crawler.snapshot.seal import Replacement
from crawler.snapshot.sharding import shard_count
from crawler.snapshot.store import ScanFolder
from crawler.snapshot.views import ATTEMPTED, VIEWED, open_views
from crawler.vocabulary import Question

_SHARD_OF_PART: Final = re.compile(r"part-.*?(\d{5})(?:-c\d+)?(?:\.[0-9a-f]+)?\.parquet")
_BY_DOMAIN: Final = (Domain, TxtLookup, MxLookup)
"""Tables whose parts are divided by the hash of the domain, all in the same way."""

_SHARDED_AS: Final = {"policies": "destinations", "mail": "destinations"}
"""Passes whose shards are of destinations."""

Key = tuple[str, str]

_RECORDED: Final[Mapping[type[Any], str]] = {
    NameTarget: """SELECT domain, kind, NULL FROM txt_lookups
                   UNION ALL SELECT domain, 'mx', NULL FROM mx_lookups""",
    HostTarget: """SELECT host, 'addresses', cname_chain[-1] FROM address_lookups
                   UNION ALL SELECT host, 'tlsa', NULL FROM tlsa_lookups""",
    PolicyTarget: "SELECT domain, address, NULL FROM policy_fetches",
    MailTarget: "SELECT host, address, NULL FROM starttls_sessions",
}
"""The keys of the rows that show that a target has been probed; with the addresses of a host, the
end of its CNAME chain."""

_KEY_OF: Final[Mapping[type[Any], Callable[[Any], Key]]] = {
    NameTarget: lambda t: (t.domain, str(t.question)),
    HostTarget: lambda t: (t.host, "addresses" if t.ask_addresses else "tlsa"),
    PolicyTarget: lambda t: (t.domain, t.address),
    MailTarget: lambda t: (t.host, t.address),
}


class FolderWork:
    """The ``Work`` of a scan folder.  Methods may be called from worker threads.

    *least_shards*: into how many shards a pass is divided at the least, if it has so many targets.
    """

    def __init__(self, folder: ScanFolder, *, seed: str, least_shards: int = 1) -> None:
        self.folder = folder
        self._seed = seed
        self._least_shards = least_shards
        self._next_part: dict[str, int] = {}
        self._database = duck.Database(self._spill)

    @property
    def scan_id(self) -> str:
        """The scan."""
        return self.folder.scan_id

    def connect(self, domain_shard: int | None = None) -> Connection:
        """Views over the parts that stand; of one shard of the domains, or of all."""
        connection = self._database.connect()
        sources = {cls: self._parts(cls, domain_shard) for cls in VIEWED}
        open_views(connection, sources, seed=self._seed)
        return connection

    def _spill(self) -> Path:
        """A folder of our own, made when it is spilled to: several processes may do so."""
        return files.make_folder(self.folder.work / "spill") / secrets.token_hex(8)

    def _parts(self, cls: type[Any], domain_shard: int | None) -> list[Path]:
        paths = self.folder.parts(cls)
        if domain_shard is None or cls not in _BY_DOMAIN:
            return paths
        return [path for path in paths if _shard_of(path) == domain_shard]

    def domain_shards(self) -> Sequence[int]:
        """The shards that the list was divided into."""
        return sorted(
            {s for path in self.folder.parts(Domain) if (s := _shard_of(path)) is not None}
        )

    def domains(self, shard: int) -> list[str]:
        """The domains of one shard of the list, in the order in which ``lists`` wrote them."""
        return [
            domain
            for path in self._parts(Domain, shard)
            for domain in parts.read_column(path, "domain")
        ]

    # --- what is asked

    def plan(
        self, step: str, target: type[Any], make: Callable[[Connection], Relation]
    ) -> list[int]:
        """Divide a step's targets into shards, once; return those that have any."""
        pass_name, round_ = _pass_and_round(step)
        counts = self.folder.planned(pass_name, round_)
        if counts is None:
            shares = self._shares(pass_name, target, make)
            counts = self.folder.write_targets(pass_name, round_, target, shares)
        return sorted(shard for shard, count in counts.items() if count)

    def _shares(
        self, pass_name: str, target: type[Any], make: Callable[[Connection], Relation]
    ) -> Iterator[tuple[int, pa.Table]]:
        with self.connect() as connection:
            make(connection).query("found", "CREATE TEMP TABLE planned AS FROM found")
            (total,) = connection.sql("SELECT count(*) FROM planned").fetchall()[0]
            shards = self._shards(connection, pass_name, total)
            connection.execute(
                "CREATE TEMP TABLE shares AS SELECT * EXCLUDE (shard_key), "
                f"shard_of(shard_key, {shards}) AS shard FROM planned ORDER BY shard"
            )
            used = connection.sql("SELECT DISTINCT shard FROM shares ORDER BY 1").fetchall()
            for (shard,) in used:
                yield (
                    shard,
                    connection.sql(
                        f"SELECT * EXCLUDE (shard) FROM shares WHERE shard = {shard} "
                        f"ORDER BY {visit(target, self._seed)}"
                    ).to_arrow_table(),
                )

    def _shards(self, connection: Connection, pass_name: str, targets: int) -> int:
        """Of the names pass the list has decided; of another its first round decides.

        Passes by destination have as many as each other, whichever is planned first: then the
        same shard of each has the same destinations.
        """
        if pass_name == "names":
            return len(self.domain_shards())
        state = f"{_SHARDED_AS.get(pass_name, pass_name)}-shards"
        shards: int | None = self.folder.read_state(state)
        if shards is None:
            if pass_name in _SHARDED_AS:
                query = "SELECT count(*) FROM latest_address_lookups"
                (targets,) = connection.sql(query).fetchall()[0]
            shards = self.folder.settle_state(state, shard_count(targets, least=self._least_shards))
        return shards

    def targets(self, step: str, shard: int, target: type[Any]) -> list[Any]:
        """The targets of one shard of a step, without those whose rows are committed."""
        pass_name, round_ = _pass_and_round(step)
        self.folder.catch_up(f"{step}-{shard:05d}")
        if self.folder.planned(pass_name, round_) is None:
            found: list[Any] = self.domains(shard)
        else:
            found = self.folder.read_targets(pass_name, round_, target, shard)
        recorded = self._recorded(f"{step}-{shard:05d}", target)
        return [left for t in found for left in _left_of(t, recorded)] if recorded else found

    def _recorded(self, unit: str, target: type[Any]) -> dict[Key, str | None]:
        """What the rows that stand say of the targets of a unit; see ``_RECORDED``."""
        units = self._parts_of(unit)
        if not units:
            return {}
        with self._database.connect() as connection:
            for cls in ATTEMPTED:
                paths = [self.folder.part_path(cls, u) for u in units]
                duck.view(connection, cls, [path for path in paths if path.is_file()])
            rows = connection.sql(_RECORDED[target]).fetchall()
        return {(name, what): end for name, what, end in rows}

    # --- what is written

    def _parts_of(self, unit: str) -> list[str]:
        return sorted(u for u in self.folder.units() if u.startswith(f"{unit}-c"))

    def commit(self, unit: str, rows: Mapping[type[Any], Rows]) -> None:
        """Write rows as one more part of a unit: all of them or none."""
        if unit not in self._next_part:
            self._next_part[unit] = len(self._parts_of(unit))
        part = f"{unit}-c{self._next_part[unit]:03d}"
        try:
            self.folder.commit(part, rows)
        except StorageError:  # it is on this machine's disk, or was not even that
            self._next_part[unit] += self.folder.done(part)
            raise
        self._next_part[unit] += 1

    def finish(self, unit: str) -> None:
        """Mark a unit as whole."""
        self.folder.commit(unit, {})

    def finished(self, unit: str) -> bool:
        """Whether the unit is whole."""
        return self.folder.done(unit)

    def refresh(self) -> None:
        """Learn what others have finished, on other machines."""
        self.folder.refresh()

    def once(
        self, unit: str, make: Callable[[Connection], Iterable[Mapping[type[Any], Rows]]]
    ) -> None:
        """Write what *make* yields as the parts of a unit, once, behind what others have of it."""
        self.folder.catch_up(unit)
        if self.finished(unit):
            return
        if self.folder.store is None:  # else others may be at it
            self.discard(unit)
        with self.connect() as connection:
            for rows in make(connection):
                self.commit(unit, rows)
        self.finish(unit)

    def discard(self, unit: str) -> None:
        """Forget what an unfinished unit has written."""
        self._next_part.pop(unit, None)
        self.folder.drop(lambda u: u.startswith(f"{unit}-c"))

    def remember(self, name: str, value: Any) -> None:
        """Keep a small JSON value for the next run."""
        self.folder.write_state(name, value)

    def recall(self, name: str) -> Any:
        """A value kept earlier, or ``None``."""
        return self.folder.read_state(name)


def _left_of(target: Any, recorded: Mapping[Key, str | None]) -> Iterator[Any]:
    """What of a target is still to be asked, given what stands."""
    if isinstance(target, str):
        left = [t for t in names([target]) if _KEY_OF[NameTarget](t) not in recorded]
        yield from [target] if len(left) == len(Question) else left
        return
    key = _KEY_OF[type(target)](target)
    if key not in recorded:
        yield target
    elif (
        isinstance(target, HostTarget)
        and target.ask_addresses
        and target.mail
        and (target.host, "tlsa") not in recorded
    ):
        yield replace(target, ask_addresses=False, expanded=recorded[key])


def _pass_and_round(step: str) -> tuple[str, int]:
    pass_name, _, round_ = step.rpartition("-r")
    return pass_name, int(round_)


def _shard_of(part: Path) -> int | None:
    match = _SHARD_OF_PART.fullmatch(part.name)
    return int(match[1]) if match else None


class SealedWork(FolderWork):
    """The ``Work`` of judging a sealed scan again: judged rows go to a replacement.

    Verdicts that are being replaced are read from the replacement, everything else from the
    scan.
    """

    def __init__(self, folder: ScanFolder, replacement: Replacement, *, seed: str) -> None:
        super().__init__(folder, seed=seed)
        self._replacement = replacement
        for cls in JUDGED:
            replacement.add(cls, [])

    def _parts(self, cls: type[Any], domain_shard: int | None) -> list[Path]:
        if cls in JUDGED:
            return self._replacement.staged(cls)
        return super()._parts(cls, domain_shard)

    def commit(self, unit: str, rows: Mapping[type[Any], Rows]) -> None:  # noqa: ARG002
        """Add rows to the replacement."""
        for cls, some in rows.items():
            self._replacement.add(cls, some)

    def finish(self, unit: str) -> None:
        """The replacement is whole or absent; its steps need no mark."""

    def finished(self, unit: str) -> bool:  # noqa: ARG002
        """Every step is done anew."""
        return False

    def discard(self, unit: str) -> None:
        """Nothing of an earlier attempt was kept."""
