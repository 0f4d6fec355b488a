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
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from crawler.protocol import dns_unusual
from crawler.protocol.dns_message import (
    AD,
    ANSWERED,
    CNAME_HOPS,
    RA,
    TC,
    Message,
    RdType,
    arrange,
    chain_break,
    conclude,
    extended_error,
)
from crawler.vocabulary import DnsStatus

__all__ = [
    "CNAME_HOPS",
    "EDNS_BYTES",
    "HEADER_BYTES",
    "Message",
    "RdType",
    "UnencodableName",
    "answers",
    "decode",
    "encode_query",
    "mixed_case",
    "query_after_id",
    "question",
]

HEADER_BYTES: Final = 12  # RFC 1035 section 4.1.1

EDNS_BYTES: Final = 1232  # DNS Flag Day 2020: fits an IPv6 packet of 1280 octets, so no fragments

CLASS_IN: Final = 1
_QR_OPCODE: Final = 0xF8  # RFC 1035 section 4.1.1: QR and the four bits of OPCODE
_RESPONSE: Final = 0x80  # QR set, OPCODE 0
_ONE_QUESTION: Final = b"\0\1"
_POINTER_TO_QNAME: Final = b"\xc0\x0c"  # a pointer to octet 12, where the question begins

_OPT_BEGINS: Final = b"\0\0\x29"  # the root, type 41 (RFC 6891 section 6.1.2)
_NO_CHAIN: Final[list[str]] = []

_COUNTS: Final = struct.Struct("!HHHHH")  # flags and the four section counts, after the id
_RECORD: Final = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH, after the owner name


class UnencodableName(ValueError):
    """A name that the DNS cannot express: a label over 63 octets, or 255 octets in all."""


# --- asking --------------------------------------------------------------------------------

_LENGTH_OCTET: Final = {n: bytes((n,)) for n in range(1, 64)}  # RFC 1035 section 2.3.4
_NAME_MAX_OCTETS: Final = 255  # RFC 1035 section 2.3.4


def question(name: str, rdtype: int) -> bytes:
    r"""The question section for *name* and *rdtype*, class IN (RFC 1035 section 4.1.2).

    *name* is in normal form; ``\`` escapes are understood, "" is the root.  Raises
    ``UnencodableName`` for a name that no DNS message can carry.  Such names do come up: the
    prefix ``_smtp._tls.`` can take a domain of legal length over the limit.
    """
    try:
        if "\\" in name:
            wire = dns_unusual.to_wire(name)
        elif name:
            wire = (
                b"".join([_LENGTH_OCTET[len(o)] + o for o in name.encode("ascii").split(b".")])
                + b"\0"
            )
        else:
            wire = b"\0"
    except (KeyError, ValueError):
        wire = b""
    if not 0 < len(wire) <= _NAME_MAX_OCTETS:
        raise UnencodableName(f"{name[:255]!r} is longer than the DNS can say (RFC 1035 2.3.4)")
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
    Raises ``UnencodableName``.
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


class _Unusual(Exception):
    """Not an answer that the small reader reads."""


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
        else:
            records, chain, ttl, broken = (), _NO_CHAIN, None, None
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
                raise _Unusual
        elif at != len(message):
            raise _Unusual
    except (_Unusual, IndexError, struct.error):
        return dns_unusual.read(message, qname, rdtype, cname_hops)
    return conclude(flags, rcode, records, chain, ttl, broken, explanation)


def _answer(
    message: bytes, qname: str, rdtype: int, at: int, hops: int, count: int
) -> tuple[list[Any], list[str], int, DnsStatus | None, int]:
    """The answer section: aliases in order, then the records they lead to, and nothing else.

    Returns the records found, the aliases, the smallest TTL, what ended the chain early, and
    where the section ends.
    """
    read = _READERS.get(rdtype)
    if read is None:
        raise _Unusual
    name, ttl, broken = qname, 0x7FFFFFFF, None
    found: list[Any] = []
    chain: list[str] = []
    for _ in range(count):
        if message.startswith(_POINTER_TO_QNAME, at):
            owner, at = qname, at + 2
        else:
            owner, at = _name(message, at)
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
            raise _Unusual
        if kind == rdtype:
            found.append(read(message, at, end, qname))
        elif kind == RdType.CNAME and not found:
            name = _rdata_name(message, at, end, qname)
            chain.append(name)
            broken = chain_break(chain, qname, hops)
        else:
            raise _Unusual
        if record_ttl < ttl:
            ttl = record_ttl
        at = end
    if rdtype == RdType.CNAME and len(found) > 1:
        raise _Unusual  # RFC 2181 section 10.1: a name has one alias at the most
    return found, chain, ttl, broken, at


def _additional(message: bytes, at: int, count: int) -> tuple[int, bytes, int]:
    """The additional section: OPT's upper RCODE bits and options, and where the section ends."""
    extended, options, seen = 0, b"", False
    for _ in range(count):
        if message.startswith(_OPT_BEGINS, at):
            _, _, flags, length = _RECORD.unpack_from(message, at + 1)
            if seen:
                raise _Unusual  # RFC 6891 section 6.1.1: more than one OPT is an error
            seen = True
            extended = flags >> 24
            at += 11 + length
            options = message[at - length : at]
        else:
            at = _skip(message, at)
    return extended, options, at


_SPECIAL: Final = frozenset(
    {RdType.OPT, 250}
)  # 250: TSIG, RFC 8945; neither may stand just anywhere


