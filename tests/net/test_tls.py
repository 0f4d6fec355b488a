"""A handshake is measured whatever it shows, and what was shown survives its failure."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

from crawler.config import Limits
from crawler.net import tls
from crawler.net.https import PolicyExchange
from crawler.vocabulary import IoStatus, Stage
from tests.net.servers import (
    POLICY,
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


def test_k6_k7_the_settings_are_pinned() -> None:
    """Not the defaults of a Python version; and no certificate is ever turned away."""
    context = tls.MeasuringContext(alpn=("http/1.1",))
    assert context.verify_mode is ssl.CERT_NONE
    assert context.verify_flags == ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
    assert not context.check_hostname
    assert not context.hostname_checks_common_name
    assert context.minimum_version is ssl.TLSVersion.TLSv1
    assert context.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert context.options & 0x4, "legacy servers are spoken to"
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_neither_anonymous_nor_null_suites_are_offered() -> None:
    for suite in tls.MeasuringContext().get_ciphers():
        assert suite["auth"] != "auth-null", suite["name"]
        assert "NULL" not in suite["name"]


def test_old_and_weak_suites_are_offered() -> None:
    names = {suite["name"] for suite in tls.MeasuringContext().get_ciphers()}
    assert {"TLS_AES_256_GCM_SHA384", "AES128-SHA", "DHE-RSA-AES128-SHA"} <= names


def test_a_handshake_that_nobody_watches_is_our_mistake() -> None:
    with pytest.raises(LookupError):
        tls.MeasuringContext().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


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
async def test_session_tickets_in_number_are_borne() -> None:
    context = server_context(only=ssl.TLSVersion.TLSv1_3)
    context.num_tickets = 100
    assert (await shake_hands(context)).status is IoStatus.SUCCESS


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
async def test_two_tasks_have_two_watches() -> None:
    """A watch belongs to the task that set it, and not to its siblings."""
    watches: list[bool] = []

    async def one() -> None:
        watch = tls.Watch(certificates=1, certificate_bytes=1, octets=1)
        with tls.watching(watch):
            await trio.sleep(1)
            made = tls.MeasuringContext().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
            watches.append(getattr(made, "watch", None) is watch)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one)
        nursery.start_soon(one)
    assert watches == [True, True]
