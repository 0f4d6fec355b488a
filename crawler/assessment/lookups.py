"""What a lookup row says on its own: something, surely nothing, or not known.

Three answers, never two: a name that has no record (RFC 2308 section 2: NXDOMAIN and NODATA) and
a name that could not be asked about are different facts.  Which strings of a TXT answer make a
record is the business of ``protocol``; here is only the coarse look that decides whether a
domain is worth a closer one.
"""

from __future__ import annotations

from typing import Final

from crawler.protocol import sts_record
from crawler.protocol import tlsrpt as tlsrpt_record
from crawler.protocol.txt_record import resembles
from crawler.records import AddressLookup, TxtLookup
from crawler.vocabulary import DnsStatus

ABSENCE: Final = frozenset({DnsStatus.NXDOMAIN, DnsStatus.NO_ANSWER})
"""The definite answers that say "no such record" (RFC 2308 sections 2.1 and 2.2)."""

DEFINITE: Final = ABSENCE | {DnsStatus.NOERROR}
"""Answers after which one knows which records there are."""

_SIGNS: Final = (sts_record.KIND, tlsrpt_record.KIND)


def has_address(lookup: AddressLookup | None) -> bool | None:
    """Whether a host has an A or AAAA record; ``None`` when that is not known.

    One family that answers is enough for "yes"; "no" needs a definite answer of both.
    """
    if lookup is None:
        return None
    if lookup.ipv4 or lookup.ipv6:
        return True
    both_definite = lookup.status_ipv4 in DEFINITE and lookup.status_ipv6 in DEFINITE
    return False if both_definite else None


def shows_sign(sts: TxtLookup | None, tlsrpt: TxtLookup | None) -> bool:
    """Whether a domain's TXT answers look at all like MTA-STS or TLSRPT.

    True when either answer has a string that is or resembles a record of either kind, or when
    either name is an alias.  Resembling is what the rules go by, so no record that they would
    call a failed attempt is out of scope.
    """
    return any(
        lookup is not None and (bool(lookup.cname_chain) or _has_sign(lookup.records))
        for lookup in (sts, tlsrpt)
    )


def _has_sign(records: tuple[tuple[bytes, ...], ...]) -> bool:
    return any(resembles(kind, strings) for strings in records for kind in _SIGNS)
