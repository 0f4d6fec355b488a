"""Who runs the shards makes no difference to the rows, nor to those who are visited."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from crawler.config import Retry, Seconds, Vantage
from crawler.politeness.opt_out import OptOut
from crawler.records import Lookup, StarttlsSession
from crawler.scan import closing
from crawler.scan.closing import Begun
from crawler.scan.context import utc_now
from crawler.scan.crew import Worker
from crawler.scan.passes import MAIL, NAMES, POLICIES
from crawler.scan.planning import planning
from crawler.scan.progress import Progress
from crawler.scan.request import RequestError
from crawler.scan.run import Outcome, WorkRemainsError, seal_scan
from crawler.scan.session import open_context
from crawler.scan.wire import Channel, Limit, News, Report
from crawler.snapshot.folder import FolderWork
from crawler.snapshot.manifest import verify
from crawler.snapshot.memory import MemoryWork
from crawler.snapshot.share import Share
from crawler.snapshot.store import Archive
from crawler.vocabulary import IoStatus
from tests.net.servers import AUTHORITY, Behaviour, Peer, most_at_once
from tests.scan.executors import Task, frame_in, observe_by, task_workers
from tests.scan.small_world import (
    Site,
    World,
    but_times,
    good_site,
    observe,
    observed,
    open_world,
    repeated,
    rows_of_all,
    run_scan,
    virtual_time,
)
from tests.scan.test_politeness import ADDRESSES, INTERVAL, ROUNDING, crowded, gaps, visits_at

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


def multiset(rows: Iterable[Any]) -> Counter[str]:
    """Rows without what may differ between two scans of one world."""
    varying = ("attempt", "ttl")
    return Counter(
        str(
            [type(row).__name__]
            + [
                (name, value)
                for name, value in but_times(row).items()
                if not (isinstance(row, Lookup) and name in varying)
            ]
        )
        for row in rows
    )


# --- workers


async def test_more_workers_mean_the_same_rows_and_no_more_for_a_destination(
    tmp_path: Path,
) -> None:
    """The crowd of the politeness tests: limits of an address, of a network and of the scan."""
    connections = 7
    async with crowded(tmp_path, connections) as world:
        expected = observed((await observe(world)).rows)
    async with crowded(tmp_path, connections) as world:
        soon = replace(world.config, retry=Retry(rounds=1, delay=Seconds(20)))
        rows = await observe_by(tmp_path, world, 3, soon)
    for address in ADDRESSES:
        assert min(gaps(visits_at(world, address))) >= INTERVAL - ROUNDING
        assert world.mail_hosts[address].most_at_once <= 1
        assert world.policy_hosts[address].most_at_once <= 2
    assert most_at_once(visits_at(world, *ADDRESSES[:3])) <= 3
    assert most_at_once(visits_at(world, *ADDRESSES)) <= connections
    assert repeated(rows) == []
    # Who is busy tells whoever comes at that moment, so only what does not depend on it is compared.
    assert Counter(map(type, rows)) == Counter(map(type, expected))
    lookups = [[row for row in some if isinstance(row, Lookup)] for some in (rows, expected)]
    assert multiset(lookups[0]) == multiset(lookups[1])


async def test_workers_together_keep_the_rate_of_the_scan(tmp_path: Path) -> None:
    rate, workers = 100.0, 4
    sites = [Site(label=f"d{n}") for n in range(40)]
    async with open_world(tmp_path, sites) as world:
        dns = replace(world.config.dns, queries_per_second=rate, in_flight=workers)
        await observe_by(tmp_path, world, workers, replace(world.config, dns=dns))
    asked = sorted(a.at for a in world.nameserver.log)
    assert len(asked) >= 120
    most = max(sum(start <= at < start + 1 for at in asked) for start in asked)
    # A single query is the least burst that there is.
    assert rate / 2 < most <= 1.01 * rate + workers


async def test_limits_are_divided_again_as_workers_come_and_go(tmp_path: Path) -> None:
    """By what the workers were told: each that has something to do has an equal part."""
    async with open_world(tmp_path, [Site(label=f"d{n}") for n in range(24)]) as world:
        frame = frame_in(tmp_path, world, world.config, workers=3)
        work = frame.work
        assert isinstance(work, FolderWork)
        async with task_workers(frame, work, 3) as crew:
            for place in crew.places:
                await place.worker()
            told = _overhear(crew)
            shards = list(work.domain_shards())
            await crew.run(NAMES, "names-r0", shards[:1])
            assert told == [(0, 1)]
            told.clear()
            await crew.run(NAMES, "names-r0", shards[1:])
    assert told[:3] == [(0, 3), (1, 3), (2, 3)]
    # As one after the other is done, those that are not have more.
    assert [among for _, among in told[3:]] in ([2, 2, 1], [2, 2], [1], [])


def _overhear(crew: Any) -> list[tuple[int, int]]:
    """The limits that workers are told from now on: whose place it is, and among how many."""
    told: list[tuple[int, int]] = []
    for place in crew.places:
        worker = place.present
        call = worker.call

        async def overheard(what: Any, call: Any = call, index: int = place.index) -> Any:
            if isinstance(what, Limit):
                told.append((index, what.among))
            return await call(what)

        worker.call = overheard
    return told


async def test_a_destination_has_one_worker_in_every_pass_and_round(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("d")]) as world:
        frame = frame_in(tmp_path, world, world.config, workers=3)
        assert isinstance(frame.work, FolderWork)
        async with task_workers(frame, frame.work, 3) as crew:
            policies = crew._deal(POLICIES, [4, 1, 7, 2], {4: 90, 1: 10, 7: 10, 2: 10})
            mail = crew._deal(MAIL, list(range(8)), {4: 7})
    at = {shard: place for place, shards in mail.items() for shard in shards}
    assert all(at[shard] is place for place, shards in policies.items() for shard in shards)
    assert [4] in policies.values()  # the largest is enough for one
    assert sorted(len(shards) for shards in mail.values()) == [1, 3, 4]


async def test_what_stops_a_worker_stops_the_scan_for_its_reason(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("d")]) as world:
        frame = frame_in(tmp_path, world, world.config, workers=2)
        work = frame.work
        assert isinstance(work, FolderWork)
        staged = work.folder.work / "staged"
        staged.rmdir()
        staged.write_text("a file where a folder has to be")
        refused = pytest.RaisesExc(FileExistsError, match="staged")
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            async with task_workers(frame, work, 2) as crew:
                await crew.run(NAMES, "names-r0", list(work.domain_shards()))


async def test_a_canary_s_silence_holds_up_every_worker_and_is_written_down_once(
    tmp_path: Path,
) -> None:
    """The first two greetings of the canary come to nothing; then it answers."""
    turns = 0

    def waking(context: Any) -> Behaviour:
        async def behaviour(peer: Peer) -> None:
            nonlocal turns
            turns += 1
            if turns > 2:
                await good_site("canary").mail(context=context)(peer)  # type: ignore[misc]

        return behaviour

    sites = [Site(label="canary", mail=waking), *(good_site(f"d{n}") for n in range(6))]
    async with open_world(tmp_path, sites) as world:
        port = world.config.net.smtp_port
        vantage = Vantage(
            canaries=(f"{world.addresses['canary'][1]}:{port}",), canary_interval=Seconds(30)
        )
        config = replace(world.config, vantage=vantage)
        world.sites = world.sites[1:]
        began = trio.current_time()
        rows = await observe_by(tmp_path, world, 3, config)
        greeted = [visit.opened - began for visit in world.mail_host("canary").visits]
        visited = [v.opened - began for n in range(6) for v in world.mail_host(f"d{n}").visits]
    assert min(visited) >= greeted[2]
    assert all(b - a >= 30 - ROUNDING for a, b in pairwise(greeted))
    sessions = [row for row in rows if isinstance(row, StarttlsSession)]
    assert [row.status for row in sessions] == [IoStatus.SUCCESS] * 6
    (outage,) = FolderWork(_scan_folder(tmp_path), seed="seed").recall("canaries")
    assert outage["to"] is not None


async def test_what_the_canaries_say_is_told_on_the_worker_s_own_clock() -> None:
    """And as if from earlier, when it is not known: nobody is vouched for by what came before."""
    ours, theirs = trio.testing.memory_stream_pair()
    worker, its_end = Worker(Task(), Channel(ours)), Channel(theirs)
    async with aclosing(its_end.receive()) as heard, trio.open_nursery() as nursery:
        nursery.start_soon(worker.listen, Progress(quiet=True))
        await worker.tell(True, trio.current_time())
        assert await anext(heard) == News(good=True, began=float("-inf"))
        await its_end.send(Report(at=trio.current_time() + 1000))
        await trio.sleep(7)
        await worker.tell(False, trio.current_time() - 5)
        assert await anext(heard) == News(good=False, began=trio.current_time() + 995)
        nursery.cancel_scope.cancel()


def _scan_folder(folder: Path) -> Any:
    from crawler.snapshot.store import Archive

    return Archive(folder / "archive").open_scan("s")


# --- shares


async def _share(world: World, folder: Path, index: int, of: int, **changes: Any) -> Outcome:
    changes = {"scan_id": "s", **changes}
    return await run_scan(world, folder, share=Share(index, of), **changes)


async def _until_done(world: World, folder: Path, of: int) -> list[str]:
    """Run every share again and again, as a job array does; what they said that they awaited."""
    awaited: list[str] = []
    for _ in range(10):
        left = len(awaited)
        for index in range(of):
            try:
                assert (await _share(world, folder, index, of)).manifest is None
            except* WorkRemainsError as remaining:
                awaited.extend(map(str, remaining.exceptions))
        if len(awaited) == left:
            return awaited
    raise AssertionError(awaited)


async def test_shares_and_a_seal_give_the_rows_of_one_process(tmp_path: Path) -> None:
    sites = [good_site(f"d{n}") for n in range(5)]
    for folder in (tmp_path / "one", tmp_path / "two"):
        await trio.Path(folder).mkdir()
    async with open_world(tmp_path, sites) as world:
        whole = await run_scan(world, tmp_path / "one", scan_id="s")
        archive = tmp_path / "two" / "archive"
        with pytest.RaisesGroup(pytest.RaisesExc(WorkRemainsError, match="of --shard 1/2")):
            await _share(world, tmp_path / "two", 0, 2)
        names = r"missing names-r0: \d shards \([\d, ]+\) of --shard 1/2$"
        with pytest.RaisesGroup(pytest.RaisesExc(WorkRemainsError, match=names)):
            await seal_scan(archive, "s", Progress(quiet=True))
        await _until_done(world, tmp_path / "two", 2)
        asked = len(world.nameserver.log)
        shared = await seal_scan(archive, "s", Progress(quiet=True))
        again = await seal_scan(archive, "s", Progress(quiet=True))
        assert len(world.nameserver.log) == asked
    assert again.already_sealed
    expected, rows = rows_of_all(whole), rows_of_all(shared)
    assert {c: multiset(rows[c]) for c in rows} == {c: multiset(expected[c]) for c in expected}
    assert whole.manifest is not None
    assert shared.manifest is not None
    sent = [m.facts["resolver_health"][0]["answered"] for m in (whole.manifest, shared.manifest)]
    assert sent[0] == sent[1]


async def test_shares_of_another_scan_are_refused(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("a"), good_site("b")]) as world:
        with pytest.RaisesGroup(WorkRemainsError):
            await _share(world, tmp_path, 0, 2)
        other = replace(world.config, vantage=Vantage(name="elsewhere"))
        await _refused(world, tmp_path, "another list, configuration or scope", config=other)
        await _refused(world, tmp_path, "divided into 2 shares; give --shard i/2", of=3)
        await _refused(world, tmp_path, "needs --scan-id", scan_id=None)
        await _refused(world, tmp_path, "one process", executor="processes", workers=2)
        world.sites = world.sites[:1]
        await _refused(world, tmp_path, "another list, configuration or scope")


async def _refused(world: World, folder: Path, words: str, *, of: int = 2, **changes: Any) -> None:
    refused = pytest.RaisesExc(RequestError, match=words)
    with pytest.RaisesGroup(refused, flatten_subgroups=True):
        await _share(world, folder, 1, of, **changes)


async def test_more_processes_than_connections_are_refused(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("a")], connections=3) as world:
        refused = pytest.RaisesExc(RequestError, match="4 processes cannot share")
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            await run_scan(world, tmp_path, executor="processes", workers=4)


async def test_one_pass_alone(tmp_path: Path) -> None:
    async with open_world(tmp_path, [good_site("a")]) as world:
        remains = pytest.RaisesExc(WorkRemainsError, match="missing hosts-r0: 1 shards")
        with pytest.RaisesGroup(remains, flatten_subgroups=True):
            await run_scan(world, tmp_path, only="names", scan_id="s")
        asked = {(a.qname, a.rdtype) for a in world.nameserver.log if a.qname.endswith("a.example")}
        assert {rdtype for _, rdtype in asked} == {"TXT", "MX"}
        outcome = await run_scan(world, tmp_path, scan_id="s")
    assert outcome.manifest is not None


async def test_who_finds_a_scan_sealed_when_it_holds_it_asks_nobody(tmp_path: Path) -> None:
    """Another process, which held it, has come to its end since it was looked for."""

    def seal() -> None:
        folder = Archive(tmp_path / "archive").open_scan("s")
        with folder.lock():
            trio.run(closing.close, Begun.read(folder), utc_now)

    class Sealing(Progress):
        def say(self, sentence: str) -> None:
            if sentence.startswith("resuming scan"):
                other = threading.Thread(target=seal)
                other.start()
                other.join()

    async with open_world(tmp_path, [good_site("a")]) as world:
        await run_scan(world, tmp_path, scan_id="s", share=Share(0, 1))
        asked = len(world.nameserver.log)
        outcome = await run_scan(world, tmp_path, scan_id="s", progress=Sealing(quiet=True))
        assert outcome.already_sealed
        assert {asked.rdtype for asked in world.nameserver.log[asked:]} <= {"SOA", "NS", "A"}
        assert len(world.policy_host("a").visits) == len(world.mail_host("a").visits) == 1
    assert not (outcome.folder.path / "_work").exists()
    assert verify(outcome.folder.path) == []


async def test_what_is_remembered_at_the_end_keeps_nobody_from_hearing_a_signal(
    tmp_path: Path,
) -> None:
    """A store that is silent takes its time, and a second signal ends the process at once."""

    class Slow(MemoryWork):
        def remember(self, name: str, value: Any) -> None:
            kept[name] = threading.current_thread() is not threading.main_thread()

    kept: dict[str, bool] = {}
    async with (
        open_world(tmp_path, [good_site("a")]) as world,
        open_context(
            world.config,
            planning(world.config, seed="s"),
            Slow("s", seed="s"),
            OptOut(None),
            Progress(quiet=True),
            roots=AUTHORITY.cert_pem.bytes(),
        ),
    ):
        pass
    assert kept == {"resolver-health": True, "canaries": True}
