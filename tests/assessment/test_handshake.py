"""What is weak in a handshake, whoever the client: one per line, with the reason beside it."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.assessment.handshake import Handshake, handshake_of, weaknesses
from crawler.vocabulary import TlsWeakness
from tests import rows
from tests.protocol import zoo

W = TlsWeakness
STATIC, SHORT, LEGACY = W.NO_FORWARD_SECRECY, W.SHORT_DH_PRIME, W.NO_SECURE_RENEGOTIATION

GOOD: dict[str, Any] = {
    "version": "TLSv1.2",
    "cipher": "ECDHE-RSA-AES256-GCM-SHA384",
    "group": "x25519",
    "secure_renegotiation": True,
    "key": "RSA 2048",
}


def agreed(**facts: Any) -> Handshake:
    return Handshake(**(GOOD | facts))


def modern(**facts: Any) -> Handshake:
    """TLS 1.3, which has no renegotiation."""
    facts = {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"} | facts
    return agreed(secure_renegotiation=None, **facts)


UNKNOWN = Handshake(version=None, cipher=None, group=None, secure_renegotiation=None, key=None)


@pytest.mark.parametrize(
    ("handshake", "found"),
    [
        (agreed(), ()),
        (modern(), ()),
        (modern(group="ffdhe2048"), ()),  # RFC 7919 section 2: long enough
        (UNKNOWN, ()),  # a row of an earlier schema, say: nothing is known, so nothing is weak
        (agreed(cipher="DHE-RSA-AES128-SHA", group="dhe-2048"), ()),  # RFC 9325 section 4.5
        (agreed(cipher="DHE-RSA-AES128-SHA", group="dhe-4096"), ()),
        (agreed(cipher="DHE-RSA-AES128-SHA", group="dhe-2047"), (SHORT,)),
        (agreed(cipher="DHE-RSA-AES128-SHA", group="dhe-1024"), (SHORT,)),
        (agreed(cipher="DHE-RSA-AES128-SHA", group=None), ()),  # the message was not read
        (agreed(cipher="DHE-RSA-AES128-SHA", group="dhe-"), ()),  # nor is this a length
        (agreed(cipher="EDH-RSA-DES-CBC3-SHA", group="dhe-1024"), (SHORT,)),  # an old name of DHE
        (agreed(cipher="AES256-GCM-SHA384", group=None), (STATIC,)),  # RSA key transport
        (agreed(cipher="DES-CBC3-SHA", group=None), (STATIC,)),
        (agreed(cipher="ECDH-RSA-AES128-SHA"), (STATIC,)),  # static ECDH: RFC 9325 section 4.1
        (agreed(secure_renegotiation=False), (LEGACY,)),
        (agreed(cipher="AES128-SHA", group=None, secure_renegotiation=False), (STATIC, LEGACY)),
        (
            agreed(cipher="DHE-RSA-AES128-SHA", group="dhe-512", secure_renegotiation=False),
            (SHORT, LEGACY),
        ),
    ],
)
def test_weaknesses(handshake: Handshake, found: tuple[TlsWeakness, ...]) -> None:
    assert weaknesses(handshake) == found


@pytest.mark.parametrize(
    ("group", "bits"),
    [
        ("dhe-1024", 1024),
        ("ffdhe3072", 3072),
        ("secp256r1", None),
        ("x25519", None),
        ("SecP384r1MLKEM1024", None),  # not a number of that kind
        ("dhe-1024x", None),
        ("dhe-99999999999", None),  # no message has room for such a prime
        (None, None),
    ],
)
def test_the_length_of_a_prime(group: str | None, bits: int | None) -> None:
    assert agreed(group=group).prime_bits == bits


def test_a_row_and_its_leaf_become_a_handshake() -> None:
    row = rows.session(
        zoo.HOST,
        "192.0.2.1",
        tls_version="TLSv1.2",
        cipher="ECDHE-RSA-AES256-GCM-SHA384",
        tls_group="x25519",
        tls_secure_renegotiation=True,
    )
    leaf = zoo.leaf(zoo.HOST)
    assert handshake_of(row, [leaf, zoo.MIDDLE.der]) == agreed(key="EC secp256r1")
    assert handshake_of(row, []) == agreed(key=None)
    assert handshake_of(row, [b"no certificate"]) == agreed(key=None)
