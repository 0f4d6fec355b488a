"""A whole scan: from a list of domains to a sealed snapshot, begun or resumed.

In order: everything that can be wrong with the request is found before anything is written; the
list is read into shards; the passes run; the rows are judged; the manifest seals the scan.  Each
step is written down when it is done, so the same command goes on where another one ended.

A request for a share of the scan does what is to be done once for all, if nobody has, and its share
of the passes; ``seal_scan`` closes the scan when every share is done.
"""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import trio

from crawler.config import Config, divided
from crawler.net.dns_check import ResolverCheck
from crawler.politeness.opt_out import OptOut
from crawler.protocol.chain import ChainJudge
from crawler.scan import closing, doctor, health, machine
from crawler.scan.closing import SUFFIXES, TRUST_ROOTS, Begun
from crawler.scan.cluster import connected
from crawler.scan.context import Clock, Frame, utc_now
from crawler.scan.crew import Start, open_crew
from crawler.scan.executor import Executor, Local
from crawler.scan.passes import Pass
from crawler.scan.processes import start_process
from crawler.scan.progress import Progress
from crawler.scan.request import (
    BEGAN,
    Request,
    RequestError,
    archive_of,
    existing,
    new_scan,
    require_sensible,
    with_earlier,
)
from crawler.scan.rounds import run_passes
from crawler.scan.session import open_context, trust_roots, within_descriptors
from crawler.scan.stopping import stoppable
from crawler.snapshot import damage, lists
from crawler.snapshot.archives import open_archive
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.manifest import Manifest
from crawler.snapshot.share import Share, ShareWork
from crawler.snapshot.store import ScanFolder
from crawler.snapshot.suffixes import Suffixes

PASSES = "passes"
"""The state that says that the passes are over."""

SHARES = "shares"
"""The state that says into how many shares a scan is divided."""

PROBING = "probing"
"""The state that says that somebody may have been contacted."""


class WorkRemainsError(Exception):
    """Some shards are not done; the text names them.  Everything measured so far is on the disk."""

    def __init__(self, scan_id: str, awaited: Sequence[str], shares: int | None) -> None:
        missing: dict[str, list[int]] = defaultdict(list)
        for unit in awaited:
            step, _, shard = unit.rpartition("-")
            missing[step].append(int(shard))
        said = "; ".join(f"{step}: {_numbers(some, shares)}" for step, some in missing.items())
        super().__init__(f"scan {scan_id} is not finished, missing {said}")


def _numbers(shards: Sequence[int], shares: int | None) -> str:
    shown = ", ".join(map(str, shards[:NAMED])) + (", ..." if len(shards) > NAMED else "")
    text = f"{len(shards):,} shards ({shown})"
    if shares is not None:
        owing = sorted({shard % shares for shard in shards})
        text += f" of --shard {', '.join(f'{index}/{shares}' for index in owing)}"
    return text


NAMED = 8
"""Shards that are named; who wants all of them looks at the shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of it."""

    folder: ScanFolder
    manifest: Manifest | None
    """``None`` when a share of the scan was asked for, and is done: ``seal_scan`` remains."""
    already_sealed: bool = False


async def scan(request: Request, progress: Progress, *, now: Clock = utc_now) -> Outcome:
    """Carry out a request: begin a scan, or go on with the one that it names or equals.

    *now* is the time of day, see ``Clock``.  Raises ``RequestError``, ``OptOutError``,
    ``StoreError``, ``ListError`` or ``CannotStartError`` before anything is written,
    ``Interrupted`` after a checkpoint, and ``WorkRemainsError`` when the shards that the request
    does not ask for have to be run first.
    """
    async with stoppable(progress):
        return await _scan(request, progress, now)


async def seal_scan(
    archive: Path | str, scan_id: str, progress: Progress, *, now: Clock = utc_now
) -> Outcome:
    """Judge and seal a scan whose shares are done.  Contacts nobody but the store that has it.

    Raises ``StoreError`` for a scan that does not exist or is worked on, ``RequestError`` for one
    that has not begun, ``WorkRemainsError`` for one that lacks shards and ``Interrupted``.
    """
    opened = open_archive(archive, say=progress.say)
    folder = await trio.to_thread.run_sync(opened.open_scan, scan_id)
    if folder.sealed:
        return await trio.to_thread.run_sync(_already_sealed, folder)
    async with stoppable(progress), _holding(folder):
        if (sealed := _sealed_meanwhile(folder)) is not None:
            return sealed
        await trio.to_thread.run_sync(_undo_damage, folder, progress)
        if folder.read_state(lists.STATE) is None:
            raise RequestError(f"scan {scan_id} has not read its list; run its shards first")
        begun = Begun.read(folder)
        work = FolderWork(folder, seed=begun.seed)
        frame = await trio.to_thread.run_sync(_frame, begun, work, _opt_out(begun), progress)
        if folder.read_state(PASSES) is None:
            awaited = await run_passes(frame, _Nobody())
            await trio.to_thread.run_sync(_require_none, folder, awaited)
        return await _close(begun, progress, now)


