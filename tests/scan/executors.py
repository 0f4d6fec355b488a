"""Workers of a scan as tasks of the test, over streams in memory, so that their time is the test's.

A worker here is the very one that runs in a process of its own, but for the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
import trio.testing

from crawler.config import Config
from crawler.scan import worker
from crawler.scan.context import Frame, utc_now
from crawler.scan.crew import Crew, Worker, open_crew
from crawler.scan.planning import planning
from crawler.scan.progress import Progress
from crawler.scan.rounds import run_passes
from crawler.scan.wire import Channel, Setup
from crawler.snapshot import lists, parts
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.sharding import SHARDS_PER_WORKER
from crawler.snapshot.store import Archive
from crawler.snapshot.suffixes import Suffixes
from tests.net.servers import AUTHORITY
from tests.scan.small_world import OBSERVED, World


class Task:
    """Is to its worker what a process is."""

    def __init__(self) -> None:
        self._over = trio.Event()

    async def run(self, stream: trio.abc.HalfCloseableStream) -> None:
        await worker.work(Channel(stream))
        self._over.set()

    async def end(self) -> str:
        await self._over.wait()
        return "the end of its task"


@asynccontextmanager
async def task_workers(frame: Frame, work: FolderWork, number: int) -> AsyncIterator[Crew]:
    """*number* workers as tasks."""

    async def start(setup: Setup) -> Worker:
        ours, theirs = trio.testing.memory_stream_pair()
        task, channel = Task(), Channel(ours)
        nursery.start_soon(task.run, theirs)
        await channel.send(setup)
        return Worker(task, channel)

    async with (
        trio.open_nursery() as nursery,
        open_crew(
            frame,
            work.folder,
            number,
            owns=lambda _pass, _shard: True,
            roots=AUTHORITY.cert_pem.bytes(),
            resumed=False,
            now=utc_now,
            start=start,
        ) as crew,
    ):
        yield crew


def frame_in(folder: Path, world: World, config: Config, *, workers: int) -> Frame:
    """A scan of the sites of *world*, begun in *folder*."""
    names = folder / "list.txt"
    names.write_text("".join(f"{site.domain}\n" for site in world.sites))
    scan = Archive(folder / "archive").create_scan("s")
    least = SHARDS_PER_WORKER * workers
    lists.ingest(
        (str(names),),
        scan,
        scan_id="s",
        seed="seed",
        suffixes=Suffixes.bundled(),
        least_shards=least,
    )
    return Frame(
        config=config,
        planning=planning(config, seed="seed"),
        work=FolderWork(scan, seed="seed", least_shards=least),
        progress=Progress(quiet=True),
    )


async def observe_by(
    folder: Path, world: World, number: int, config: Config | None = None
) -> list[Any]:
    """What so many workers observe of *world*."""
    frame = frame_in(folder, world, config or world.config, workers=number)
    work = frame.work
    assert isinstance(work, FolderWork)
    async with task_workers(frame, work, number) as crew:
        assert await run_passes(frame, crew) == []
    return [row for cls in OBSERVED for row in parts.read_all(work.folder.parts(cls), cls)]
