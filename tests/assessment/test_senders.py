"""Which senders would not complete a handshake: the table, and handshakes held against it."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from crawler.assessment.handshake import Handshake
from crawler.assessment.senders import (
    MAIL_SENDERS,
    OPENSSL_SUITES,
    POLICY_FETCHERS,
    PYTHON_SUITES,
    VERSIONS,
    Fact,
    Sender,
    refusing,
    unoffered_by,
)
from tests.assessment.test_handshake import UNKNOWN, agreed, modern
from tests.protocol import zoo

EVERY = {sender.name: sender for sender in (*MAIL_SENDERS, *POLICY_FETCHERS)}
POSTFIX, EXIM, EXIM_GNUTLS, BORING = (sender.name for sender in MAIL_SENDERS)
PYTHON, GO, _ = (sender.name for sender in POLICY_FETCHERS)


def static(**facts: Any) -> Handshake:
    return agreed(**({"cipher": "AES256-GCM-SHA384", "group": None} | facts))


def finite(group: str = "dhe-2048", **facts: Any) -> Handshake:
    return agreed(**({"cipher": "DHE-RSA-AES256-GCM-SHA384", "group": group} | facts))


# handshake, why, who breaks it off, who does not offer it
MAIL: list[tuple[Handshake, str, tuple[str, ...], tuple[str, ...]]] = [
    (modern(), "TLS 1.3", (), ()),
    (agreed(), "ECDHE with AES-GCM", (), ()),
    (UNKNOWN, "what is not known holds nobody off", (), ()),
    (modern(group="X25519MLKEM768"), "who speaks a hybrid speaks its classical half", (), ()),
    (modern(group="SecP384r1MLKEM1024"), "the same", (), ()),
    # the version: OpenSSL from level 1 on, BoringSSL's own minimum; GnuTLS goes down to 1.0
    (agreed(version="TLSv1.1"), "too old", (POSTFIX, EXIM, BORING), ()),
    (agreed(version="TLSv1"), "too old", (POSTFIX, EXIM, BORING), ()),
    (agreed(version="SSLv3"), "too old for all", (POSTFIX, EXIM, EXIM_GNUTLS, BORING), ()),
    (agreed(version="TLSv9"), "a version of no table", (), ()),
    # RFC 5746: OpenSSL 3 insists, GnuTLS and BoringSSL do not
    (agreed(secure_renegotiation=False), "not indicated", (POSTFIX, EXIM), ()),
    (agreed(secure_renegotiation=None), "not known", (), ()),
    # primes: level 2 wants 2048 bits, level 1 and Exim's own setting for GnuTLS 1024
    (finite(), "long enough, and BoringSSL has no finite-field suite", (), (BORING,)),
    (finite("dhe-2047"), "one bit short of level 2", (EXIM,), (BORING,)),
    (finite("dhe-1024"), "level 1 takes it", (EXIM,), (BORING,)),
    (finite("dhe-1023"), "level 1 does not", (POSTFIX, EXIM, EXIM_GNUTLS), (BORING,)),
    (finite("dhe-8192"), "long, not short", (), (BORING,)),
    (finite("ffdhe2048"), "a prime of RFC 7919 is as good", (), (BORING,)),
    (modern(group="ffdhe2048"), "in TLS 1.3 it is a group", (), (BORING,)),
    (modern(group="ffdhe8192"), "a group that OpenSSL no longer offers", (), (POSTFIX, EXIM, BORING)),
    # suites
    (static(), "RSA key transport is still offered for mail", (), ()),
    (static(cipher="AES128-SHA256"), "CBC with SHA-2", (), (EXIM_GNUTLS, BORING)),
    (agreed(cipher="ECDHE-RSA-AES256-SHA384"), "CBC with SHA-2", (), (EXIM_GNUTLS, BORING)),
    (agreed(cipher="ECDHE-RSA-AES256-SHA"), "CBC with SHA-1", (), ()),
    (agreed(cipher="ECDHE-ECDSA-CHACHA20-POLY1305"), "ChaCha20", (), ()),
    (agreed(cipher="DES-CBC3-SHA"), "3DES", (), (POSTFIX, EXIM, EXIM_GNUTLS, BORING)),
    (modern(cipher="TLS_AES_128_CCM_SHA256"), "suites of TLS 1.3 are not compared", (), ()),
    # groups
    (modern(group="secp384r1"), "offered by all", (), ()),
    (modern(group="secp521r1"), "not by BoringSSL", (), (BORING,)),
    (modern(group="x448"), "not by BoringSSL", (), (BORING,)),
    (agreed(group="brainpoolP256r1"), "by nobody", (), (POSTFIX, EXIM, EXIM_GNUTLS, BORING)),
    # keys
    (agreed(key="RSA 4096"), "as good as 2048", (), ()),
    (agreed(key="RSA 1024"), "level 2 wants 2048", (EXIM,), ()),
    (agreed(key="RSA 1023"), "level 1 and GnuTLS's profile want 1024", (POSTFIX, EXIM, EXIM_GNUTLS), ()),
    (agreed(key="RSA-PSS 2048"), "no such leaf for BoringSSL", (), (BORING,)),
    (agreed(key="EC secp384r1"), "P-384", (), ()),
    (agreed(key="EC secp521r1"), "P-521", (), (BORING,)),
    (agreed(key="Ed25519"), "RFC 8032", (), (BORING,)),
    (agreed(key="DSA 2048"), "nobody", (), (POSTFIX, EXIM, EXIM_GNUTLS, BORING)),
    (agreed(key=""), "no kind at all", (), (POSTFIX, EXIM, EXIM_GNUTLS, BORING)),
    # several reasons: to break off outweighs not to offer
    (
        finite("dhe-1024", secure_renegotiation=False),
        "each for a reason of its own",
        (POSTFIX, EXIM),
        (BORING,),
    ),
    (finite(version="TLSv1"), "too old, whatever the suite", (POSTFIX, EXIM, BORING), ()),
]  # fmt: skip

POLICY: list[tuple[Handshake, str, tuple[str, ...], tuple[str, ...]]] = [
    (modern(), "TLS 1.3", (), ()),
    (agreed(), "ECDHE with AES-GCM", (), ()),
    (agreed(version="TLSv1.1"), "too old for all", (PYTHON, GO, BORING), ()),
    (agreed(secure_renegotiation=False), "Python's is OpenSSL", (PYTHON,), ()),
    (finite(), "Python alone has finite-field suites", (), (GO, BORING)),
    (finite("dhe-1024"), "and wants level 2", (PYTHON,), (GO, BORING)),
    (finite(cipher="DHE-RSA-AES256-SHA"), "no SHA-1 in Python's list", (), (PYTHON, GO, BORING)),
    (static(), "RSA key transport: BoringSSL alone", (), (PYTHON, GO)),
    (agreed(cipher="ECDHE-RSA-AES128-SHA"), "CBC with SHA-1", (), (PYTHON,)),
    (agreed(cipher="ECDHE-RSA-AES128-SHA256"), "CBC with SHA-2: Python alone", (), (GO, BORING)),
    (modern(group="secp521r1"), "P-521", (), (BORING,)),
    (modern(group="x448"), "X448: OpenSSL alone", (), (GO, BORING)),
    (agreed(key="Ed25519"), "Ed25519", (), (BORING,)),
    (agreed(key="Ed448"), "Ed448: OpenSSL alone", (), (GO, BORING)),
]


@pytest.mark.parametrize(("seen", "why", "refused", "unoffered"), MAIL)
def test_senders_of_mail(
    seen: Handshake, why: str, refused: tuple[str, ...], unoffered: tuple[str, ...]
) -> None:
    found = refusing(seen, MAIL_SENDERS), unoffered_by(seen, MAIL_SENDERS)
    assert found == (refused, unoffered), why


@pytest.mark.parametrize(("seen", "why", "refused", "unoffered"), POLICY)
def test_programs_that_fetch_policies(
    seen: Handshake, why: str, refused: tuple[str, ...], unoffered: tuple[str, ...]
) -> None:
    found = refusing(seen, POLICY_FETCHERS), unoffered_by(seen, POLICY_FETCHERS)
    assert found == (refused, unoffered), why


# --- the table -----------------------------------------------------------------------------


@pytest.mark.parametrize("sender", EVERY.values(), ids=EVERY)
def test_every_fact_says_where_it_can_be_read(sender: Sender) -> None:
    facts = [f.name for f in fields(sender) if f.name != "name"]
    assert facts
    for name in facts:
        fact = getattr(sender, name)
        assert isinstance(fact, Fact)
        assert len(fact.source) > 20, name
    assert sender.oldest.value in VERSIONS


def test_names_are_unique_and_plain() -> None:
    for table in (MAIL_SENDERS, POLICY_FETCHERS):
        names = [sender.name for sender in table]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def offered(cipher_list: str) -> frozenset[str]:
    """What OpenSSL makes of a cipher list, less what the crawler does not offer in any case."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(cipher_list.encode())
    never = re.compile(r"TLS_|.*(PSK|SRP|CCM|ARIA|CAMELLIA)")
    names = SSL.Connection(context, None).get_cipher_list()
    return frozenset(name for name in names if not never.match(name))


