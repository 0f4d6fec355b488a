"""What does a DNS answer say, once its octets have been read?  The values both readers produce.

``dns_wire`` reads the common answers itself and ``dns_unusual`` lets dnspython read the rest.
Whichever of them read a message, what follows from it is decided here, once: the order of the
records, where an alias leads, and which word of ``DnsStatus`` the answer amounts to.

RFC 1034 section 3.6.2 (aliases), RFC 2308 section 2 (NXDOMAIN and NODATA), RFC 8914 (extended
errors).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import dns.edns
import dns.ipv6

from crawler.records import Tlsa
from crawler.vocabulary import DnsStatus


class RdType(IntEnum):
    """The record types that are asked for or looked at (IANA *Resource Record TYPEs*)."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28
    OPT = 41
    TLSA = 52


CNAME_HOPS: Final = 11  # unbound follows 11 (its MAX_RESTART_COUNT)


class NameTooLong(ValueError):
    """No DNS message can carry the name: a label over 63 octets, or more than 255 in all."""


class Message(NamedTuple):
    """A DNS answer, read with its question in mind.

    A tuple and not a dataclass, because one is made for every answer of a scan and a frozen
    dataclass of this size takes six times as long to make.
    """

    status: DnsStatus
    """How the question was answered; never a word that is ours to say, such as ``TIMEOUT``."""
    records: tuple[Any, ...] = ()
    """The records at the end of the CNAME chain, sorted and distinct; by type: TXT a tuple of
    character-strings, MX (preference, host), A and AAAA the address as text, TLSA
    ``records.Tlsa``, CNAME, NS and PTR the name, anything else its presentation format."""
    cname_chain: tuple[str, ...] = ()
    """The names that the question was redirected to, in order; kept whatever the status."""
    ttl: int | None = None
    """Smallest TTL of the records and aliases used, seconds; None when there were none."""
    authenticated: bool = False
    """AD: the resolver validated the answer (RFC 4035 section 3.2.3)."""
    recursion_available: bool = False
    """RA: the resolver recurses for us (RFC 1035 section 4.1.1)."""
    error: str | None = None
    """Detail for people: the extended error, the bare RCODE, or why it could not be read."""


# RCODEs with a word of their own; the rest of the registry is OTHER_RCODE and its number.
_STATUS: Final = MappingProxyType(
    {
        0: DnsStatus.NOERROR,
        1: DnsStatus.FORMERR,
        2: DnsStatus.SERVFAIL,
        3: DnsStatus.NXDOMAIN,
        4: DnsStatus.NOTIMP,
        5: DnsStatus.REFUSED,
        6: DnsStatus.YXDOMAIN,
        7: DnsStatus.YXRRSET,
        8: DnsStatus.NXRRSET,
        9: DnsStatus.NOTAUTH,
        10: DnsStatus.NOTZONE,
        16: DnsStatus.BADVERS,
    }
)

ANSWERED: Final = frozenset({0, 3})
"""RCODEs after which nothing needs explaining: NOERROR and NXDOMAIN."""

# By name these take ten times as long on Python 3.11.
_NOERROR: Final = DnsStatus.NOERROR
_NO_ANSWER: Final = DnsStatus.NO_ANSWER

AD: Final = 0x0020
RA: Final = 0x0080
AA: Final = 0x0400
TC: Final = 0x0200


