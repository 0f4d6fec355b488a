"""The promises of politeness, as the servers see them: whatever the workers do, limits hold.

Invariants are named as in the threat model: L1 connections at once, L2 gaps between starts, L3
prefixes, L4 across services, L5 after a resume, L7 one permit one connection, L9 back-pressure.
"""

from __future__ import annotations

import random
from collections import defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import trio
import trio.testing

from crawler.config import Config, Net, Politeness, Seconds
from crawler.net.wire import dial
from crawler.politeness.destination import prefix_of
from crawler.politeness.gate import Gate, Permit, Refused, Service
from crawler.politeness.opt_out import OptOut
from crawler.politeness.pace import Pace
from crawler.vocabulary import Blame, IoStatus
from tests.net.servers import Peer, Visit, most_at_once, serve_while, virtual_time

pytestmark = pytest.mark.anyio

PUBLIC = "8.8.8.8"
NOBODY: frozenset[str] = frozenset()

ROUNDING = 1e-9
"""Seconds: the clock is a float."""


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Time passes only while everybody waits; no sockets are needed for most of this."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def config(*, ipv6: bool = True, allow: tuple[str, ...] = (), **limits: float) -> Config:
    defaults: dict[str, float] = {"per_address_interval": 2.0, "connections_per_second": 1e6}
    return Config(
        net=Net(ipv6=ipv6, allow_addresses=allow),
        politeness=Politeness(**{**defaults, **limits}),  # type: ignore[arg-type]
    )