def test_the_suites_of_openssl_are_what_openssl_says() -> None:
    assert offered("DEFAULT") == OPENSSL_SUITES
    # CPython 3.13, Modules/_ssl.c
    python = (
        "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
    )
    assert offered(python) == PYTHON_SUITES
    # Postfix 3.10, mail_params.h, with aNULL excluded as at every level that verifies
    medium = "aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4"
    assert offered(f"{medium}:@STRENGTH:!aNULL") == OPENSSL_SUITES


# A server's flight by hand: what no current library would play (RFC 5246 sections 7.4.1.3 to 7.4.3).

INDICATED = bytes.fromhex("ff01 0001 00")  # RFC 5746 section 3.6
PRIME_1024 = bytes.fromhex(  # RFC 2409 section 6.2
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404dd"
    "ef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed"
    "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff"
)


PRIME_2048 = bytes.fromhex(  # RFC 7919 appendix A.1
    "ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1d8b9c583ce2d3695a9e13641146433fbcc939dce249b3ef9"
    "7d2fe363630c75d8f681b202aec4617ad3df1ed5d5fd65612433f51f5f066ed0856365553ded1af3b557135e7f57c935"
    "984f0c70e0e68b77e2a689daf3efe8721df158a136ade73530acca4f483a797abc0ab182b324fb61d108a94bb2c8e3fb"
    "b96adab760d7f4681d4f42a3de394df4ae56ede76372bb190b07a7c8ee0a6d709e02fce1cdf7e2ecc03404cd28342f61"
    "9172fe9ce98583ff8e4f1232eef28183c3fe3b1b4c6fad733bb5fcbc2ec22005c58ef1837d1683b2c6f34a26c1b2effa"
    "886b423861285c97ffffffffffffffff"
)


