"""Workers as processes: they may die at any moment, and they end when the scan does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import trio

from crawler.config import Seconds
from crawler.records import StarttlsSession
from crawler.scan.progress import Progress
from crawler.scan.request import Executor, Request
from crawler.scan.run import scan
from crawler.scan.stopping import STOPPING
from crawler.snapshot.store import Archive
from crawler.vocabulary import IoStatus
from tests.net.hosts import mail_host
from tests.net.servers import Behaviour, Peer
from tests.scan.children import ROOT, SCAN_ID, LabProcess, rows, settings_in
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


WITH_WORKERS: Final = pytest.mark.parametrize(
    "name",
    [
        "processes",
        pytest.param(
            "ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
        ),
    ],
)
"""For tests whose scans are in processes of their own."""


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
    ends = [name[1] for name in (peer.tcp.socket.getpeername(), peer.tcp.socket.getsockname())]
    table = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    (inode,) = (row[9] for row in table if [int(end[-4:], 16) for end in row[1:3]] == ends)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it has ended meanwhile
            if str(link.readlink()) == f"socket:[{inode}]":
                return int(link.parts[2])
    raise AssertionError(f"nobody has the connection from port {ends[0]}")


def unheeded_by(pid: int) -> set[int]:
    """The signals that a process ignores, or does not let come to it."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [int(status.partition(f"{name}:")[2].split()[0], 16) for name in ("SigIgn", "SigBlk")]
    return {number for number in range(1, 65) if any(mask >> number - 1 & 1 for mask in masks)}


@pytest.fixture(params=get_args(Executor)[1:])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Each of the executors that have workers."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return request.param


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
    executor: Executor, tmp_path: Path
) -> None:
    """It is killed right after an MX host has accepted its connection.

    By what cannot be ignored: what stops the scan, and reaches all its processes, it leaves to it.
    """
    killed: list[float] = []
    unheeded: set[int] = set()

    def kill(peer: Peer) -> None:
        worker = owner_of(peer)
        unheeded.update(unheeded_by(worker))
        os.kill(worker, signal.SIGKILL)
        killed.append(trio.current_time())

    interval = {"processes": 3.0, "ray": 6.0}[executor]  # more than a worker takes to start
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
            executor=executor,
            workers=2,
        )
        outcome = await scan(request, told)
        visits = {
            server.address: list(server.visits)
            for server in (*world.policy_hosts.values(), *world.mail_hosts.values())
        }
        local = Request(sources=(str(listed),), archive=tmp_path / "one", config=world.config)
        expected = rows_of_all(await scan(local, Progress(quiet=True)))
    assert unheeded.issuperset(STOPPING)
    assert len([said for said in told.said if "another one goes on" in said]) == 1
    found = rows_of_all(outcome)
    assert {c: multiset(found[c]) for c in found} == {c: multiset(expected[c]) for c in expected}
    assert repeated(observed(found)) == []
    # Whom the dead worker was talking to is visited once more, and not within its interval.
    again = [some for some in visits.values() if len(some) > 1]
    assert killed[0] in [pytest.approx(some[0].opened, abs=0.5) for some in again]
    assert all(b.opened - a.opened >= interval for some in again for a, b in pairwise(some))
    assert all(len(some) <= 2 for some in again)
    assert workers_of(os.getpid()) == []


def family(pid: int) -> set[int]:
    """A process and all that come from it."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(process.name)] = int(
                (process / "stat").read_text().rpartition(") ")[2].split()[1]
            )
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


IPV6_LOOPBACK = "00000000000000000000000001000000"


def listening(pids: Iterable[int]) -> Counter[str]:
    """The addresses at which these processes take connections, as the kernel writes them."""
    held = set()
    for pid in pids:
        with suppress(OSError):
            held |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return Counter(
        row[1].partition(":")[0]
        for table in ("tcp", "tcp6")
        for row in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:])
        if row[3] == "0A" and f"socket:[{row[9]}]" in held
    )


@pytest.mark.usefixtures("ray_cluster")
def test_a_cluster_of_our_own_keeps_to_this_machine_and_leaves_no_trace_in_it() -> None:
    found = listening(family(os.getpid()))
    assert found
    # The lab of other tests, a child like the cluster, has many addresses of 127.0.0.0/8, and ::1.
    assert [address for address in found if not address.endswith(("7F", IPV6_LOOPBACK))] == []
    assert not [name for name in os.environ if name.startswith("RAY_")]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


@pytest.mark.soak
async def test_the_lab_by_workers(
    executor: Executor,
    lab_process: LabProcess,
    expected: dict[str, Counter[str]],
    tmp_path: Path,
) -> None:
    request = Request(
        sources=(str(lab_process.list),),
        archive=tmp_path,
        config=settings_in(lab_process.config, rounds=0, delay=0.2),
        scan_id=SCAN_ID,
        executor=executor,
        workers=2,
    )
    await scan(request, Progress(quiet=True))
    assert rows(tmp_path) == expected


@pytest.mark.soak
def test_the_lab_by_shares(
    lab_process: LabProcess, expected: dict[str, Counter[str]], tmp_path: Path
) -> None:
    left = {f"{index}/3" for index in range(3)}
    while left:
        for share in sorted(left):
            with lab_process.scan(tmp_path, options=("--shard", share)) as running:
                _, said = running.communicate()
            assert running.returncode in (0, 3), said
            left -= {share} if running.returncode == 0 else set()
    seal = [sys.executable, "-m", "crawler", "seal", str(tmp_path), "--scan-id", SCAN_ID]
    subprocess.run(seal, check=True, cwd=ROOT)
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


@WITH_WORKERS
@pytest.mark.soak
def test_workers_end_when_the_scan_is_killed_and_hold_its_lock_until_then(
    name: str, lab_process: LabProcess, expected: dict[str, Counter[str]], tmp_path: Path
) -> None:
    with lab_process.scan(tmp_path, options=("--executor", name, "--workers", "2")) as running:
        lab_process.signal(running, signal.SIGKILL, query=60)
        running.communicate()  # its standard error is open as long as a worker is
    assert running.returncode == -signal.SIGKILL
    lab_process.finish(tmp_path)
    assert rows(tmp_path) == expected


@WITH_WORKERS
@pytest.mark.soak
@pytest.mark.parametrize("number", STOPPING, ids=lambda n: n.name)
def test_what_a_terminal_sends_reaches_everybody_and_stops_at_a_checkpoint(
    name: str,
    lab_process: LabProcess,
    expected: dict[str, Counter[str]],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    with lab_process.scan(
        tmp_path, options=("--executor", name, "--workers", "2"), process_group=0
    ) as running:
        lab_process.signal(running, number, query=60, group=True)
        _, said = running.communicate()
    assert running.returncode == 130
    assert f"stopped by {number.name}" in said
    assert "another one goes on" not in said
    lab_process.finish(tmp_path)
    assert rows(tmp_path) == expected