@asynccontextmanager
async def _holding(
    folder: ScanFolder, share: Share | None = None
) -> AsyncIterator[tuple[int, ...]]:
    """The lock of the scan or of a share, taken in a thread: a store may have much to send."""
    with ExitStack() as stack:
        lock = folder.lock(share.label if share else None)
        yield await trio.to_thread.run_sync(stack.enter_context, lock)


class _Nobody:
    """Runs nothing, and so tells what there is to run."""

    def owns(self, pass_: Pass, shard: int) -> bool:  # noqa: ARG002
        return False

    async def run(self, pass_: Pass, step: str, shards: Sequence[int]) -> None:
        raise AssertionError(f"{step} {shards} of {pass_.name}")


def _require_none(folder: ScanFolder, awaited: Sequence[str]) -> None:
    """Raise unless nothing is awaited, and note that the passes are over."""
    if awaited:
        raise WorkRemainsError(folder.scan_id, awaited, folder.read_state(SHARES))
    folder.write_state(PASSES, "done")


async def _close(begun: Begun, progress: Progress, now: Clock) -> Outcome:
    progress.say("judging")
    return Outcome(folder=begun.folder, manifest=await closing.close(begun, now))


def _sealed_meanwhile(folder: ScanFolder) -> Outcome | None:
    """What there is to say of a scan that is held and that others have sealed since it was found."""
    if not folder.sealed:
        return None
    return Outcome(folder=folder, manifest=folder.manifest(), already_sealed=True)


def _already_sealed(folder: ScanFolder) -> Outcome:
    folder.tidy()
    return Outcome(folder=folder, manifest=folder.manifest(), already_sealed=True)


async def _scan(request: Request, progress: Progress, now: Clock) -> Outcome:
    doctor.require_identity(request.config)
    require_sensible(request)
    opt_out = OptOut(request.config.politeness.opt_out)
    roots = _readable_roots(request.config)
    archive = await trio.to_thread.run_sync(archive_of, request, progress.say)
    request = await trio.to_thread.run_sync(with_earlier, request, archive)
    identity = None if "-" in request.sources else request.identity()
    folder = await trio.to_thread.run_sync(existing, request, archive, identity)
    if folder is not None and folder.sealed:
        return await trio.to_thread.run_sync(_already_sealed, folder)
    checks: list[ResolverCheck] = []
    if folder is None or await trio.to_thread.run_sync(folder.read_state, PASSES) is None:
        checks = await doctor.check_resolvers(request.config)
        doctor.require_resolver(checks)
    if folder is None:
        folder = await trio.to_thread.run_sync(new_scan, request, archive, identity)
    else:
        progress.say(f"resuming scan {folder.scan_id}")
    async with _holding(folder, request.share) as held:
        if (sealed := _sealed_meanwhile(folder)) is not None:
            return sealed
        for sentence in await trio.to_thread.run_sync(folder.warnings):
            progress.say(sentence)
        await trio.to_thread.run_sync(_prepare, request, folder, roots, checks, progress, now())
        begun = Begun.read(folder)
        if folder.read_state(PASSES) is None:
            awaited = await _observe(request, begun, held, opt_out, progress, now)
            if request.share is None or awaited:
                await trio.to_thread.run_sync(_require_none, folder, awaited)
        if request.share is not None:
            return Outcome(folder=folder, manifest=None)
        return await _close(begun, progress, now)


def _readable_roots(config: Config) -> tuple[str, bytes]:
    try:
        name, pem = trust_roots(config)
        ChainJudge(pem)
    except (OSError, ValueError) as error:
        raise RequestError(f"[net] trust_roots: {error}; name a PEM file of certificates") from None
    return name, pem


# --- carrying it out -----------------------------------------------------------------------


def _begin(
    request: Request,
    folder: ScanFolder,
    roots: tuple[str, bytes],
    checks: list[ResolverCheck],
    started_at: datetime,
) -> None:
    """Write down what the whole scan rests on, whatever the machine is like when it resumes."""
    name, pem = roots
    suffixes = Suffixes.bundled()
    pem = folder.write_file(TRUST_ROOTS, pem).read_bytes()  # another machine may have been first
    folder.write_file(SUFFIXES, suffixes.data)
    folder.settle_state(
        BEGAN,
        {
            "started_at": started_at.isoformat(),
            "asked": {
                "configuration": request.config.as_dict(),
                "scope": request.scope,
                **request.settings,
            },
            "least_shards": request.least_shards,  # when the list is read again, the same
            "seed": request.seed or hashlib.sha256(folder.scan_id.encode()).hexdigest()[:16],
            "trust_store": {"name": name, "sha256": hashlib.sha256(pem).hexdigest()},
            "resolver_checks": [asdict(check) for check in checks],
        },
    )


def _prepare(
    request: Request,
    folder: ScanFolder,
    roots: tuple[str, bytes],
    checks: list[ResolverCheck],
    progress: Progress,
    started_at: datetime,
) -> None:
    """What comes before the first probe, in a thread: what is done once for all shares by one."""
    with folder.turn(trio.from_thread.check_cancelled):
        if folder.read_state(BEGAN) is None:
            _begin(request, folder, roots, checks, started_at)
        if request.share is None:
            _undo_damage(folder, progress)
        else:
            _join(folder, request.share)
        _read_list(request, folder, progress)