def sized(octets: bytes, length: int) -> bytes:
    return len(octets).to_bytes(length, "big") + octets


def message(kind: int, body: bytes) -> bytes:
    """One handshake message in a record of its own."""
    return bytes.fromhex("16 0303") + sized(bytes([kind]) + sized(body, 3), 2)


def server_hello(extensions: bytes) -> bytes:
    """TLS 1.2, DHE-RSA-AES256-GCM-SHA384."""
    fixed = bytes.fromhex("0303") + bytes(32) + sized(b"", 1) + bytes.fromhex("009f 00")
    return message(2, fixed + sized(extensions, 2))


def key_exchange(prime: bytes) -> bytes:
    """Parameters and a signature that nobody gets to verify."""
    numbers = (prime, b"\2", prime[:-1] + b"\1")
    signature = bytes.fromhex("0804") + sized(bytes(256), 2)
    return message(12, b"".join(sized(n, 2) for n in numbers) + signature)


def answered(*flight: bytes) -> str:
    """What OpenSSL, by its defaults, finds wrong with a server's flight; nothing: it goes on."""
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        client.do_handshake()
    client.bio_write(b"".join(flight))
    try:
        client.do_handshake()
    except SSL.WantReadError:
        return ""
    except SSL.Error as error:
        return str(error.args[0][0][2])
    raise AssertionError("a handshake without an end")


