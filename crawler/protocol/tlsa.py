"""Do these TLSA records speak for the chain that an MX host presented?

RFC 6698 (the record), RFC 7671 (its use), RFC 7672 (its use for SMTP).  Whether the records are
authenticated, which name they were asked under and which names a usage 2 match must then meet is
left to ``assessment``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from crawler.protocol import der, path
from crawler.protocol.path import Link
from crawler.records import Tlsa

DANE_TA: Final = 2
DANE_EE: Final = 3

FULL_CERTIFICATE: Final = 0
PUBLIC_KEY: Final = 1

# RFC 6698 section 2.1.2: what of a certificate is compared.
_SELECTED: Final[Mapping[int, Callable[[Link], bytes | None]]] = MappingProxyType(
    {
        FULL_CERTIFICATE: lambda link: link.octets,
        PUBLIC_KEY: lambda link: link.outline.public_key if link.outline is not None else None,
    }
)

EXACT: Final = 0
# RFC 6698 section 2.1.3: how it is presented, and how many octets that takes; any, when exact.
_MATCHED: Final[Mapping[int, tuple[Callable[[bytes], bytes], int | None]]] = MappingProxyType(
    {
        EXACT: (lambda selected: selected, None),
        1: (lambda selected: hashlib.sha256(selected).digest(), 32),
        2: (lambda selected: hashlib.sha512(selected).digest(), 64),
    }
)


class DaneMatchOutcome(StrEnum):
    """What usable records make of a chain."""

    MATCH = "match"
    """A usage 3 record matches the leaf.  Names and dates do not matter (RFC 7672 3.1.1)."""
    NAMED = "named"
    """A usage 2 record matches and the path up to it holds; the names are still to be checked
    (RFC 7672 section 3.1.2)."""
    MISMATCH = "mismatch"
    UNUSABLE = "unusable"
    """No record is usable, so the records say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaneMatch:
    """What usable records make of a chain, and the record that decided."""

    outcome: DaneMatchOutcome
    record: Tlsa | None = None


def usable(record: Tlsa) -> bool:
    """Whether a sender can use *record* for SMTP."""
    # RFC 7672 section 3.1.3 leaves PKIX-TA(0) and PKIX-EE(1) undefined for SMTP and lets clients
    # treat them as unusable; senders do.  RFC 6698 section 4.1 and RFC 7671 section 4: unknown
    # parameters and data that cannot be what they say make a record unusable too.
    if record.usage not in (DANE_TA, DANE_EE):
        return False
    if record.selector not in _SELECTED or record.matching_type not in _MATCHED:
        return False
    length = _MATCHED[record.matching_type][1]
    if length is not None:
        return len(record.data) == length
    return _is_der(record)


def _is_der(record: Tlsa) -> bool:
    """Exact data must be a certificate or a public key, at least in outline."""
    try:
        if record.selector == FULL_CERTIFICATE:
            der.outline(record.data)
        else:
            der.only(record.data, der.SEQUENCE)
    except der.DerError:
        return False
    return True


def match(
    records: Sequence[Tlsa], chain: Sequence[bytes], *, at: datetime | None = None
) -> DaneMatch:
    """Compare the TLSA records of a host with the chain it presented, leaf first.

    *at*, UTC, is when the chain was seen: the dates of the certificates below a usage 2 match
    must hold then.  Without it dates are not looked at.  Nothing in records or chain raises.
    """
    wanted = _strongest([record for record in records if usable(record)])
    if not wanted:
        return DaneMatch(outcome=DaneMatchOutcome.UNUSABLE)
    if not chain:
        return DaneMatch(outcome=DaneMatchOutcome.MISMATCH)
    leaf, *others = (path.link(octets) for octets in dict.fromkeys(chain))
    for record in wanted:
        if record.usage == DANE_EE and _matches(record, leaf):
            return DaneMatch(outcome=DaneMatchOutcome.MATCH, record=record)
    for record in wanted:
        if record.usage == DANE_TA and _anchored(record, leaf, others, at):
            return DaneMatch(outcome=DaneMatchOutcome.NAMED, record=record)
    return DaneMatch(outcome=DaneMatchOutcome.MISMATCH)


