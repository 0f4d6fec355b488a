"""Certificates are read as far as they can be, and DNS-IDs match as RFC 6125 section 6.4 says."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import UTC, datetime

import pytest
import service_identity
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from service_identity.hazmat import DNS_ID, DNSPattern

from crawler.protocol import certificate, der
from crawler.protocol.certificate import CertificateFacts, dns_id_matches, dns_ids, read
from crawler.records import Certificate
from tests.protocol import zoo
from tests.protocol.zoo import DAY, HOST, NOW

GOOD = zoo.zoo()["good"].chain[0]


def test_the_facts_of_a_good_leaf() -> None:
    assert read(GOOD) == CertificateFacts(
        sha256=hashlib.sha256(GOOD).hexdigest(),
        subject="CN=mx.example.com",
        common_name="mx.example.com",
        names=("mx.example.com",),
        issuer="CN=Zoo Intermediate",
        serial=format(x509.load_der_x509_certificate(GOOD).serial_number, "x"),
        not_before=NOW - 30 * DAY,
        not_after=NOW + 60 * DAY,
        key="EC secp256r1",
        signature="ecdsa-with-SHA256",
        is_ca=False,
        self_issued=False,
    )


def test_the_facts_fit_the_row() -> None:
    """``records.Certificate`` is these facts, the scan and the octets."""
    ours = {field.name for field in dataclasses.fields(CertificateFacts)}
    theirs = {field.name for field in dataclasses.fields(Certificate)}
    assert theirs - ours == {"scan_id", "der"}
    assert ours <= theirs


@pytest.mark.parametrize(
    ("animal", "facts"),
    [
        ("self-signed CA", {"is_ca": True, "self_issued": True}),
        ("CN only", {"names": (), "common_name": HOST, "parse_error": None}),
        ("IP SAN only", {"names": (), "parse_error": None}),
        ("URI SAN only", {"names": (), "parse_error": None}),
        ("many names", {"names": ("a.test", HOST, "b.test")}),
        ("trailing dot", {"names": (f"{HOST}.",)}),
        ("NUL in the name", {"names": (f"{HOST}\0.evil.test",)}),
        ("empty subject", {"subject": "", "common_name": None, "parse_error": None}),
        ("non-ASCII subject", {"common_name": "Bücher \x00 ‮"}),
        ("RSA 512", {"key": "RSA 512"}),
        ("RSA 1024", {"key": "RSA 1024"}),
        ("Ed25519", {"key": "Ed25519"}),
        ("RSA-PSS", {"signature": "rsassaPss"}),
        ("SHA-1", {"signature": "sha1WithRSAEncryption"}),
        ("negative serial", {"serial": "-6edd" + "ccbbaa998878", "parse_error": None}),
        ("year 9999", {"not_after": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}),
        # One part that cannot be read hides no other.
        ("month 13", {"not_after": None, "not_before": NOW - 30 * DAY, "names": (HOST,)}),
        ("malformed SAN", {"names": (), "key": "EC secp256r1", "not_before": NOW - 30 * DAY}),
        ("nothing", {"subject": None, "names": (), "is_ca": None}),
        ("truncated", {"subject": None, "names": (), "is_ca": None}),
    ],
)
def test_what_is_read(animal: str, facts: dict[str, object]) -> None:
    found = read(zoo.zoo()[animal].chain[0])
    assert {name: getattr(found, name) for name in facts} == facts


@pytest.mark.parametrize("animal", ["month 13", "malformed SAN", "nothing", "not DER", "truncated"])
def test_what_cannot_be_read_is_told(animal: str) -> None:
    error = read(zoo.zoo()[animal].chain[0]).parse_error
    assert error
    assert error.isascii()
    assert error.isprintable()


@given(st.data())
def test_no_mutant_raises(data: st.DataObject) -> None:
    """Any octets, and certificates with any octets changed, cut or put in."""
    octets = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(octets)))
        end = data.draw(st.integers(start, min(start + 4, len(octets))))
        octets[start:end] = data.draw(st.binary(max_size=4))
    read(bytes(octets))
    dns_ids(bytes(octets))


@given(st.binary())
def test_no_octets_raise(octets: bytes) -> None:
    assert read(octets).parse_error is not None
    assert dns_ids(octets) == ()


@pytest.mark.parametrize(
    ("tag", "text", "date"),
    [
        (0x17, b"491231235959Z", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (0x17, b"500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (0x18, b"20500101000000Z", datetime(2050, 1, 1, tzinfo=UTC)),
        (0x18, b"99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (0x17, b"5001010000Z", None),  # no seconds
        (0x17, b"500101000000+0100", None),  # not UTC
        (0x18, b"20500101000000.5Z", None),  # a fraction
        (0x18, b"00000101000000Z", None),  # year 0
        (0x18, b"20500230000000Z", None),  # 30 February
        (0x18, b"20500101000060Z", None),  # a leap second
        (0x18, b"2050010100000\xb2Z", None),  # a digit of another script
        (0x18, b"9" * 9_000_000, None),
        (0x0C, b"20500101000000Z", None),  # not a time at all
    ],
)
def test_dates(tag: int, text: bytes, date: datetime | None) -> None:
    """RFC 5280 section 4.1.2.5."""
    (element,) = der.elements(der.encode(tag, text))
    try:
        found: datetime | None = certificate.date(element)
    except ValueError:
        found = None
    assert found == date


@given(st.integers(0, 255), st.binary(max_size=70_000))
def test_what_is_encoded_is_read(tag: int, value: bytes) -> None:
    if tag & 0x1F != 0x1F:
        (found,) = der.elements(der.encode(tag, value))
        assert (found.tag, found.value) == (tag, value)


@pytest.mark.parametrize(
    "octets",
    [b"\x30", b"\x30\x80\0\0", b"\x30\x02\0", b"\x1f\x01\0", b"\x30\x84\x01\0\0\0", b"\x30\xff"],
)
def test_what_is_not_der(octets: bytes) -> None:
    with pytest.raises(der.DerError):
        list(der.elements(octets))


def test_a_selected_public_key_is_the_certificates_own_octets() -> None:
    """RFC 6698 section 2.1.2; the library's own encoding is the oracle."""
    parsed = x509.load_der_x509_certificate(GOOD)
    assert der.outline(GOOD).public_key == parsed.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    assert der.outline(GOOD).subject == parsed.subject.public_bytes()
    assert der.outline(GOOD).issuer == parsed.issuer.public_bytes()


