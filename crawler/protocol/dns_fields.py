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
_POINTERS_MAX: Final = 127
"""As many labels as a name can have (RFC 1035 section 2.3.4); who compresses has no use for more."""


def read_name(message: bytes, at: int) -> tuple[str, int]:
    """The name that begins at *at*, perhaps compressed, and the offset behind it."""
    begin = limit = at
    octets, after, pointers = b"", 0, 0
    while length := message[at]:
        if length < 64:
            at += 1 + length
        elif length >= 0xC0:
            octets += message[begin:at]
            after = after or at + 2
            begin = at = (length & 0x3F) << 8 | message[at + 1]
            # RFC 1035 section 4.1.4: a pointer leads to "a prior occurance".  Each has to lead
            # further back than the last, so there is no loop to get caught in.
            pointers += 1
            if at >= limit or pointers > _POINTERS_MAX:
                raise Unusual
            limit = at
        else:
            raise Unusual  # RFC 6891 section 5: the other label types are gone
    text = _text(octets + message[begin:at])
    if text is None:
        raise Unusual
    return text, after or at + 1


@lru_cache(maxsize=16_384)  # MX hosts and CDN names: few, and named in most answers of a scan
def _text(octets: bytes) -> str | None:
    """The name that *octets*, its labels, are as text; None when there is anything unusual in it."""
    labels, at = [], 0
    while at < len(octets):
        labels.append(octets[at + 1 : at + 1 + octets[at]])
        at += 1 + octets[at]
    joined = b".".join(labels)
    if (
        len(joined) > _TEXT_MAX
        or joined.translate(None, _PLAIN_AND_DOT)
        or joined.count(b".") >= (len(labels) or 1)  # a dot inside a label
    ):
        return None
    return joined.decode("ascii").lower()


def rdata_name(message: bytes, at: int, end: int) -> str:
    """The name that record data from *at* to *end* consists of."""
    text, stop = read_name(message, at)
    if stop != end:
        raise Unusual
    return text


# --- record data ---------------------------------------------------------------------------


def _txt(message: bytes, at: int, end: int) -> tuple[bytes, ...]:
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


def _mx(message: bytes, at: int, end: int) -> tuple[int, str]:
    # RFC 1035 section 3.3.9
    return message[at] << 8 | message[at + 1], rdata_name(message, at + 2, end)


def _tlsa(message: bytes, at: int, end: int) -> tuple[int, int, int, bytes]:
    # RFC 6698 section 2.1
    if end - at < 3:
        raise Unusual
    return message[at], message[at + 1], message[at + 2], message[at + 3 : end]


def _octets(wanted: int) -> Callable[[bytes, int, int], bytes]:
    def read(message: bytes, at: int, end: int) -> bytes:
        if end - at != wanted:
            raise Unusual
        return message[at:end]

    return read


READERS: Final[dict[int, Callable[[bytes, int, int], Any]]] = {
    RdType.A: _octets(4),  # RFC 1035 section 3.4.1
    RdType.AAAA: _octets(16),  # RFC 3596 section 2.2
    RdType.CNAME: rdata_name,
    RdType.NS: rdata_name,
    RdType.PTR: rdata_name,
    RdType.MX: _mx,
    RdType.TXT: _txt,
    RdType.TLSA: _tlsa,
}
