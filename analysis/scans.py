"""The scans of an archive: which there are, which count, and whether they are as they were written.

A scan is whole when its ``manifest.json`` is there, which is written last.  The manifest is the list of
what counts: the parts that it names must be there, octet for octet as their SHA-256 says, and no other
file is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import file_digest
from pathlib import Path, PurePosixPath
from typing import Any, Final

from analysis import remote

_SCAN_FOLDER: Final = re.compile(r"scan=(?P<scan_id>[^/]+)")


class ArchiveError(Exception):
    """The archive cannot be read: one sentence with the place and the remedy."""


class NotAnArchive(ArchiveError):
    """The path given is no archive, so the command was called wrongly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan folder and what its manifest says."""

    scan_id: str
    folder: Path
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Empty for a scan that is not sealed."""

    began: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest of a scan that is not sealed will say of how it began, if that is known."""

    listed: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """The Parquet files of each table that has any."""

    @property
    def sealed(self) -> bool:
        """Whether the crawler closed this scan: the manifest is its last write."""
        return bool(self.manifest)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The manifest, or what is known before there is one."""
        return self.manifest or self.began

    @property
    def partial(self) -> bool:
        """Closed although some of its work was never done, as its manifest admits."""
        return self.manifest.get("state") == "partial"

    @property
    def closed_world(self) -> bool:
        """Whether it could only reach listed addresses: a laboratory, not the Internet."""
        return self.facts.get("closed_world") is True

    @property
    def vantage(self) -> str:
        """Where it looked from, as its manifest names it; ``unnamed`` is the crawler's default."""
        named = self.facts.get("vantage")
        name = named.get("name") if isinstance(named, Mapping) else named
        return str(name or "unnamed")

    @property
    def list_hash(self) -> str | None:
        """The SHA-256 of its list of domains, if its manifest says."""
        listed = self.manifest.get("list")
        found = listed.get("combined_sha256") if isinstance(listed, Mapping) else None
        return None if found is None else str(found)

    @property
    def day(self) -> str:
        """The day it started on, UTC, or its id when no manifest says."""
        return str(self.facts.get("started_at", self.scan_id))[:10]

    def parts(self, table: str) -> list[str]:
        """The Parquet files of one table, in name order."""
        return [str(path) for path in self.listed.get(table, ())]


def find_scans(archive: Path | str, *, unsealed: bool = False) -> tuple[Scan, ...]:
    """The scans of an archive in the order of their start, sealed ones unless asked.

    *archive* is a folder, or the ``s3://`` address of one.  Raises :class:`NotAnArchive` when there
    is none to read.
    """
    folders = _folders(archive, unsealed=unsealed)
    found = [_scan(path) for path in folders]
    scans = [scan for scan in found if scan is not None]
    if not scans:
        raise NotAnArchive(
            f"{archive} is no archive: it has no folder scan=<id>; give the folder that "
            "`sts-crawl scan --out` wrote"
        )
    wanted = [scan for scan in scans if scan.sealed or unsealed]
    if not wanted:
        raise NotAnArchive(
            f"{archive} has no sealed scan, only {', '.join(s.scan_id for s in scans)}; let "
            "`sts-crawl scan` finish it, or add --unsealed to read what is there"
        )
    return tuple(sorted(wanted, key=lambda s: (str(s.facts.get("started_at", "")), s.scan_id)))


def _folders(archive: Path | str, *, unsealed: bool) -> Sequence[Path]:
    """The folders that may be scans."""
    if remote.is_remote(archive):
        try:
            return remote.scan_folders(str(archive), unsealed=unsealed)
        except remote.NothingThere as error:
            raise NotAnArchive(str(error)) from error
        except remote.StoreError as error:
            raise ArchiveError(str(error)) from error
    folder = Path(archive)
    if not folder.is_dir():
        raise NotAnArchive(
            f"{folder} is no archive: there is no such folder; give the folder that "
            "`sts-crawl scan --out` wrote"
        )
    if _SCAN_FOLDER.fullmatch(folder.resolve().name):
        raise NotAnArchive(
            f"{folder} is one scan of an archive; give the folder above it, {folder.resolve().parent}"
        )
    return [path for path in sorted(folder.iterdir()) if path.is_dir()]


