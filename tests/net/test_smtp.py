"""Every way an MX host may behave ends in its word, at its stage, with the evidence kept."""

from __future__ import annotations

import re
import socket
import ssl

import pytest
import trio

from crawler.config import Limits, Seconds
from crawler.net.smtp import SmtpExchange
from crawler.vocabulary import IoStatus, Stage
from tests.net.hosts import BANNER, GOOD, OFFER, PROTECTED, end, mail_host, saying
from tests.net.servers import (
    MX_HOST,
    Behaviour,
    Peer,
    Server,
    black_hole,
    greet,
    server_context,
    serving,
    unused_port,
    virtual_time,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


async def outcome(behaviour: Behaviour, limits: Limits | None = None) -> SmtpExchange:
    async with serving(behaviour) as server:
        return await greet(server, limits=limits)


# What went right.


async def test_m03_keeps_what_was_said_before_and_inside_tls() -> None:
    exchange = await outcome(mail_host())
    assert (exchange.status, exchange.stage, exchange.error) == (
        IoStatus.SUCCESS,
        Stage.QUIT,
        None,
    )
    said = exchange.smtp
    assert said is not None
    assert said.banner == BANNER
    assert said.ehlo == (b"250-mx.example.com", b"250-SIZE 1", b"250 STARTTLS")
    assert (said.starttls_offered, said.helo_fallback) == (True, False)
    assert said.starttls_reply == b"220 go ahead\r\n"
    assert said.ehlo_tls == (b"250-mx.example.com", b"250 AUTH PLAIN")
    assert (exchange.tls.tls_version, len(exchange.tls.chain)) == ("TLSv1.3", 1)
    assert not exchange.deferred


async def test_k14_says_ehlo_starttls_ehlo_quit_and_nothing_else() -> None:
    """SNI is the MX host's name, and no ALPN is offered, as senders do."""
    asked: list[tuple[str | None, str | None]] = []
    context = server_context(alpn=["smtp", "http/1.1"])

    def on_sni(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        asked.append((name, tls.selected_alpn_protocol()))

    context.sni_callback = on_sni
    async with serving(mail_host(context=context)) as server:
        await greet(server)
        sent = bytes(server.visits[0].received)
    assert sent == (b"EHLO probe.example.net\r\nSTARTTLS\r\nEHLO probe.example.net\r\nQUIT\r\n")
    assert asked == [(MX_HOST, None)]


async def test_m13_waits_for_the_last_line_of_the_greeting() -> None:
    """Not an octet is sent during the pause that catches clients which speak too early."""
    early = b""

    async def behaviour(peer: Peer) -> None:
        nonlocal early
        await peer.say(b"220-teaser\r\n")
        await trio.sleep(6)
        with trio.move_on_after(0.1):
            early = await peer.read()
        await mail_host(b"220 real\r\n")(peer)

    exchange = await outcome(behaviour)
    assert (exchange.status, early) == (IoStatus.SUCCESS, b"")
    assert exchange.greeting_ms == pytest.approx(6100, abs=100)
    assert exchange.smtp is not None
    assert exchange.smtp.banner == b"220-teaser\r\n220 real\r\n"


@pytest.mark.parametrize("ehlo", [b"250 mx\r\n", b"250-mx\r\n250-XXXXXXXA\r\n250 SIZE\r\n"])
async def test_m04_m05_a_host_without_starttls_is_a_success(ehlo: bytes) -> None:
    exchange = await outcome(mail_host(ehlo=ehlo))
    assert (exchange.status, exchange.stage) == (IoStatus.SUCCESS, Stage.QUIT)
    assert exchange.smtp is not None
    assert exchange.smtp.starttls_offered is False
    assert exchange.tls.chain == ()


async def test_m15_helo_is_tried_once_when_ehlo_is_rejected() -> None:
    async with serving(mail_host(ehlo=b"502 what?\r\n")) as server:
        exchange = await greet(server)
        assert re.findall(rb"^\w+", bytes(server.visits[0].received), re.M) == [
            b"EHLO",
            b"HELO",
            b"QUIT",
        ]
    assert exchange.status is IoStatus.SUCCESS
    assert exchange.smtp is not None
    assert (exchange.smtp.helo_fallback, exchange.smtp.starttls_offered) == (True, False)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2])
async def test_m17_old_versions_of_tls_are_measured(version: ssl.TLSVersion) -> None:
    exchange = await outcome(mail_host(context=server_context(only=version)))
    assert exchange.status is IoStatus.SUCCESS
    assert exchange.tls.tls_version == version.name.replace("_", ".")


