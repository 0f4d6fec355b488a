"""What a user asks for, and which scan of the archive that is: a new one, or one to go on with."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from crawler.config import Config
from crawler.scan.passes import Pass
from crawler.snapshot import lists, manifest
from crawler.snapshot.address import is_remote
from crawler.snapshot.archives import WHOLE, Say, open_archive
from crawler.snapshot.sharding import SHARDS_PER_WORKER
from crawler.snapshot.share import Share
from crawler.snapshot.store import Archive, ScanFolder, StoreError
from crawler.vocabulary import Scope

Executor = Literal["local", "processes", "ray"]
"""Who probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for."""

    sources: tuple[str, ...]
    archive: Path | str
    """A folder, or the ``s3://`` address of one in an object store."""
    config: Config
    scope: Scope = Scope.ADOPTERS
    sample_rate: float = 0.0
    both_families: bool = False
    scan_id: str | None = None
    seed: str | None = None
    executor: Executor = "local"
    workers: int = 1
    """Of ``processes`` and ``ray``."""
    share: Share | None = None
    """Run this share of the scan only."""
    only: str | None = None
    """Run the pass of this name only."""
    since: str | None = None
    """Carry over what this earlier scan observed and still holds; ``LATEST``: the newest sealed."""

    @property
    def settings(self) -> dict[str, Any]:
        """What beside list, configuration and scope decides what is measured."""
        return {
            "sample_rate": self.sample_rate,
            "both_families": self.both_families,
            "since": self.since,
        }

    def identity(self) -> str:
        """What makes two requests the same scan: the list, the configuration and the scope."""
        facts = {
            "list": lists.fingerprint(self.sources),
            "configuration": self.config.as_dict(),
            "scope": self.scope,
            **self.settings,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def owns(self, pass_: Pass, shard: int) -> bool:
        """Whether a shard of a pass is to be run."""
        return self.only in (None, pass_.name) and (self.share is None or self.share.owns(shard))

    @property
    def processes(self) -> int:
        """How many processes probe, this one's peers on other machines included."""
        if self.share is not None:
            return self.share.of
        return 1 if self.executor == "local" else self.workers

    @property
    def least_shards(self) -> int:
        """Into how many shards the work is divided at the least, so that everybody has some."""
        return 1 if self.processes == 1 else SHARDS_PER_WORKER * self.processes


BEGAN = "began"
"""The state that a scan writes down when it begins."""

LATEST = "latest"
"""In place of the id of an earlier scan: the newest sealed one that the same vantage made of lists
of the same names, if any."""


class RequestError(Exception):
    """The request cannot be carried out; one sentence with the place and the remedy."""


def require_sensible(request: Request) -> None:
    """Raise ``RequestError`` for what cannot be asked for together."""
    if request.share is not None:
        if request.executor != "local":
            raise RequestError("--shard is one process; leave --executor away, or the --shard")
        if request.scan_id is None or "-" in request.sources:
            raise RequestError(
                "--shard needs --scan-id and lists that are files: every share has to find the "
                "same scan"
            )
    if request.executor == "ray" and is_remote(request.archive):
        raise RequestError(
            "--executor ray needs a folder that all machines share; machines that share a bucket take "
            "--shard"
        )
    if request.executor == "ray" and find_spec("ray") is None:
        raise RequestError("--executor ray needs Ray; pip install 'mta-sts-census[cluster]'")
    limits = request.config.politeness.connections, request.config.dns.in_flight
    if (among := request.processes) > min(limits):
        raise RequestError(
            f"{among} processes cannot share [politeness] connections = {limits[0]} and [dns] "
            f"in_flight = {limits[1]}; raise these, or take fewer processes"
        )


def archive_of(request: Request, say: Say) -> Archive:
    """The archive that the scan goes into, which need not be there yet."""
    if isinstance(request.archive, Path) and request.archive.is_file():
        raise RequestError(f"--out {request.archive} is a file; name a folder for the archive")
    label = WHOLE if request.share is None else request.share.label
    return open_archive(request.archive, label=label, say=say)


def existing(request: Request, archive: Archive, identity: str | None) -> ScanFolder | None:
    """The scan that the request names, or the unfinished one that it equals.

    Standard input cannot be compared before it is read and has no identity: it is resumed by
    its id only.
    """
    if request.scan_id is None:
        return None if identity is None else archive.unfinished(identity)
    folder = archive.find(request.scan_id)
    if folder is None or folder.sealed or identity is None:
        return folder
    if folder.read_state("identity") != identity:
        raise RequestError(
            f"scan {request.scan_id} was begun with another list, configuration or scope; "
            "give the same ones to resume it, or another --scan-id to begin a new scan"
        )
    return folder


def new_scan(request: Request, archive: Archive, identity: str | None) -> ScanFolder:
    """The folder of a scan that begins."""
    scan_id = request.scan_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    try:
        return archive.create_scan(scan_id, identity=identity or f"standard input {scan_id}")
    except StoreError:
        # Several that begin the same scan at the same moment: one of the others was first.
        folder = existing(request, archive, identity) if request.scan_id else None
        if folder is None:
            raise
        return folder


def with_earlier(request: Request, archive: Archive) -> Request:
    """The request with the id of the scan whose facts it carries over, if there is one to be had.

    Raises ``RequestError`` when the scan named is not there, not sealed or not to be read.
    """
    if request.since is None:
        return request
    if request.since == LATEST:
        return replace(request, since=_latest(request, archive))
    earlier = archive.find(request.since)
    if earlier is None or not earlier.sealed:
        sealed = ", ".join(f.scan_id for f in archive.scans() if f.sealed) or "none"
        raise RequestError(
            f"--since {request.since}: {archive} holds no sealed scan of that name; it holds: "
            f"{sealed}"
        )
    if not manifest.readable(stated := earlier.manifest().schema_version):
        raise RequestError(
            f"--since {request.since}: it was written with schema version {stated}; "
            "name a scan of this version, or leave --since away"
        )
    return request


def _latest(request: Request, archive: Archive) -> str | None:
    """The newest sealed scan of the kind; of a scan that is resumed what it has begun with."""
    named = archive.find(request.scan_id) if request.scan_id else None
    if named is not None and (began := named.read_state(BEGAN)) is not None:
        since: str | None = began["asked"].get("since")
        return since
    sealed = (f.manifest() for f in archive.scans() if f.sealed)
    alike = [
        m.facts
        for m in sealed
        if manifest.readable(m.schema_version)
        and m.facts["vantage"]["name"] == request.config.vantage.name
        and tuple(m.facts["list"]["names"]) == lists.names_of(request.sources)
    ]
    newest = max(alike, key=lambda facts: str(facts["started_at"]), default=None)
    return None if newest is None else str(newest["scan_id"])
