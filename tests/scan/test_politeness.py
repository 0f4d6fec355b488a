"""What a scan promises to those it visits, as their own logs have it; never as we count.

Invariants are named as in the threat model: L1 connections at once, L2 gaps between starts, L3
prefixes, L4 services that share an address, L5 after a resume, L7 retries, L9 back-pressure, L10 the
pause before a policy is asked for again, L13 the order of visits, L15 what is said; K11 is who asks
to be left alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from crawler.config import Limits, Retry, Seconds
from crawler.politeness.opt_out import OptOutError
from crawler.records import PolicyFetch, StarttlsSession
from crawler.vocabulary import DnsStatus, IoStatus
from tests.net.hosts import BANNER, answering, mail_host, response
from tests.net.servers import Behaviour, Peer, Visit, most_at_once
from tests.probe.lookup_world import records
from tests.scan.small_world import (
    Host,
    Site,
    World,
    good_policy,
    good_site,
    observe,
    observed,
    open_world,
    rows_of,
    run_scan,
    still,
    virtual_time,
)

pytestmark = pytest.mark.anyio

INTERVAL = 2.0
DELAY = 300.0
ROUNDING = 1e-6
"""Seconds: the clock is a float."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


# --- a crowd at four addresses -------------------------------------------------------------


def in_turn(*hosts: Host) -> Host:
    """A host that behaves differently at every visit, and at last always the same."""

    def make(context: Any) -> Behaviour:
        left = [host(context=context) for host in hosts]

        async def behaviour(peer: Peer) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(peer)

        return behaviour

    return make


def hanging_up(context: Any) -> Behaviour:
    """A policy host that takes the request and closes, which is asked again."""

    async def behaviour(peer: Peer) -> None:
        await peer.start_tls(context)
        await peer.request()

    return behaviour


def lasting(host: Host, seconds: float) -> Host:
    """The same host, slower to begin."""

    def make(context: Any) -> Behaviour:
        behaviour = host(context=context)

        async def slow(peer: Peer) -> None:
            await trio.sleep(seconds)
            await behaviour(peer)

        return slow

    return make


def speaking(*arguments: Any, **how: Any) -> Host:
    return lambda context: mail_host(*arguments, context=context, **how)


def telling(status: bytes, *headers: bytes) -> Host:
    return lambda context: answering(response(b"", *headers, status=status), context=context)


RETRY_AFTER = 20.0

ADDRESSES = ("127.110.0.1", "127.110.0.2", "127.110.0.3", "127.111.0.1")
POLICIES = (
    lasting(good_policy("crowd.example"), 5),
    lasting(hanging_up, 6),
    lasting(telling(b"429 X", b"Retry-After: %d" % RETRY_AFTER), 7),
    still(Peer.be_silent),
)
MAILS = (
    lasting(speaking(), 3),
    lasting(in_turn(*(speaking(g) for g in (b"421 busy\r\n", b"451 later\r\n", BANNER))), 4),
    lasting(speaking(ehlo=b"502 what?\r\n"), 2),
    still(Peer.be_silent),
)
DOMAINS = 12


def crowd() -> list[Site]:
    """Three domains at each of four addresses, of which three are neighbours; a policy host and an
    MX host at every one of them.
    """
    return [
        Site(
            label=f"d{n}",
            policy=POLICIES[n % 4],
            mail=MAILS[n % 4],
            policy_at=ADDRESSES[n % 4],
            mail_at=ADDRESSES[n % 4],
        )
        for n in range(DOMAINS)
    ]


@asynccontextmanager
async def crowded(folder: Path, connections: int) -> AsyncIterator[World]:
    pace: dict[str, Any] = {
        "per_address_interval": Seconds(INTERVAL),
        "per_prefix_connections": 3,
        "connections": connections,
        "connections_per_second": 5.0,
    }
    async with open_world(folder, crowd(), **pace) as world:
        world.config = replace(
            world.config,
            limits=Limits(tls_handshake=Seconds(15), smtp_banner=Seconds(15)),
            retry=Retry(rounds=1, delay=Seconds(DELAY)),
        )
        yield world


