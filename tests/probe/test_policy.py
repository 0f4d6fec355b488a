"""One target, one row: with all that was seen, or with the reason why nothing was."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio

from crawler.config import Config, Limits, Seconds
from crawler.net.https import PolicyClient
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.probe import policy
from crawler.records import Header, PolicyFetch, PolicyTarget
from crawler.vocabulary import BLAME_OF_IO, Blame, IoStatus, Stage
from tests.net.servers import (
    POLICY,
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
TARGET = PolicyTarget(
    domain="example.com",
    host="mta-sts.example.com",
    address="127.0.0.1",
    aliases=("tenant.hosting.example",),
    attempts=1,
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


def answering(head: bytes, body: bytes = POLICY, *, after: float = 0) -> Behaviour:
    async def behaviour(peer: Peer) -> None:
        await peer.start_tls(GOOD)
        await peer.request()
        await trio.sleep(after)
        await peer.say(b"HTTP/1.1 " + head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return behaviour


async def probe(
    config: Config, target: PolicyTarget = TARGET, *, gate: Gate | None = None
) -> tuple[PolicyFetch, tuple[bytes, ...]]:
    return await policy.probe(
        target,
        scan_id="scan",
        gate=gate or Gate(config, OptOut(config.politeness.opt_out), frozenset()),
        client=PolicyClient(config.identity, config.limits),
        now=lambda: NOW,
    )


async def test_a_row_says_all_that_was_seen() -> None:
    async with serving(
        answering(b"200 OK\r\nContent-Type: text/plain\r\nServer: x", after=3)
    ) as server:
        row, ders = await probe(world(server.port))
    assert row == PolicyFetch(
        scan_id="scan",
        domain="example.com",
        host="mta-sts.example.com",
        address="127.0.0.1",
        attempt=2,
        started_at=NOW,
        elapsed_ms=row.elapsed_ms,
        status=IoStatus.SUCCESS,
        stage=Stage.HTTP_BODY,
        tls_version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        tls_group="x25519",
        tls_hello_retry=False,
        connect_ms=row.connect_ms,
        tls_ms=row.tls_ms,
        chain=tuple(hashlib.sha256(der).hexdigest() for der in ders),
        http_status=200,
        content_type="text/plain",
        headers=(Header(name="server", value=b"x"), Header(name="content-length", value=b"67")),
        body=POLICY,
        body_size=len(POLICY),
        body_truncated=False,
        body_sha256=hashlib.sha256(POLICY).hexdigest(),
    )
    assert len(ders) == 1
    assert row.elapsed_ms == pytest.approx(3000, abs=200)


async def test_two_fetches_of_an_unchanged_host_differ_in_times_alone() -> None:
    head = b"200 OK\r\nServer: x\r\nDate: "
    answers = iter([head + b"Tue, 24 Nov 2026 04:00:00 GMT", head + b"later"])

    async def behaviour(peer: Peer) -> None:
        await answering(next(answers))(peer)

    async with serving(behaviour) as server:
        first, _ = await probe(world(server.port))
        second, _ = await probe(world(server.port))
    assert replace(first, elapsed_ms=0) == replace(second, elapsed_ms=0)


async def test_a_body_over_the_cap_is_cut_and_marked() -> None:
    async with serving(answering(b"200 OK", b"x" * 99)) as server:
        row, _ = await probe(replace(world(server.port), limits=Limits(policy_bytes=64)))
    assert (row.status, row.blame) == (IoStatus.RESPONSE_TOO_LARGE, Blame.TARGET)
    assert (row.body, row.body_size, row.body_truncated) == (b"x" * 64, 65, True)
    assert row.body_sha256 == hashlib.sha256(b"x" * 64).hexdigest()


async def test_a_failure_leaves_null_what_it_did_not_reach() -> None:
    row, ders = await probe(world(unused_port()))
    assert (row.status, row.stage) == (IoStatus.CONNECTION_REFUSED, Stage.CONNECT)
    assert row.blame is Blame.TARGET
    reached = {f.name for f in fields(row) if getattr(row, f.name) not in (None, ())}
    assert reached == {
        "scan_id",
        "attempt",
        "started_at",
        "elapsed_ms",
        "blame",
        "error",
        "host",
        "address",
        "status",
        "stage",
        "domain",
    }
    assert ders == ()


@pytest.mark.parametrize("status", IoStatus)
def test_every_status_has_somebody_to_blame_or_nobody(status: IoStatus) -> None:
    assert (BLAME_OF_IO[status] is None) == (status is IoStatus.SUCCESS)


@pytest.mark.parametrize(
    "entry", ["example.com", "mta-sts.example.com", "hosting.example", "127.0.0.0/24"]
)
async def test_an_opted_out_target_gets_its_row_and_no_contact(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "opt-out"
    path.write_text(entry)
    async with serving(answering(b"200 OK")) as server:
        row, ders = await probe(world(server.port, opt_out=path))
        assert server.visits == []
    assert (row.status, row.blame, row.stage) == (IoStatus.OPTED_OUT, Blame.POLICY, None)
    assert row.error == f"opt-out list: {entry}"
    assert (row.attempt, row.started_at, row.elapsed_ms, ders) == (2, NOW, 0, ())


async def test_a_special_address_gets_its_row_and_no_contact() -> None:
    config = Config()
    row, _ = await probe(config, replace(TARGET, address="169.254.169.254"))
    assert (row.status, row.blame) == (IoStatus.BLOCKLISTED_TARGET, Blame.POLICY)
    assert row.error is not None
    assert "link local" in row.error


async def test_m22_an_ipv6_target_without_ipv6_is_no_fault_of_its_own() -> None:
    config = world(1)
    config = replace(config, net=replace(config.net, ipv6=False))
    row, _ = await probe(config, replace(TARGET, address="::1"))
    assert (row.status, row.blame) == (IoStatus.VANTAGE_FAILURE, Blame.VANTAGE)


# What the gate is told.


@pytest.mark.parametrize(
    ("head", "waits"),
    [
        (b"200 OK", 1),
        (b"404 Not Found", 1),
        (b"429 Too Many Requests", 2),
        (b"503 Service Unavailable\r\nRetry-After: 30", 30),
        (b"429 Too Many Requests\r\nRetry-After: 99999999", 60),
        (b"429 Too Many Requests\r\nRetry-After: -1", 2),
        (b"503 Service Unavailable\r\nRetry-After: Tue, 24 Nov 2026 04:00:20 GMT", 20),
        (b"200 OK\r\nRetry-After: 30", 1),
    ],
)
async def test_h12_l9_who_asks_for_less_gets_less(head: bytes, waits: float) -> None:
    async with serving(answering(head)) as server:
        config = world(server.port, per_address_interval=Seconds(1))
        gate = Gate(config, OptOut(None), frozenset())
        for _ in range(2):
            await probe(config, gate=gate)
        first, second = (visit.opened for visit in server.visits)
    assert second - first == pytest.approx(waits, abs=0.2)


async def test_l9_a_timeout_lengthens_the_interval() -> None:
    async with serving(Peer.be_silent) as server:
        config = replace(
            world(server.port, per_address_interval=Seconds(10)),
            limits=Limits(tls_handshake=Seconds(1)),
        )
        gate = Gate(config, OptOut(None), frozenset())
        for _ in range(2):
            await probe(config, gate=gate)
        first, second = (visit.opened for visit in server.visits)
    assert second - first == pytest.approx(21, abs=0.5)  # the second of silence, and twice ten


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("Tue, 24 Nov 2026 04:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 04:01:00 -0000", 60),
        ("Mon, 23 Nov 2026 04:01:00 GMT", 0),
        ("Tue, 99 Nov 2026 04:01:00 GMT", None),
        ("²", None),
        ("٣", None),
        ("\x1d12", 12),
        ("9" * 400, float("inf")),
        ("9" * 5000, float("inf")),
        # Dates beyond what a machine's integers or its calendar hold.
        ("Tue, 24 Nov 9999999999 04:01:00 GMT", None),
        ("Tue, 24 Nov 99999999999999999999 04:01:00 GMT", None),
        ("Tue, 24 Nov 2026 04:01:00 +9999999999999999", None),
        ("Tue, 24 Nov 0001 04:01:00 +2359", 0),
    ],
)
def test_h12_retry_after_is_read_as_rfc_9110_writes_it(
    value: str | None, seconds: float | None
) -> None:
    assert policy.retry_after(value, NOW) == seconds


def test_h12_a_date_counts_from_the_moment_of_the_answer() -> None:
    later = NOW + timedelta(seconds=45)
    assert policy.retry_after("Tue, 24 Nov 2026 04:01:00 GMT", later) == 15
