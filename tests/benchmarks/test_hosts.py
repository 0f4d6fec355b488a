"""The servers of the benchmarks answer as the clients expect them to."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from tests.benchmarks import hosts, peer_loop, tarpit, world
from tests.benchmarks.workload import read_hosts
from tests.benchmarks.world import World
from tests.interop.world import free_port

needs_nginx = pytest.mark.skipif(
    hosts.lacking() is not None, reason=f"needs the Debian packages {hosts.lacking()}"
)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, 400, stack)


@pytest.mark.interop
@needs_nginx
@pytest.mark.parametrize(
    ("serve", "talk", "lists"),
    [
        (world.policy_hosts, "policies", "policy_hosts"),
        (world.rsa_policy_hosts, "policies", "policy_hosts"),
        (world.mail_hosts, "mail", "mx_hosts"),
    ],
)
def test_nginx_takes_the_exported_configuration(
    small: World, serve: world.Serve, talk: str, lists: str
) -> None:
    """The first and the last host of the list present their chain, and the policy."""
    setting = serve(small)
    talks, context = peer_loop.TALKS[talk]
    listed = read_hosts(setting.lists / f"{lists}.csv")
    with setting.running:
        for address, host in (listed[0], listed[-1]):
            with socket.create_connection((address, setting.server[1])) as wire:
                assert talks(context, wire, host)


def test_a_tarpit_says_an_octet_a_second_and_no_line(tmp_path: Path) -> None:
    """It neither ends its greeting nor the connection."""
    port = free_port()
    arrived = []
    with (
        hosts.Tarpits(tmp_path / "tarpits", tmp_path, port, 2),
        socket.create_connection((tarpit.address(1), port), timeout=5) as wire,
    ):
        for _ in range(2):
            assert wire.recv(100) == b"2"
            arrived.append(time.monotonic())
    assert all(later - earlier > 0.5 for earlier, later in pairwise(arrived))


def test_tarpits_have_addresses_of_their_own() -> None:
    """Also beside the MX hosts."""
    addresses = {tarpit.address(number) for number in range(world.TARPITS)}
    assert len(addresses) == world.TARPITS
    assert all(address.startswith("127.2.") for address in addresses)
