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
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from crawler.protocol import dns_unusual
from crawler.protocol.dns_fields import HEADER_BYTES, READERS, Unusual, rdata_name, read_name
from crawler.protocol.dns_message import (
    AA,
    AD,
    ANSWERED,
    CNAME_HOPS,
    PRESENT,
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
    "decode",
    "encode_query",
    "mixed_case",
    "name_to_wire",
    "queries",
    "question",
    "question_below",
]

EDNS_BYTES: Final = 1232  # DNS Flag Day 2020: fits an IPv6 packet of 1280 octets, so no fragments

CLASS_IN: Final = 1
_QR_OPCODE: Final = 0xF8  # RFC 1035 section 4.1.1: QR and the four bits of OPCODE
_RESPONSE: Final = 0x80  # QR set, OPCODE 0
_RCODE: Final = 0x0F
_NOERROR: Final = DnsStatus.NOERROR  # by name it takes ten times as long on Python 3.11
_TTL_MAX: Final = 0x7FFFFFFF  # RFC 2181 section 8
_POINTER_TO_QNAME: Final = b"\xc0\x0c"  # a pointer to octet 12, where the question begins

_OPT_BEGINS: Final = b"\0\0\x29"  # the root, type 41 (RFC 6891 section 6.1.2)
_BARE_OPT_BYTES: Final = 11
_NOTHING_SAID: Final = b"\0\0\0\0"  # no upper RCODE bits, version 0, no options

_COUNTS: Final = struct.Struct("!HHHHH")  # flags and the four section counts, after the id
_RECORD: Final = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH, after the owner name
_TTL_AND_LENGTH: Final = struct.Struct("!IH")


# --- asking --------------------------------------------------------------------------------

_LENGTH_OCTET: Final = {n: bytes((n,)) for n in range(1, 64)}  # RFC 1035 section 2.3.4
_NAME_MAX_OCTETS: Final = 255  # RFC 1035 section 2.3.4


def name_to_wire(name: str) -> bytes:
    r"""The octets of *name*, uncompressed (RFC 1035 section 3.1).

    *name* is in normal form; ``\` escapes are understood, "" is the root.  Raises ``NameTooLong``
    for a name that no DNS message can carry, and ``ValueError`` for no name at all.
    """
    if "\\" in name:
        wire = dns_unusual.to_wire(name)
    else:
        label, dot, parent = name.partition(".")
        wire = (_label(label) if name else b"") + (_parent_to_wire(parent) if dot else b"\0")
    if len(wire) > _NAME_MAX_OCTETS:
        raise NameTooLong(name)
    return wire


@lru_cache(maxsize=16_384)
def _parent_to_wire(name: str) -> bytes:
    """The domains of a list have few different parents: ``com`` and the like."""
    return b"".join(map(_label, name.split("."))) + b"\0"


def _label(text: str) -> bytes:
    octets = text.encode("ascii")
    try:
        return _LENGTH_OCTET[len(octets)] + octets
    except KeyError:
        if octets:
            raise NameTooLong(text) from None
        raise ValueError("an empty label") from None


def question(name: str, rdtype: int) -> bytes:
    r"""The question section for *name* and *rdtype*, class IN (RFC 1035 section 4.1.2).

    Raises as ``name_to_wire`` does.
    """
    return name_to_wire(name) + _TYPE_AND_CLASS[rdtype]


def question_below(labels: bytes, name: bytes, rdtype: int) -> bytes:
    """The question section for the name made of *labels* in front of *name*, both as octets.

    For several questions about one domain, whose name then is made into octets once.  Raises
    ``NameTooLong``, which does come up: ``_smtp._tls.`` can take a domain of legal length over
    the limit.
    """
    if len(labels) + len(name) > _NAME_MAX_OCTETS:
        raise NameTooLong(labels + name)
    return labels + name + _TYPE_AND_CLASS[rdtype]


_TYPE_AND_CLASS: Final[dict[int, bytes]] = {t: struct.pack("!HH", t, CLASS_IN) for t in RdType}
# RFC 1035 section 4.1.1: RD, one question, one additional record.  RFC 6840 section 5.7: AD in a
# query asks the resolver to tell whether it validated, without sending the signatures along.
_HEADER_AFTER_ID: Final = struct.pack("!HHHHH", 0x0100 | AD, 1, 0, 0, 1)