def _join(folder: ScanFolder, share: Share) -> None:
    """Become one of so many shares, and clear up what an earlier run of this one has left."""
    shares = folder.read_state(SHARES) or folder.settle_state(SHARES, share.of)
    if shares != share.of:
        raise RequestError(
            f"scan {folder.scan_id} is divided into {shares} shares; give --shard i/{shares}"
        )
    folder.recover(share.owns_unit)


async def _observe(
    request: Request,
    begun: Begun,
    held: Sequence[int],
    opt_out: OptOut,
    progress: Progress,
    now: Clock,
) -> list[str]:
    """Run the passes; the units that have to be finished by others."""
    work = _work(request, begun)
    resumed = bool(begun.folder.read_states(PROBING))
    await trio.to_thread.run_sync(work.remember, PROBING, True)
    frame = await trio.to_thread.run_sync(_frame, begun, work, opt_out, progress)
    with progress:
        async with _open_executor(request, begun, frame, held, opt_out, resumed, now) as executor:
            awaited = await run_passes(frame, executor)
        for sentence in health.sentences(work.recall(health.STATE)):
            progress.say(sentence)
    return awaited


def _opt_out(begun: Begun) -> OptOut:
    """The list as it is where a scan is closed; only what is carried over has to be held against it."""
    return OptOut(begun.config.politeness.opt_out if begun.since else None)


def _frame(begun: Begun, work: FolderWork, opt_out: OptOut, progress: Progress) -> Frame:
    return Frame(
        config=begun.config,
        planning=begun.planning(),
        work=work,
        progress=progress,
        since=begun.earlier(opt_out),
    )


def _work(request: Request, begun: Begun) -> FolderWork:
    if request.share is None:
        return FolderWork(begun.folder, seed=begun.seed, least_shards=request.least_shards)
    return ShareWork(
        begun.folder, request.share, seed=begun.seed, checkpoint=trio.from_thread.check_cancelled
    )


@asynccontextmanager
async def _open_executor(
    request: Request,
    begun: Begun,
    frame: Frame,
    held: Sequence[int],
    opt_out: OptOut,
    resumed: bool,
    now: Clock,
) -> AsyncIterator[Executor]:
    if request.executor != "local":
        async with (
            _open_workers(request, begun.folder, held, frame.progress) as start,
            open_crew(
                frame,
                begun.folder,
                request.workers,
                owns=request.owns,
                roots=begun.roots,
                resumed=resumed,
                now=now,
                start=start,
            ) as crew,
        ):
            yield crew
        return
    config = within_descriptors(divided(frame.config, request.processes), frame.progress)
    async with open_context(
        config,
        frame.planning,
        frame.work,
        opt_out,
        frame.progress,
        roots=begun.roots,
        resumed=resumed,
        now=now,
    ) as context:
        yield Local(context, request.owns)


@asynccontextmanager
async def _open_workers(
    request: Request, folder: ScanFolder, held: Sequence[int], progress: Progress
) -> AsyncIterator[Start]:
    """What starts a worker.  The scan is held as long as one works, whatever becomes of us."""
    if request.executor == "processes":
        yield lambda setup: start_process(setup, held)
        return
    with connected(request.workers):
        from crawler.scan.actors import open_actors

        with open_actors(folder, progress) as start:
            yield start


def _undo_damage(folder: ScanFolder, progress: Progress) -> None:
    """Have asked again what an earlier run wrote and the disk has not kept."""
    damages = damage.find(folder)
    if damages:
        for damaged in damages:
            progress.say(f"{damaged}; asking for them again")
        # First: what is undone is not found again, and whoever goes on has to know that it is.
        folder.write_state(PASSES, None)
        damage.undo(folder, damages)


def _read_list(request: Request, folder: ScanFolder, progress: Progress) -> None:
    began = folder.read_state(BEGAN)
    try:
        summary = lists.ingest(
            request.sources,
            folder,
            scan_id=folder.scan_id,
            seed=began["seed"],
            suffixes=Suffixes.load(folder.path / SUFFIXES),
            least_shards=began["least_shards"],
            stdin=sys.stdin.buffer,
            checkpoint=trio.from_thread.check_cancelled,
        )
    except lists.ListError:
        if not folder.units():
            folder.remove()  # nothing was measured: leave nothing behind
        raise
    rejected = sum(summary.rejected.values())
    progress.say(
        f"list: {summary.accepted:,} domains, {summary.duplicates:,} duplicates, "
        f"{rejected:,} lines rejected"
    )
    for reason, count in summary.rejected.items():
        progress.say(f"  {reason}: {count:,}, such as {summary.examples[reason][0]}")
    if summary.accepted > (room := machine.domains_within(folder.path)):
        progress.say(
            f"the disk of {folder.path} has room for about {room:,} domains, and the list has "
            f"{summary.accepted:,}; a scan that stops for want of room goes on once there is more"
        )
