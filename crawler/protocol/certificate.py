"""What does a certificate say, and for which hosts does it speak?

Reading (RFC 5280) and DNS-ID matching (RFC 6125 section 6.4, RFC 9525 section 6.3) as RFC 8461
sections 3.3 and 4.2 ask for them.  Whether a chain is to be trusted is left to ``chain``, what
TLSA records make of it to ``tlsa``.

Nothing a peer presents raises: what cannot be read is null and ``parse_error`` says why, and
what can be read beside it is kept.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

from crawler.protocol import der

SUBJECT_ALT_NAME: Final = bytes([0x55, 0x1D, 0x11])  # 2.5.29.17
BASIC_CONSTRAINTS: Final = bytes([0x55, 0x1D, 0x13])  # 2.5.29.19
_DNS_NAME: Final = 0x82  # GeneralName: dNSName [2] IMPLICIT IA5String

# RFC 5280 section 4.1.2.5: both in UTC, both with seconds, neither with a fraction.
_TIMES: Final = MappingProxyType(
    {
        0x17: re.compile(rb"\d{12}Z"),  # UTCTime
        0x18: re.compile(rb"\d{14}Z"),  # GeneralizedTime
    }
)

SIGNATURES: Final = MappingProxyType(
    {
        "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
        "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10": "rsassaPss",
        "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
        "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
        "1.2.840.10040.4.3": "dsaWithSHA1",
        "2.16.840.1.101.3.4.3.1": "dsa_with_SHA224",
        "2.16.840.1.101.3.4.3.2": "dsa_with_SHA256",
        "1.2.840.10045.4.1": "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
        "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
        "1.3.101.112": "ED25519",
        "1.3.101.113": "ED448",
    }
)
"""Signature algorithms by OpenSSL's name; any other stands as its dotted number."""

_PSS_KEY: Final = "1.2.840.113549.1.1.10"

UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
)
"""What the library raises over octets that it cannot or will not read."""

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What can be read out of a certificate; the fields are those of ``records.Certificate``."""

    sha256: str
    subject: str | None = None
    common_name: str | None = None
    names: tuple[str, ...] = ()
    issuer: str | None = None
    serial: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    key: str | None = None
    signature: str | None = None
    is_ca: bool | None = None
    self_issued: bool | None = None
    parse_error: str | None = None


class _Errors(list[str]):
    """What could not be read, collected while reading."""

    def spared(self, field: str, read: Callable[[S], T], source: S | None) -> T | None:
        """``read(source)``; None, and one more error, when it cannot be read."""
        if source is None:
            return None
        try:
            with unwarned():
                return read(source)
        except UNREADABLE as error:
            self.append(f"{field}: {printable(str(error))}")
            return None


def printable(text: str) -> str:
    """*text* fit for a log: one line of ASCII, not long; it may quote what a peer sent."""
    return ascii(text)[1:-1][:200]


def read(octets: bytes) -> CertificateFacts:
    """Read the DER of a certificate.  Never raises: a fact that cannot be read is null."""
    errors = _Errors()
    outline = errors.spared("certificate", der.outline, octets)
    parsed = errors.spared("certificate", load, octets)
    return CertificateFacts(
        sha256=hashlib.sha256(octets).hexdigest(),
        subject=errors.spared("subject", lambda c: c.subject.rfc4514_string(), parsed),
        common_name=errors.spared("common name", _common_name, parsed),
        names=errors.spared("subjectAltName", dns_names, outline) or (),
        issuer=errors.spared("issuer", lambda c: c.issuer.rfc4514_string(), parsed),
        serial=errors.spared("serial", _serial, outline),
        not_before=errors.spared("notBefore", lambda o: date(o.not_before), outline),
        not_after=errors.spared("notAfter", lambda o: date(o.not_after), outline),
        key=errors.spared("key", _key, parsed),
        signature=errors.spared("signature", signature_name, parsed),
        is_ca=errors.spared("basicConstraints", is_ca, outline),
        self_issued=errors.spared("names", lambda o: o.subject == o.issuer, outline),
        parse_error="; ".join(dict.fromkeys(errors)) or None,
    )


def load(octets: bytes) -> x509.Certificate:
    """The library's view of a certificate; one of ``UNREADABLE`` when it has none.

    What a later version will refuse (a negative serial number, say) is read as long as it can be.
    """
    with unwarned():
        return x509.load_der_x509_certificate(octets)


@contextmanager
def unwarned() -> Iterator[None]:
    """Keep the library's warnings to itself: what a peer presents is data, and no news of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def date(element: der.Element) -> datetime:
    """A date of the validity, UTC; ``DerError`` or ``ValueError`` when it is no date."""
    pattern = _TIMES.get(element.tag)
    if pattern is None or not pattern.fullmatch(element.value):
        raise der.DerError("not a time in the form of RFC 5280 section 4.1.2.5")
    digits = element.value[:-1].decode("ascii")
    if len(digits) == 12:  # "Where YY is greater than or equal to 50, the year is 19YY"
        digits = ("19" if digits >= "50" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def dns_names(outline: der.Outline) -> tuple[str, ...]:
    """The dNSName entries of subjectAltName, octets that are not ASCII as escapes.

    ``DerError`` when the extension cannot be read; no names when it is absent.
    """
    extension = outline.extension(SUBJECT_ALT_NAME)
    if extension is None:
        return ()
    return tuple(
        name.value.decode("ascii", "backslashreplace")
        for name in der.elements(der.only(extension, der.SEQUENCE))
        if name.tag == _DNS_NAME
    )


def is_ca(outline: der.Outline) -> bool:
    """Whether basicConstraints says so (RFC 5280 section 4.2.1.9); absent means no."""
    extension = outline.extension(BASIC_CONSTRAINTS)
    if extension is None:
        return False
    first = next(der.elements(der.only(extension, der.SEQUENCE)), None)
    return first is not None and first.tag == der.BOOLEAN and first.value != b"\x00"


def signature_name(certificate: x509.Certificate) -> str:
    """The signature algorithm by OpenSSL's name, or its dotted number."""
    dotted = certificate.signature_algorithm_oid.dotted_string
    return SIGNATURES.get(dotted, dotted)


def _serial(outline: der.Outline) -> str:
    return format(int.from_bytes(outline.serial, "big", signed=True), "x")


def _common_name(certificate: x509.Certificate) -> str | None:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[-1].value) if names else None


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    match key:
        case rsa.RSAPublicKey():
            pss = certificate.public_key_algorithm_oid.dotted_string == _PSS_KEY
            return f"{'RSA-PSS' if pss else 'RSA'} {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case _:
            return type(key).__name__.removesuffix("PublicKey")


def dns_ids(octets: bytes) -> tuple[str, ...]:
    """The DNS-IDs (RFC 6125 section 1.8) that a certificate presents; none if unreadable.

    The subject is not looked at: RFC 8461 sections 3.3 and 4.2 know no CN-ID.
    """
    return _Errors().spared("", lambda o: dns_names(der.outline(o)), octets) or ()


def dns_id_matches(presented: str, host: str) -> bool:
    """Does the DNS-ID *presented* in a certificate speak for *host*, a name in normal form?"""
    # RFC 6125 section 6.4.1: all labels, compared without regard to ASCII case.  What is not
    # ASCII, a U-label included, is no DNS-ID at all: IA5String, and A-labels in it (6.4.2).
    if not presented.isascii() or not host:
        return False
    pattern = presented.lower()
    if pattern.startswith("*."):
        # RFC 6125 section 6.4.3, RFC 9525 section 6.3: the "*" is the whole left-most label and
        # stands for exactly one label.  Our reading, and OpenSSL's: what follows it has at least
        # two labels, so nobody speaks for all of "*.com"; no suffix list is asked beyond that.
        label, _, parent = host.partition(".")
        return label != "" and parent == pattern[2:] and "." in parent
    # Everything else is compared as it stands, so a "*" elsewhere, a NUL or a final dot (which
    # the preferred name syntax of RFC 5280 section 4.2.1.6 has not) never matches.
    return pattern == host and "*" not in host
