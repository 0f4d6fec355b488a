"""A block of port 25 that begins in mid-scan is no failure of the hosts behind it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trio

from crawler.config import Config, Dns, Endpoint
from crawler.net.resolver import open_resolver
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.protocol.chain import ChainJudge
from crawler.records import StarttlsSession
from crawler.scan.canary import Answer, Canaries, Greeter
from crawler.vocabulary import Blame, IoStatus, Stage
from tests import rows
from tests.net.nameserver import Asked, Sent, serve
from tests.net.servers import (
    AUTHORITY,
    Behaviour,
    Peer,
    server_context,
    serving,
    unused_port,
    virtual_time,
    world,
)

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
INTERVAL = 30.0
FIRST: Endpoint = ("one.example", 25)
SECOND: Endpoint = ("two.example", 25)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


# What the answers mean for others.


class Coast:
    """Canaries that answer or do not, as the test says; an inquiry takes a second for each."""

    def __init__(self, *well: Endpoint) -> None:
        self.well = set(well)
        self.greeted: list[tuple[float, Endpoint]] = []
        self.began = trio.current_time()

    async def greet(self, endpoint: Endpoint) -> Answer:
        self.greeted.append((trio.current_time() - self.began, endpoint))
        await trio.sleep(1)
        good = endpoint in self.well
        return Answer(endpoint[0], good=good, words="greets" if good else "silence")


@asynccontextmanager
async def watched(
    coast: Coast, endpoints: Sequence[Endpoint] = (FIRST, SECOND), said: list[str] | None = None
) -> AsyncIterator[Canaries]:
    canaries = Canaries(
        endpoints,
        coast.greet,
        interval=INTERVAL,
        say=(said if said is not None else []).append,
        now=lambda: NOW,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(canaries.run)
        async with canaries.watching():
            yield canaries
        nursery.cancel_scope.cancel()


def failed(
    status: IoStatus = IoStatus.CONNECTION_TIMEOUT, stage: Stage | None = Stage.CONNECT
) -> StarttlsSession:
    return rows.session("mx.example", "192.0.2.1", status=status, stage=stage, blame=Blame.NETWORK)


async def test_one_canary_is_enough_and_they_take_turns() -> None:
    coast = Coast(FIRST, SECOND)
    async with watched(coast):
        await trio.sleep(2.5 * INTERVAL)
    assert [endpoint for _, endpoint in coast.greeted] == [FIRST, SECOND, FIRST]


async def test_a_canary_that_is_down_by_itself_says_nothing() -> None:
    coast, said = Coast(SECOND), list[str]()
    async with watched(coast, said=said) as canaries:
        await canaries.answering()
        row = failed()
        assert await canaries.vouched(row) is row
    assert (said, canaries.outages) == ([], [])


async def test_m23_k13_nobody_is_greeted_before_a_canary_has_answered() -> None:
    coast = Coast(FIRST)
    began = trio.current_time()
    async with watched(coast) as canaries:
        await canaries.answering()
    assert trio.current_time() - began == pytest.approx(1)


async def test_a_failure_is_believed_once_a_canary_has_answered_after_it() -> None:
    coast = Coast(FIRST)
    async with watched(coast) as canaries:
        await trio.sleep(10)
        row, ended = failed(), trio.current_time()
        assert await canaries.vouched(row) is row
    assert trio.current_time() - ended <= INTERVAL + 2
    assert any(ended < coast.began + at for at, _ in coast.greeted)


async def test_an_inquiry_that_began_before_the_failure_does_not_vouch_for_it() -> None:
    """The block may have begun while it was under way."""
    coast = Coast(FIRST)
    async with watched(coast) as canaries:
        await trio.sleep(0.5)  # the first inquiry is under way
        coast.well.clear()
        await trio.sleep(0.1)
        row = await canaries.vouched(failed())
    assert row.status is IoStatus.VANTAGE_FAILURE


async def test_m25_a_block_in_mid_scan_is_the_vantage_s_and_stops_the_pass() -> None:
    coast, said = Coast(FIRST, SECOND), list[str]()
    async with watched(coast, said=said) as canaries:
        await canaries.answering()
        coast.well.clear()
        began = trio.current_time()
        row = await canaries.vouched(failed())
        noticed = trio.current_time() - began
        with trio.move_on_after(10 * INTERVAL) as waiting:
            await canaries.answering()
        assert waiting.cancelled_caught, "nobody is greeted meanwhile"
        coast.well.add(SECOND)
        await canaries.answering()
    assert noticed <= 60
    assert (row.status, row.blame) == (IoStatus.VANTAGE_FAILURE, Blame.VANTAGE)
    assert row.error == "connection-timeout at connect, and no canary answered either"
    assert [sentence.partition(" answer")[0] for sentence in said] == [
        "no canary",
        "canary two.example",
    ]
    (outage,) = canaries.outages
    assert outage["from"] == outage["to"] == NOW.isoformat()
    assert "silence" in outage["words"]


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        pytest.param(IoStatus.SUCCESS, Stage.QUIT, id="nothing failed"),
        pytest.param(IoStatus.IO_TIMEOUT, Stage.EHLO, id="the host has greeted us"),
        pytest.param(IoStatus.APPLICATION_ERROR, Stage.BANNER, id="the host turned us away"),
        pytest.param(IoStatus.OPTED_OUT, None, id="nobody was contacted"),
    ],
)
async def test_what_a_host_has_said_needs_no_canary(status: IoStatus, stage: Stage | None) -> None:
    async with watched(Coast()) as canaries:
        row, began = failed(status, stage), trio.current_time()
        assert await canaries.vouched(row) is row
        assert trio.current_time() == began


async def test_without_canaries_nothing_is_held_back() -> None:
    coast = Coast()
    async with watched(coast, ()) as canaries:
        await canaries.answering()
        row = failed()
        assert await canaries.vouched(row) is row
    assert coast.greeted == []
    assert canaries.words() == ""


async def test_nobody_is_greeted_while_nobody_wants_to_know() -> None:
    coast = Coast(FIRST)
    canaries = Canaries((FIRST,), coast.greet, interval=INTERVAL, say=print, now=lambda: NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(canaries.run)
        await trio.sleep(5 * INTERVAL)
        assert coast.greeted == []
        async with canaries.watching(), canaries.watching():
            await canaries.answering()
        await trio.sleep(5 * INTERVAL)
        assert len(coast.greeted) == 1
        nursery.cancel_scope.cancel()


# What counts as an answer.


def mail_host(*names: str, starttls: bool = True) -> Behaviour:
    context = server_context(*names)

    async def behaviour(peer: Peer) -> None:
        await peer.say(b"220 canary\r\n")
        await peer.line()
        await peer.say(b"250-canary\r\n250 STARTTLS\r\n" if starttls else b"250 canary\r\n")
        await peer.line()
        if starttls:
            await peer.say(b"220 go\r\n")
            await peer.start_tls(context)
            await peer.line()
            await peer.say(b"250 canary\r\n")
            await peer.line()
        await peer.say(b"221 bye\r\n")

    return behaviour


def script(asked: Asked) -> list[Sent]:
    """The canary is on 127.0.0.1, and nobody else exists."""
    known = asked.qname == "canary.example" and asked.rdtype == "A"
    return [asked.reply("127.0.0.1") if known else asked.reply(rcode="NXDOMAIN")]


async def greeted(config: Config, endpoint: Endpoint) -> Answer:
    async with (
        serve(script) as nameserver,
        open_resolver(Dns(resolvers=(nameserver.label,)), rng=random.Random(1)) as resolver,
    ):
        greeter = Greeter(
            port=config.net.smtp_port,
            resolver=resolver,
            gate=Gate(config, OptOut(None), frozenset()),
            client=MailClient("probe.example.net", config.limits),
            judge=ChainJudge(AUTHORITY.cert_pem.bytes()),
        )
        return await greeter.greet(endpoint)


@pytest.mark.parametrize(
    ("behaviour", "host", "good", "words"),
    [
        (mail_host("canary.example"), "canary.example", True, "greets"),
        (mail_host("proxy.example"), "canary.example", False, "redirected"),
        (mail_host("proxy.example"), "127.0.0.1", True, "greets"),
        (mail_host(starttls=False), "canary.example", False, "no STARTTLS"),
        (mail_host(), "nobody.example", False, "NXDOMAIN"),
    ],
    ids=["well", "m24 somebody else answers", "an address has no name", "stripped", "no address"],
)
async def test_what_counts_as_an_answer(
    behaviour: Behaviour, host: str, good: bool, words: str
) -> None:
    async with serving(behaviour) as server:
        answer = await greeted(world(server.port), (host, server.port))
    assert (answer.good, words in answer.words) == (good, True), answer


async def test_a_port_that_nobody_listens_on() -> None:
    port = unused_port()
    answer = await greeted(world(port), ("127.0.0.1", port))
    assert (answer.good, answer.words) == (
        False,
        f"connection-refused at connect: is port {port} blocked here?",
    )


async def test_a_canary_on_another_port_is_not_dialled() -> None:
    config = world(unused_port())
    answer = await greeted(replace(config), ("127.0.0.1", 1))
    assert not answer.good
    assert "is ever dialled" in answer.words
