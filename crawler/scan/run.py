"""A whole scan: from a list of domains to a sealed snapshot, begun or resumed.

In order: everything that can be wrong with the request is found before anything is written; the
list is read into shards; the passes run; the rows are judged; the manifest seals the scan.  Each
step is written down when it is done, so the same command goes on where another one ended.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio
from OpenSSL import SSL

from crawler import __version__
from crawler.assessment.rules import RULES_VERSION
from crawler.config import Config
from crawler.net.dns_check import ResolverCheck
from crawler.politeness.opt_out import OptOut
from crawler.protocol.chain import ChainJudge
from crawler.scan import canary, doctor, health, machine
from crawler.scan.context import Clock, utc_now
from crawler.scan.judge import judge_scan
from crawler.scan.planning import planning
from crawler.scan.progress import Progress
from crawler.scan.rounds import run_passes
from crawler.scan.session import open_context, trust_roots, within_descriptors
from crawler.snapshot import damage, lists, manifest, purge
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.manifest import Facts, Manifest
from crawler.snapshot.seal import seal
from crawler.snapshot.store import Archive, LockedError, ScanFolder
from crawler.snapshot.suffixes import Suffixes
from crawler.vocabulary import Scope

TRUST_ROOTS = "trust-roots.pem"
SUFFIXES = "public_suffix_list.dat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a user asks for."""

    sources: tuple[str, ...]
    archive: Path
    config: Config
    scope: Scope = Scope.ADOPTERS
    sample_rate: float = 0.0
    both_families: bool = False
    scan_id: str | None = None
    seed: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What beside list, configuration and scope decides what is measured."""
        return {
            "sample_rate": self.sample_rate,
            "both_families": self.both_families,
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


class RequestError(Exception):
    """The request cannot be carried out; one sentence with the place and the remedy."""


class Interrupted(Exception):
    """The scan was told to stop; everything measured so far is on the disk."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of it."""

    folder: ScanFolder
    manifest: Manifest
    already_sealed: bool = False


async def scan(request: Request, progress: Progress, *, now: Clock = utc_now) -> Outcome:
    """Carry out a request: begin a scan, or go on with the one that it names or equals.

    *now* is the time of day, see ``Clock``.  Raises ``RequestError``, ``OptOutError``,
    ``StoreError``, ``ListError`` or ``CannotStartError`` before anything is written, and
    ``Interrupted`` after a checkpoint.
    """
    async with _stoppable(progress):
        return await _scan(request, progress, now)


async def _scan(request: Request, progress: Progress, now: Clock) -> Outcome:
    doctor.require_identity(request.config)
    opt_out = OptOut(request.config.politeness.opt_out)
    roots = _readable_roots(request.config)
    archive = _archive(request)
    identity = None if "-" in request.sources else request.identity()
    folder = _existing(request, archive, identity)
    if folder is not None and folder.sealed:
        if folder.work.is_dir():  # cut short right after the seal
            with suppress(LockedError), folder.lock():
                pass
        return Outcome(folder=folder, manifest=manifest.read(folder.path), already_sealed=True)
    checks: list[ResolverCheck] = []
    if folder is None or folder.read_state("passes") is None:
        checks = await doctor.check_resolvers(request.config)
        doctor.require_resolver(checks)
    if folder is None:
        folder = _new(request, archive, identity)
    else:
        progress.say(f"resuming scan {folder.scan_id}")
    with folder.lock():
        if folder.read_state("began") is None:
            _begin(request, folder, roots, checks, now)
        return await _carry_out(request, folder, opt_out, progress, now)


# --- which scan ----------------------------------------------------------------------------


def _readable_roots(config: Config) -> tuple[str, bytes]:
    try:
        name, pem = trust_roots(config)
        ChainJudge(pem)
    except (OSError, ValueError) as error:
        raise RequestError(f"[net] trust_roots: {error}; name a PEM file of certificates") from None
    return name, pem


def _archive(request: Request) -> Archive:
    if request.archive.exists() and not request.archive.is_dir():
        raise RequestError(f"--out {request.archive} is a file; name a folder for the archive")
    return Archive(request.archive)


def _existing(request: Request, archive: Archive, identity: str | None) -> ScanFolder | None:
    """The scan that the request names, or the unfinished one that it equals.

    Standard input cannot be compared before it is read and has no identity: it is resumed by
    its id only.
    """
    if request.scan_id is None:
        return None if identity is None else archive.unfinished(identity)
    folder = {f.scan_id: f for f in archive.scans()}.get(request.scan_id)
    if folder is None or folder.sealed or identity is None:
        return folder
    if folder.read_state("identity") != identity:
        raise RequestError(
            f"scan {request.scan_id} was begun with another list, configuration or scope; "
            "give the same ones to resume it, or another --scan-id to begin a new scan"
        )
    return folder


def _new(request: Request, archive: Archive, identity: str | None) -> ScanFolder:
    scan_id = request.scan_id or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    return archive.create_scan(scan_id, identity=identity or f"standard input {scan_id}")


# --- carrying it out -----------------------------------------------------------------------


def _begin(
    request: Request,
    folder: ScanFolder,
    roots: tuple[str, bytes],
    checks: list[ResolverCheck],
    now: Clock,
) -> None:
    """Write down what the whole scan rests on, whatever the machine is like when it resumes."""
    name, pem = roots
    suffixes = Suffixes.bundled()
    folder.write_file(TRUST_ROOTS, pem)
    folder.write_file(SUFFIXES, suffixes.data)
    folder.write_state(
        "began",
        {
            "started_at": now().isoformat(),
            "seed": request.seed or hashlib.sha256(folder.scan_id.encode()).hexdigest()[:16],
            "trust_store": {"name": name, "sha256": hashlib.sha256(pem).hexdigest()},
            "resolver_checks": [asdict(check) for check in checks],
        },
    )


