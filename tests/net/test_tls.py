"""A handshake is measured whatever it shows, and what was shown survives its failure."""

from __future__ import annotations

import base64
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier
from OpenSSL import SSL

from crawler.config import Limits
from crawler.net import tls
from crawler.net.https import PolicyExchange
from crawler.vocabulary import IoStatus, Resumption, Stage
from tests.net.hosts import first_flight
from tests.net.servers import (
    AUTHORITY,
    POLICY,
    POLICY_HOST,
    Behaviour,
    Peer,
    fetch,
    server_context,
    serving,
    virtual_time,
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return virtual_time()


def policy_host(context: ssl.SSLContext) -> Behaviour:
    async def behaviour(peer: Peer) -> None:
        await peer.start_tls(context)
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(POLICY) + POLICY)

    return behaviour


async def shake_hands(context: ssl.SSLContext, limits: Limits | None = None) -> PolicyExchange:
    async with serving(policy_host(context)) as server:
        return await fetch(server, limits=limits)


# The settings.


class Ends:
    """A client of ours and a server of ``ssl``, joined by nothing but memory."""

    def __init__(self, server: ssl.SSLContext) -> None:
        self.client = SSL.Connection(tls.TlsClient().context, None)
        self.client.set_connect_state()
        self._to_server, self._to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.wrap_bio(self._to_server, self._to_client, server_side=True)

    def shake_hands(self) -> None:
        """Raises what either side finds wrong."""
        for _ in range(4):
            with suppress(SSL.WantReadError):
                self.client.do_handshake()
            with suppress(SSL.WantReadError):
                self._to_server.write(self.client.bio_read(65536))
            with suppress(ssl.SSLWantReadError):
                self.server.do_handshake()
            if flight := self._to_client.read():
                self.client.bio_write(flight)


def offered(server: ssl.SSLContext) -> dict[str, ssl.SSLObject]:
    """The suites that a client of ours offers, by name."""
    ends = Ends(server)
    ends.shake_hands()
    return {name: ends.server for name, _, _ in ends.server.shared_ciphers() or ()}


def test_no_certificate_is_ever_turned_away() -> None:
    assert tls.TlsClient().context.get_verify_mode() == SSL.VERIFY_NONE


def test_neither_anonymous_nor_null_suites_are_offered() -> None:
    server = server_context(only=ssl.TLSVersion.TLSv1_2)
    server.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    names = offered(server)
    assert names
    assert not [name for name in names if "NULL" in name or name.startswith(("ADH", "AECDH"))]


def test_old_and_weak_suites_are_offered() -> None:
    server = server_context(only=ssl.TLSVersion.TLSv1_2)
    server.set_ciphers("ALL:@SECLEVEL=0")
    assert {"AES128-SHA", "DHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-GCM-SHA384"} <= set(
        offered(server)
    )


# Alerts.

# RFC 8446 section 6.2 and appendix B.2, with the numbers of IANA *TLS Alerts*.
ALERTS = {
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed_RESERVED",
    22: "record_overflow",
    30: "decompression_failure_RESERVED",
    40: "handshake_failure",
    41: "no_certificate_RESERVED",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction_RESERVED",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation_RESERVED",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable_RESERVED",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value_RESERVED",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}


@pytest.mark.anyio
@pytest.mark.parametrize(("number", "name"), ALERTS.items(), ids=ALERTS.values())
async def test_an_alert_is_named_as_iana_names_it(number: int, name: str) -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.read()
        await peer.say(bytes([21, 3, 3, 0, 2, 2, number]))  # alert record, level fatal
        await peer.stream.aclose()

    async with serving(behaviour) as server:
        exchange = await fetch(server)
    assert (exchange.status, exchange.stage) == (IoStatus.HANDSHAKE_ERROR, Stage.TLS)
    assert exchange.tls.tls_alert == name


@pytest.mark.anyio
async def test_what_we_find_ourselves_is_no_alert_of_the_peer() -> None:
    async def behaviour(peer: Peer) -> None:
        await peer.read()
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(behaviour) as server:
        exchange = await fetch(server)
    assert (exchange.status, exchange.tls.tls_alert) == (IoStatus.HANDSHAKE_ERROR, None)


@pytest.mark.anyio
async def test_sni_that_the_peer_does_not_know() -> None:
    context = server_context()

    def unknown(*_: object) -> ssl.AlertDescription:
        return ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = unknown
    exchange = await shake_hands(context)
    assert exchange.status is IoStatus.HANDSHAKE_ERROR
    assert exchange.tls.tls_alert == "unrecognized_name"


