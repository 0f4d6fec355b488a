"""One target, one row: with all that was said, or with the reason why nothing was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from crawler.config import Config, Limits, Seconds
from crawler.net.smtp import MailClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.probe import starttls
from crawler.records import MailTarget, StarttlsSession
from crawler.vocabulary import Blame, IoStatus, Stage
from tests.net.servers import (
    Behaviour,
    Peer,
    server_context,
    serving,
    unused_port,
    virtual_time,
    world,
)

pytestmark = pytest.mark.anyio

GOOD = server_context()
NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
TARGET = MailTarget(
    host="mx.example.com", address="127.0.0.1", aliases=("in.hosting.example",), attempts=2
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


async def mail_host(peer: Peer) -> None:
    await trio.sleep(2)  # a greet delay
    await peer.say(b"220 mx.example.com\r\n")
    await peer.line()
    await peer.say(b"250-mx.example.com\r\n250 STARTTLS\r\n")
    await peer.line()
    await peer.say(b"220 go\r\n")
    await peer.start_tls(GOOD)
    await peer.line()
    await peer.say(b"250 mx.example.com\r\n")
    await peer.line()
    await peer.say(b"221 bye\r\n")


def greeting(line: bytes) -> Behaviour:
    async def behaviour(peer: Peer) -> None:
        await peer.say(line)
        await peer.line()

    return behaviour


async def probe(
    config: Config, target: MailTarget = TARGET, *, gate: Gate | None = None
) -> tuple[StarttlsSession, tuple[bytes, ...]]:
    return await starttls.probe(
        target,
        scan_id="scan",
        gate=gate or Gate(config, OptOut(config.politeness.opt_out), frozenset()),
        client=MailClient("probe.example.net", config.limits),
        now=lambda: NOW,
    )


async def test_a_row_says_all_that_was_seen() -> None:
    async with serving(mail_host) as server:
        row, ders = await probe(world(server.port))
    assert row == StarttlsSession(
        scan_id="scan",
        host="mx.example.com",
        address="127.0.0.1",
        attempt=3,
        started_at=NOW,
        elapsed_ms=row.elapsed_ms,
        status=IoStatus.SUCCESS,
        stage=Stage.QUIT,
        tls_version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        tls_group="x25519",
        tls_hello_retry=False,
        connect_ms=row.connect_ms,
        tls_ms=row.tls_ms,
        chain=tuple(hashlib.sha256(der).hexdigest() for der in ders),
        banner=b"220 mx.example.com\r\n",
        greeting_ms=row.greeting_ms,
        ehlo=(b"250-mx.example.com", b"250 STARTTLS"),
        ehlo_ms=row.ehlo_ms,
        starttls_ms=row.starttls_ms,
        quit_reply=b"221 bye\r\n",
        bare_lf=False,
        helo_fallback=False,
        starttls_offered=True,
        starttls_reply=b"220 go\r\n",
        ehlo_tls=(b"250 mx.example.com",),
    )
    assert len(ders) == 1
    assert row.greeting_ms == pytest.approx(2000, abs=200)
    assert row.elapsed_ms == pytest.approx(2000, abs=200)


async def test_a_failure_leaves_null_what_it_did_not_reach() -> None:
    row, ders = await probe(world(unused_port()))
    assert (row.status, row.stage) == (IoStatus.CONNECTION_REFUSED, Stage.CONNECT)
    assert row.blame is Blame.TARGET
    assert (row.banner, row.greeting_ms, row.ehlo, row.starttls_offered) == (None, None, (), None)
    assert (row.tls_version, row.chain, ders) == (None, (), ())


@pytest.mark.parametrize(
    "entry", ["mx.example.com", "example.com", "in.hosting.example", "127.0.0.1"]
)
async def test_an_opted_out_target_gets_its_row_and_no_contact(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "opt-out"
    path.write_text(entry)
    async with serving(mail_host) as server:
        row, ders = await probe(world(server.port, opt_out=path))
        assert server.visits == []
    assert (row.status, row.blame, row.stage) == (IoStatus.OPTED_OUT, Blame.POLICY, None)
    assert row.error == f"opt-out list: {entry}"
    assert (row.attempt, row.started_at, row.elapsed_ms, ders) == (3, NOW, 0, ())


async def test_a_special_address_gets_its_row_and_no_contact() -> None:
    row, _ = await probe(Config())
    assert (row.status, row.blame) == (IoStatus.BLOCKLISTED_TARGET, Blame.POLICY)


@pytest.mark.parametrize(
    ("behaviour", "waits"),
    [
        (greeting(b"421 4.7.0 too busy\r\n"), 2),
        (greeting(b"450 greylisted\r\n"), 2),
        (greeting(b"554 no\r\n"), 2),
        (greeting(b"521 we take no mail\r\n"), 1),
        (greeting(b"nonsense\r\n"), 1),
    ],
    ids=["421", "450", "554", "521", "nonsense"],
)
async def test_l9_who_asks_for_less_gets_less(behaviour: Behaviour, waits: float) -> None:
    async with serving(behaviour) as server:
        config = world(server.port, per_address_interval=Seconds(1))
        gate = Gate(config, OptOut(None), frozenset())
        for _ in range(2):
            await probe(config, gate=gate)
        first, second = (visit.opened for visit in server.visits)
    assert second - first == pytest.approx(waits, abs=0.2)


async def test_l9_a_tarpit_is_visited_less_often() -> None:
    async with serving(Peer.be_silent) as server:
        config = replace(
            world(server.port, per_address_interval=Seconds(10)),
            limits=Limits(smtp_banner=Seconds(1)),
        )
        gate = Gate(config, OptOut(None), frozenset())
        for _ in range(2):
            await probe(config, gate=gate)
        first, second = (visit.opened for visit in server.visits)
    assert second - first == pytest.approx(21, abs=0.5)


async def test_m12_slow_hosts_do_not_starve_the_others() -> None:
    """Interference: thirty good sessions end while ten tarpits hold their slots."""
    finished: list[float] = []

    async def one(address: str, config: Config, gate: Gate) -> None:
        row, _ = await probe(config, replace(TARGET, address=address), gate=gate)
        if row.status is IoStatus.SUCCESS:
            finished.append(trio.current_time())

    async with (
        serving(mail_host, "127.2.0.1") as good,
        serving(Peer.be_silent, "127.3.0.1", good.port),
    ):
        config = world(good.port, per_address_smtp=200, per_prefix_connections=200)
        gate = Gate(config, OptOut(None), frozenset())
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for address in ["127.3.0.1"] * 10 + ["127.2.0.1"] * 30:
                nursery.start_soon(one, address, config, gate)
    assert len(finished) == 30
    assert max(finished) - start < 10
