"""What do these octets of a DNS message say: a name, the data of a record?

The usual forms only, by slices and table look-ups.  Whatever is not usual raises ``Unusual``, or
``IndexError`` where the message ends too soon, and the message is dnspython's to read.

RFC 1035 sections 3.1 and 4.1.4 (names, compression) and the section of each record type.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from crawler.protocol.dns_message import RdType

HEADER_BYTES: Final = 12  # RFC 1035 section 4.1.1; the question's name begins right behind


class Unusual(Exception):
    """Not what the small reader reads; a signal between two readers, never seen outside."""


# --- names ---------------------------------------------------------------------------------

# RFC 1035 section 5.1 (master files) gives these a meaning, so in presentation format they are
# escaped; control octets and those beyond ASCII are written \DDD.
_PLAIN: Final = bytes(c for c in range(0x21, 0x7F) if c not in b'"().;\\@$')
_PLAIN_AND_DOT: Final = _PLAIN + b"."
_TEXT_MAX: Final = 253  # 255 octets on the wire, less the root and one length octet


def read_name(message: bytes, at: int) -> tuple[str, int]:
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
                raise Unusual
            limit = at
        else:
            raise Unusual  # RFC 6891 section 5: the other label types are gone
    return _text(labels), at + 1 if after < 0 else after


def _text(labels: list[bytes]) -> str:
    joined = b".".join(labels)
    if (
        len(joined) > _TEXT_MAX
        or joined.translate(None, _PLAIN_AND_DOT)
        or joined.count(b".") >= (len(labels) or 1)  # a dot inside a label
    ):
        raise Unusual
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
    except Unusual:
        return None


def rdata_name(message: bytes, at: int, end: int, qname: str) -> str:
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
    text, stop = read_name(message, at)
    if stop != end:
        raise Unusual
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
        raise Unusual
    return tuple(strings)


def _mx(message: bytes, at: int, end: int, qname: str) -> tuple[int, str]:
    # RFC 1035 section 3.3.9
    return message[at] << 8 | message[at + 1], rdata_name(message, at + 2, end, qname)


def _tlsa(message: bytes, at: int, end: int, _qname: str) -> tuple[int, int, int, bytes]:
    # RFC 6698 section 2.1
    if end - at < 3:
        raise Unusual
    return message[at], message[at + 1], message[at + 2], message[at + 3 : end]


def _octets(wanted: int) -> Callable[[bytes, int, int, str], bytes]:
    def read(message: bytes, at: int, end: int, _qname: str) -> bytes:
        if end - at != wanted:
            raise Unusual
        return message[at:end]

    return read


READERS: Final[dict[int, Callable[[bytes, int, int, str], Any]]] = {
    RdType.A: _octets(4),  # RFC 1035 section 3.4.1
    RdType.AAAA: _octets(16),  # RFC 3596 section 2.2
    RdType.CNAME: rdata_name,
    RdType.NS: rdata_name,
    RdType.PTR: rdata_name,
    RdType.MX: _mx,
    RdType.TXT: _txt,
    RdType.TLSA: _tlsa,
}