def visits_at(world: World, *addresses: str) -> list[Visit]:
    """Everybody who came to these addresses, whatever for, by when they came."""
    servers = (world.policy_hosts, world.mail_hosts)
    visits = [v for some in servers for a in addresses if a in some for v in some[a].visits]
    return sorted(visits, key=lambda visit: visit.opened)


def gaps(visits: Iterable[Visit]) -> list[float]:
    """Seconds between one start and the next."""
    return [b - a for a, b in pairwise(sorted(visit.opened for visit in visits))]


TRANSCRIPT = re.compile(
    rb"(EHLO nobody\.invalid\r\n(HELO nobody\.invalid\r\n|STARTTLS\r\n(EHLO nobody\.invalid\r\n)?)?)?"
    rb"(QUIT\r\n)?"
)


@pytest.mark.parametrize("connections", [1, 8, 64, 512])
async def test_l1_l2_l3_l4_l7_l9_l10_l15_whatever_is_retried_and_however_many_push(
    tmp_path: Path, connections: int
) -> None:
    """Timeouts, 421, 429 and a HELO fallback draw from the same budget as everything else, and so do
    policy hosts with names of their own at one address (H20).
    """
    async with crowded(tmp_path, connections) as world:
        rows = observed((await observe(world)).rows)
    for address in ADDRESSES:
        assert min(gaps(visits_at(world, address))) >= INTERVAL - ROUNDING
        assert world.mail_hosts[address].most_at_once <= 1
        assert world.policy_hosts[address].most_at_once <= 2
    everybody = visits_at(world, *ADDRESSES)
    assert most_at_once(visits_at(world, *ADDRESSES[:3])) == min(3, connections)
    assert most_at_once(everybody) <= connections
    assert min(gaps(everybody)) >= 0.2 - ROUNDING

    # A row for every visit, and a visit for every row: nobody comes twice for one answer.
    conversations = [row for row in rows if isinstance(row, PolicyFetch | StarttlsSession)]
    assert len(everybody) == len(conversations) == 2 * DOMAINS + 3 + 2 + 3 + 3

    for visit in (v for server in world.mail_hosts.values() for v in server.visits):
        assert TRANSCRIPT.fullmatch(bytes(visit.received)), visit.received
    _told_429(world)
    _hung_up(world)


def _told_429(world: World) -> None:
    """Who asked for twenty seconds has them, from either service."""
    told = world.policy_hosts[ADDRESSES[2]].visits
    assert len(told) == 3
    for visit in told:
        assert visit.closed is not None
        later = (v.opened for v in visits_at(world, ADDRESSES[2]) if v.opened > visit.closed)
        assert all(start >= visit.closed + RETRY_AFTER - ROUNDING for start in later)


def _hung_up(world: World) -> None:
    """A policy that was not to be had is asked for again, once, and not within five minutes."""
    asked: dict[bytes, list[float]] = {}
    for visit in world.policy_hosts[ADDRESSES[1]].visits:
        (host,) = re.findall(rb"(?i)^host: (\S+)", bytes(visit.received), re.MULTILINE)
        asked.setdefault(host, []).append(visit.opened)
    assert len(asked) == 3
    for first, second in asked.values():
        assert second - first >= DELAY


async def test_l5_a_scan_that_dies_and_is_gone_on_with_keeps_its_distance(tmp_path: Path) -> None:
    """It dies right after a connection was accepted; the next process knows nothing of that."""
    met = trio.Event()

    def deadly(context: Any) -> Behaviour:
        async def behaviour(peer: Peer) -> None:
            met.set()
            await mail_host(context=context)(peer)

        return behaviour

    at = ADDRESSES[0]
    sites = [good_site("good", policy_at=at), Site(label="deadly", mail=deadly, mail_at=at)]
    interval = 60.0  # so that the names cannot be looked up meanwhile
    async with open_world(tmp_path, sites, per_address_interval=Seconds(interval)) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(observe, world)
            await met.wait()
            nursery.cancel_scope.cancel()
        died = trio.current_time()
        await observe(world, resumed=True)
    visits = visits_at(world, at)
    assert died in [visit.opened for visit in visits]
    assert len(visits) >= 3
    assert min(gaps(visits)) >= interval - ROUNDING


