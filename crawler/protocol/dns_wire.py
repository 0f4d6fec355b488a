"""What goes out when a name is asked for, and what came back?  DNS messages, as octets.

Nearly all of a scan is questions about TXT and MX, so the usual answers are read here without
building an object per name or record: two unpacks a record, names compared by the pointer that
stands for them.  Whatever is not usual goes to ``dns_unusual`` (dnspython), whose verdict is
final; the tests hold the two readers against each other.

RFC 1035 section 4 (messages, compression), RFC 6891 (EDNS), RFC 6840 section 5.7 (AD in a
query), RFC 2181 section 9 (TC).  Ids, sockets, time and trust in the sender are ``net``'s.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from crawler.protocol import dns_unusual
from crawler.protocol.dns_fields import HEADER_BYTES, READERS, Unusual, rdata_name, read_name
from crawler.protocol.dns_message import (
    AD,
    ANSWERED,
    CNAME_HOPS,
    RA,
    TC,
    Message,
    NameTooLong,
    RdType,
    arrange,
    chain_break,
    conclude,
    extended_error,
    nothing,
)
from crawler.vocabulary import DnsStatus

__all__ = [
    "CNAME_HOPS",
    "EDNS_BYTES",
    "HEADER_BYTES",
    "Message",
    "NameTooLong",
    "RdType",
    "answers",
    "decode",
    "encode_query",
    "mixed_case",
    "query_after_id",
    "question",
]

EDNS_BYTES: Final = 1232  # DNS Flag Day 2020: fits an IPv6 packet of 1280 octets, so no fragments

CLASS_IN: Final = 1
_QR_OPCODE: Final = 0xF8  # RFC 1035 section 4.1.1: QR and the four bits of OPCODE
_RESPONSE: Final = 0x80  # QR set, OPCODE 0
_ONE_QUESTION: Final = b"\0\1"
_POINTER_TO_QNAME: Final = b"\xc0\x0c"  # a pointer to octet 12, where the question begins

_OPT_BEGINS: Final = b"\0\0\x29"  # the root, type 41 (RFC 6891 section 6.1.2)

_COUNTS: Final = struct.Struct("!HHHHH")  # flags and the four section counts, after the id
_RECORD: Final = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH, after the owner name


# --- asking --------------------------------------------------------------------------------

_LENGTH_OCTET: Final = {n: bytes((n,)) for n in range(1, 64)}  # RFC 1035 section 2.3.4
_NAME_MAX_OCTETS: Final = 255  # RFC 1035 section 2.3.4


def question(name: str, rdtype: int) -> bytes:
    r"""The question section for *name* and *rdtype*, class IN (RFC 1035 section 4.1.2).

    *name* is in normal form; ``\` escapes are understood, "" is the root.  Raises ``NameTooLong``
    for a name that no DNS message can carry.  Such names do come up: the prefix ``_smtp._tls.``
    can take a domain of legal length over the limit.  Raises ``ValueError`` for no name at all.
    """
    if "\\" in name:
        wire = dns_unusual.to_wire(name)
    elif name:
        labels = name.encode("ascii").split(b".")
        try:
            wire = b"".join([_LENGTH_OCTET[len(label)] + label for label in labels]) + b"\0"
        except KeyError:
            if b"" in labels:
                raise ValueError(f"{name!r} has an empty label") from None
            raise NameTooLong(name) from None
    else:
        wire = b"\0"
    if len(wire) > _NAME_MAX_OCTETS:
        raise NameTooLong(name)
    return wire + _TYPE_AND_CLASS[rdtype]


_TYPE_AND_CLASS: Final[dict[int, bytes]] = {t: struct.pack("!HH", t, CLASS_IN) for t in RdType}

# RFC 1035 section 4.1.1: RD, one question, one additional record.  RFC 6840 section 5.7: AD in a
# query asks the resolver to tell whether it validated, without sending the signatures along.
_HEADER_AFTER_ID: Final = struct.pack("!HHHHH", 0x0100 | AD, 1, 0, 0, 1)


def _opt(bufsize: int, do: bool) -> bytes:
    """The OPT pseudo-record (RFC 6891 section 6.1.2): root, OPT, size, flags, no options."""
    return b"\0" + _RECORD.pack(RdType.OPT, bufsize, 0x8000 if do else 0, 0)


_OPT: Final = _opt(EDNS_BYTES, do=False)


def query_after_id(question: bytes) -> bytes:
    """The usual query without its first two octets, so that another id costs one ``+``."""
    return _HEADER_AFTER_ID + question + _OPT


def encode_query(
    name: str, rdtype: int, message_id: int, *, bufsize: int = EDNS_BYTES, do: bool = False
) -> bytes:
    """A query for *name* and *rdtype* with RD and AD set.

    *bufsize* is the largest answer that is welcome over UDP, *do* asks for DNSSEC records.
    Raises as ``question`` does.
    """
    return (
        message_id.to_bytes(2, "big")
        + _HEADER_AFTER_ID
        + question(name, rdtype)
        + _opt(bufsize, do)
    )


def mixed_case(question: bytes, bits: int) -> bytes:
    """*question* with the case of its letters taken from *bits* (draft-vixie-dnsext-dns0x20).

    An answer has to repeat it, which a forger who does not see the query has to guess.
    """
    name, tail = question[:-4], question[-4:]
    # Length octets are below 64 and "A" is 65, so only letters change.
    upper, lower = name.upper(), name.lower()
    return bytes((upper if bits >> i & 1 else lower)[i] for i in range(len(name))) + tail


# --- listening -----------------------------------------------------------------------------


def answers(message: bytes, question: bytes, exact_case: bool = False) -> bool:
    """Is *message* a response to *question*?  Ids and senders are compared by the caller.

    Names are equal whatever their case (RFC 1035 section 2.3.3); with *exact_case* the letters
    have to come back as they were sent.  A response without its question is none: nothing would
    tie it to what was asked.
    """
    if message.startswith(question, HEADER_BYTES):
        same = True
    else:
        echo = message[HEADER_BYTES : HEADER_BYTES + len(question)]
        same = not exact_case and echo.lower() == question.lower()
    return same and message[2] & _QR_OPCODE == _RESPONSE and message[4:6] == _ONE_QUESTION


def decode(
    message: bytes, qname: str, rdtype: int, body: int, *, cname_hops: int = CNAME_HOPS
) -> Message:
    """Read *message*, for which ``answers`` held, as the answer about *qname* and *rdtype*.

    *body* is the offset behind the question; *qname* is in normal form.  Never raises, whatever
    the octets: what cannot be read has the status ``MALFORMED`` and says why.

    Records that are not part of the answer are passed over by their length, unread, with two
    exceptions: OPT, and a length that leads out of the message.  An answer that was cut off
    (TC) is not looked at: RFC 2181 section 9, a client "should ignore that response".
    """
    try:
        flags, _, answer_count, authority_count, additional_count = _COUNTS.unpack_from(message, 2)
        if flags & TC:
            return Message(DnsStatus.TRUNCATED, (), (), None, flags & AD != 0, flags & RA != 0)
        at, rcode, explanation = body, flags & 0x0F, None
        if answer_count:
            found, chain, ttl, broken, at = _answer(
                message, qname, rdtype, at, cname_hops, answer_count
            )
            records = arrange(rdtype, found)
        for _ in range(authority_count):
            at = _skip(message, at)
        if (
            additional_count == 1
            and at + 11 == len(message)
            and message.startswith(_OPT_BEGINS, at)
        ):
            rcode |= message[at + 5] << 4  # as nearly always: OPT, without options, and the end
        elif additional_count:
            extended, options, at = _additional(message, at, additional_count)
            # RFC 6891 section 6.1.3: OPT carries the upper eight bits of a twelve-bit RCODE.
            rcode |= extended << 4
            if options and rcode not in ANSWERED:
                explanation = extended_error(options)
            if at != len(message):
                raise Unusual
        elif at != len(message):
            raise Unusual
    except (Unusual, IndexError, struct.error):
        return dns_unusual.read(message, qname, rdtype, cname_hops)
    if answer_count:
        return conclude(flags, rcode, records, chain, ttl, broken, explanation)
    if rcode > 0x0F or explanation:
        return conclude(flags, rcode, (), (), None, None, explanation)
    return nothing(flags & (AD | RA | 0x0F))


def _answer(
    message: bytes, qname: str, rdtype: int, at: int, hops: int, count: int
) -> tuple[list[Any], list[str], int, DnsStatus | None, int]:
    """The answer section: aliases in order, then the records they lead to, and nothing else.

    Returns the records found, the aliases, the smallest TTL, what ended the chain early, and
    where the section ends.
    """
    read = READERS.get(rdtype)
    if read is None:
        raise Unusual
    name, ttl, broken = qname, 0x7FFFFFFF, None
    found: list[Any] = []
    chain: list[str] = []
    for _ in range(count):
        if message.startswith(_POINTER_TO_QNAME, at):
            owner, at = qname, at + 2
        else:
            owner, at = read_name(message, at)
        kind, rdclass, record_ttl, length = _RECORD.unpack_from(message, at)
        at += 10
        end = at + length
        if (
            owner != name
            or rdclass != CLASS_IN
            or end > len(message)
            or record_ttl > 0x7FFFFFFF
            or broken
        ):
            raise Unusual
        if kind == rdtype:
            found.append(read(message, at, end, qname))
        elif kind == RdType.CNAME and not found:
            name = rdata_name(message, at, end, qname)
            chain.append(name)
            broken = chain_break(chain, qname, hops)
        else:
            raise Unusual
        if record_ttl < ttl:
            ttl = record_ttl
        at = end
    if len(found) > 1 and rdtype == RdType.CNAME:
        raise Unusual  # RFC 2181 section 10.1: a name has one alias at the most
    return found, chain, ttl, broken, at


def _additional(message: bytes, at: int, count: int) -> tuple[int, bytes, int]:
    """The additional section: OPT's upper RCODE bits and options, and where the section ends."""
    extended, options, seen = 0, b"", False
    for _ in range(count):
        if message.startswith(_OPT_BEGINS, at):
            _, _, flags, length = _RECORD.unpack_from(message, at + 1)
            if seen:
                raise Unusual  # RFC 6891 section 6.1.1: more than one OPT is an error
            seen = True
            extended = flags >> 24
            at += 11 + length
            options = message[at - length : at]
        else:
            at = _skip(message, at)
    return extended, options, at


# OPT, and 250 TSIG (RFC 8945): neither may stand just anywhere.
_SPECIAL: Final = frozenset({RdType.OPT, 250})


def _skip(message: bytes, at: int) -> int:
    """The offset behind the record that begins at *at*."""
    while octet := message[at]:
        if octet >= 0xC0:  # a pointer ends a name
            at += 1
            break
        if octet > 63:
            raise Unusual
        at += 1 + octet
    kind, _, _, length = _RECORD.unpack_from(message, at + 1)
    if kind in _SPECIAL:
        raise Unusual
    return at + 11 + int(length)
