"""Every way a policy host may answer ends in its word, at its stage, with the evidence kept."""

from __future__ import annotations

import socket
import ssl
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from crawler.config import Identity, Limits, Seconds
from crawler.net.https import PolicyClient, PolicyExchange, user_agent
from crawler.net.wire import arrived
from crawler.politeness.gate import Gate
from crawler.politeness.opt_out import OptOut
from crawler.vocabulary import IoStatus, Stage
from tests.net.hosts import GOOD, accepting, answering, chunked, response
from tests.net.servers import (
    POLICY,
    POLICY_HOST,
    Behaviour,
    Peer,
    Server,
    black_hole,
    fetch,
    server_context,
    serving,
    unused_port,
    virtual_time,
    world,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


async def outcome(behaviour: Behaviour, *, limits: Limits | None = None) -> PolicyExchange:
    async with serving(behaviour) as server:
        return await fetch(server, limits=limits)


# What went right.


async def test_keeps_the_policy_and_everything_that_tells_who_answered() -> None:
    """A good fetch carries body, TLS facts and chosen headers, none of which change per request."""
    exchange = await outcome(
        answering(
            response(
                POLICY,
                b"Content-Type: text/plain",
                b"Server: policyd",
                b"Date: Tue, 24 Nov 2026 04:00:00 GMT",
                b"X-Request-Id: 7",
            )
        )
    )
    assert (exchange.status, exchange.stage) == (IoStatus.SUCCESS, Stage.HTTP_BODY)
    assert (exchange.http_status, exchange.body) == (200, POLICY)
    assert exchange.header("content-type") == "text/plain"
    assert exchange.kept_headers == (("server", b"policyd"), ("content-length", b"67"))
    assert (exchange.tls.tls_version, len(exchange.tls.chain)) == ("TLSv1.3", 1)
    assert exchange.tls.cipher == "TLS_AES_256_GCM_SHA384"


async def test_sends_the_request_of_rfc_8461_section_3_3_and_nothing_else() -> None:
    """Host and SNI are the policy host's name without a port; the address is in neither."""
    names: list[str | None] = []
    context = server_context()

    def on_sni(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        names.append(name)

    context.sni_callback = on_sni
    async with serving(answering(response(POLICY), context=context)) as server:
        await fetch(server)
        sent = bytes(server.visits[0].received)
    head = sent.decode("ascii").split("\r\n")
    assert head[0] == "GET /.well-known/mta-sts.txt HTTP/1.1"
    assert {line.lower() for line in head[1:] if line} == {
        "host: mta-sts.example.com",
        "user-agent: mta-sts-census",
        "accept: */*",
        "accept-encoding: identity",
        "connection: close",
    }
    assert names == [POLICY_HOST]


def test_the_user_agent_says_who_asks_and_where_to_complain() -> None:
    identity = Identity(url="https://scan.example.net/", contact="abuse@example.net")
    assert user_agent(identity) == (
        "mta-sts-census (+https://scan.example.net/; abuse@example.net)"
    )


async def test_speaks_to_an_ipv6_address() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    async with serving(answering(response(POLICY)), "::1") as server:
        assert (await fetch(server)).body == POLICY


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(response(POLICY), id="content-length"),
        pytest.param(response(POLICY, length=False), id="until-close"),
        pytest.param(chunked(POLICY, 1), id="chunked"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(POLICY), id="after-1xx"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n" + POLICY, id="http-1.0"),
    ],
)
async def test_reads_a_body_however_it_is_framed(answer: bytes) -> None:
    assert (await outcome(answering(answer))).body == POLICY


@pytest.mark.parametrize("status", [200, 203, 301, 401, 403, 404, 410, 429, 451, 500, 503, 599])
async def test_h11_any_status_code_is_a_success_of_the_exchange(status: int) -> None:
    """Only the rules know that 200 alone carries a policy (RFC 8461 section 3.3)."""
    exchange = await outcome(answering(response(POLICY, status=b"%d X" % status)))
    assert (exchange.status, exchange.http_status) == (IoStatus.SUCCESS, status)
    assert exchange.body == POLICY


@pytest.mark.parametrize("status", [204, 304])
async def test_h11_a_response_without_a_body_has_an_empty_one(status: int) -> None:
    exchange = await outcome(answering(response(b"", status=b"%d X" % status)))
    assert (exchange.status, exchange.body, exchange.body_size) == (IoStatus.SUCCESS, b"", 0)


async def test_s23_a_redirect_is_stored_and_not_followed() -> None:
    async with serving(answering(response(POLICY))) as elsewhere:
        there = b"Location: https://127.0.0.1:%d/" % elsewhere.port
        exchange = await outcome(answering(response(b"", there, status=b"301 Moved")))
        assert elsewhere.visits == []
    assert exchange.http_status == 301
    assert exchange.header("location") == f"https://127.0.0.1:{elsewhere.port}/"


@pytest.mark.parametrize("old", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_h17_old_versions_of_tls_are_measured_not_refused(old: ssl.TLSVersion) -> None:
    context = server_context(only=old)
    exchange = await outcome(answering(response(POLICY), context=context))
    assert exchange.status is IoStatus.SUCCESS
    assert exchange.tls.tls_version == {"TLSv1": "TLSv1", "TLSv1_1": "TLSv1.1"}[old.name]


async def test_h13_a_certificate_that_fails_every_check_is_kept_with_the_body() -> None:
    """Verdicts come later: the exchange of an untrusted chain for another name is a success."""
    exchange = await outcome(
        answering(response(POLICY), context=server_context("other.example.org"))
    )
    assert (exchange.status, exchange.body) == (IoStatus.SUCCESS, POLICY)
    assert len(exchange.tls.chain) == 1


# Sizes.


@pytest.mark.parametrize("frame", [response, lambda b: response(b, length=False), chunked])
@pytest.mark.parametrize(
    ("size", "status"),
    [
        (65536, IoStatus.SUCCESS),
        (65537, IoStatus.RESPONSE_TOO_LARGE),
        (10**6, IoStatus.RESPONSE_TOO_LARGE),
    ],
)
async def test_h02_a_body_stops_at_its_cap(
    frame: Callable[[bytes], bytes], size: int, status: IoStatus
) -> None:
    exchange = await outcome(answering(frame(b"x" * size)))
    assert (exchange.status, exchange.stage) == (status, Stage.HTTP_BODY)
    assert exchange.body == b"x" * 65536
    assert exchange.body_size == min(size, 65537)


async def test_h02_l12_an_endless_body_is_not_read_to_its_end() -> None:
    sent = 0

    async def behaviour(peer: Peer) -> None:
        nonlocal sent
        await peer.start_tls(GOOD)
        await peer.request()
        await peer.say(response(b"", length=False))
        while True:
            await peer.say(b"x" * 65536)
            sent += 65536

    exchange = await outcome(behaviour)
    assert exchange.status is IoStatus.RESPONSE_TOO_LARGE
    assert sent < 16 * 2**20  # what the socket buffers hold, not what a gigabit brings


async def test_h04_the_same_length_twice_is_one_length() -> None:
    """RFC 9110 section 8.6 lets a recipient read it so; what is beyond is not the body's."""
    twice = b"Content-Length: 5, 5"
    exchange = await outcome(answering(response(POLICY, twice, length=False)))
    assert (exchange.status, exchange.body) == (IoStatus.SUCCESS, POLICY[:5])


@pytest.mark.parametrize(
    ("answer", "stage"),
    [
        pytest.param(response(b"", b"X: " + b"x" * 10**6), Stage.HTTP_HEADERS, id="a line of 1 MB"),
        pytest.param(response(b"", *[b"X: x"] * 10**5), Stage.HTTP_HEADERS, id="100,000 fields"),
        pytest.param(
            response(
                b"4;x=" + b"x" * 200_000 + b"\r\nbody\r\n0\r\n\r\n",
                b"Transfer-Encoding: chunked",
                length=False,
            ),
            Stage.HTTP_BODY,
            id="a chunk extension of 200 KB",
        ),
        pytest.param(
            response(
                b"4\r\nbody\r\n0\r\n" + b"X: x\r\n" * 50_000 + b"\r\n",
                b"Transfer-Encoding: chunked",
                length=False,
            ),
            Stage.HTTP_BODY,
            id="50,000 trailers",
        ),
    ],
)
async def test_h06_what_is_not_body_has_a_cap_too(answer: bytes, stage: Stage) -> None:
    exchange = await outcome(answering(answer))
    assert (exchange.status, exchange.stage) == (IoStatus.RESPONSE_TOO_LARGE, stage)


async def test_h06_the_cap_on_the_header_is_ours_when_it_is_smaller() -> None:
    exchange = await outcome(
        answering(response(POLICY, b"X: " + b"x" * 2000)), limits=Limits(header_bytes=1000)
    )
    assert (exchange.status, exchange.stage) == (IoStatus.RESPONSE_TOO_LARGE, Stage.HTTP_HEADERS)
    assert exchange.http_status == 200


async def test_h06_chunks_with_long_extensions_add_up() -> None:
    """Each chunk is within bounds; their sum is not, though the body never grows."""
    chunk = b"1;" + b"x" * 60_000 + b"\r\nb\r\n"
    exchange = await outcome(
        answering(response(chunk * 30, b"Transfer-Encoding: chunked", length=False))
    )
    assert (exchange.status, exchange.stage) == (IoStatus.RESPONSE_TOO_LARGE, Stage.HTTP_BODY)


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate", b"gzip, gzip", b"x"])
async def test_h01_a_coded_body_is_kept_as_it_came(coding: bytes) -> None:
    """Not decoded, so that no octet of ours grows into a gigabyte."""
    exchange = await outcome(answering(response(b"\x1f\x8b bomb", b"Content-Encoding: " + coding)))
    assert (exchange.status, exchange.stage) == (IoStatus.CONTENT_ENCODED, Stage.HTTP_BODY)
    assert exchange.body == b"\x1f\x8b bomb"


async def test_k3_h01_a_bomb_takes_no_more_memory_than_its_octets() -> None:
    """64 MiB of zeros in 64 kB of gzip: what is allocated meanwhile is a fraction of them."""
    bomb = answering(response(zlib.compress(bytes(2**26), 9, 31), b"Content-Encoding: gzip"))
    await outcome(answering(response(POLICY)))  # whatever is allocated once for all
    tracemalloc.start()
    try:
        exchange = await outcome(bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert exchange.status is IoStatus.CONTENT_ENCODED
    assert most < 4 * 2**20


async def test_h01_a_coded_body_over_the_cap_is_first_of_all_coded() -> None:
    exchange = await outcome(answering(response(b"x" * 10**5, b"Content-Encoding: gzip")))
    assert exchange.status is IoStatus.CONTENT_ENCODED
    assert exchange.body_size == 65537


async def test_h01_identity_is_no_coding() -> None:
    exchange = await outcome(answering(response(POLICY, b"Content-Encoding: Identity")))
    assert exchange.status is IoStatus.SUCCESS


# Time.

QUICK = Limits(connect=Seconds(10), tls_handshake=Seconds(15), https_total=Seconds(30))


@pytest.mark.parametrize(
    ("behaviour", "stage", "after"),
    [
        pytest.param(Peer.be_silent, Stage.TLS, 15, id="h07 silent from the start"),
        pytest.param(accepting(Peer.be_silent), Stage.TLS, 15, id="h07 silent after ClientHello"),
        pytest.param(
            answering(*[b"H"] * 500, every=0.3), Stage.HTTP_HEADERS, 30, id="h05 header by octets"
        ),
        pytest.param(
            answering(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 500, every=0.3),
            Stage.HTTP_HEADERS,
            30,
            id="h05 endless 1xx",
        ),
        pytest.param(
            answering(response(b"x" * 500)[:-500], *[b"x"] * 500, every=0.3),
            Stage.HTTP_BODY,
            30,
            id="h05 body by octets",
        ),
    ],
)
async def test_a_slow_peer_is_left_at_the_deadline(
    behaviour: Behaviour, stage: Stage, after: float
) -> None:
    async with serving(behaviour) as server:
        start = trio.current_time()
        exchange = await fetch(server, limits=QUICK)
        assert trio.current_time() - start == pytest.approx(after, abs=1)
    assert (exchange.status, exchange.stage) == (IoStatus.IO_TIMEOUT, stage)


async def test_h05_what_a_slow_peer_did_send_is_kept() -> None:
    exchange = await outcome(answering(response(POLICY)[:-10], every=99), limits=QUICK)
    assert (exchange.status, exchange.stage) == (IoStatus.IO_TIMEOUT, Stage.HTTP_BODY)
    assert (exchange.http_status, exchange.body) == (200, POLICY[:-10])


async def test_h07_a_syn_that_nobody_answers() -> None:
    async with black_hole() as nowhere:
        start = trio.current_time()
        exchange = await fetch(nowhere, limits=QUICK)
        assert trio.current_time() - start == pytest.approx(10, abs=1)
    assert (exchange.status, exchange.stage) == (IoStatus.CONNECTION_TIMEOUT, Stage.CONNECT)
    assert (exchange.http_status, exchange.body, exchange.body_size) == (None, None, None)


# Closed doors and broken connections.


async def test_a_port_that_nobody_listens_on() -> None:
    exchange = await fetch(Server("127.0.0.1", unused_port()))
    assert (exchange.status, exchange.stage) == (IoStatus.CONNECTION_REFUSED, Stage.CONNECT)
    assert exchange.error == "ECONNREFUSED: Connection refused"


async def close(peer: Peer) -> None:
    await peer.stream.aclose()


async def reset(peer: Peer) -> None:
    peer.reset()


def saying(data: bytes) -> Behaviour:
    """A server that sends *data* in answer to the ClientHello and closes."""

    async def act(peer: Peer) -> None:
        await peer.say(data)
        await peer.stream.aclose()

    return accepting(act)


async def resetting_in_body(peer: Peer) -> None:
    await peer.start_tls(GOOD)
    await peer.request()
    await peer.say(response(POLICY)[:-10])
    await trio.sleep(1)  # until the client has read it
    peer.reset()


SERVER_HELLO = bytes.fromhex("160303007a02000076")  # the first octets of one


@pytest.mark.parametrize(
    ("behaviour", "status", "stage"),
    [
        # Who accepts and drops has not been seen to speak TLS.
        pytest.param(close, IoStatus.CONNECTION_CLOSED, Stage.CONNECT, id="closed at once"),
        pytest.param(reset, IoStatus.CONNECTION_CLOSED, Stage.CONNECT, id="reset at once"),
        pytest.param(
            accepting(close),
            IoStatus.CONNECTION_CLOSED,
            Stage.CONNECT,
            id="closed after ClientHello",
        ),
        pytest.param(
            accepting(reset),
            IoStatus.CONNECTION_CLOSED,
            Stage.CONNECT,
            id="reset after ClientHello",
        ),
        pytest.param(
            saying(SERVER_HELLO),
            IoStatus.CONNECTION_CLOSED,
            Stage.TLS,
            id="closed in the handshake",
        ),
        pytest.param(
            saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            IoStatus.HANDSHAKE_ERROR,
            Stage.TLS,
            id="plain HTTP on the TLS port",
        ),
        pytest.param(
            saying(b"220 mx.example.com ESMTP\r\n"), IoStatus.HANDSHAKE_ERROR, Stage.TLS, id="SMTP"
        ),
        pytest.param(
            answering(),
            IoStatus.CONNECTION_CLOSED,
            Stage.HTTP_HEADERS,
            id="closed after the request",
        ),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nContent-"),
            IoStatus.CONNECTION_CLOSED,
            Stage.HTTP_HEADERS,
            id="closed in the header",
        ),
        pytest.param(
            answering(response(POLICY)[:-10]),
            IoStatus.CONNECTION_CLOSED,
            Stage.HTTP_BODY,
            id="closed in the body",
        ),
        pytest.param(
            answering(chunked(POLICY)[:-10]),
            IoStatus.CONNECTION_CLOSED,
            Stage.HTTP_BODY,
            id="closed in a chunk",
        ),
        pytest.param(
            resetting_in_body, IoStatus.CONNECTION_CLOSED, Stage.HTTP_BODY, id="reset in the body"
        ),
        pytest.param(
            answering(response(b"x", b"Content-Length: 9223372036854775808", length=False)),
            IoStatus.CONNECTION_CLOSED,
            Stage.HTTP_BODY,
            id="h04 2^63 octets promised",
        ),
        pytest.param(
            answering(response(b"x", b"Content-Length: -1", length=False)),
            IoStatus.PROTOCOL_ERROR,
            Stage.HTTP_HEADERS,
            id="h04 a negative length",
        ),
        pytest.param(
            answering(response(b"x", b"Content-Length: 5", b"Content-Length: 6", length=False)),
            IoStatus.PROTOCOL_ERROR,
            Stage.HTTP_HEADERS,
            id="h04 two lengths",
        ),
        pytest.param(
            answering(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
            IoStatus.PROTOCOL_ERROR,
            Stage.HTTP_HEADERS,
            id="not HTTP",
        ),
        pytest.param(
            answering(response(b"zz\r\n", b"Transfer-Encoding: chunked", length=False)),
            IoStatus.PROTOCOL_ERROR,
            Stage.HTTP_BODY,
            id="a chunk size that is no number",
        ),
        pytest.param(
            answering(
                b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 99, context=server_context(alpn=["h2"])
            ),
            IoStatus.PROTOCOL_ERROR,
            Stage.HTTP_HEADERS,
            id="h09 HTTP/2 only",
        ),
    ],
)
async def test_a_broken_conversation_ends_in_its_word(
    behaviour: Behaviour, status: IoStatus, stage: Stage
) -> None:
    exchange = await outcome(behaviour)
    assert (exchange.status, exchange.stage) == (status, stage)
    assert exchange.error


# Ours, not theirs.


async def test_s22_proxies_and_settings_of_the_environment_are_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with serving(Peer.be_silent) as proxy, serving(answering(response(POLICY))) as server:
        for name in (
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "https_proxy",
            "all_proxy",
        ):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {POLICY_HOST} login me password secret\n")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        exchange = await fetch(server)
        assert proxy.visits == []
        assert b"uthorization" not in server.visits[0].received
    assert exchange.body == POLICY
    assert not (tmp_path / "keys").exists()


async def test_k5_s19_a_connection_that_leads_elsewhere_is_our_mistake() -> None:
    async with Gate(world(443), OptOut(None)).admit("127.0.0.1", "https") as permit:
        with pytest.raises(RuntimeError, match="reached"):
            arrived(permit, ("127.0.0.2", 443))


async def test_a_mistake_of_ours_is_an_unknown_error_with_its_text() -> None:
    """A used permit is a bug of the caller: it ends that conversation, and is not the peer's."""
    config = world(unused_port())
    client = PolicyClient(config.identity, config.limits)
    async with Gate(config, OptOut(None)).admit("127.0.0.1", "https") as permit:
        permit.use()
        exchange = await client.fetch(permit, POLICY_HOST)
    assert exchange.status is IoStatus.UNKNOWN_ERROR
    assert exchange.error is not None
    assert "used before" in exchange.error


async def test_being_cancelled_is_not_an_outcome() -> None:
    """The scan stops: no row is made up, and the connection is closed."""
    async with serving(Peer.be_silent) as server:
        with trio.move_on_after(1) as scope:
            await fetch(server)
        assert scope.cancelled_caught


async def test_many_fetches_at_once_do_not_mix_their_chains() -> None:
    """The hook that sees the chain belongs to the task that shakes hands."""
    contexts = [server_context(f"mta-sts.d{i}.example") for i in range(8)]
    seen: dict[int, bytes] = {}

    async def one(index: int) -> None:
        exchange = await outcome(answering(response(b"%d" % index), context=contexts[index]))
        assert exchange.body == b"%d" % index
        seen[index] = exchange.tls.chain[0]

    async with trio.open_nursery() as nursery:
        for index in range(8):
            nursery.start_soon(one, index)
    assert len(set(seen.values())) == 8
    for index, der in seen.items():
        assert f"mta-sts.d{index}.example".encode() in der