def _opt(bufsize: int, do: bool) -> bytes:
    """The OPT pseudo-record (RFC 6891 section 6.1.2): root, OPT, size, flags, no options."""
    return b"\0" + _RECORD.pack(RdType.OPT, bufsize, 0x8000 if do else 0, 0)


_OPT: Final = _opt(EDNS_BYTES, do=False)


def queries(ids: Iterable[bytes], questions: Iterable[bytes]) -> list[bytes]:
    """The usual query for each of *questions*, under each of *ids*."""
    return [
        message_id + _HEADER_AFTER_ID + question + _OPT
        for message_id, question in zip(ids, questions, strict=True)
    ]


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


# --- reading -------------------------------------------------------------------------------


_READING: Final = {
    rdtype: (read, _POINTER_TO_QNAME + _TYPE_AND_CLASS[rdtype], PRESENT.get(rdtype))
    for rdtype, read in READERS.items()
}
"""For each type that is read here: how its data are read, how a record begins that is owned by the
name asked for, and which form the data are given."""


class _Envelope(NamedTuple):
    """What the ends of a message say: its header after the id, and its last octets."""

    flags: int
    answers: int
    authority: int
    additional: int
    bare: bool
    """It ends in an OPT record without any option or flag that matters, its only additional one:
    behind the answer there is nothing to look for."""
    settled: Message | None
    """The reading, when all that is needed stands in the header."""


_ENVELOPES: Final[dict[bytes, _Envelope | None]] = {}
"""A scan meets a few dozen, millions of times each; None for what is no response."""

_ENVELOPES_KEPT: Final = 4096  # the octets are the peer's to choose, so there has to be a bound


def _learn(ends: bytes) -> _Envelope | None:
    """Read the ends of a message as none has been seen before, and remember them."""
    envelope = None
    header, tail = ends[: _COUNTS.size], ends[_COUNTS.size :]
    if len(header) == _COUNTS.size and header[0] & _QR_OPCODE == _RESPONSE:
        flags, questions, answers, authority, additional = _COUNTS.unpack(header)
        if questions == 1:
            bare = (
                additional == 1
                and len(tail) == _BARE_OPT_BYTES
                and tail.startswith(_OPT_BEGINS)
                and tail[5:7] + tail[9:] == _NOTHING_SAID
            )
            settled = None
            if flags & TC:
                settled = Message(
                    DnsStatus.TRUNCATED, (), (), None, flags & AD != 0, flags & RA != 0
                )
            elif bare and not answers:
                settled = nothing(flags & (AA | AD | RA | _RCODE))
            envelope = _Envelope(flags, answers, authority, additional, bare, settled)
    if len(_ENVELOPES) >= _ENVELOPES_KEPT:
        _ENVELOPES.clear()
    _ENVELOPES[ends] = envelope
    return envelope


def decode(
    message: bytes,
    question: bytes,
    qname: str,
    rdtype: int,
    exact_case: bool = False,
    cname_hops: int = CNAME_HOPS,
) -> Message | None:
    """Read *message* as the answer to *question*, which asks for *qname* and *rdtype*.

    None when it is no answer to that: no response, not one question, or another question (RFC
    5452 section 9.1; names are equal whatever their case, RFC 1035 section 2.3.3, but with
    *exact_case* the letters have to come back as they were sent).  Whether the id and the sender
    are right is for the caller to know.  *qname* is in normal form.

    Never raises, whatever the octets: what cannot be read has the status ``MALFORMED`` and says
    why.  Records that are not part of the answer are passed over by their length, unread, with
    two exceptions: OPT, and a length that leads out of the message; where the message ends in an
    OPT record that says nothing, they are not even passed over.  An answer that was cut off (TC)
    is not looked at: RFC 2181 section 9, a client "should ignore that response".
    """
    at = HEADER_BYTES + len(question)
    if not message.startswith(question, HEADER_BYTES) and (
        exact_case or message[HEADER_BYTES:at].lower() != question.lower()
    ):
        return None
    ends = message[2:HEADER_BYTES] + message[-_BARE_OPT_BYTES:]
    envelope = _ENVELOPES[ends] if ends in _ENVELOPES else _learn(ends)
    if envelope is None:
        return None
    flags, answers, authority, additional, bare, settled = envelope
    if settled is not None:
        return settled
    end = len(message) - _BARE_OPT_BYTES if bare else len(message)
    extended, options = 0, b""
    records: tuple[Any, ...] = ()
    chain: Sequence[str] = ()
    ttl = broken = None
    try:
        if answers:
            records, chain, ttl, broken, at = _answer(
                message, qname, rdtype, at, end, cname_hops, answers
            )
        if not bare:
            for _ in range(authority):
                at = _skip(message, at)
            extended, options = _additional(message, at, additional)
    except (Unusual, IndexError, struct.error):
        return dns_unusual.read(message, qname, rdtype, cname_hops)
    if bare and records and not flags & _RCODE:
        # As nearly always.  What ``conclude`` would come to, without asking it.
        fields = (_NOERROR, records, tuple(chain), ttl, flags & AD != 0, flags & RA != 0, None)
        return tuple.__new__(Message, fields)
    # RFC 6891 section 6.1.3: OPT carries the upper eight bits of a twelve-bit RCODE.
    rcode = flags & _RCODE | extended << 4
    explanation = extended_error(options) if options and rcode not in ANSWERED else None
    return conclude(flags, rcode, records, chain, ttl, broken, explanation)