def _skip(message: bytes, at: int) -> int:
    """The offset behind the record that begins at *at*."""
    while octet := message[at]:
        if octet >= 0xC0:  # a pointer ends a name
            at += 1
            break
        if octet > 63:
            raise _Unusual
        at += 1 + octet
    kind, _, _, length = _RECORD.unpack_from(message, at + 1)
    if kind in _SPECIAL:
        raise _Unusual
    return at + 11 + int(length)


# --- names ---------------------------------------------------------------------------------

# RFC 1035 section 5.1 (master files) gives these a meaning, so in presentation format they are
# escaped; control octets and those beyond ASCII are written \DDD.
_PLAIN: Final = bytes(c for c in range(0x21, 0x7F) if c not in b'"().;\\@$')
_PLAIN_AND_DOT: Final = _PLAIN + b"."
_TEXT_MAX: Final = 253  # 255 octets on the wire, less the root and one length octet


def _name(message: bytes, at: int) -> tuple[str, int]:
    """The name that begins at *at*, perhaps compressed, and the offset behind it."""
    labels: list[bytes] = []
    after = -1
    limit = at
    while length := message[at]:
        if length < 64:
            labels.append(message[at + 1 : at + 1 + length])
            at += 1 + length
        elif length >= 0xC0:
            if after < 0:
                after = at + 2
            at = (length & 0x3F) << 8 | message[at + 1]
            # RFC 1035 section 4.1.4: a pointer leads to "a prior occurance".  Each has to lead
            # further back than the last, so there is no loop to get caught in.
            if at >= limit:
                raise _Unusual
            limit = at
        else:
            raise _Unusual  # RFC 6891 section 5: the other label types are gone
    return _text(labels), at + 1 if after < 0 else after


def _text(labels: list[bytes]) -> str:
    joined = b".".join(labels)
    if (
        len(joined) > _TEXT_MAX
        or joined.translate(None, _PLAIN_AND_DOT)
        or joined.count(b".") >= (len(labels) or 1)  # a dot inside a label
    ):
        raise _Unusual
    return joined.decode("ascii").lower()


@lru_cache(maxsize=16_384)  # MX hosts and CDN names: few, and named in most answers of a scan
def _labels(wire: bytes) -> str | None:
    """The labels that *wire* is, joined; None when it is anything else, such as a cut-off one."""
    labels, at, end = [], 0, len(wire)
    while at < end:
        length = wire[at]
        if not 0 < length < 64:
            return None
        labels.append(wire[at + 1 : at + 1 + length])
        at += 1 + length
    try:
        return _text(labels) if at == end else None
    except _Unusual:
        return None


def _rdata_name(message: bytes, at: int, end: int, qname: str) -> str:
    """The name that record data from *at* to *end* consists of.

    Two forms are read by table look-up: a name in full, and labels followed by a pointer into the
    question, whose text is known.  An offset into *qname* is the same in text and on the wire,
    since a length octet stands where the text has a dot.
    """
    text = None
    if end > at and message[end - 1] == 0 and message[end - 2] < 0xC0:
        text = _labels(message[at : end - 1])
    elif end - at >= 2 and message[end - 2] >= 0xC0 and "\\" not in qname:
        offset = ((message[end - 2] & 0x3F) << 8 | message[end - 1]) - HEADER_BYTES
        if 0 <= offset < len(qname) and (offset == 0 or qname[offset - 1] == "."):
            text = _labels(message[at : end - 2])
            if text is not None:
                text = f"{text}.{qname[offset:]}" if text else qname[offset:]
    if text is not None and len(text) <= _TEXT_MAX:
        return text
    text, stop = _name(message, at)
    if stop != end:
        raise _Unusual
    return text


# --- record data ---------------------------------------------------------------------------


def _txt(message: bytes, at: int, end: int, _qname: str) -> tuple[bytes, ...]:
    # RFC 1035 section 3.3.14: "one or more <character-string>s".  Our reading: a record without
    # any is a fact to keep, not a reason to lose its neighbours; the grammar judges it later.
    strings = []
    while at < end:
        stop = at + 1 + message[at]
        strings.append(message[at + 1 : stop])
        at = stop
    if at != end:
        raise _Unusual
    return tuple(strings)


def _mx(message: bytes, at: int, end: int, qname: str) -> tuple[int, str]:
    # RFC 1035 section 3.3.9
    return message[at] << 8 | message[at + 1], _rdata_name(message, at + 2, end, qname)


def _tlsa(message: bytes, at: int, end: int, _qname: str) -> tuple[int, int, int, bytes]:
    # RFC 6698 section 2.1
    if end - at < 3:
        raise _Unusual
    return message[at], message[at + 1], message[at + 2], message[at + 3 : end]


def _octets(wanted: int) -> Callable[[bytes, int, int, str], bytes]:
    def read(message: bytes, at: int, end: int, _qname: str) -> bytes:
        if end - at != wanted:
            raise _Unusual
        return message[at:end]

    return read


_READERS: Final[dict[int, Callable[[bytes, int, int, str], Any]]] = {
    RdType.A: _octets(4),  # RFC 1035 section 3.4.1
    RdType.AAAA: _octets(16),  # RFC 3596 section 2.2
    RdType.CNAME: _rdata_name,
    RdType.NS: _rdata_name,
    RdType.PTR: _rdata_name,
    RdType.MX: _mx,
    RdType.TXT: _txt,
    RdType.TLSA: _tlsa,
}