class Log:
    """Who was in contact with which address, and when, as the far end would log it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.visits: dict[str, list[Visit]] = defaultdict(list)

    async def contact(
        self, address: str, service: Service = "https", *, lasting: float = 0
    ) -> None:
        async with self._gate.admit(address, service):
            visit = Visit(trio.current_time())
            self.visits[address].append(visit)
            await trio.sleep(lasting)
            visit.closed = trio.current_time()

    def starts(self, address: str) -> list[float]:
        return sorted(visit.opened for visit in self.visits[address])

    @property
    def everything(self) -> list[Visit]:
        return [visit for visits in self.visits.values() for visit in visits]


# Who is not contacted at all.


@pytest.mark.parametrize(
    ("settings", "address", "status", "blame"),
    [
        (config(), "127.0.0.1", IoStatus.BLOCKLISTED_TARGET, Blame.POLICY),
        (config(), "64:ff9b::7f00:1", IoStatus.BLOCKLISTED_TARGET, Blame.POLICY),
        (config(allow=("127.0.0.0/8",)), PUBLIC, IoStatus.BLOCKLISTED_TARGET, Blame.POLICY),
        (config(ipv6=False), "2606:4700::1111", IoStatus.VANTAGE_FAILURE, Blame.VANTAGE),
    ],
)
async def test_an_address_that_is_not_dialled_is_refused_with_a_word(
    settings: Config, address: str, status: IoStatus, blame: Blame
) -> None:
    with pytest.raises(Refused) as refused:
        async with Gate(settings, OptOut(None), NOBODY).admit(address, "smtp"):
            pytest.fail("admitted")
    assert (refused.value.status, refused.value.blame) == (status, blame)
    assert refused.value.reason


async def test_s20_our_own_address_and_our_resolver_s_are_refused() -> None:
    gate = Gate(config(), OptOut(None), frozenset({"9.9.9.9"}))
    for address in ("9.9.9.9", "127.0.0.1"):  # 127.0.0.1:53 is the default resolver
        with pytest.raises(Refused):
            async with gate.admit(address, "https"):
                pytest.fail("admitted")


@pytest.mark.parametrize(
    ("entry", "address", "names"),
    [
        ("example.com", PUBLIC, ("example.com", "mta-sts.example.com")),
        ("mta-sts.example.com", PUBLIC, ("example.com", "mta-sts.example.com")),
        ("hosting.example", PUBLIC, ("example.com", "mta-sts.example.com", "a.hosting.example")),
        ("mx.example.net", PUBLIC, ("mx.example.net",)),
        (PUBLIC, PUBLIC, ()),
        ("8.8.8.0/24", PUBLIC, ("mx.example.net",)),
        ("2606:4700::/32", "2606:4700::1111", ()),
    ],
    ids=["domain", "policy host", "alias", "MX host", "address", "CIDR", "IPv6 CIDR"],
)
async def test_every_kind_of_opt_out_is_honoured(
    tmp_path: Path, entry: str, address: str, names: tuple[str, ...]
) -> None:
    path = tmp_path / "opt-out"
    path.write_text(entry)
    gate = Gate(config(), OptOut(path), NOBODY)
    with pytest.raises(Refused) as refused:
        async with gate.admit(address, "https", names=names):
            pytest.fail("admitted")
    assert (refused.value.status, refused.value.blame) == (IoStatus.OPTED_OUT, Blame.POLICY)
    assert entry in refused.value.reason


async def test_an_opt_out_comes_before_every_other_reason(tmp_path: Path) -> None:
    """So that the owner who asked finds it said, and not that the address looked odd."""
    path = tmp_path / "opt-out"
    path.write_text("example.com")
    gate = Gate(config(), OptOut(path), NOBODY)
    with pytest.raises(Refused) as refused:
        async with gate.admit("127.0.0.1", "https", names=("example.com",)):
            pytest.fail("admitted")
    assert refused.value.status is IoStatus.OPTED_OUT


async def test_an_opt_out_that_comes_while_we_wait_is_in_time(tmp_path: Path) -> None:
    path = tmp_path / "opt-out"
    path.write_text("")
    gate = Gate(config(), OptOut(path, clock=trio.current_time), NOBODY)
    async with gate.admit(PUBLIC, "smtp"):
        pass

    async def late() -> None:
        await trio.sleep(0.5)
        fresh = tmp_path / "fresh"
        fresh.write_text("example.com")
        fresh.replace(path)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(late)
        with pytest.raises(Refused) as refused:
            async with gate.admit(PUBLIC, "smtp", names=("example.com",)):
                pytest.fail("admitted")
    assert refused.value.status is IoStatus.OPTED_OUT
    assert trio.current_time() >= 2, "it had begun to wait for its interval"


async def test_the_port_is_the_service_s_and_never_the_input_s() -> None:
    """S25: what the DNS says can move a connection to another address, not to another port."""
    gate = Gate(config(per_address_interval=0), OptOut(None), NOBODY)
    for service, port in (("smtp", 25), ("https", 443)):
        async with gate.admit(PUBLIC, service) as permit:  # type: ignore[arg-type]
            assert permit.use() == (PUBLIC, port)


# Permits.


async def test_only_the_gate_makes_a_permit() -> None:
    with pytest.raises(TypeError, match=r"only Gate\.admit"):
        Permit(PUBLIC, 25, Pace(interval=1, per_second=1), seal=object())


async def test_l7_a_permit_is_good_for_one_connection_and_for_its_block() -> None:
    gate = Gate(config(), OptOut(None), NOBODY)
    async with gate.admit(PUBLIC, "smtp") as used:
        used.use()
        with pytest.raises(RuntimeError, match="used before"):
            used.use()
    async with gate.admit(PUBLIC, "smtp") as kept:
        pass
    with pytest.raises(RuntimeError, match="is over"):
        kept.use()


# Limits.


@pytest.mark.parametrize("workers", [1, 8, 64, 512])
async def test_k10_l1_l2_l4_one_address_is_never_crowded(workers: int) -> None:
    """300 targets at 3 addresses, both services: at no instant more than its share of
    conversations, and no two starts closer than the interval, however many workers push.
    """
    log = Log(Gate(config(), OptOut(None), NOBODY))
    rng = random.Random(7)
    waiting: list[tuple[str, Service]] = [
        (f"8.8.{n % 3}.8", rng.choice(["smtp", "https"])) for n in range(300)
    ]
    by_service: dict[tuple[str, Service], list[Visit]] = defaultdict(list)

    async def work() -> None:
        while waiting:
            address, service = waiting.pop()
            await log.contact(address, service, lasting=rng.uniform(0, 9))
            by_service[address, service].append(log.visits[address][-1])

    async with trio.open_nursery() as nursery:
        for _ in range(workers):
            nursery.start_soon(work)
    assert len(log.everything) == 300
    for address, visits in log.visits.items():
        assert min(b - a for a, b in pairwise(log.starts(address))) >= 2 - ROUNDING
        assert most_at_once(visits) <= 3


@pytest.mark.parametrize(("service", "limit"), [("smtp", 1), ("https", 2)])
async def test_l1_each_service_has_its_own_share(service: Service, limit: int) -> None:
    log = Log(Gate(config(), OptOut(None), NOBODY))
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(partial(log.contact, PUBLIC, service, lasting=30))
    assert most_at_once(log.visits[PUBLIC]) == limit


async def test_l3_one_prefix_has_so_many_conversations_at_once() -> None:
    """/24 and /64, spread over many addresses."""
    log = Log(Gate(config(per_prefix_connections=4), OptOut(None), NOBODY))
    targets = [f"8.8.8.{n}" for n in range(1, 41)] + [f"2606:4700::{n:x}" for n in range(1, 41)]
    async with trio.open_nursery() as nursery:
        for address in targets:
            nursery.start_soon(partial(log.contact, address, lasting=10))
    groups: dict[str, list[Visit]] = defaultdict(list)
    for address, visits in log.visits.items():
        groups[prefix_of(address)] += visits
    assert {most_at_once(visits) for visits in groups.values()} == {4}
    assert len(groups) == 2


async def test_the_scan_has_so_many_connections_at_once() -> None:
    log = Log(Gate(config(connections=7), OptOut(None), NOBODY))
    async with trio.open_nursery() as nursery:
        for n in range(60):
            nursery.start_soon(partial(log.contact, f"8.8.{n}.8", lasting=10))
    assert most_at_once(log.everything) == 7


async def test_the_scan_starts_so_many_connections_a_second() -> None:
    log = Log(Gate(config(connections_per_second=10), OptOut(None), NOBODY))
    async with trio.open_nursery() as nursery:
        for n in range(50):
            nursery.start_soon(log.contact, f"8.8.{n}.8")
    starts = sorted(visit.opened for visit in log.everything)
    assert all(b - a >= 0.1 - 1e-6 for a, b in pairwise(starts))
    assert starts[-1] - starts[0] == pytest.approx(4.9)


async def test_nobody_waits_for_a_stranger() -> None:
    """A hundred targets queue for one address; another address is contacted at once."""
    log = Log(Gate(config(), OptOut(None), NOBODY))
    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(partial(log.contact, PUBLIC, "smtp", lasting=5))
        await trio.testing.wait_all_tasks_blocked()
        before = trio.current_time()
        await log.contact("9.9.9.9", "smtp")
        assert trio.current_time() - before < 0.001
        nursery.cancel_scope.cancel()


async def test_l5_a_resumed_scan_first_waits_one_interval_for_each_destination() -> None:
    log = Log(Gate(config(), OptOut(None), NOBODY, resumed=True))
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for n in range(3):
            nursery.start_soon(log.contact, f"8.8.{n}.8")
    for n in range(3):
        assert log.starts(f"8.8.{n}.8") == [pytest.approx(start + 2, abs=0.001)]


async def test_l9_a_back_off_reaches_those_who_wait_already() -> None:
    """One of two conversations is told 429: the third target waits for the longer interval,
    although it was in the queue before.
    """
    gate = Gate(config(), OptOut(None), NOBODY)
    log = Log(gate)

    async def told_off() -> None:
        async with gate.admit(PUBLIC, "https") as permit:
            await trio.sleep(1)
            permit.back_off(retry_after=20)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(told_off)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(log.contact, PUBLIC)
    assert log.starts(PUBLIC) == [pytest.approx(21)]


async def test_l9_a_back_off_that_comes_late_gives_the_place_to_others() -> None:
    """Who has to wait again does not keep a place in the scan while it does."""
    gate = Gate(config(connections=2, per_address_interval=0), OptOut(None), NOBODY)
    log = Log(gate)

    async def told_off() -> None:
        async with gate.admit(PUBLIC, "https") as permit:
            await trio.sleep(5)
            permit.back_off(retry_after=50)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(told_off)
        nursery.start_soon(partial(log.contact, "9.9.9.9", lasting=10))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(log.contact, PUBLIC)  # wants the third of two places
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(log.contact, "1.1.1.1")
    assert log.starts("1.1.1.1") == [pytest.approx(5)]
    assert log.starts(PUBLIC) == [pytest.approx(55)]


async def test_l9_errors_do_not_speed_up_and_successes_do_so_slowly() -> None:
    gate = Gate(config(), OptOut(None), NOBODY)
    gaps = []
    previous = 0.0
    for reaction in ("back off", "back off", "nothing", "ease", "nothing"):
        async with gate.admit(PUBLIC, "smtp") as permit:
            gaps.append(trio.current_time() - previous)
            previous = trio.current_time()
            if reaction == "back off":
                permit.back_off()
            elif reaction == "ease":
                permit.ease()
    assert gaps == pytest.approx([0, 4, 8, 8, 8])
    async with gate.admit(PUBLIC, "smtp"):
        assert trio.current_time() - previous == pytest.approx(7.2)


async def test_whoever_gives_up_waiting_leaves_nothing_behind() -> None:
    """Cancelled in every kind of wait, they free what they held: the next one gets in."""
    gate = Gate(config(connections=1, per_prefix_connections=1), OptOut(None), NOBODY)
    log = Log(gate)
    async with gate.admit(PUBLIC, "https"), trio.open_nursery() as nursery:
        for address in (PUBLIC, "8.8.8.9", "9.9.9.9"):  # interval, prefix, scan
            nursery.start_soon(log.contact, address)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert log.everything == []
    for address in (PUBLIC, "8.8.8.9", "9.9.9.9"):
        await log.contact(address)
    assert len(log.everything) == 3


async def test_a_conversation_that_raises_leaves_nothing_behind() -> None:
    gate = Gate(config(connections=1), OptOut(None), NOBODY)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with gate.admit(PUBLIC, "smtp"):
                raise ZeroDivisionError


async def test_one_address_has_one_queue_in_every_spelling() -> None:
    gate = Gate(config(), OptOut(None), NOBODY)
    async with gate.admit("2606:4700:0:0:0:0:0:1111", "smtp") as permit:
        assert permit.address == "2606:4700::1111"
        with trio.move_on_after(100) as scope:
            async with gate.admit("2606:4700::1111", "smtp"):
                pytest.fail("two at once")
        assert scope.cancelled_caught


# The same, over real sockets and judged by real servers.


@pytest.mark.parametrize("anyio_backend", [virtual_time()], ids=["virtual time"])
async def test_l1_l2_l3_l4_as_real_servers_log_it() -> None:
    """Connections to three hosts of one /24 and a fourth elsewhere, by many workers."""

    async def behaviour(peer: Peer) -> None:
        await peer.read()  # until the client goes

    hosts = ["127.1.2.1", "127.1.2.2", "127.1.2.3", "127.9.9.9"]
    async with trio.open_nursery() as nursery:
        first = await nursery.start(serve_while, behaviour, hosts[0], 0)
        servers = [first] + [
            await nursery.start(serve_while, behaviour, host, first.port) for host in hosts[1:]
        ]
        limits = Politeness(
            per_address_interval=Seconds(0.5),
            per_prefix_connections=3,
            connections_per_second=1e6,
        )
        net = Net(https_port=first.port, smtp_port=first.port, allow_addresses=("127.0.0.0/8",))
        gate = Gate(Config(net=net, politeness=limits), OptOut(None), NOBODY)

        async def visit(address: str, service: Service, lasting: float) -> None:
            async with gate.admit(address, service) as permit:
                with await dial(permit):
                    await trio.sleep(lasting)

        rng = random.Random(11)
        async with trio.open_nursery() as workers:
            for n in range(80):
                service: Service = "smtp" if n % 2 else "https"
                workers.start_soon(visit, hosts[n % 4], service, rng.uniform(0, 2))
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    assert [len(server.visits) for server in servers] == [20, 20, 20, 20]
    for server in servers:
        starts = sorted(visit.opened for visit in server.visits)
        assert min(b - a for a, b in pairwise(starts)) >= 0.5 - ROUNDING
        assert server.most_at_once <= 3
    together = [visit for server in servers[:3] for visit in server.visits]
    assert most_at_once(together) <= 3


# What is allowed changes while conversations are under way.


async def test_fewer_connections_are_allowed_as_soon_as_enough_have_ended() -> None:
    """Ten conversations of 10 s each: four at once, from then on two, and at last five."""
    gate = Gate(config(connections=4), OptOut(None), NOBODY)
    log = Log(gate)
    crowded: list[bool] = []
    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(partial(log.contact, f"8.8.{n}.1", lasting=10))
        await trio.sleep(5)
        gate.limit(config(connections=2).politeness)
        crowded.append(gate.crowded)
        await trio.sleep(6)
        crowded.append(gate.crowded)
        await trio.sleep(14)
        gate.limit(config(connections=5).politeness)
    opened = [visit.opened for visit in log.everything]
    began = min(opened)
    together = [
        sum(v.opened <= began + at < (v.closed or 0) for v in log.everything)
        for at in (1, 9, 12, 22, 26)
    ]
    assert together == [4, 4, 2, 2, 5]
    assert crowded == [True, False]


async def test_another_rate_holds_from_the_next_start() -> None:
    gate = Gate(config(connections_per_second=1), OptOut(None), NOBODY)
    log = Log(gate)
    for n in range(3):
        await log.contact(f"8.8.{n}.1")
    gate.limit(config(connections_per_second=0.25).politeness)
    for n in range(3, 6):
        await log.contact(f"8.8.{n}.1")
    opened = sorted(visit.opened for visit in log.everything)
    assert [round(b - a) for a, b in pairwise(opened)] == [1, 1, 1, 4, 4]