_Found: TypeAlias = tuple[tuple[Any, ...], Sequence[str], int, DnsStatus | None, int]
"""Records, aliases, smallest TTL, what ended the chain early, and where the section ends."""


def _answer(
    message: bytes, qname: str, rdtype: int, at: int, limit: int, hops: int, count: int
) -> _Found:
    """What the answer section says, which ends at *limit* or before."""
    if rdtype not in _READING:
        raise Unusual
    read, direct, present = _READING[rdtype]
    if count > 1 or not message.startswith(direct, at):
        return _answers(message, qname, rdtype, at, limit, hops, count)
    ttl, length = _TTL_AND_LENGTH.unpack_from(message, at + 6)
    end = at + 12 + length
    if ttl > _TTL_MAX or end > limit:
        raise Unusual
    value = read(message, at + 12, end)
    return (value if present is None else present(value),), (), ttl, None, end


def _answers(
    message: bytes, qname: str, rdtype: int, at: int, limit: int, hops: int, count: int
) -> _Found:
    """The same for any number of records: aliases in order, what they lead to, and nothing else."""
    read, direct, _ = _READING[rdtype]
    name, ttl, broken = qname, _TTL_MAX, None
    found: list[Any] = []
    chain: list[str] = []
    for _ in range(count):
        if message.startswith(direct, at) and not chain:
            record_ttl, length = _TTL_AND_LENGTH.unpack_from(message, at + 6)
            at += 12
            end = at + length
            found.append(read(message, at, end))
        else:
            if message.startswith(_POINTER_TO_QNAME, at):
                owner, at = qname, at + 2
            else:
                owner, at = read_name(message, at)
            kind, rdclass, record_ttl, length = _RECORD.unpack_from(message, at)
            at += 10
            end = at + length
            if owner != name or rdclass != CLASS_IN or broken:
                raise Unusual
            if kind == rdtype:
                found.append(read(message, at, end))
            elif kind == RdType.CNAME and not found:
                name = rdata_name(message, at, end)
                chain.append(name)
                broken = chain_break(chain, qname, hops)
            else:
                raise Unusual
        if end > limit or record_ttl > _TTL_MAX:
            raise Unusual
        if record_ttl < ttl:
            ttl = record_ttl
        at = end
    if len(found) > 1 and rdtype == RdType.CNAME:
        raise Unusual  # RFC 2181 section 10.1: a name has one alias at the most
    return arrange(rdtype, found), chain, ttl, broken, at


def _additional(message: bytes, at: int, count: int) -> tuple[int, bytes]:
    """The additional section, up to the end: OPT's upper RCODE bits and options."""
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
    if at != len(message):
        raise Unusual
    return extended, options


# OPT, and 250 TSIG (RFC 8945): neither may stand just anywhere.
_SPECIAL: Final = frozenset({RdType.OPT, 250})


def _skip(message: bytes, at: int) -> int:
    """The offset behind the record that begins at *at*."""
    octet = message[at]
    while 0 < octet < 64:
        at += 1 + octet
        octet = message[at]
    if octet >= 0xC0:  # a pointer ends a name
        at += 1
    elif octet:
        raise Unusual
    kind, _, _, length = _RECORD.unpack_from(message, at + 1)
    if kind in _SPECIAL:
        raise Unusual
    return at + 11 + int(length)
