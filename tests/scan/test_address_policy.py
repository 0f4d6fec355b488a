"""Whatever the DNS says, the only sockets that are opened lead to public addresses, port 443 or 25.

The interpreter itself reports every ``connect`` (its audit events), beneath all code of ours, and
none that would leave this machine is let through.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.config import Config, Dns, Net, Politeness, Retry, Seconds
from crawler.net.https import PolicyClient
from crawler.net.resolver import open_resolver
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.probe import hosts, policy, starttls
from crawler.records import (
    AddressLookup,
    HostTarget,
    MailTarget,
    PolicyFetch,
    PolicyTarget,
    StarttlsSession,
)
from crawler.vocabulary import IoStatus
from tests.net import nameserver
from tests.net.nameserver import Asked, Sent
from tests.politeness.test_addresses import REFUSED
from tests.probe.lookup_world import LeftAlone, records
from tests.scan.small_world import Site, observe, observed, open_world, virtual_time

# --- what the interpreter reports ----------------------------------------------------------


@dataclass
class Dialled:
    """Where sockets were told to connect to, other than to this machine's own servers."""

    streams: set[tuple[str, int]] = field(default_factory=set)
    datagrams: set[tuple[str, int]] = field(default_factory=set)
    """For these nothing is sent by connecting; it is how a route is looked up."""


_watching: Dialled | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or _watching is None:
        return
    sock, (host, port, *_) = arguments
    if ip_address(host) in ip_network("127.53.0.0/16"):  # the name servers of the tests
        return
    if sock.type == socket.SOCK_DGRAM:
        _watching.datagrams.add((host, port))
        return
    _watching.streams.add((host, port))
    raise ConnectionRefusedError(errno.ECONNREFUSED, "the tests stay on this machine")


sys.addaudithook(_audit)


@contextmanager
def watching() -> Iterator[Dialled]:
    """Note who is dialled while the block runs, and let nobody be reached."""
    global _watching
    _watching = seen = Dialled()
    try:
        yield seen
    finally:
        _watching = None


def is_public(text: str) -> bool:
    """Whether nothing special is known of an address, by Python's tables and not by ours."""
    address = ip_address(text)
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv4Address):
        return True
    return not (
        address.ipv4_mapped
        or address.sixtofour
        or address.teredo
        or address.is_site_local
        or address in ip_network("64:ff9b::/96")
        or address in ip_network("64:ff9b:1::/48")
        or address in ip_network("::/96")
    )


# --- generated worlds ----------------------------------------------------------------------

PUBLIC = ("8.8.8.8", "1.1.1.1", "9.9.9.9")

NAMES = (
    "mx.example",
    "localhost",
    "127.0.0.1",
    "10.0.0.1:8080",
    "0x7f000001",
    "2130706433",
    "metadata.google.internal",
    "_25._tcp.mx.example",
    "mta-sts.example:8443",
)
"""Names that look like addresses, or like a port, lead where the DNS says and nowhere else."""

V4 = st.one_of(
    st.sampled_from([a for _, a, _ in REFUSED if ":" not in a]),
    st.sampled_from(PUBLIC),
    st.ip_addresses(v=4).map(str),
)
V6 = st.one_of(
    st.sampled_from([a for _, a, _ in REFUSED if ":" in a and "%" not in a]),
    st.tuples(
        st.sampled_from([0xFFFF << 32, 0x0064FF9B << 96, 0, 0x0064FF9B0001 << 80]),
        st.ip_addresses(v=4).map(int),
    ).map(lambda parts: str(IPv6Address(sum(parts)))),
    st.ip_addresses(v=4).map(lambda inner: str(IPv6Address(0x2002 << 112 | int(inner) << 80))),
    st.ip_addresses(v=6).map(str),
    st.sampled_from(["2606:4700::1111", "2001:200::1"]),
)


@dataclass(frozen=True)
class Published:
    """What a name leads to."""

    name: str
    aliases: tuple[str, ...]
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]


PUBLISHED = st.builds(
    Published,
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(NAMES[1:4]), max_size=2, unique=True).map(tuple),
    st.lists(V4, max_size=4).map(tuple),
    st.lists(V6, max_size=4).map(tuple),
)
PORTS = st.sampled_from([(443, 25), (8443, 2525)])