def _strongest(records: Sequence[Tlsa]) -> list[Tlsa]:
    """*records* without the weaker digests of what has a stronger one."""
    # RFC 7671 section 9: among the digests of one usage and selector only those of the strongest
    # algorithm count, so a SHA-256 digest that still matches helps nothing beside a stale SHA-512
    # one.  Exact data counts beside either.  The numbers of the registry rise with the strength.
    best: dict[tuple[int, int], int] = {}
    for record in records:
        kind = record.usage, record.selector
        best[kind] = max(best.get(kind, EXACT), record.matching_type)
    return [r for r in records if r.matching_type in (EXACT, best[r.usage, r.selector])]


def _matches(record: Tlsa, link: Link) -> bool:
    selected = _SELECTED[record.selector](link)
    return selected is not None and _MATCHED[record.matching_type][0](selected) == record.data


def _anchored(record: Tlsa, leaf: Link, others: Sequence[Link], at: datetime | None) -> bool:
    """Whether there is a path from the leaf to a trust anchor that *record* names."""
    # Our reading, and OpenSSL's: the trust anchor issues, so the leaf is never its own.
    anchors = [other for other in others if _matches(record, other)]
    if not anchors and record.matching_type == EXACT:
        # RFC 7671 sections 5.2.2 and 5.2.3: a record that carries the whole anchor, or its key,
        # spares the server from presenting it.
        anchors = _carried(record, [leaf, *others])
    return any(_holds(leaf, others, anchor, at) for anchor in anchors)


def _carried(record: Tlsa, links: Sequence[Link]) -> list[Link]:
    """The trust anchor inside a "2 0 0" or "2 1 0" record."""
    if record.selector == FULL_CERTIFICATE:
        return [path.link(record.data)]
    # A bare key has no name, so it may be that of any issuer the chain speaks of.
    issuers = dict.fromkeys(link.outline.issuer for link in links if link.outline is not None)
    return [path.link(anchor_of_key(issuer, record.data)) for issuer in issuers]


def anchor_of_key(name: bytes, public_key: bytes) -> bytes:
    """A certificate around a bare key, for OpenSSL to take as an anchor: it looks at an anchor's
    name and key and never at its signature, so that stays empty.
    """
    algorithm = der.encode(der.SEQUENCE, bytes.fromhex("06082a8648ce3d040302"))
    forever = der.encode(0x18, b"00010101000000Z") + der.encode(0x18, b"99991231235959Z")
    is_ca = der.encode(der.SEQUENCE, bytes.fromhex("0603551d13040530030101ff"))
    signed = b"".join(
        (
            bytes.fromhex("a003020102"),  # version 3
            bytes.fromhex("020101"),  # serial number 1
            algorithm,
            name,
            der.encode(der.SEQUENCE, forever),
            name,
            public_key,
            der.encode(0xA3, der.encode(der.SEQUENCE, is_ca)),
        )
    )
    no_signature = bytes.fromhex("030100")
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, signed) + algorithm + no_signature)


def _holds(leaf: Link, others: Sequence[Link], anchor: Link, at: datetime | None) -> bool:
    """RFC 7671 section 5.2: PKIX up to *anchor*, whose own dates are its publisher's business."""
    if leaf.openssl is None or anchor.openssl is None:
        return False
    found = path.find(leaf, others, [anchor], at=None, partial=True)
    below = [link for link in found.links if link.octets != anchor.octets]
    return (
        found.code == path.V_OK
        and path.first_misused(below) is None
        and not (at and any(link.begins_after(at) or link.ended_before(at) for link in below))
    )