async def test_m17_a_certificate_for_another_name_is_kept_like_any() -> None:
    exchange = await outcome(mail_host(context=server_context("other.example.org")))
    assert (exchange.status, len(exchange.tls.chain)) == (IoStatus.SUCCESS, 1)


async def test_m21_an_unanswered_quit_is_no_failure() -> None:
    async with serving(mail_host(quit_reply=b"")) as server:
        start = trio.current_time()
        exchange = await greet(server)
        assert trio.current_time() - start == pytest.approx(5, abs=0.5)
    assert (exchange.status, exchange.stage) == (IoStatus.SUCCESS, Stage.QUIT)


@pytest.mark.parametrize("protected", [b"554 no\r\n", b"421 busy\r\n", b"nonsense\r\n"])
async def test_what_fails_after_tls_stands_is_a_remark(protected: bytes) -> None:
    exchange = await outcome(mail_host(protected=protected))
    assert (exchange.status, exchange.stage) == (IoStatus.SUCCESS, Stage.EHLO_TLS)
    assert exchange.error is not None
    assert len(exchange.tls.chain) == 1


# Refusals.


@pytest.mark.parametrize(
    ("behaviour", "stage", "deferred"),
    [
        pytest.param(mail_host(b"421 4.7.0 later\r\n"), Stage.BANNER, True, id="m06 421"),
        pytest.param(mail_host(b"450 greylisted\r\n"), Stage.BANNER, True, id="m06 450"),
        pytest.param(mail_host(b"554 no service\r\n"), Stage.BANNER, True, id="m06 554"),
        pytest.param(mail_host(b"521 no mail\r\n"), Stage.BANNER, False, id="m06 521"),
        pytest.param(mail_host(ehlo=b"450 later\r\n"), Stage.EHLO, True, id="EHLO 450"),
        pytest.param(
            mail_host(ehlo=b"550 no\r\n", helo=b"550 no\r\n"), Stage.EHLO, False, id="HELO 550"
        ),
        pytest.param(mail_host(starttls=b"454 no TLS\r\n"), Stage.STARTTLS, True, id="m04 454"),
        pytest.param(mail_host(starttls=b"502 what\r\n"), Stage.STARTTLS, False, id="m04 502"),
        pytest.param(mail_host(starttls=b"530 no\r\n"), Stage.STARTTLS, False, id="m04 530"),
        pytest.param(mail_host(starttls=b"250 ok\r\n"), Stage.STARTTLS, False, id="250 is no 220"),
    ],
)
async def test_a_refusal_is_an_application_error(
    behaviour: Behaviour, stage: Stage, deferred: bool
) -> None:
    """And QUIT is said before leaving."""
    async with serving(behaviour) as server:
        exchange = await greet(server)
        assert server.visits[0].received.endswith(b"QUIT\r\n")
    assert (exchange.status, exchange.stage) == (IoStatus.APPLICATION_ERROR, stage)
    assert exchange.deferred is deferred


# Plaintext that pretends to be protected.


async def injecting_late(peer: Peer) -> None:
    """The injected line comes in its own segment, before the client can say ClientHello."""
    await peer.say(BANNER)
    await peer.line()
    await peer.say(OFFER)
    await peer.line()
    peer.tcp.setsockopt(6, 3, 1)  # TCP_CORK: hold both pieces, then send them together
    await peer.say(b"220 go\r\n")
    await peer.say(b"250 injected\r\n")
    peer.tcp.setsockopt(6, 3, 0)
    await peer.be_silent()


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(mail_host(starttls=b"220 go\r\n250 injected\r\n"), id="same segment"),
        pytest.param(injecting_late, id="two writes"),
    ],
)
async def test_k9_m01_plaintext_after_the_220_ends_the_session(behaviour: Behaviour) -> None:
    exchange = await outcome(behaviour)
    assert (exchange.status, exchange.stage) == (IoStatus.STARTTLS_INJECTION, Stage.STARTTLS)
    assert exchange.smtp is not None
    assert exchange.smtp.plaintext_after_starttls == b"250 injected\r\n"
    assert exchange.smtp.ehlo_tls == ()
    assert exchange.tls.chain == ()


# What is not SMTP, or too much of it.


