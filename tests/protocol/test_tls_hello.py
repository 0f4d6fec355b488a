"""What a server's first flight shows in the clear is read, in whatever pieces it comes."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from crawler.protocol.tls_hello import GROUPS, MOST_OCTETS, HelloReader, ServerHello
from crawler.vocabulary import Resumption

AUTHORITY = trustme.CA()


def vector(octets: bytes, width: int) -> bytes:
    return len(octets).to_bytes(width, "big") + octets


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(body, 3)


def record(payload: bytes, kind: int = 22) -> bytes:
    return bytes([kind, 3, 3]) + vector(payload, 2)


def hello(
    *extensions: tuple[int, bytes],
    suite: int = 0xC02F,
    session_id: bytes = b"",
    random: bytes = bytes(32),
) -> bytes:
    listed = b"".join(number.to_bytes(2, "big") + vector(body, 2) for number, body in extensions)
    return message(
        2,
        b"\x03\x03"
        + random
        + vector(session_id, 1)
        + suite.to_bytes(2, "big")
        + b"\x00"
        + vector(listed, 2),
    )


RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
TLS_1_3 = (43, b"\x03\x04")
DONE = message(14, b"")


def read(*pieces: bytes) -> ServerHello:
    reader = HelloReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.seen


# TLS 1.3.


def test_the_group_of_tls_1_3_is_in_the_key_share() -> None:
    """RFC 8446 section 4.2.8."""
    share = (51, b"\x11\xec" + vector(b"k" * 8, 2))
    assert read(record(hello(TLS_1_3, share))) == ServerHello(
        group="X25519MLKEM768", hello_retry=False
    )


def test_a_retry_is_remembered_and_its_group_is_what_counts() -> None:
    """RFC 8446 section 4.1.4; a dummy ChangeCipherSpec may come between (appendix D.4)."""
    first = record(hello(TLS_1_3, (51, b"\x00\x18"), random=RETRY))
    assert read(first) == ServerHello(group="secp384r1", hello_retry=True)
    second = record(hello(TLS_1_3, (51, b"\x00\x18" + vector(b"k", 2))))
    seen = read(first + record(b"\x01", kind=20), second)
    assert seen == ServerHello(group="secp384r1", hello_retry=True)


def test_nothing_is_read_after_the_hello_of_tls_1_3() -> None:
    reader = HelloReader()
    reader.feed(record(hello(TLS_1_3)) + record(b"secret", kind=23))
    assert reader.done
    reader.feed(record(hello()))
    assert reader.seen == ServerHello(hello_retry=False)


# TLS 1.2 and below.


@pytest.mark.parametrize(
    ("extensions", "session_id", "wanted"),
    [
        ((), b"", (False, False, Resumption.NONE)),
        (((23, b""), (0xFF01, b"\x00")), b"", (True, True, Resumption.NONE)),
        ((), b"i" * 32, (False, False, Resumption.SESSION_ID)),
        # With a ticket promised, the id is only there to tell that it was taken (RFC 5077 3.4).
        (((35, b""),), b"i" * 32, (False, False, Resumption.TICKET)),
    ],
    ids=["bare", "both indications", "session id", "ticket"],
)
def test_what_was_agreed_on(
    extensions: tuple[tuple[int, bytes], ...],
    session_id: bytes,
    wanted: tuple[bool, bool, Resumption],
) -> None:
    seen = read(record(hello(*extensions, session_id=session_id)))
    agreed = (seen.extended_master_secret, seen.secure_renegotiation, seen.resumption)
    assert agreed == wanted
    assert seen.hello_retry is None


def test_a_hello_without_extensions_ends_early() -> None:
    """RFC 5246 section 7.4.1.3: their presence is found by octets after the compression method."""
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x2f" + b"\x00"
    assert read(record(message(2, body))).secure_renegotiation is False


@pytest.mark.parametrize(
    ("suite", "body", "group"),
    [
        pytest.param(0xC02F, b"\x03\x00\x1d" + vector(b"k" * 32, 1), "x25519", id="named curve"),
        pytest.param(0xC02F, b"\x03\xfe\xfe" + vector(b"k", 1), "0xfefe", id="unknown curve"),
        pytest.param(0xC014, b"\x01\x20", None, id="explicit curve, RFC 8422 forbids"),
        pytest.param(0x009E, vector(b"\xff" * 128, 2), "dhe-1024", id="finite field"),
        pytest.param(0x0039, vector(b"\x00\x01" + b"\xff" * 8, 2), "dhe-65", id="leading zeros"),
        # The length of its prime begins with the octet that means a named curve elsewhere.
        pytest.param(0x009F, vector(b"\xff" * 768, 2), "dhe-6144", id="6144 bits"),
    ],
)
def test_the_group_of_tls_1_2_is_in_the_key_exchange(
    suite: int, body: bytes, group: str | None
) -> None:
    flight = hello(suite=suite) + message(11, vector(b"", 3)) + message(12, body) + DONE
    assert read(record(flight)).group == group


def test_certificates_are_kept_as_they_came_der_or_not() -> None:
    chain = (b"not DER", b"", b"nor this")
    body = vector(b"".join(vector(c, 3) for c in chain), 3)
    assert read(record(hello() + message(11, body))).certificates == chain


def test_a_message_may_lie_in_several_records() -> None:
    """RFC 8446 section 5.1."""
    flight = hello((23, b"")) + message(12, b"\x03\x00\x17") + DONE
    whole = b"".join(record(flight[at : at + 5]) for at in range(0, len(flight), 5))
    seen = read(whole)
    assert (seen.group, seen.extended_master_secret) == ("secp256r1", True)


# Whatever comes.


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(bytes([23, 3, 3, 0, 2, 2, 40]), id="what should be encrypted"),
        pytest.param(record(message(2, b"\x03\x03")), id="a hello that is cut off"),
        pytest.param(record(message(2, b"\x03\x03" + bytes(32) + b"\xff")), id="a long session id"),
        pytest.param(record(hello()[:-2] + b"\xff\xff"), id="long extensions"),
        pytest.param(record(message(12, b"")), id="an empty key exchange"),
        pytest.param(record(message(11, b"\x00\x00\x09\x00\x00\xff")), id="a long certificate"),
    ],
)
def test_nonsense_shows_nothing(octets: bytes) -> None:
    reader = HelloReader()
    reader.feed(octets)
    assert reader.done
    assert reader.seen == ServerHello()


def test_what_was_read_before_the_nonsense_stands() -> None:
    seen = read(record(hello((0xFF01, b"\x00"))) + record(message(11, b"\x00\x00\x09\x00")))
    assert (seen.secure_renegotiation, seen.certificates) == (True, ())


def test_a_flight_without_end_is_not_held() -> None:
    reader = HelloReader()
    endless = record(message(11, b"")[:1] + b"\xff\xff\xff" + bytes(16_000))
    for _ in range(MOST_OCTETS // 16_000 + 2):
        reader.feed(endless)
    assert reader.done


@given(st.binary(max_size=300), st.sampled_from([b"", record(hello()), record(hello(TLS_1_3))]))
def test_nothing_raises(octets: bytes, before: bytes) -> None:
    read(before + octets, octets)


@given(st.data())
def test_the_pieces_do_not_matter(data: st.DataObject) -> None:
    body = vector(vector(b"one", 3) + vector(b"two", 3), 3)
    flight = hello((35, b"")) + message(11, body) + message(12, b"\x03\x00\x1e") + DONE
    whole = record(flight[:40]) + record(flight[40:])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(*pieces) == read(whole)
    assert read(whole).certificates == (b"one", b"two")


# OpenSSL as the oracle.


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1", "secp521r1", "X25519", "X448"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_group_is_the_one_that_openssl_names(version: ssl.TLSVersion, curve: str) -> None:
    """And the certificates, where they are in the clear, are the ones it hands out."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("mx.example.com").configure_cert(server)
    server.maximum_version = version
    server.set_ecdh_curve(curve)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(to_server, to_client, server_side=True)
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    reader = HelloReader()
    for _ in range(4):
        with suppress(SSL.WantReadError):
            client.do_handshake()
        with suppress(SSL.WantReadError):
            to_server.write(client.bio_read(65536))
        with suppress(ssl.SSLWantReadError):
            accepting.do_handshake()
        if flight := to_client.read():
            reader.feed(flight)
            client.bio_write(flight)
    assert reader.done
    assert reader.seen.group is not None
    assert reader.seen.group.lower() == str(client.get_group_name()).lower()
    if version is ssl.TLSVersion.TLSv1_2:
        presented = client.get_peer_cert_chain(as_cryptography=True) or []
        assert reader.seen.certificates == tuple(
            c.public_bytes(serialization.Encoding.DER) for c in presented
        )


def test_names_are_not_repeated() -> None:
    assert len(set(GROUPS.values())) == len(GROUPS)


def test_a_warning_is_passed_over() -> None:
    """A TLS library goes on after it, and so a peer could hide behind it what it does next."""
    warning = bytes([21, 3, 3, 0, 2, 1, 90])
    assert read(warning + record(hello())) == read(record(hello()))


def test_a_flight_without_end_is_lost() -> None:
    reader = HelloReader()
    reader.feed(record(bytes(2**14)) * (MOST_OCTETS // 2**14))
    assert reader.lost