def conclude(
    flags: int,
    rcode: int,
    records: tuple[Any, ...],
    chain: Sequence[str],
    ttl: int | None,
    broken: DnsStatus | None,
    explanation: str | None,
) -> Message:
    """The answer as a value.

    *broken* is what ended the CNAME chain early, if anything did; *explanation* is the extended
    error (RFC 8914) of an answer that is neither NOERROR nor NXDOMAIN.
    """
    if rcode == 0 and broken is None and (records or flags & (AA | RA)):
        # RFC 2308 section 2.2: NOERROR without a record of the type asked for is NODATA, with or
        # without an alias on the way.
        status = _NOERROR if records else _NO_ANSWER
    elif rcode == 0 and broken is None:
        # The same section: a referral looks alike.  Whoever neither recursed for us nor has
        # authority has not looked for the record, so it is not known to be absent.
        status, explanation = DnsStatus.SERVFAIL, "a referral, not an answer"
    else:
        # A chain that bites its tail is the cause, whatever RCODE the resolver gave it.
        status = broken or _STATUS.get(rcode, DnsStatus.OTHER_RCODE)
        records = ()
        if status is DnsStatus.OTHER_RCODE:
            explanation = f"RCODE {rcode}" + (f", {explanation}" if explanation else "")
    # What Message(...) does, at half the price.
    return tuple.__new__(
        Message,
        (status, records, tuple(chain), ttl, flags & AD != 0, flags & RA != 0, explanation),
    )


@cache  # 128 at the most, and half of all answers are one of them
def nothing(flags_and_rcode: int) -> Message:
    """The answer of a message without any record or explanation: its flags and RCODE say it all."""
    return conclude(flags_and_rcode, flags_and_rcode & 0x0F, (), (), None, None, None)


def chain_break(chain: Sequence[str], qname: str, hops: int) -> DnsStatus | None:
    """Whether the last name of *chain* ends it, for having been there before or being too far."""
    last = chain[-1]
    if last == qname or last in chain[:-1]:
        return DnsStatus.CNAME_LOOP
    return DnsStatus.CNAME_TOO_LONG if len(chain) > hops else None


def arrange(rdtype: int, found: list[Any]) -> tuple[Any, ...]:
    """The records *found*, distinct, sorted and in the form that ``Message`` promises.

    Resolvers rotate record sets, so the order on the wire says nothing (RFC 1035 section 3.2.1
    leaves it open), and a snapshot must not depend on it.  Addresses sort by their octets, that
    is by number.
    """
    if len(found) > 1:
        found = sorted(set(found))
    present = PRESENT.get(rdtype)
    return tuple(found) if present is None else tuple(map(present, found))


def _ipv4_text(octets: bytes) -> str:
    return "{}.{}.{}.{}".format(*octets)


def _tlsa(fields: tuple[int, int, int, bytes]) -> Tlsa:
    usage, selector, matching_type, data = fields
    return Tlsa(usage=usage, selector=selector, matching_type=matching_type, data=data)


PRESENT: Final[dict[int, Callable[[Any], Any]]] = {
    RdType.A: _ipv4_text,
    RdType.AAAA: dns.ipv6.inet_ntoa,  # RFC 5952, the same on every Python
    RdType.TLSA: _tlsa,
}
"""Types that are sorted as octets and numbers, and only then given their form."""

_OPTION: Final = struct.Struct("!HH")
_EXPLANATION_MAX = 200  # characters of the resolver's own words that are worth keeping


def extended_error(options: bytes) -> str | None:
    """The first Extended DNS Error (RFC 8914 section 2) among EDNS *options*, in words.

    None when there is none or the options cannot be read: it only ever explains.
    """
    at = 0
    while at + 4 <= len(options):
        code, length = _OPTION.unpack_from(options, at)
        at += 4
        value = options[at : at + length]
        if code == dns.edns.OptionType.EDE and len(value) == length >= 2:
            return _words(int.from_bytes(value[:2], "big"), value[2:])
        at += length
    return None


def _words(code: int, text: bytes) -> str:
    name = dns.edns.EDECode(code).name.replace("_", " ").lower()
    known = "" if name == str(code) else f" ({name})"
    # The text is the peer's and ends up on terminals: nothing but printable characters.
    said = text.rstrip(b"\0").decode("utf-8", "replace")[:_EXPLANATION_MAX]
    said = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said)
    return f"EDE {code}{known}" + (f": {said}" if said else "")
