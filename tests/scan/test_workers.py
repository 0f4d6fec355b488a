"""Workers as processes: they may die at any moment, and they end when the scan does."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from crawler.config import Seconds
from crawler.records import StarttlsSession
from crawler.scan.progress import Progress
from crawler.scan.request import Request
from crawler.scan.run import scan
from crawler.scan.stopping import STOPPING
from crawler.snapshot.store import Archive
from crawler.vocabulary import IoStatus
from tests.net.hosts import mail_host
from tests.net.servers import Behaviour, Peer
from tests.scan.children import SCAN_ID, LabProcess, rows, settings_in
from tests.scan.small_world import (
    Host,
    Site,
    good_policy,
    good_site,
    observed,
    open_world,
    repeated,
    rows_of_all,
)
from tests.scan.test_executors import multiset
from tests.scan.test_politeness import in_turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


class Told(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


def workers_of(pid: int) -> list[int]:
    """The worker processes that are children of a process."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            parent = (process / "stat").read_text().rpartition(") ")[2].split()[1]
            if int(parent) == pid and b"crawler.scan.worker" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def owner_of(peer: Peer) -> int:
    """The process at the other end of a connection."""
    _, port = peer.tcp.socket.getpeername()
    table = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    (inode,) = (row[9] for row in table if row[1].endswith(f":{port:04X}"))
    for pid in workers_of(os.getpid()):
        links = Path(f"/proc/{pid}/fd").iterdir()
        if any(str(link.readlink()) == f"socket:[{inode}]" for link in links):
            return pid
    raise AssertionError(f"nobody has the connection from port {port}")