# The chain.


@pytest.mark.anyio
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_h17_the_chain_survives_a_handshake_that_fails_after_it(
    version: ssl.TLSVersion,
) -> None:
    """The server wants a certificate of ours: in TLS 1.2 the handshake fails, in TLS 1.3 it is
    complete on our side when the alert comes.  A sender gets no policy either way, so both are
    the same failure.
    """
    exchange = await shake_hands(server_context(only=version, client_certificate=True))
    assert (exchange.status, exchange.stage) == (IoStatus.HANDSHAKE_ERROR, Stage.TLS)
    assert exchange.tls.tls_alert in ("handshake_failure", "certificate_required")
    assert len(exchange.tls.chain) == 1


def self_signed(folder: Path, *, extra: int = 0, copies: int = 1) -> ssl.SSLContext:
    """A server that presents the same certificate, *extra* octets fat, *copies* times over."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fat")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"x" * extra),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "chain.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) * copies)
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("extra", "copies", "kept", "status"),
    [
        pytest.param(0, 16, 16, IoStatus.SUCCESS, id="16 certificates"),
        pytest.param(0, 17, 16, IoStatus.CHAIN_TOO_LARGE, id="17 certificates"),
        pytest.param(30_000, 3, 3, IoStatus.SUCCESS, id="90 KB"),
        pytest.param(120_000, 1, 0, IoStatus.CHAIN_TOO_LARGE, id="m19 more than OpenSSL reads"),
    ],
)
async def test_m19_a_chain_has_a_cap(
    tmp_path: Path, extra: int, copies: int, kept: int, status: IoStatus
) -> None:
    exchange = await shake_hands(self_signed(tmp_path, extra=extra, copies=copies))
    assert (exchange.status, len(exchange.tls.chain)) == (status, kept)
    if status is IoStatus.CHAIN_TOO_LARGE:
        assert exchange.stage is Stage.TLS
        assert exchange.http_status is None, "no request is sent"


@pytest.mark.anyio
async def test_the_cap_on_octets_is_ours_when_it_is_smaller(tmp_path: Path) -> None:
    context = self_signed(tmp_path, extra=1000, copies=4)
    exchange = await shake_hands(context, Limits(chain_bytes=3000))
    assert (exchange.status, len(exchange.tls.chain)) == (IoStatus.CHAIN_TOO_LARGE, 2)


@pytest.mark.anyio
async def test_the_chain_is_in_the_order_presented(tmp_path: Path) -> None:
    """Leaf first, and as the server sent it: nothing is completed or sorted."""
    exchange = await shake_hands(server_context())
    (leaf,) = exchange.tls.chain
    names = x509.load_der_x509_certificate(leaf).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "mta-sts.example.com" in names.value.get_values_for_type(x509.DNSName)


@pytest.mark.anyio
async def test_m19_session_tickets_in_number_are_borne() -> None:
    context = server_context(only=ssl.TLSVersion.TLSv1_3)
    context.num_tickets = 100
    assert (await shake_hands(context)).status is IoStatus.SUCCESS


@pytest.mark.anyio
async def test_m19_session_tickets_without_end_are_not_read_to_theirs() -> None:
    """They hold nothing, so a cap on what is read inside TLS is never met; and a peer that always
    has more to say never lets another task have its turn.
    """
    context = server_context(only=ssl.TLSVersion.TLSv1_3)
    context.num_tickets = 2_000  # half a megabyte
    exchange = await shake_hands(context, Limits(policy_bytes=1000, header_bytes=1000))
    assert (exchange.status, exchange.stage) == (
        IoStatus.RESPONSE_TOO_LARGE,
        Stage.HTTP_HEADERS,
    )
    assert len(exchange.tls.chain) == 1


@pytest.mark.anyio
async def test_m17_h17_a_server_with_anonymous_suites_only_is_not_spoken_to() -> None:
    """They are not offered, for they show no certificate."""
    context = server_context(only=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("aNULL:@SECLEVEL=0")
    exchange = await shake_hands(context)
    assert (exchange.status, exchange.stage) == (IoStatus.HANDSHAKE_ERROR, Stage.TLS)
    assert exchange.tls.tls_alert == "handshake_failure"


@pytest.mark.anyio
async def test_h17_an_export_suite_that_nobody_offered_is_not_taken() -> None:
    """0x0003 is RSA_EXPORT_WITH_RC4_40_MD5 (RFC 2246 appendix A.5)."""
    hello = b"\x03\x03" + bytes(32) + b"\0" + b"\x00\x03" + b"\0"
    flight = b"\x16\x03\x03" + (len(hello) + 4).to_bytes(2, "big")
    flight += b"\x02" + len(hello).to_bytes(3, "big") + hello

    async def behaviour(peer: Peer) -> None:
        await peer.read()
        await peer.say(flight)
        await peer.be_silent()

    async with serving(behaviour) as server:
        exchange = await fetch(server)
    assert (exchange.status, exchange.stage) == (IoStatus.HANDSHAKE_ERROR, Stage.TLS)


async def renegotiating(peer: Peer) -> None:
    """A policy host that, before it answers, asks for another handshake (RFC 5246 section 7.4.1.1);
    ``ssl`` has no way to do that.
    """
    settings = SSL.Context(SSL.TLS_SERVER_METHOD)
    settings.set_max_proto_version(SSL.TLS1_2_VERSION)
    AUTHORITY.issue_cert(POLICY_HOST).configure_cert(settings)
    tls = SSL.Connection(settings, None)
    tls.set_accept_state()

    async def flush() -> None:
        with suppress(SSL.WantReadError):
            await peer.tcp.send_all(tls.bio_read(65536))

    async def fill() -> None:
        await flush()
        data = await peer.tcp.receive_some()
        if not data:
            raise trio.BrokenResourceError
        tls.bio_write(data)

    for step in (tls.do_handshake, lambda: tls.recv(65536)):
        while True:
            try:
                step()
                break
            except SSL.WantReadError:
                await fill()
    assert tls.renegotiate()
    tls.do_handshake()
    tls.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(POLICY) + POLICY)
    await flush()
    await peer.be_silent()


@pytest.mark.anyio
async def test_m19_h17_a_request_to_begin_anew_is_declined() -> None:
    async with serving(renegotiating) as server:
        exchange = await fetch(server)
    assert (exchange.status, exchange.body) == (IoStatus.SUCCESS, POLICY)
    assert exchange.tls.tls_version == "TLSv1.2"


@pytest.mark.anyio
async def test_a_name_with_an_underscore_is_sent_as_it_is() -> None:
    """Not a host name, yet found as an MX target: SNI carries it."""
    names: list[str | None] = []
    context = server_context()
    context.sni_callback = lambda _, name, __: names.append(name)
    async with serving(policy_host(context)) as server:
        exchange = await fetch(server, host="_dc-mx.example.com")
    assert (exchange.status, names) == (IoStatus.SUCCESS, ["_dc-mx.example.com"])


@pytest.mark.anyio
async def test_an_address_in_place_of_a_name_is_not_sent() -> None:
    """RFC 6066 section 3: no literal addresses in SNI; some MX records hold one."""
    names: list[str | None] = []
    context = server_context()
    context.sni_callback = lambda _, name, __: names.append(name)
    async with serving(policy_host(context)) as server:
        exchange = await fetch(server, host="192.0.2.1")
    assert (exchange.status, names) == (IoStatus.SUCCESS, [None])


# What is told in the clear.


@pytest.mark.anyio
async def test_a_handshake_of_tls_1_3_tells_its_group() -> None:
    facts = (await shake_hands(server_context(only=ssl.TLSVersion.TLSv1_3))).tls
    assert (facts.tls_version, facts.tls_group, facts.tls_hello_retry) == (
        "TLSv1.3",
        "x25519",
        False,
    )
    assert facts.tls_resumption is None
    assert facts.tls_extended_master_secret is None
    assert facts.tls_secure_renegotiation is None
    assert facts.tls_ms is not None


@pytest.mark.anyio
async def test_a_server_that_wants_another_share_is_seen_to_ask() -> None:
    """P-521 is among the groups we know, and no share of it is sent at first."""
    context = server_context(only=ssl.TLSVersion.TLSv1_3)
    context.set_ecdh_curve("secp521r1")
    facts = (await shake_hands(context)).tls
    assert (facts.tls_group, facts.tls_hello_retry) == ("secp521r1", True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("options", "resumption"),
    [(0, Resumption.TICKET), (ssl.OP_NO_TICKET, Resumption.SESSION_ID)],
    ids=["tickets", "no tickets"],
)
async def test_a_handshake_of_tls_1_2_tells_what_was_agreed(
    options: int, resumption: Resumption
) -> None:
    context = server_context(only=ssl.TLSVersion.TLSv1_2)
    context.options |= options
    facts = (await shake_hands(context)).tls
    assert (facts.tls_version, facts.tls_group) == ("TLSv1.2", "x25519")
    assert (facts.tls_extended_master_secret, facts.tls_secure_renegotiation) == (True, True)
    assert facts.tls_resumption is resumption
    assert facts.tls_hello_retry is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("ciphers", "group"),
    [
        pytest.param("DHE+AESGCM:@SECLEVEL=0", "dhe-1024", id="finite field, too small today"),
        pytest.param("kRSA+AES:@SECLEVEL=0", None, id="RSA key transport has no group"),
    ],
)
async def test_key_exchanges_of_old(tmp_path: Path, ciphers: str, group: str | None) -> None:
    context = rsa_server(tmp_path)
    context.set_ciphers(ciphers)
    facts = (await shake_hands(context)).tls
    assert facts.tls_version == "TLSv1.2"
    assert facts.tls_group == group


@pytest.mark.anyio
async def test_a_certificate_that_openssl_cannot_read_is_kept_all_the_same() -> None:
    """Below TLS 1.3 it comes in the clear, so what broke the handshake is there to be looked at."""
    context = server_context(only=ssl.TLSVersion.TLSv1_2)
    damaged: list[bytes] = []

    async def behaviour(peer: Peer) -> None:
        flight = first_flight(context, await peer.read())
        at = flight.index(b"\x30\x82", flight.index(b"\x0b\x00")) + 4
        damaged.append(flight[at - 4 : at])
        await peer.say(flight[:at] + b"\xff" + flight[at + 1 :])  # the TBSCertificate's tag
        await peer.read()

    async with serving(behaviour) as server:
        exchange = await fetch(server)
    assert exchange.status is IoStatus.HANDSHAKE_ERROR
    (certificate,) = exchange.tls.chain
    assert certificate[:5] == damaged[0] + b"\xff"


DH_1024 = """\
-----BEGIN DH PARAMETERS-----
MIGHAoGBAJRdbYfLPjl48ZUfiFUW5R6iSMd7J99wNBprVrOswUQ+kqfTVAWTlHD8
vXczRYDz1oVRda/Nka4XZwuxjRVEzKilC9g2LHr49GOUKtXIdwqu90lCskrZ+8GQ
DdsuZsYB2Gj9Nbmnkn4dae95200DzYMgfibAkF2WHKOR4jX9xExnAgEC
-----END DH PARAMETERS-----
"""
"""Made for this test and used nowhere else."""


def rsa_server(folder: Path, group: str = DH_1024) -> ssl.SSLContext:
    """A server of TLS 1.2 with an RSA key, whose finite-field group is *group*."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rsa")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "rsa.pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "rsa.pem")
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # otherwise OpenSSL turns such a group away
    (folder / "dh.pem").write_text(group)
    context.load_dh_params(str(folder / "dh.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def dh_parameters(bits: int) -> str:
    """Parameters of a finite field whose prime, which is none, has so many bits."""
    prime = Random(bits).getrandbits(bits) | 1 << bits - 1 | 1
    octets = prime.to_bytes(bits // 8 + 1, "big")
    der = b"\x02\x82" + len(octets).to_bytes(2, "big") + octets + b"\x02\x01\x02"
    text = base64.encodebytes(b"\x30\x82" + len(der).to_bytes(2, "big") + der).decode()
    return f"-----BEGIN DH PARAMETERS-----\n{text}-----END DH PARAMETERS-----\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "before",
    [
        b"",
        bytes.fromhex("1503030002015a"),  # a warning
        (b"\x16\x03\x03\x40\x00" + bytes(2**14)) * 11,  # HelloRequests, 45,056 of them
    ],
    ids=["nothing", "a warning", "too much to be read"],
)
async def test_a_key_exchange_that_takes_long_holds_up_nobody(
    tmp_path: Path, before: bytes
) -> None:
    """The host chooses the prime, and may first send what OpenSSL passes over."""
    context = rsa_server(tmp_path, dh_parameters(4096))
    context.set_ciphers("DHE+AESGCM:@SECLEVEL=0")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async def behaviour(peer: Peer) -> None:
        nonlocal turns
        flight = first_flight(context, await peer.read())
        turns = 0
        await peer.say(before + flight)
        await peer.read()  # the client's key exchange
        seen.append(turns)

    seen: list[int] = []
    async with serving(behaviour) as server, trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await fetch(server)
        nursery.cancel_scope.cancel()
    assert seen[0] > 20