@pytest.mark.parametrize(
    "greeting",
    [
        b"bogus\r\n",
        b"2200 x\r\n",
        b"22\r\n",
        b"\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        bytes.fromhex("160303007a02000076"),
        b"\x1b[2J\r\n",
        b"220-a\r\n221 b\r\n",
    ],
)
async def test_m07_what_is_no_reply_is_a_protocol_error(greeting: bytes) -> None:
    exchange = await outcome(saying(greeting))
    assert (exchange.status, exchange.stage) == (IoStatus.PROTOCOL_ERROR, Stage.BANNER)
    assert exchange.smtp is not None
    assert exchange.smtp.banner == greeting


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(mail_host(ehlo=b"250-x\r\n" * 100_000), id="m09 endless lines"),
        pytest.param(mail_host(ehlo=b"250-" + b"x" * 10**7), id="m10 a line of 10 MB"),
    ],
)
async def test_a_reply_has_a_cap(behaviour: Behaviour) -> None:
    exchange = await outcome(behaviour)
    assert (exchange.status, exchange.stage) == (IoStatus.RESPONSE_TOO_LARGE, Stage.EHLO)
    assert exchange.smtp is not None
    assert sum(map(len, exchange.smtp.ehlo)) <= 65536


async def test_m10_a_bare_lf_is_tolerated() -> None:
    exchange = await outcome(mail_host(b"220 mx\n", b"250-mx\n250 STARTTLS\n", b"220 go\n"))
    assert exchange.status is IoStatus.SUCCESS


async def test_m11_hostile_octets_are_kept_and_stay_out_of_the_error() -> None:
    hostile = b"554 \xff\x1b[2J\xe2\x80\xae</script>=HYPERLINK()\r\n"
    exchange = await outcome(mail_host(hostile))
    assert exchange.smtp is not None
    assert exchange.smtp.banner == hostile
    assert exchange.error is not None
    assert exchange.error.isprintable()
    assert "script" not in exchange.error


# Time.


@pytest.mark.parametrize(
    ("behaviour", "stage", "after"),
    [
        pytest.param(saying(then="silence"), Stage.BANNER, 60, id="m12 no banner"),
        pytest.param(
            saying(*[b"2"] * 1, *[b"x"] * 400, every=1),
            Stage.BANNER,
            60,
            id="m12 an octet a second",
        ),
        pytest.param(mail_host(ehlo=b""), Stage.EHLO, 150, id="EHLO unanswered"),
        pytest.param(mail_host(starttls=b""), Stage.STARTTLS, 150, id="STARTTLS unanswered"),
    ],
)
async def test_m12_a_tarpit_is_left_at_the_deadline(
    behaviour: Behaviour, stage: Stage, after: float
) -> None:
    async with serving(behaviour) as server:
        start = trio.current_time()
        exchange = await greet(server)
        assert trio.current_time() - start == pytest.approx(after, abs=1)
    assert exchange.stage is stage
    assert exchange.status in (IoStatus.IO_TIMEOUT, IoStatus.PROTOCOL_ERROR)


@pytest.mark.parametrize(("delay", "status"), [(59, IoStatus.SUCCESS), (61, IoStatus.IO_TIMEOUT)])
async def test_m12_a_greet_delay_is_waited_for_up_to_a_minute(
    delay: float, status: IoStatus
) -> None:
    async def behaviour(peer: Peer) -> None:
        await trio.sleep(delay)
        await mail_host()(peer)

    assert (await outcome(behaviour)).status is status


async def test_m12_silence_in_the_handshake() -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.say(BANNER)
        await peer.line()
        await peer.say(OFFER)
        await peer.line()
        await peer.say(b"220 go\r\n")
        await peer.be_silent()

    exchange = await outcome(behaviour, Limits(tls_handshake=Seconds(7)))
    assert (exchange.status, exchange.stage) == (IoStatus.IO_TIMEOUT, Stage.TLS)


async def test_m12_a_peer_that_stops_reading() -> None:
    """A step without a limit of its own still ends at the total."""

    async def behaviour(peer: Peer) -> None:
        peer.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        await peer.say(BANNER)
        await trio.sleep_forever()

    async with serving(behaviour) as server:
        start = trio.current_time()
        exchange = await greet(server, limits=Limits(smtp_total=Seconds(9)))
        assert trio.current_time() - start == pytest.approx(9, abs=1)
    assert (exchange.status, exchange.stage) == (IoStatus.IO_TIMEOUT, Stage.EHLO)


