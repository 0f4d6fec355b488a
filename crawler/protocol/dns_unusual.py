"""How does dnspython read an answer that our own small reader gave up on?

A hundred times slower, and it knows every corner: odd octets in names, records of other types
and classes among the answer, aliases out of order, signatures, SOA.  What it refuses is
``MALFORMED``, and the error says what it objected to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import dns.edns
import dns.exception
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rrset

from crawler.protocol.dns_message import (
    ANSWERED,
    Message,
    NameTooLong,
    RdType,
    arrange,
    chain_break,
    conclude,
    extended_error,
)
from crawler.vocabulary import DnsStatus

MAX_TTL: Final = 0x7FFFFFFF  # RFC 2181 section 8: a greater one counts as zero


def read(message: bytes, qname: str, rdtype: int, cname_hops: int) -> Message:
    """Read *message* as the answer to the question for *qname* and *rdtype*.  Never raises."""
    try:
        parsed = dns.message.from_wire(message)
    except (dns.exception.DNSException, ValueError) as problem:
        return Message(
            DnsStatus.MALFORMED, error=f"the answer breaks off: {type(problem).__name__}"
        )
    rrsets = {
        (to_text(rrset.name), int(rrset.rdtype)): rrset
        for rrset in parsed.answer
        if rrset.rdclass == dns.rdataclass.IN
    }
    name, chain, ttls, broken = qname, list[str](), list[int](), None
    # RFC 1034 section 3.6.2: a name with a CNAME record has no other data, so where both are
    # found the data wins, as it does for every resolver that met it.
    while (
        (name, rdtype) not in rrsets and (alias := rrsets.get((name, RdType.CNAME))) and not broken
    ):
        name = to_text(alias[0].target)
        chain.append(name)
        ttls.append(alias.ttl)
        broken = chain_break(chain, qname, cname_hops)
    found = None if broken else rrsets.get((name, rdtype))
    records: tuple[Any, ...] = ()
    if found is not None:
        records = arrange(rdtype, [_VALUE.get(rdtype, _presentation)(rdata) for rdata in found])
        ttls.append(found.ttl)
    rcode = int(parsed.rcode())
    return conclude(
        int(parsed.flags),
        rcode,
        records,
        chain,
        min(ttls, default=None),
        broken,
        None if rcode in ANSWERED else _extended_error(parsed),
    )


def to_text(name: dns.name.Name) -> str:
    r"""*name* as we write names: lower case, no final dot, odd octets as ``\DDD``; "" for the root."""
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def to_wire(name: str) -> bytes:
    r"""The wire form of a *name* with ``\` escapes, lower case.

    Raises ``NameTooLong``, and ``ValueError`` for a text that is no name.
    """
    try:
        return dns.name.from_text(name, dns.name.root).to_digestable()
    except (dns.name.LabelTooLong, dns.name.NameTooLong):
        raise NameTooLong(name) from None
    except dns.exception.DNSException as problem:
        raise ValueError(f"{name!r} is no name: {type(problem).__name__}") from None


def _extended_error(parsed: dns.message.Message) -> str | None:
    wire = b"".join(
        option.otype.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value
        for option in parsed.options
        if (value := option.to_wire()) is not None
    )
    return extended_error(wire)


def _presentation(rdata: dns.rdata.Rdata) -> str:
    return rdata.to_text()


# The same values as the readers of ``dns_wire`` make, before they are arranged.
_VALUE: Final[dict[int, Callable[[Any], Any]]] = {
    RdType.A: lambda rdata: bytes(map(int, rdata.address.split("."))),
    RdType.AAAA: lambda rdata: dns.ipv6.inet_aton(rdata.address),
    RdType.CNAME: lambda rdata: to_text(rdata.target),
    RdType.NS: lambda rdata: to_text(rdata.target),
    RdType.PTR: lambda rdata: to_text(rdata.target),
    RdType.MX: lambda rdata: (rdata.preference, to_text(rdata.exchange)),
    RdType.TXT: lambda rdata: tuple(rdata.strings),
    RdType.TLSA: lambda rdata: (rdata.usage, rdata.selector, rdata.mtype, bytes(rdata.cert)),
}