def made_from(vantage: str, scans: Sequence[Scan], folder: Path | str) -> tuple[Scan, ...]:
    """Those of *scans*, all in *folder*, that one vantage made; raises :class:`NotAnArchive` when there are none."""
    if found := tuple(scan for scan in scans if scan.vantage == vantage):
        return found
    known = ", ".join(dict.fromkeys(scan.vantage for scan in scans))
    raise NotAnArchive(
        f"{folder} has no scan from the vantage '{vantage}'; it has some from {known}"
    )


def files_beside(scan: Scan) -> tuple[Path, ...]:
    """What judged a scan, beside its tables: trust roots, suffix list, configuration.

    Raises :class:`ArchiveError` for one that is not as the manifest lists it.
    """
    return tuple(_part(scan.folder, "files", entry) for entry in scan.manifest.get("files", ()))


def _scan(folder: Path) -> Scan | None:
    """The scan in *folder*, or None when the folder is something else."""
    name = _SCAN_FOLDER.fullmatch(folder.name)
    if name is None:
        return None
    manifest = _manifest(folder / "manifest.json")
    listed = _listed(folder, manifest) if manifest else _found(folder)
    began = {} if manifest else _began(folder / "_work" / "began.json")
    return Scan(
        scan_id=name["scan_id"], folder=folder, manifest=manifest, began=began, listed=listed
    )


def _began(path: Path) -> Mapping[str, Any]:
    """When, from where and with which scope a scan began that is not sealed; empty when it does not say."""
    try:
        stated = json.loads(path.read_bytes())
        asked = stated["asked"]
        configuration = asked["configuration"]
        return {
            "started_at": stated["started_at"],
            "seed": stated["seed"],
            "closed_world": bool(configuration["net"]["allow_addresses"]),
            "vantage": configuration["vantage"],
            "scope": asked["scope"],
            "sample_rate": asked["sample_rate"],
        }
    except (OSError, ValueError, LookupError, TypeError):
        return {}  # not begun, or begun by a version that says it otherwise


def _manifest(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise ArchiveError(f"{path} is not JSON ({error}); copy the scan again") from error
    if not isinstance(manifest, dict):
        raise ArchiveError(f"{path} is not the manifest of a scan; copy the scan again")
    return manifest


def _listed(folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, tuple[Path, ...]]:
    """The parts of a closed scan; raises :class:`ArchiveError` for one that is not as listed."""
    try:
        with ThreadPoolExecutor() as pool:  # hashing leaves the interpreter to others
            return {
                str(table): tuple(pool.map(partial(_part, folder, str(table)), facts["parts"]))
                for table, facts in manifest["tables"].items()
                if facts["parts"]
            }
    except (KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(
            f"{folder}/manifest.json does not list the tables of a scan; copy the scan again"
        ) from error


def _part(folder: Path, table: str, listed: Mapping[str, Any]) -> Path:
    """The file of one listed part: inside the scan's folder, there, and what was written."""
    inside = PurePosixPath(listed["path"])
    if inside.is_absolute() or ".." in inside.parts:
        raise ArchiveError(f"{folder}/manifest.json lists {inside}, which is outside of the scan")
    path = folder / inside
    if (fault := _fault(path, listed)) is not None:
        lost = f"{listed['rows']:,} rows of {table} are lost: " if "rows" in listed else ""
        raise ArchiveError(f"{lost}{path} {fault}; copy the scan again")
    return path


def _fault(path: Path, listed: Mapping[str, Any]) -> str | None:
    """How a file is not what its manifest lists, if so."""
    if not path.is_file():
        return "is missing, though its manifest lists it"
    size = path.stat().st_size
    if size != listed.get("size", size):
        return f"has {size} octets, not the {listed['size']} that its manifest states"
    with path.open("rb") as stream:
        digest = file_digest(stream, "sha256").hexdigest()
    if digest != listed.get("sha256", digest):
        return "does not have the SHA-256 that its manifest states"
    return None


def _found(folder: Path) -> Mapping[str, tuple[Path, ...]]:
    """The parts that stand so far in a scan that is not closed."""
    tables: dict[str, tuple[Path, ...]] = {}
    for path in sorted(folder.glob("[a-z]*/part-*.parquet")):
        tables[path.parent.name] = (*tables.get(path.parent.name, ()), path)
    return tables