async def test_l13_neighbours_in_the_list_are_not_asked_for_one_after_the_other(
    tmp_path: Path,
) -> None:
    """Spearman's rank correlation of a domain's place in the list and in the name server's log."""
    count = 100
    sites = [Site(label=f"d{n:02d}") for n in range(count)]
    async with open_world(tmp_path, sites) as world:
        await observe(world, replace(world.config, dns=replace(world.config.dns, in_flight=1)))
    asked = [a.qname for a in world.nameserver.log if a.qname.startswith("_mta-sts.")]
    places = [int(name[len("_mta-sts.d") :][:2]) for name in asked]
    assert sorted(places) == list(range(count))
    difference = sum((place - turn) ** 2 for turn, place in enumerate(places))
    assert abs(1 - 6 * difference / (count * (count**2 - 1))) < 0.25
    assert sum(abs(a - b) == 1 for a, b in pairwise(places)) < count / 10


# --- who asks to be left alone -------------------------------------------------------------

ALIASES = ("tenant.hoster.example", "edge.cdn.example")


def at(address: str, *aliases: str) -> Any:
    return records(address, aliases=aliases)


OPT_OUT = """\
listed.example                 # 1, 2: a domain of the list, and all names below it
suffix.example                 # the same by a name above it
hoster.example                 # 3: the first alias of a policy host
cdn.example                    # the last alias of an MX host
mta-sts.named.example          # 4: a policy host by its name
127.120.0.1                    # by its address
127.120.1.0/24                 # by its network
::ffff:127.120.2.1             # by its address in another spelling
mx.shared.example              # 5: an MX host by its name, for whomever it takes mail
127.121.0.1                    # 6: by its address
127.121.1.0/24                 # by its network
::ffff:127.121.2.1             # by its address in another spelling
127.121.3.1                    # without an MX record
"""

WHO_IS_VISITED = {
    # label: (policy host, MX host)
    "listed": (False, False),
    "a.suffix": (False, False),
    "badsuffix": (True, True),
    "alias": (False, True),
    "alias-mail": (True, False),
    "named": (False, True),
    "p-address": (False, True),
    "p-network": (False, True),
    "p-mapped": (False, True),
    "shared": (True, False),
    "m-address": (True, False),
    "m-network": (True, False),
    "m-mapped": (True, False),
    "implicit": (True, False),
}


def sites_that_asked() -> list[Site]:
    """A site for each kind of entry at each point where it has to be heeded."""
    where: dict[str, dict[str, Any]] = {
        "alias": {
            "policy_at": "127.119.0.1",
            "zone": {("mta-sts", "A"): at("127.119.0.1", *ALIASES)},
        },
        "alias-mail": {
            "mail_at": "127.119.0.2",
            "zone": {("mx", "A"): at("127.119.0.2", "x.y.example", "edge.cdn.example")},
        },
        "p-address": {"policy_at": "127.120.0.1"},
        "p-network": {"policy_at": "127.120.1.77"},
        "p-mapped": {"policy_at": "127.120.2.1"},
        "m-address": {"mail_at": "127.121.0.1"},
        "m-network": {"mail_at": "127.121.1.77"},
        "m-mapped": {"mail_at": "127.121.2.1"},
        "implicit": {
            "mail_at": "127.121.3.1",
            "zone": {("", "MX"): records(), ("", "A"): at("127.121.3.1")},
        },
    }
    tenant = Site(label="tenant", zone={("", "MX"): records("1 mx.shared.example.")})
    return [*(good_site(label, **where.get(label, {})) for label in WHO_IS_VISITED), tenant]


async def test_k11_every_kind_of_entry_is_heeded_at_every_point(tmp_path: Path) -> None:
    listed = tmp_path / "opt-out"
    await trio.Path(listed).write_text(OPT_OUT)
    async with open_world(tmp_path, sites_that_asked(), opt_out=listed) as world:
        rows = observed((await observe(world)).rows)
    visited = {
        label: (bool(world.policy_host(label).visits), bool(world.mail_host(label).visits))
        for label in WHO_IS_VISITED
    }
    assert visited == WHO_IS_VISITED
    for name in ("listed.example", "suffix.example", "mta-sts.named.example", "mx.shared.example"):
        assert world.asked_of(name) == 0
    said = {row.error for row in rows if row.status in (IoStatus.OPTED_OUT, DnsStatus.OPTED_OUT)}
    entries = [line.partition("#")[0].strip() for line in OPT_OUT.splitlines()]
    assert said == {f"opt-out list: {entry.removeprefix('::ffff:')}" for entry in entries}


