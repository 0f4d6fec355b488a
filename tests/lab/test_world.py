"""A world starts, writes what a scan needs, and leaves nothing behind."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import trio

from crawler.lab import open_world, serve
from crawler.lab.addresses import UNIQUE_UP_TO
from crawler.lab.scenario import Accept
from crawler.lab.world import listeners, make_sites

pytestmark = pytest.mark.anyio


async def test_the_files_of_a_world(tmp_path: Path) -> None:
    """Configuration, trust store, list and truth belong together."""
    async with open_world(tmp_path, domains=320, seed=5) as world:
        settings = tomllib.loads(world.config_path.read_text())
        assert settings["dns"]["resolvers"] == [f"127.19.53.1:{world.dns_port}"]
        assert settings["net"]["https_port"] == world.https_port
        assert settings["net"]["smtp_port"] == world.smtp_port
        assert (tmp_path / settings["net"]["trust_roots"]).read_bytes().startswith(b"-----BEGIN")
        lines = world.list_path.read_text().splitlines()
        assert lines[0] == f"1,{world.domains[0]}"
        assert [line.partition(",")[2] for line in lines] == list(world.domains)
        truth = pq.read_table(world.truth_path, columns=["domain"])["domain"].to_pylist()
        assert truth == list(world.domains)


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_everything_is_closed_at_the_end(tmp_path: Path) -> None:
    """Descriptors return to where they were."""
    async with open_world(tmp_path / "first", domains=1):
        pass  # whatever is made once is made now
    before = descriptors()
    async with open_world(tmp_path / "second", domains=320):
        assert descriptors() > before + 100
    assert descriptors() == before


async def test_two_worlds_stand_side_by_side(tmp_path: Path) -> None:
    """Ports are chosen so that they do not meet."""
    async with (
        open_world(tmp_path / "a", domains=1) as one,
        open_world(tmp_path / "b", domains=1) as other,
    ):
        assert one.https_port != other.https_port


async def test_serve_hands_the_world_over_and_runs_until_cancelled(tmp_path: Path) -> None:
    """For a caller with a nursery of its own."""
    async with trio.open_nursery() as nursery:
        world = await nursery.start(serve, tmp_path)
        assert len(world.domains) == 2000
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("domains", [2000, UNIQUE_UP_TO, UNIQUE_UP_TO + 1, 20_000])
def test_listeners_stay_bounded(domains: int) -> None:
    """However many domains there are; everything stays on loopback."""
    sites = make_sites(
        domains=domains,
        seed=1,
        epoch=0,
        only_scenarios=False,
        now=datetime.now(UTC),
        ipv6=True,
    )
    wanted = [item for item in listeners(sites, ipv6=True) if item.accept is not Accept.REFUSED]
    assert len(wanted) < 2000
    assert all(item.address == "::1" or item.address.startswith("127.") for item in wanted)
    by_service = [(item.address, item.mail is None) for item in wanted]
    assert len(by_service) == len(set(by_service)), "two personas at one address"


def test_small_worlds_give_every_host_its_own_address() -> None:
    """So that a log entry tells the host."""
    sites = make_sites(
        domains=1000, seed=1, epoch=0, only_scenarios=False, now=datetime.now(UTC), ipv6=False
    )
    own = [listener.address for site in sites for listener in site.listeners()]
    assert len(own) == len(set(own))