async def _carry_out(
    request: Request, folder: ScanFolder, opt_out: OptOut, progress: Progress, now: Clock
) -> Outcome:
    began = folder.read_state("began")
    work = FolderWork(folder, seed=began["seed"])
    suffixes = Suffixes.load(folder.path / SUFFIXES)
    pem = (folder.path / TRUST_ROOTS).read_bytes()
    plan = planning(
        request.config,
        seed=began["seed"],
        scope=request.scope,
        sample_rate=request.sample_rate,
        both_families=request.both_families,
    )
    await trio.to_thread.run_sync(_undo_damage, work, progress)
    summary = await trio.to_thread.run_sync(
        _read_list, request, folder, began["seed"], suffixes, progress
    )
    if summary.accepted > (room := machine.domains_within(folder.path)):
        progress.say(
            f"the disk of {folder.path} has room for about {room:,} domains, and the list has "
            f"{summary.accepted:,}; a scan that stops for want of room goes on once there is more"
        )
    if work.recall("passes") is None:
        resumed = work.recall("probing") is not None
        work.remember("probing", True)
        config = within_descriptors(request.config, progress)
        with progress:
            async with open_context(
                config, plan, work, opt_out, progress, roots=pem, resumed=resumed, now=now
            ) as context:
                await run_passes(context)
                for sentence in context.health.sentences():
                    progress.say(sentence)
        work.remember("passes", "done")
    progress.say("judging")
    await trio.to_thread.run_sync(
        judge_scan, work, plan, pem, suffixes.registrable, trio.from_thread.check_cancelled
    )
    facts = _facts(request, folder, suffixes, began, summary, now)
    sealed = await trio.to_thread.run_sync(seal, folder, facts)
    return Outcome(folder=folder, manifest=sealed)


def _undo_damage(work: FolderWork, progress: Progress) -> None:
    """Have asked again what an earlier run wrote and the disk has not kept."""
    damages = damage.find(work.folder)
    if damages:
        for damaged in damages:
            progress.say(f"{damaged}; asking for them again")
        damage.undo(work.folder, damages)
        work.remember("passes", None)


def _read_list(
    request: Request, folder: ScanFolder, seed: str, suffixes: Suffixes, progress: Progress
) -> lists.ListSummary:
    try:
        summary = lists.ingest(
            request.sources,
            folder,
            scan_id=folder.scan_id,
            seed=seed,
            suffixes=suffixes,
            stdin=sys.stdin.buffer,
            checkpoint=trio.from_thread.check_cancelled,
        )
    except lists.ListError:
        if not folder.units():
            shutil.rmtree(folder.path)  # nothing was measured: leave nothing behind
        raise
    rejected = sum(summary.rejected.values())
    progress.say(
        f"list: {summary.accepted:,} domains, {summary.duplicates:,} duplicates, "
        f"{rejected:,} lines rejected"
    )
    for reason, count in summary.rejected.items():
        progress.say(f"  {reason}: {count:,}, such as {summary.examples[reason][0]}")
    return summary


@asynccontextmanager
async def _stoppable(progress: Progress) -> AsyncIterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into an orderly stop; a second one ends the process.

    A SIGHUP that is ignored, as nohup(1) has it, stays so.

    A block that comes to its end all the same, because its last step does not stop half-way, has
    done what it was asked.
    """
    work = trio.CancelScope()
    stopped: list[int] = []
    ended = False

    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        heard.append(signal.SIGHUP)

    async def listen(task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(*heard) as signals:
            task_status.started()
            async for number in signals:
                if stopped:
                    signal.signal(number, signal.SIG_DFL)
                    signal.raise_signal(number)
                stopped.append(number)
                progress.say("stopping; a second signal stops at once")
                work.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(listen)
        with work:  # the listener outlives it, to hear the second signal
            yield
            ended = True
        nursery.cancel_scope.cancel()
    if stopped and not ended:
        raise Interrupted(stopped[0])


# --- the manifest --------------------------------------------------------------------------


def _facts(
    request: Request,
    folder: ScanFolder,
    suffixes: Suffixes,
    began: Mapping[str, Any],
    summary: lists.ListSummary,
    now: Clock,
) -> Facts:
    purges = folder.read_state(purge.STATE)
    return Facts(
        scan_id=folder.scan_id,
        started_at=datetime.fromisoformat(began["started_at"]),
        ended_at=now(),
        software_version=__version__,
        configuration=request.config.as_dict(),
        scope=str(request.scope),
        list=summary.as_dict(),
        seed=began["seed"],
        resolvers=request.config.dns.resolvers,
        resolver_health=folder.read_state(health.STATE) or (),
        vantage={
            "name": request.config.vantage.name,
            "resolver_checks": began["resolver_checks"],
            "outages": folder.read_state(canary.STATE) or [],
        },
        public_suffix_list=suffixes.version,
        trust_store=began["trust_store"],
        openssl=openssl_versions(),
        rules_version=RULES_VERSION,
        more={
            **request.settings,
            "closed_world": request.config.closed_world,
            **({purge.STATE: purges} if purges else {}),
        },
    )


def openssl_versions() -> dict[str, str]:
    """The OpenSSL that measured and the one that judged: one library at the time of a scan."""
    version = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    return {"measuring": version, "judging": version, "python": sys.version.split()[0]}