LATE = ("late-domain.example", "mx.late-host.example", "127.122.0.1", "127.122.1.0/24")


async def test_k11_who_asks_while_the_scan_runs_is_left_alone_from_then_on(tmp_path: Path) -> None:
    """Each adds itself to the list when it is first visited, and turns us away so that the next
    round would ask again; and of two conversations that wait for one address, the second is not had.
    """
    listed = tmp_path / "opt-out"
    await trio.Path(listed).write_text("")

    def asking(*entries: str, mail: bool) -> Host:
        def make(context: Any) -> Behaviour:
            turned_away = (speaking(b"421 go away\r\n") if mail else hanging_up)(context=context)

            async def behaviour(peer: Peer) -> None:
                text = await trio.Path(listed).read_text()
                fresh = trio.Path(tmp_path / "fresh")
                await fresh.write_text(text + "".join(f"{entry}\n" for entry in entries))
                await fresh.replace(listed)
                await turned_away(peer)

            return behaviour

        return make

    domain, host, address, network = LATE
    sites = [
        Site(label="late-domain", policy=asking(domain, mail=False)),
        Site(label="late-host", mail=asking(host, mail=True)),
        Site(label="late-address", mail=asking(address, mail=True), mail_at="127.122.0.1"),
        Site(label="late-network", policy=asking(network, mail=False), policy_at="127.122.1.1"),
        Site(label="behind", policy=hanging_up, policy_at="127.122.1.1"),
    ]
    pace: dict[str, Any] = {"per_address_interval": Seconds(INTERVAL), "per_address_https": 1}
    async with open_world(tmp_path, sites, opt_out=listed, **pace) as world:
        rows = observed((await observe(world)).rows)
    servers = [*world.policy_hosts.values(), *world.mail_hosts.values()]
    assert [len(server.visits) for server in servers] == [1] * 4
    statuses = Counter(row.status for row in rows if isinstance(row, PolicyFetch | StarttlsSession))
    assert statuses[IoStatus.OPTED_OUT] == 5
    assert sum(statuses.values()) == 9


async def test_k11_a_plan_made_before_the_entry_was_does_not_count(tmp_path: Path) -> None:
    """The scan is stopped at its first conversation and gone on with when all have opted out: what
    the disk says is left to do is not done.
    """
    listed = tmp_path / "opt-out"
    await trio.Path(listed).write_text("")
    met = trio.Event()

    def first(context: Any) -> Behaviour:
        async def behaviour(peer: Peer) -> None:
            met.set()
            await peer.be_silent()

        return behaviour

    sites = [Site(label=f"d{n}", policy=first, mail=first) for n in range(4)]
    async with open_world(tmp_path, sites, opt_out=listed, connections=1) as world:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_scan, world, tmp_path)
            await met.wait()
            nursery.cancel_scope.cancel()
        await trio.sleep(10)
        asked = world.asked_of("example")
        await trio.Path(listed).write_text("example\n")
        outcome = await run_scan(world, tmp_path)
        assert world.asked_of("example") == asked
    servers = [*world.policy_hosts.values(), *world.mail_hosts.values()]
    assert sum(len(server.visits) for server in servers) == 1
    fetches, sessions = rows_of(outcome, PolicyFetch), rows_of(outcome, StarttlsSession)
    assert {row.status for row in [*fetches, *sessions]} == {IoStatus.OPTED_OUT}
    assert len(fetches) == len(sessions) == len(sites)


async def test_k11_a_list_that_cannot_be_read_stops_the_start_with_its_line(tmp_path: Path) -> None:
    listed = tmp_path / "opt-out"
    await trio.Path(listed).write_text("a.example\nhttps://b.example/\n")
    async with open_world(tmp_path, [good_site("a")], opt_out=listed) as world:
        refused = pytest.RaisesExc(OptOutError, match="opt-out, line 2: ")
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            await run_scan(world, tmp_path)
    assert world.nameserver.log == []
    assert visits_at(world, *world.addresses["a"]) == []
    assert not await trio.Path(tmp_path / "archive").exists()
