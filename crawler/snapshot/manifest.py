"""``manifest.json``: what a scan is, and the SHA-256 of everything in it.

Written last, so its presence is the seal.  It is the list of what counts: a part that is not
listed is not part of the scan.  ``verify`` holds the folder against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from crawler.records import SCHEMA_VERSION
from crawler.snapshot import files

NAME: Final = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the scan itself knows and the folder does not show."""

    scan_id: str
    started_at: datetime
    ended_at: datetime
    software_version: str
    configuration: Mapping[str, Any]
    """The effective configuration, as ``Config.as_dict`` gives it."""
    scope: str
    list: Mapping[str, Any]
    """Name, SHA-256, size, accepted and rejected by reason: ``ListSummary.as_dict``."""
    seed: str
    resolvers: tuple[str, ...]
    resolver_health: Sequence[Mapping[str, Any]]
    """For each resolver, what became of the queries sent to it."""
    vantage: Mapping[str, Any]
    """The vantage's name and its self-tests."""
    public_suffix_list: str
    """Version of the list saved in the folder."""
    trust_store: Mapping[str, Any]
    """Name and SHA-256 of the trust anchors saved in the folder."""
    openssl: Mapping[str, str]
    """Version of each OpenSSL in use, by who uses it."""
    rules_version: str
    state: Literal["sealed", "partial"] = "sealed"
    """``partial``: closed although some units were never done."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Anything else worth keeping, under keys of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPart:
    """One file of a scan."""

    path: str
    """Relative to the scan folder, with ``/``."""
    size: int
    sha256: str
    rows: int | None = None
    """Null for a file that is not Parquet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTable:
    """One table of a scan: the sum of its parts."""

    rows: int
    parts: tuple[ListedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The whole manifest, as written and as read."""

    facts: Mapping[str, Any]
    """Every key of ``Facts``, as JSON values."""
    tables: Mapping[str, ListedTable]
    files: tuple[ListedPart, ...] = ()
    """The other files of the folder: what judged the scan."""
    revision: int = 1
    """Raised each time tables are replaced after the seal."""
    schema_version: str = SCHEMA_VERSION

    def all_parts(self) -> Iterator[ListedPart]:
        """The parts of all tables."""
        for table in self.tables.values():
            yield from table.parts

    def to_json(self) -> str:
        """The text of the file: the facts at the top level, then the tables."""
        listed = {
            "schema_version": self.schema_version,
            "revision": self.revision,
            "files": [asdict(f) for f in self.files],
            "tables": {name: asdict(table) for name, table in sorted(self.tables.items())},
        }
        return json.dumps({**self.facts, **listed}, indent=2, default=_plain) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read ``to_json``'s text back."""
        stated = json.loads(text)
        tables = {
            name: ListedTable(
                rows=table["rows"], parts=tuple(ListedPart(**p) for p in table["parts"])
            )
            for name, table in stated.pop("tables").items()
        }
        own = {
            "files": tuple(ListedPart(**f) for f in stated.pop("files")),
            "revision": stated.pop("revision"),
            "schema_version": stated.pop("schema_version"),
        }
        return cls(facts=stated, tables=tables, **own)


def facts_as_json(facts: Facts) -> dict[str, Any]:
    """The facts as the manifest's top-level keys, ``more`` merged in."""
    plain = {f.name: getattr(facts, f.name) for f in fields(facts) if f.name != "more"}
    clash = set(plain) & set(facts.more)
    assert not clash, f"facts named twice: {clash}"
    merged: dict[str, Any] = json.loads(json.dumps({**plain, **facts.more}, default=_plain))
    return merged


def _plain(value: object) -> object:
    """JSON for what JSON has no type for."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a manifest")


def write(folder: Path, manifest: Manifest) -> None:
    """Put the manifest in place, atomically and durably."""
    files.write(folder / NAME, manifest.to_json().encode())


def readable(schema_version: str) -> bool:
    """Whether this program reads what was written with that schema: of its own major version."""
    return schema_version.partition(".")[0] == SCHEMA_VERSION.partition(".")[0]


def read(folder: Path) -> Manifest:
    """The manifest of a sealed scan's folder; raises ``FileNotFoundError`` on an unsealed one."""
    return Manifest.from_json((folder / NAME).read_text())


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One way in which a folder is not what its manifest says."""

    path: str
    kind: Literal["missing", "changed", "unlisted"]


def verify(folder: Path) -> list[Problem]:
    """Read every byte of a sealed scan and name what does not agree with its manifest.

    An empty answer means: every file listed stands and has its SHA-256, and no other part could
    be read along with them.
    """
    manifest = read(folder)
    listed = [*manifest.all_parts(), *manifest.files]
    problems = [Problem(path=f.path, kind=kind) for f in listed if (kind := fault(folder, f))]
    known = {f.path for f in listed}
    present = (p.relative_to(folder).as_posix() for p in sorted(folder.glob("*/part-*.parquet")))
    return problems + [Problem(path=p, kind="unlisted") for p in present if p not in known]


def fault(folder: Path, listed: ListedPart) -> Literal["missing", "changed"] | None:
    """What is wrong with a listed file, if anything: every byte of it is read."""
    path = folder / listed.path
    if not path.is_file():
        return "missing"
    same = path.stat().st_size == listed.size and files.sha256(path) == listed.sha256
    return None if same else "changed"
