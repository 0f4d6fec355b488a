"""Workers as actors: what an actor does by itself, and what a cluster of Ray makes of it.

That an actor may die at any moment, and that a cluster of our own keeps to itself, is tested where
workers are (``test_workers``): one file, so that one cluster is started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import trio
import trio.testing

import crawler
from crawler.config import Config
from crawler.scan.actor import Actor, Over
from crawler.scan.cluster import SHORT
from crawler.scan.crew import WorkerError
from crawler.scan.progress import Progress
from crawler.scan.wire import Setup
from crawler.snapshot.store import Archive, LockedError, ScanFolder
from tests.net.servers import unused_port
from tests.scan.children import ROOT, SURROUNDINGS, LabProcess, folder_of, rows
from tests.scan.small_world import Site, open_world, run_scan

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


# --- an actor, without Ray


def locked(folder: ScanFolder) -> bool:
    """Whether a later process is kept from the scan."""
    try:
        with folder.lock():
            return False
    except LockedError:
        return True


def test_an_actor_hears_only_the_conversation_under_way(tmp_path: Path) -> None:
    actor = Actor(Archive(tmp_path).create_scan("s").path, 0)
    with pytest.raises(Over):
        actor.give(0)
    assert actor.begin(0) == crawler.__version__
    assert actor.begin(1) == crawler.__version__
    with pytest.raises(Over):
        actor.take(0, b"of a worker before")
    with pytest.raises(Over):
        actor.hang_up(0)
    actor.hang_up(1)
    said = b"".join(iter(lambda: actor.give(1), b""))
    assert b"Report" in said  # the last word of a worker that was told nothing
    actor.leave()
    with pytest.raises(Over):
        actor.give(1)


def test_an_actor_holds_the_scan_from_its_first_word_to_its_last(tmp_path: Path) -> None:
    folder = Archive(tmp_path).create_scan("s")
    one, other = Actor(folder.path, 1), Actor(folder.path, 2)
    assert not locked(folder)
    one.begin(0)
    other.begin(0)
    one.leave()
    assert locked(folder)
    other.leave()
    assert not locked(folder)
    one.begin(1)
    assert locked(folder)
    one.leave()


def test_a_place_is_free_when_who_had_it_has_gone(tmp_path: Path) -> None:
    """Not before, whatever the cluster believes: who comes next waits."""
    folder = Archive(tmp_path).create_scan("s")
    before, after = Actor(folder.path, 0), Actor(folder.path, 0)
    before.begin(0)
    begun: list[str] = []

    async def begin() -> None:
        begun.append(await trio.to_thread.run_sync(after.begin, 1))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert begun == []
            before.leave()

    trio.run(main)
    assert begun == [crawler.__version__]
    after.leave()


# --- a cluster


@pytest.mark.soak
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    program = "from crawler.scan.cluster import connected; connected(1).__enter__()"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "RAY_ADDRESS": f"127.0.0.1:{unused_port()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "WorkerError: no Ray cluster at RAY_ADDRESS=127.0.0.1:" in ended.stderr


@pytest.mark.soak
@pytest.mark.usefixtures("ray_cluster")
async def test_actors_together_keep_the_rate_of_the_scan(tmp_path: Path) -> None:
    """By when the name server was asked: alone, each would be done in half the time."""
    rate = 40.0
    async with open_world(tmp_path, [Site(label=f"d{n}") for n in range(24)]) as world:
        dns = replace(world.config.dns, queries_per_second=rate, in_flight=2)
        await run_scan(world, tmp_path, replace(world.config, dns=dns), executor="ray", workers=2)
        asked = sorted(a.at for a in world.nameserver.log if a.qname.endswith(".example"))
    assert len(asked) >= 72
    assert asked[-1] - asked[0] >= 0.9 * len(asked) / rate


@pytest.mark.soak
@pytest.mark.usefixtures("ray_cluster")
async def test_an_actor_that_does_not_find_the_scan_says_so(tmp_path: Path) -> None:
    from crawler.scan.actors import open_actors

    folder = ScanFolder(tmp_path / "scan=elsewhere")
    setup = Setup(place=0, folder=folder.path, seed="s", config=Config(), roots=b"", resumed=False)
    cannot = pytest.raises(WorkerError, match=r"worker 0 cannot start: .*No such file")
    with open_actors(folder, Progress(quiet=True)) as start, cannot:
        await start(setup)


@pytest.mark.soak
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_when_a_machine_dies_its_actor_goes_on_at_another(
    lab_process: LabProcess, expected: dict[str, Counter[str]], tmp_path: Path
) -> None:
    """By a cluster that was there before, and is there afterwards."""
    with tempfile.TemporaryDirectory(dir=SHORT) as scratch:
        environment = {
            **SURROUNDINGS["env"],
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": 32 * "5",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_TMPDIR": scratch,
        }
        with subprocess.Popen(
            [sys.executable, "-m", "tests.scan.ray_machines"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as machines:
            assert machines.stdout is not None
            address, raylet = machines.stdout.readline().split()
            with lab_process.scan(
                tmp_path,
                options=("--executor", "ray", "--workers", "2"),
                env={
                    **environment,
                    "RAY_ADDRESS": address,
                    "STS_DNS_QUERIES_PER_SECOND": "8",  # it takes Ray seconds to notice a death
                },
            ) as running:
                lab_process.signal(int(raylet), signal.SIGKILL, query=10)
                out, said = running.communicate()
            assert machines.poll() is None
            machines.communicate()
    assert running.returncode == 0, said
    assert out == f"{folder_of(tmp_path)}\n"
    assert len([line for line in said.splitlines() if "another one goes on" in line]) == 1
    assert rows(tmp_path) == expected