# DNS-IDs.


@pytest.mark.parametrize(
    ("presented", "host", "covered"),
    [
        ("mx.example.com", "mx.example.com", True),
        ("MX.Example.COM", "mx.example.com", True),  # RFC 6125 6.4.1: case does not matter
        ("example.com", "mx.example.com", False),
        ("mx.example.com", "example.com", False),
        ("*.example.com", "mx.example.com", True),
        ("*.example.com", "example.com", False),  # one label, not none
        ("*.example.com", "a.mx.example.com", False),  # one label, not two
        ("*.example.com", ".example.com", False),
        ("*.EXAMPLE.com", "mx.example.com", True),
        ("*.example.com", "xn--bcher-kva.example.com", True),  # an A-label is a label
        ("xn--bcher-kva.example.com", "xn--bcher-kva.example.com", True),
        ("bücher.example.com", "xn--bcher-kva.example.com", False),  # RFC 6125 6.4.2: A-labels
        ("mx.exam\u212ample.com", "mx.examkmple.com", False),  # the Kelvin sign is no k
        ("m*.example.com", "mx.example.com", False),  # RFC 9525 6.3: the whole label
        ("*x.example.com", "mx.example.com", False),
        ("xn--*.example.com", "xn--bcher-kva.example.com", False),
        ("mx.*.com", "mx.example.com", False),  # the left-most label only
        ("*.*.com", "mx.example.com", False),
        ("*", "example", False),
        ("*.com", "example.com", False),  # our reading: two labels after it
        ("*.co.uk", "example.co.uk", True),  # no suffix list is asked
        ("*.", "example", False),
        ("mx.example.com.", "mx.example.com", False),  # RFC 5280 4.2.1.6 knows no final dot
        ("*.example.com.", "mx.example.com", False),
        ("mx.example.com\0.evil.test", "mx.example.com", False),
        (" mx.example.com", "mx.example.com", False),
        ("", "mx.example.com", False),
        ("", "", False),
        ("*.example.com", "*.example.com", True),  # a "*" is a label like any other to the DNS
        ("mx.*.com", "mx.*.com", False),
        ("_mx.example.com", "_mx.example.com", True),
    ],
)
def test_k6_dns_ids(presented: str, host: str, covered: bool) -> None:
    assert dns_id_matches(presented, host) is covered


LABELS = st.sampled_from(["a", "b", "mx", "xn--bcher-kva", "com", "example", "m0-x"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PATTERNS = st.lists(LABELS | st.sampled_from(["*", "A", "m*", "*x"]), min_size=1, max_size=4).map(
    ".".join
)


@given(presented=PATTERNS, host=HOSTS.filter(lambda host: "." in host))
@example(presented="*.com", host="example.com")
@example(presented="*.example.com", host="mx.example.com")
def test_dns_ids_against_service_identity(presented: str, host: str) -> None:
    """The oracle refuses some patterns outright; what it refuses must not match.  It cannot be
    asked about hosts of one label.
    """
    try:
        theirs = DNS_ID(host).verify(DNSPattern.from_bytes(presented.encode()))
    except service_identity.CertificateError:
        theirs = False
    assert dns_id_matches(presented, host) == theirs


@given(presented=PATTERNS, host=HOSTS)
def test_a_match_covers_the_same_number_of_labels(presented: str, host: str) -> None:
    if dns_id_matches(presented, host):
        assert presented.count(".") == host.count(".")