async def contact_all(
    worlds: Sequence[Published], ports: tuple[int, int]
) -> list[PolicyFetch | StarttlsSession]:
    """Look every name up, and go to every address found with both services, whatever planning
    would make of it.
    """
    known = {published.name: published for published in worlds}

    def script(asked: Asked) -> Iterable[Sent]:
        found = known[asked.qname.lower()]
        rdata = {"A": found.ipv4, "AAAA": found.ipv6}[asked.rdtype]
        aliases = tuple(a for a in found.aliases if a != found.name)
        return [asked.reply(*rdata, aliases=aliases)]

    looked_up: list[Any] = []
    https, smtp = ports
    async with nameserver.serve(script) as server:
        config = Config(
            dns=Dns(resolvers=(server.label,), queries_per_second=1e6),
            net=Net(https_port=https, smtp_port=smtp),
            politeness=Politeness(per_address_interval=Seconds(0), connections_per_second=1e6),
        )
        async with open_resolver(config.dns, rng=Random(1)) as resolver:
            await hosts.probe(
                [HostTarget(host=name, mail=False) for name in known],
                scan_id="s",
                resolver=resolver,
                opt_out=LeftAlone(),
                emit=looked_up.append,
            )
    gate = Gate(config, OptOut(None))
    fetcher, greeter = PolicyClient(config.identity, config.limits), MailClient("x", config.limits)
    rows: list[PolicyFetch | StarttlsSession] = []
    for found in looked_up:
        for address in (*found.ipv4, *found.ipv6):
            fetch = PolicyTarget(domain="d", host=found.host, address=address)
            greet = MailTarget(host=found.host, address=address, aliases=found.cname_chain)
            rows.append((await policy.probe(fetch, scan_id="s", gate=gate, client=fetcher))[0])
            rows.append((await starttls.probe(greet, scan_id="s", gate=gate, client=greeter))[0])
    return rows


def check_dialled(worlds: list[Published], ports: tuple[int, int]) -> None:
    clock = trio.testing.MockClock(autojump_threshold=0.002)
    with watching() as seen:
        rows = trio.run(contact_all, worlds, ports, clock=clock)
    assert {port for _, port in seen.streams} <= set(ports)
    assert [address for address, _ in seen.streams if not is_public(address)] == []
    for row in rows:
        dialled = any(address == row.address for address, _ in seen.streams)
        assert dialled != (row.status is IoStatus.BLOCKLISTED_TARGET), row
        assert dialled or row.address not in PUBLIC
    assert {address for address, _ in seen.datagrams} <= {address for address, _ in seen.streams}


WORLDS = st.lists(PUBLISHED, max_size=6, unique_by=lambda published: published.name)


@settings(max_examples=40)
@given(worlds=WORLDS, ports=PORTS)
def test_s25_no_zone_leads_to_another_port_or_a_special_address(
    worlds: list[Published], ports: tuple[int, int]
) -> None:
    check_dialled(worlds, ports)


@pytest.mark.soak
@settings(max_examples=20_000)
@given(worlds=WORLDS, ports=PORTS)
def test_soak_s25(worlds: list[Published], ports: tuple[int, int]) -> None:
    check_dialled(worlds, ports)


# --- a scan of the public Internet ---------------------------------------------------------


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


@pytest.mark.anyio
async def test_s01_to_s18_a_scan_dials_no_special_address_and_says_which_it_is(
    tmp_path: Path,
) -> None:
    """Each is published as a policy host and as an MX host, beside one that is public."""
    special = [(address, word) for _, address, word in REFUSED if "%" not in address]
    sites = [
        Site(
            label=f"s{n}",
            zone={
                ("mta-sts", "AAAA" if ":" in address else "A"): records(address),
                ("", "MX"): records(f"1 mx.s{n}.example."),
                ("mx", "AAAA" if ":" in address else "A"): records(address),
            },
        )
        for n, (address, _) in enumerate(special)
    ]
    beside = Site(label="beside", zone={("mta-sts", "A"): records("8.8.8.8", "127.0.0.1")})
    async with open_world(tmp_path, [*sites, beside]) as world:
        config = replace(world.config, net=Net(), retry=Retry(rounds=0))
        with watching() as seen:
            rows = observed((await observe(world, config)).rows)
    assert seen.streams == {("8.8.8.8", 443)}
    assert len([row for row in rows if isinstance(row, AddressLookup)]) == 2 * len(sites) + 1
    refused = {
        (type(row), row.host): row
        for row in rows
        if isinstance(row, PolicyFetch | StarttlsSession) and row.address != "8.8.8.8"
    }
    assert {row.status for row in refused.values()} == {IoStatus.BLOCKLISTED_TARGET}
    for n, (_, word) in enumerate(special):
        for row in (
            refused[PolicyFetch, f"mta-sts.s{n}.example"],
            refused[StarttlsSession, f"mx.s{n}.example"],
        ):
            assert row.error is not None
            assert word in row.error or "our own" in row.error
    assert (PolicyFetch, "mta-sts.beside.example") in refused