async def test_a_syn_that_nobody_answers() -> None:
    async with black_hole() as nowhere:
        exchange = await greet(nowhere)
    assert (exchange.status, exchange.stage) == (IoStatus.CONNECTION_TIMEOUT, Stage.CONNECT)
    assert (exchange.smtp, exchange.greeting_ms) == (None, None)


# Closed doors and broken connections.


async def test_a_port_that_nobody_listens_on() -> None:
    exchange = await greet(Server("127.0.0.1", unused_port()))
    assert (exchange.status, exchange.stage) == (IoStatus.CONNECTION_REFUSED, Stage.CONNECT)


def breaking(after: Stage, how: str) -> Behaviour:
    """A host that is fine up to a stage and then ends the connection."""

    async def behaviour(peer: Peer) -> None:
        if after is Stage.CONNECT:
            return await end(peer, how)
        await peer.say(BANNER)
        await peer.line()
        if after is Stage.BANNER:
            return await end(peer, how)
        await peer.say(OFFER)
        await peer.line()
        if after is Stage.EHLO:
            return await end(peer, how)
        await peer.say(b"220 go\r\n")
        if after is Stage.TLS:
            await peer.read()  # the ClientHello
        return await end(peer, how)

    return behaviour


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("after", "stage"),
    [
        (Stage.CONNECT, Stage.BANNER),
        (Stage.BANNER, Stage.EHLO),
        (Stage.EHLO, Stage.STARTTLS),
        (Stage.STARTTLS, Stage.TLS),
        (Stage.TLS, Stage.TLS),
    ],
)
async def test_m16_an_early_close_says_where(after: Stage, stage: Stage, how: str) -> None:
    exchange = await outcome(breaking(after, how))
    assert (exchange.status, exchange.stage) == (IoStatus.CONNECTION_CLOSED, stage)


async def test_m16_a_close_inside_tls_does_not_undo_what_was_seen() -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.say(BANNER)
        await peer.line()
        await peer.say(OFFER)
        await peer.line()
        await peer.say(b"220 go\r\n")
        await peer.start_tls(GOOD)
        await peer.line()
        peer.reset()

    exchange = await outcome(behaviour)
    assert (exchange.status, exchange.stage) == (IoStatus.SUCCESS, Stage.EHLO_TLS)
    assert exchange.error is not None
    assert len(exchange.tls.chain) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_m17_a_host_that_asks_for_our_certificate_fails_in_the_handshake(
    version: ssl.TLSVersion,
) -> None:
    """In both versions, although in TLS 1.3 the alert comes after our side is done; the chain is
    kept in both.
    """
    context = server_context(only=version, client_certificate=True)
    exchange = await outcome(mail_host(context=context))
    assert (exchange.status, exchange.stage) == (IoStatus.HANDSHAKE_ERROR, Stage.TLS)
    assert exchange.tls.tls_alert in ("handshake_failure", "certificate_required")
    assert len(exchange.tls.chain) == 1


async def test_plain_smtp_instead_of_tls_is_a_failed_handshake() -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.say(BANNER)
        await peer.line()
        await peer.say(OFFER)
        await peer.line()
        await peer.say(b"220 go\r\n")
        await peer.read()
        await peer.say(b"500 what is this?\r\n")
        await peer.be_silent()

    exchange = await outcome(behaviour)
    assert (exchange.status, exchange.stage) == (IoStatus.HANDSHAKE_ERROR, Stage.TLS)


async def test_m19_a_chain_beyond_the_cap_is_cut() -> None:
    exchange = await outcome(mail_host(), Limits(chain_bytes=100))
    assert (exchange.status, exchange.stage) == (IoStatus.CHAIN_TOO_LARGE, Stage.TLS)
    assert exchange.tls.chain == ()


async def test_split_into_single_octets_it_is_the_same_session() -> None:
    """Segments mean nothing: every octet in its own write gives the same facts."""

    async def behaviour(peer: Peer) -> None:
        for reply in (BANNER, OFFER):
            for octet in reply:
                await peer.say(bytes([octet]))
                await trio.sleep(0.01)
            await peer.line()
        await peer.say(b"220 go ahead\r\n")
        await peer.start_tls(GOOD)
        await peer.line()
        for octet in PROTECTED:
            await peer.say(bytes([octet]))
        await peer.line()
        await peer.say(b"221 bye\r\n")

    split, whole = await outcome(behaviour), await outcome(mail_host())
    assert split.smtp == whole.smtp
