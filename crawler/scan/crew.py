"""A crew of workers runs the shards; this process plans, counts and judges.

Workers are processes of this machine (``processes``) or actors of a cluster (``actors``): the two
differ in how a worker is started, how it is spoken to and how its end is noticed, and in nothing
else.  Laws that hold however many there are, and wherever:

- *A destination is one worker's.*  A shard of destinations goes to the same worker in every pass
  and round, so its limits are kept by one gate.
- *A worker that dies is replaced in its place.*  The new one goes on behind the parts that stand,
  and first leaves every destination alone for one interval, as a resumed scan does.
- *Together they keep the limits of the whole scan.*  Each that has something to do may use an
  equal part.  When one more comes to have something to do, the others give up theirs first; it
  begins when they have.
- *Workers do not outlive the scan for long, and hold its lock as long as they do.*
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import count
from typing import Any, Final, Protocol

import trio

from crawler.config import Endpoint, divided
from crawler.net.resolver import ResolverStats
from crawler.scan import health
from crawler.scan.canary import Answer, Canaries
from crawler.scan.context import Clock, Frame
from crawler.scan.executor import Owns, unit_of
from crawler.scan.health import Health
from crawler.scan.passes import MAIL, Pass
from crawler.scan.progress import Progress
from crawler.scan.session import within_descriptors
from crawler.scan.wire import Call, Channel, Failed, Greet, Limit, News, Reply, Report, Run, Setup
from crawler.snapshot.store import ScanFolder

FRUITLESS: Final = 3
"""Workers in a row that may die over the same shards without finishing one of them."""

KEPT_EVERY: Final = 10.0
"""Seconds between two notes of the resolvers' health; that much of it a crash may cost."""


class Gone(Exception):
    """The worker has ended."""


class WorkerError(Exception):
    """Workers die again and again; the text says of what."""


class Life(Protocol):
    """Whatever a worker lives in, a process or an actor."""

    async def end(self) -> str:
        """Wait for its end, which is near when the worker says nothing more; how it came."""
        ...


class _Pending:
    """A call that waits for its reply."""

    def __init__(self) -> None:
        self._over = trio.Event()
        self._reply: Reply | None = None

    def settle(self, reply: Reply | None) -> None:
        """Nothing but ``None`` comes of a worker that is gone."""
        self._reply = reply
        self._over.set()

    async def value(self) -> Any:
        await self._over.wait()
        if self._reply is None:
            raise Gone
        return self._reply.value


class Worker:
    """One worker, as seen from here."""

    def __init__(self, life: Life, channel: Channel) -> None:
        self.channel = channel
        self.kept: dict[str, Any] = {}
        self.expected: Counter[str] = Counter()
        """By pass, targets that it has announced and not done."""
        self.ended: str | None = None
        """How it has ended."""
        self._life = life
        self._ahead = float("-inf")
        """Seconds that its clock is ahead of ours, or fewer: a report takes time to come."""
        self._numbers = count()
        self._pending: dict[int, _Pending] = {}

    async def call(self, what: Limit | Run | Greet) -> Any:
        """Have it do something, to the end; raises ``Gone`` when it ends before."""
        if self.ended is not None:
            raise Gone
        number, pending = next(self._numbers), _Pending()
        self._pending[number] = pending
        try:
            await self.channel.send(Call(number, what))
            return await pending.value()
        finally:
            self._pending.pop(number, None)

    async def tell(self, good: bool, began: float) -> None:
        """Tell it what the canaries say; *began* is on our clock."""
        await self.channel.send(News(good, began + self._ahead))

    async def listen(self, progress: Progress) -> None:
        """Take what it says, until it has said all and has ended."""
        failed: Failed | None = None
        try:
            async for message in self.channel.receive():
                if isinstance(message, Reply):
                    if (pending := self._pending.get(message.number)) is not None:
                        pending.settle(message)
                elif isinstance(message, Report):
                    self._take(message, progress)
                else:
                    failed = message
        finally:
            await self.channel.close()
        self.ended = await self._life.end()
        if failed is not None:
            raise failed.error
        for name, left in self.expected.items():
            progress.expect(name, -left)
        for pending in self._pending.values():
            pending.settle(None)

    def _take(self, report: Report, progress: Progress) -> None:
        self._ahead = report.at - trio.current_time()
        self.kept.update(report.kept)
        for sentence in report.said:
            progress.say(sentence)
        for name, (expected, done) in report.counted.items():
            self.expected[name] += expected - done
            if expected:
                progress.expect(name, expected)
            if done:
                progress.advance(name, done)


Start = Callable[[Setup], Awaitable[Worker]]
"""Starts a worker; cancelled when the scan ends before it has come."""