def test_openssl_insists_on_rfc_5746() -> None:
    assert answered(server_hello(INDICATED)) == ""
    assert answered(server_hello(b"")) == "unsafe legacy renegotiation disabled"


def test_openssl_refuses_short_primes() -> None:
    chain = zoo.leaf(zoo.HOST, subject_key=zoo.rsa_key(2048))
    shown = server_hello(INDICATED), message(11, sized(sized(chain, 3), 3))
    assert answered(*shown) == ""
    assert answered(*shown, key_exchange(PRIME_1024)) == "dh key too small"
    # With one that is long enough it comes to the signature, which is none.
    assert answered(*shown, key_exchange(PRIME_2048)) not in ("", "dh key too small")


@pytest.mark.parametrize("sender", EVERY.values(), ids=EVERY)
def test_nobody_offers_a_suite_that_the_crawler_does_not(sender: Sender) -> None:
    """Else a host could choose for that sender what the crawler never sees."""
    assert sender.suites.value <= OPENSSL_SUITES


# --- whatever was recorded -----------------------------------------------------------------

words = st.none() | st.text(max_size=12)
handshakes = st.builds(
    Handshake,
    version=words | st.sampled_from(VERSIONS),
    cipher=words | st.sampled_from([*sorted(OPENSSL_SUITES), "TLS_AES_128_GCM_SHA256"]),
    group=words
    | st.sampled_from(["x25519", "X25519MLKEM768", "ffdhe2048", "x448"])
    | st.integers(0, 10_000).map("dhe-{}".format),
    secure_renegotiation=st.sampled_from([None, True, False]),
    key=words | st.sampled_from(["RSA", "RSA x", "EC secp256r1", "Ed25519", "RSA 2048"]),
)


@given(handshakes, st.sampled_from([MAIL_SENDERS, POLICY_FETCHERS]))
def test_no_handshake_is_too_odd(seen: Handshake, table: tuple[Sender, ...]) -> None:
    refused, unoffered = refusing(seen, table), unoffered_by(seen, table)
    names = [sender.name for sender in table]
    assert [n for n in names if n in refused] == list(refused)
    assert [n for n in names if n in unoffered] == list(unoffered)
    assert not set(refused) & set(unoffered)


@given(st.integers(1, 9_999), st.integers(1, 9_999))
def test_a_longer_prime_is_refused_by_nobody_else(one: int, other: int) -> None:
    short, long = sorted((one, other))
    for table in (MAIL_SENDERS, POLICY_FETCHERS):
        by_long = refusing(finite(f"dhe-{long}"), table)
        assert set(by_long) <= set(refusing(finite(f"dhe-{short}"), table))


@given(handshakes)
def test_what_is_not_known_is_held_against_nobody(seen: Handshake) -> None:
    for table in (MAIL_SENDERS, POLICY_FETCHERS):
        for name in ("version", "group", "secure_renegotiation", "key"):
            facts = {f.name: getattr(seen, f.name) for f in fields(seen)} | {name: None}
            assert set(refusing(Handshake(**facts), table)) <= set(refusing(seen, table))
