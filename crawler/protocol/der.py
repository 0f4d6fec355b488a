"""Which octets of a certificate are its serial number, its names, its key, its extensions?

The outline of ``Certificate`` in RFC 5280 section 4.1, cut out of the DER and not interpreted,
so that one unreadable field hides none of the others, and so that what we read does not change
with the version of a library.  What the fields mean is left to ``certificate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

INTEGER: Final = 0x02
BOOLEAN: Final = 0x01
BIT_STRING: Final = 0x03
OBJECT_IDENTIFIER: Final = 0x06
SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0  # TBSCertificate: version [0] EXPLICIT
_EXTENSIONS: Final = 0xA3  # extensions [3] EXPLICIT


class DerError(ValueError):
    """The octets are not the DER that RFC 5280 asks for at that place."""


@dataclass(frozen=True, slots=True)
class Element:
    """One tag, length and value (X.690 section 8.1)."""

    tag: int
    value: bytes
    raw: bytes
    """Tag and length included."""


def elements(octets: bytes) -> Iterator[Element]:
    """The elements that *octets* consist of, one after the other.

    Raises ``DerError`` for tags above 30, indefinite lengths and elements that run past the end.
    Lengths longer than needed are let pass: TLS peers do so, and nothing hangs on it here.
    """
    position = 0
    while position < len(octets):
        head = octets[position : position + 2]
        if len(head) < 2 or head[0] & 0x1F == 0x1F or head[1] == 0x80:
            raise DerError("an element has no definite tag and length")
        start, length = position + 2, head[1]
        if length > 0x80:
            start, length = (
                start + length - 0x80,
                int.from_bytes(octets[start : start + length - 0x80], "big"),
            )
        end = start + length
        if end > len(octets):
            raise DerError("an element is longer than what holds it")
        yield Element(head[0], octets[start:end], octets[position:end])
        position = end


def only(octets: bytes, tag: int) -> bytes:
    """The value of the one element that *octets* are; ``DerError`` unless it has *tag*."""
    found = list(elements(octets))
    if len(found) != 1 or found[0].tag != tag:
        raise DerError(f"expected exactly one element with tag {tag:#04x}")
    return found[0].value


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The parts of a certificate.  All but the serial number are whole elements."""

    serial: bytes
    """Value of the INTEGER."""
    issuer: bytes
    not_before: Element
    not_after: Element
    subject: bytes
    public_key: bytes
    """SubjectPublicKeyInfo: what TLSA selector 1 is about (RFC 6698 section 2.1.2)."""
    extensions: Mapping[bytes, bytes] | None
    """extnValue by the value of its OBJECT IDENTIFIER, the first where one stands twice; None
    when they cannot be told apart."""

    def extension(self, oid: bytes) -> bytes | None:
        """The extnValue of the extension *oid*, None when it is absent; ``DerError`` when the
        extensions cannot be told apart.
        """
        if self.extensions is None:
            raise DerError("the extensions cannot be told apart")
        return self.extensions.get(oid)


def outline(der: bytes) -> Outline:
    """Cut a certificate into its parts; ``DerError`` when it has not got them."""
    certificate = list(elements(only(der, SEQUENCE)))
    if len(certificate) != 3:
        raise DerError("a certificate has three parts: what is signed, how, and the signature")
    fields = list(elements(only(certificate[0].raw, SEQUENCE)))
    if fields and fields[0].tag == _VERSION:
        del fields[0]
    if [f.tag for f in fields[:6]] != [INTEGER, *[SEQUENCE] * 5]:
        raise DerError("serial, algorithm, issuer, validity, subject and key are not all there")
    serial, _, issuer, validity, subject, public_key, *optional = fields
    dates = list(elements(validity.value))
    if len(dates) != 2:
        raise DerError("a validity has two dates")
    return Outline(
        serial=serial.value,
        issuer=issuer.raw,
        not_before=dates[0],
        not_after=dates[1],
        subject=subject.raw,
        public_key=public_key.raw,
        extensions=_extensions(optional),
    )


def _extensions(optional: Iterable[Element]) -> Mapping[bytes, bytes] | None:
    """Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }."""
    found: dict[bytes, bytes] = {}
    try:
        for holder in optional:
            if holder.tag == _EXTENSIONS:
                for extension in elements(only(holder.value, SEQUENCE)):
                    oid, *_, value = elements(extension.value)
                    found.setdefault(oid.value, value.value)
    except ValueError:  # DerError, or fewer than two parts to an extension
        return None
    return MappingProxyType(found)


def encode(tag: int, value: bytes) -> bytes:
    """One element in DER (X.690 section 10.1: the shortest length)."""
    if len(value) < 0x80:
        return bytes([tag, len(value)]) + value
    length = len(value).to_bytes((len(value).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value