def ignored_by(pid: int) -> set[int]:
    """The signals that a process does not heed."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return {number for number in range(1, 65) if mask >> number - 1 & 1}


def once(do: Callable[[Peer], None], host: Host) -> Host:
    """A host that does something first when it is visited for the first time."""
    done: list[Peer] = []

    def make(context: Any) -> Behaviour:
        behaviour = host(context=context)

        async def first(peer: Peer) -> None:
            if not done:
                done.append(peer)
                do(peer)
            await behaviour(peer)

        return first

    return make


def mail(context: Any) -> Behaviour:
    return mail_host(context=context)


async def test_a_worker_killed_in_mid_shard_is_replaced_and_its_destinations_left_alone_first(
    tmp_path: Path,
) -> None:
    """It is killed right after an MX host has accepted its connection.

    By what cannot be ignored: what stops the scan, and reaches all its processes, it leaves to it.
    """
    killed: list[float] = []
    ignored: set[int] = set()

    def kill(peer: Peer) -> None:
        worker = owner_of(peer)
        ignored.update(ignored_by(worker))
        os.kill(worker, signal.SIGKILL)
        killed.append(trio.current_time())

    interval = 3.0  # more than a worker takes to start
    sites = [
        Site(
            label=f"d{n}",
            policy=good_policy(f"d{n}.example"),
            mail=once(kill, mail) if n == 3 else mail,
        )
        for n in range(8)
    ]
    for folder in (tmp_path / "one", tmp_path / "two"):
        await trio.Path(folder).mkdir()
    async with open_world(tmp_path, sites, per_address_interval=Seconds(interval)) as world:
        listed = tmp_path / "list.txt"
        await trio.Path(listed).write_text("".join(f"{site.domain}\n" for site in sites))
        told = Told()
        request = Request(
            sources=(str(listed),),
            archive=tmp_path / "two",
            config=world.config,
            executor="processes",
            workers=2,
        )
        outcome = await scan(request, told)
        visits = {
            server.address: list(server.visits)
            for server in (*world.policy_hosts.values(), *world.mail_hosts.values())
        }
        local = Request(sources=(str(listed),), archive=tmp_path / "one", config=world.config)
        expected = rows_of_all(await scan(local, Progress(quiet=True)))
    assert ignored.issuperset(STOPPING)
    assert len([said for said in told.said if "ended by SIGKILL; another one" in said]) == 1
    found = rows_of_all(outcome)
    assert {c: multiset(found[c]) for c in found} == {c: multiset(expected[c]) for c in expected}
    assert repeated(observed(found)) == []
    # Whom the dead worker was talking to is visited once more, and not within its interval.
    again = [some for some in visits.values() if len(some) > 1]
    assert killed[0] in [pytest.approx(some[0].opened, abs=0.5) for some in again]
    assert all(b.opened - a.opened >= interval for some in again for a, b in pairwise(some))
    assert all(len(some) <= 2 for some in again)
    assert workers_of(os.getpid()) == []


@pytest.mark.soak
async def test_the_lab_by_workers(
    lab_process: LabProcess, expected: dict[str, Counter[str]], tmp_path: Path
) -> None:
    request = Request(
        sources=(str(lab_process.list),),
        archive=tmp_path,
        config=settings_in(lab_process.config, rounds=0, delay=0.2),
        scan_id=SCAN_ID,
        executor="processes",
        workers=2,
    )
    await scan(request, Progress(quiet=True))
    assert rows(tmp_path) == expected


@pytest.mark.soak
async def test_who_is_stopped_goes_on_with_another_executor(tmp_path: Path) -> None:
    """What had been finished is not asked for again, and no worker is left."""
    met = trio.Event()
    slow = in_turn(lambda context: Peer.be_silent, mail)
    sites = [
        *(good_site(f"d{n}") for n in range(4)),
        Site(label="slow", mail=once(lambda _: met.set(), slow)),
    ]
    async with open_world(tmp_path, sites) as world:
        listed = tmp_path / "list.txt"
        await trio.Path(listed).write_text("".join(f"{site.domain}\n" for site in sites))
        facts: dict[str, Any] = {"sources": (str(listed),), "archive": tmp_path / "archive"}
        facts["config"] = world.config
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                scan, Request(**facts, executor="processes", workers=2), Progress(quiet=True)
            )
            await met.wait()
            nursery.cancel_scope.cancel()
        assert workers_of(os.getpid()) == []
        (folder,) = Archive(tmp_path / "archive").scans()
        with folder.lock():
            done = {unit for unit in folder.units() if unit.startswith("hosts-r0")}
        assert done
        asked = len(world.nameserver.log)
        outcome = await scan(Request(**facts), Progress(quiet=True))
        looked_up = [a.qname for a in world.nameserver.log[asked:] if a.qname.endswith(".example")]
        assert looked_up == []
        assert len(world.mail_host("slow").visits) == 2
    found = observed(rows_of_all(outcome))
    assert repeated(found) == []
    assert Counter(row.status for row in found if isinstance(row, StarttlsSession)) == {
        IoStatus.SUCCESS: len(sites)
    }


@pytest.mark.soak
def test_workers_end_when_the_scan_is_killed_and_hold_its_lock_until_then(
    lab_process: LabProcess, expected: dict[str, Counter[str]], tmp_path: Path
) -> None:
    with lab_process.scan(
        tmp_path, options=("--executor", "processes", "--workers", "2")
    ) as running:
        lab_process.signal(running, signal.SIGKILL, query=60)
        running.communicate()  # its standard error is open as long as a worker is
    assert running.returncode == -signal.SIGKILL
    lab_process.finish(tmp_path)
    assert rows(tmp_path) == expected


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name)
def test_what_a_terminal_sends_reaches_everybody_and_stops_at_a_checkpoint(
    lab_process: LabProcess,
    expected: dict[str, Counter[str]],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    with lab_process.scan(
        tmp_path, options=("--executor", "processes", "--workers", "2"), process_group=0
    ) as running:
        lab_process.signal(running, number, query=60, group=True)
        _, said = running.communicate()
    assert running.returncode == 130
    assert f"stopped by {number.name}" in said
    lab_process.finish(tmp_path)
    assert rows(tmp_path) == expected