class _Place:
    """The place of one worker, whoever is in it."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.running = 0
        """Steps that it has shards of."""
        self._worker: Worker | None = None
        self._taken = trio.Event()

    def take(self, worker: Worker) -> None:
        self._worker = worker
        self._taken.set()

    def leave(self) -> None:
        self._worker = None
        self._taken = trio.Event()

    @property
    def present(self) -> Worker | None:
        return self._worker

    async def worker(self) -> Worker:
        """Who is in it, as soon as anybody is."""
        while self._worker is None:
            await self._taken.wait()
        return self._worker


class Crew:
    """Runs shards by workers; made by ``open_crew``."""

    def __init__(
        self,
        frame: Frame,
        folder: ScanFolder,
        number: int,
        owns: Owns,
        now: Clock,
        start: Start,
    ) -> None:
        self._frame = frame
        self._folder = folder
        self._owns = owns
        self._start = start
        self.places = [_Place(index) for index in range(number)]
        self._workers: list[Worker] = []
        """Everyone there has been: what they counted is added up."""
        self._owners: dict[int, _Place] = {}
        """Of the shards of destinations."""
        self._active: list[_Place] = []
        """Who divides the limits of the scan."""
        self._dividing = trio.Lock()
        self._ending = trio.Event()
        self._news: tuple[bool, float] | None = None
        self._heard = trio.Event()
        self.health = Health(self._stats, frame.work, trio.current_time)
        self.canaries = Canaries(
            frame.config.canary_endpoints(),
            self._greet,
            interval=frame.config.vantage.canary_interval,
            say=frame.progress.say,
            now=now,
            tell=self._tell,
        )

    def owns(self, pass_: Pass, shard: int) -> bool:
        """As was said when it was made."""
        return self._owns(pass_, shard)

    async def run(self, pass_: Pass, step: str, shards: Sequence[int]) -> None:
        """Have the workers run these shards."""
        sizes = await trio.to_thread.run_sync(self._sizes, step)
        dealt = self._deal(pass_, shards, sizes)
        for place in dealt:
            await place.worker()
        for place in dealt:
            place.running += 1
        watching = self.canaries.watching() if pass_ is MAIL else nullcontext()
        async with watching, trio.open_nursery() as nursery:
            for place, some in dealt.items():
                nursery.start_soon(self._run_at, place, pass_, step, some)

    def _deal(
        self, pass_: Pass, shards: Sequence[int], sizes: Mapping[int, int]
    ) -> dict[_Place, list[int]]:
        """Whose each shard is: a shard of destinations stays where it first came.

        Few networks hold most of the hosts, so the largest shards are given away first, each to
        who has least to do.
        """
        owners = self._owners if pass_.by_destination else {}
        targets: Counter[_Place] = Counter()
        dealt: dict[_Place, list[int]] = defaultdict(list)
        for shard in sorted(shards, key=lambda n: (n not in owners, -sizes.get(n, 1), n)):
            place = owners.setdefault(shard, min(self.places, key=lambda place: targets[place]))
            targets[place] += sizes.get(shard, 1)
            dealt[place].append(shard)
        return dealt

    def _sizes(self, step: str) -> Mapping[int, int]:
        """Targets of each shard; nothing for the first round of names, whose shards are alike."""
        pass_name, _, round_ = step.rpartition("-r")
        return self._folder.planned(pass_name, int(round_)) or {}

    async def _run_at(self, place: _Place, pass_: Pass, step: str, shards: list[int]) -> None:
        left, fruitless = shards, 0
        while left:
            worker = await place.worker()
            await self._divide()
            try:
                await worker.call(Run(pass_.name, step, left))
                break
            except Gone:
                await place.worker()  # whoever comes is alone there, and nothing changes any more
                await trio.to_thread.run_sync(self._clear, [unit_of(step, s) for s in left])
                before, left = left, [s for s in left if not self._finished(step, s)]
                fruitless = fruitless + 1 if left == before else 0
                if fruitless == FRUITLESS:
                    raise WorkerError(
                        f"{FRUITLESS} workers in a row have ended by "
                        f"{worker.ended} over {step}, shards {left}; what they "
                        "finished is kept, and the same command goes on from there"
                    ) from None
        place.running -= 1
        await trio.to_thread.run_sync(self.health.keep)
        await self._divide()

    def _finished(self, step: str, shard: int) -> bool:
        return self._frame.work.finished(unit_of(step, shard))

    def _clear(self, units: Iterable[str]) -> None:
        """Remove what a worker was writing when it died."""
        dead = set(units)
        self._folder.recover(lambda unit: unit.partition("-c")[0] in dead)

    # --- the limits ------------------------------------------------------------------------

    async def _divide(self) -> None:
        """Give everyone who has something to do an equal part of the limits of the scan."""
        async with self._dividing:
            present = [p for p in self.places if p.running and p.present is not None]
            if present == self._active:
                return
            # Who has a part is told first, so that nobody begins before there is room.
            told: list[_Place] = []
            for place in sorted(present, key=lambda p: p not in self._active):
                if (worker := place.present) is not None:  # it may have died meanwhile
                    with suppress(Gone):
                        await worker.call(Limit(len(present)))
                        told.append(place)
            self._active = [place for place in present if place in told]

    # --- the workers -----------------------------------------------------------------------

    async def supervise(self, place: _Place, setup: Setup) -> None:
        """Keep a worker in its place until the end."""
        with trio.CancelScope(shield=True):  # it is told to end, and still has things to say
            while not self._ending.is_set():
                if (worker := await self._started(setup)) is None:
                    return
                self._workers.append(worker)
                place.take(worker)
                if self._news is not None:
                    await worker.tell(*self._news)
                if self._ending.is_set():
                    await worker.channel.end()
                await worker.listen(self._frame.progress)
                place.leave()
                if not self._ending.is_set():
                    self._frame.progress.say(
                        f"worker {place.index} ended by {worker.ended}; "
                        "another one goes on from its last checkpoint"
                    )
                    await self._divide()
                setup = replace(setup, resumed=True)

    async def _started(self, setup: Setup) -> Worker | None:
        """One who has come; nobody when the end of the scan comes first."""
        worker: Worker | None = None

        async def give_up() -> None:
            await self._ending.wait()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up)
            worker = await self._start(setup)
            nursery.cancel_scope.cancel()
        return worker

    async def end(self) -> None:
        """Tell the workers to stop at a checkpoint."""
        self._ending.set()
        for place in self.places:
            if (worker := place.present) is not None:
                await worker.channel.end()

    async def keep_health(self) -> None:
        """Write down from time to time how the resolvers are doing."""
        while True:
            await trio.sleep(KEPT_EVERY)
            await trio.to_thread.run_sync(self.health.keep)

    def _stats(self) -> list[ResolverStats]:
        kept = [worker.kept.get(health.STATE, ()) for worker in self._workers]
        return [ResolverStats(**row) for row in health.added(kept)]

    # --- the canaries ----------------------------------------------------------------------

    async def _greet(self, canary: Endpoint) -> Answer:
        """Have it greeted by a worker, whose limits count it."""
        while True:
            worker = await (self._active or self.places)[0].worker()
            try:
                answer: Answer = await worker.call(Greet(canary))
            except Gone:
                continue
            return answer

    def _tell(self, good: bool, began: float) -> None:
        self._news = good, began
        self._heard.set()

    async def spread_news(self) -> None:
        """Tell the workers what the canaries say, whenever they have been asked."""
        while True:
            await self._heard.wait()
            self._heard = trio.Event()
            assert self._news is not None
            for worker in [place.present for place in self.places]:
                if worker is not None:
                    await worker.tell(*self._news)


@asynccontextmanager
async def open_crew(
    frame: Frame,
    folder: ScanFolder,
    number: int,
    *,
    owns: Owns,
    roots: bytes,
    resumed: bool,
    now: Clock,
    start: Start,
) -> AsyncIterator[Crew]:
    """*number* workers, while the block runs.

    *roots* are the trust anchors, PEM.  *resumed*: somebody may have been contacted just now.
    *start* starts a worker: see ``processes`` and ``actors``.  Raises ``WorkerError``, and whatever
    stops a worker for a reason.
    """
    within_descriptors(divided(frame.config, number), frame.progress)  # says so, once for all

    def setup(place: _Place) -> Setup:
        return Setup(
            place=place.index,
            folder=folder.path.resolve(),
            store=folder.store,
            seed=frame.planning.seed,
            config=frame.config,
            roots=roots,
            resumed=resumed,
        )

    crew = Crew(frame, folder, number, owns, now, start)
    frame.progress.describe(("names", "hosts"), crew.health.words)
    frame.progress.describe(("mail",), crew.canaries.words)
    async with trio.open_nursery() as nursery:
        for task in (crew.keep_health, crew.canaries.run, crew.spread_news):
            nursery.start_soon(task)
        try:
            async with trio.open_nursery() as supervisors:
                for place in crew.places:
                    supervisors.start_soon(crew.supervise, place, setup(place))
                try:
                    yield crew
                finally:
                    with trio.CancelScope(shield=True):
                        await crew.end()
        finally:
            with trio.CancelScope(shield=True):  # a store may be slow, and a signal is to be heard
                await trio.to_thread.run_sync(crew.health.keep)
                await trio.to_thread.run_sync(crew.canaries.keep, frame.work)
        nursery.cancel_scope.cancel()
