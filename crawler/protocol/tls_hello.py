"""What does a server's answer to a ClientHello show in the clear?  (RFC 8446, RFC 5246.)

Key exchange group, extensions agreed on and, below TLS 1.3, the certificates as octets: facts that
TLS libraries keep to themselves or give away only after a handshake that succeeds.  A reader is fed
what comes from the network, in any pieces, and stops by itself: at the ServerHello of TLS 1.3,
after which all is encrypted, or at the ServerHelloDone of older versions.

Nothing a peer sends raises, and at most ``MOST_OCTETS`` are held.  Whether the handshake is sound is
the TLS library's to say; this reader believes what it sees, and where a message is cut off or makes
no sense, what was read before it stands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from crawler.vocabulary import Resumption

MOST_OCTETS: Final = 160 * 1024
"""Of one flight: OpenSSL reads certificates up to 100 KiB, and the rest of a flight is small."""

_CHANGE_CIPHER_SPEC: Final = 20
_ALERT: Final = 21
_HANDSHAKE: Final = 22

_SERVER_HELLO: Final = 2
_CERTIFICATE: Final = 11
_SERVER_KEY_EXCHANGE: Final = 12
_SERVER_HELLO_DONE: Final = 14

_EXTENDED_MASTER_SECRET: Final = 23
_SESSION_TICKET: Final = 35
_SUPPORTED_VERSIONS: Final = 43
_KEY_SHARE: Final = 51
_RENEGOTIATION_INFO: Final = 0xFF01

_TLS_1_3: Final = 0x0304
_NAMED_CURVE: Final = 3  # RFC 8422 section 5.4

# RFC 8446 section 4.1.3: a ServerHello with this random is a HelloRetryRequest.
_RETRY: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

# IANA TLS Cipher Suites whose ServerKeyExchange is a finite-field one (RFC 5246 section 7.4.3):
# DHE with RSA and DSS.  Every other suite that sends that message here is an elliptic-curve one.
_FINITE_FIELD: Final = frozenset(
    {0x0011, 0x0012, 0x0013, 0x0014, 0x0015, 0x0016, 0x0032, 0x0033, 0x0038, 0x0039, 0x0040}
    | {0x0044, 0x0045, 0x0067, 0x006A, 0x006B, 0x0087, 0x0088, 0x0099, 0x009A, 0x009E, 0x009F}
    | {0x00A2, 0x00A3, 0x00BD, 0x00BE, 0x00C3, 0x00C4, 0xC042, 0xC043, 0xC044, 0xC045, 0xC052}
    | {0xC053, 0xC056, 0xC057, 0xC07C, 0xC07D, 0xC080, 0xC081, 0xC09E, 0xC09F, 0xC0A2, 0xC0A3}
    | {0xCCAA}
)

GROUPS: Final = MappingProxyType(
    {
        0x0013: "secp192r1",
        0x0015: "secp224r1",
        0x0016: "secp256k1",
        0x0017: "secp256r1",
        0x0018: "secp384r1",
        0x0019: "secp521r1",
        0x001A: "brainpoolP256r1",
        0x001B: "brainpoolP384r1",
        0x001C: "brainpoolP512r1",
        0x001D: "x25519",
        0x001E: "x448",
        0x001F: "brainpoolP256r1tls13",
        0x0020: "brainpoolP384r1tls13",
        0x0021: "brainpoolP512r1tls13",
        0x0029: "curveSM2",
        0x0100: "ffdhe2048",
        0x0101: "ffdhe3072",
        0x0102: "ffdhe4096",
        0x0103: "ffdhe6144",
        0x0104: "ffdhe8192",
        0x0200: "MLKEM512",
        0x0201: "MLKEM768",
        0x0202: "MLKEM1024",
        0x11EB: "SecP256r1MLKEM768",
        0x11EC: "X25519MLKEM768",
        0x11ED: "SecP384r1MLKEM1024",
    }
)
"""IANA *TLS Supported Groups*, as far as a client of ours can meet them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What was seen.  Names and meanings are those of ``records.Conversation``."""

    group: str | None = None
    hello_retry: bool | None = None
    extended_master_secret: bool | None = None
    secure_renegotiation: bool | None = None
    resumption: Resumption | None = None
    certificates: tuple[bytes, ...] = ()
    """Below TLS 1.3, the certificates as they came, DER or not, leaf first."""


class HelloReader:
    """Reads one server's first flight."""

    __slots__ = ("_handshake", "_records", "_retried", "_size", "_suite", "done", "lost", "seen")

    def __init__(self) -> None:
        self._records = bytearray()
        self._handshake = bytearray()
        self._size = 0
        self._retried = False
        self._suite = 0
        self.seen = ServerHello()
        self.done = False
        """Nothing more is going to be read."""
        self.lost = False
        """It became too long to be read to its end, by a TLS library perhaps not."""

    def feed(self, octets: bytes) -> None:
        """Take octets from the network, TLS records in any pieces."""
        if self.done:
            return
        self._size += len(octets)
        if self._size > MOST_OCTETS:
            self.lost = True
            self._stop()
            return
        self._records += octets
        try:
            while self._take_record():
                while (message := self._next_message()) is not None:
                    self._read(*message)
        except (struct.error, IndexError, _NonsenseError):
            self._stop()

    def _stop(self) -> None:
        self.done = True
        self._records.clear()
        self._handshake.clear()

    def _take_record(self) -> bool:
        """Move what the next record holds of handshake messages (RFC 8446 section 5.1), if it is
        complete.
        """
        if len(self._records) < 5:
            return False
        kind, end = self._records[0], 5 + int.from_bytes(self._records[3:5], "big")
        if kind not in (_HANDSHAKE, _CHANGE_CIPHER_SPEC, _ALERT):
            raise _NonsenseError
        if len(self._records) < end:
            return False
        # A ChangeCipherSpec may follow a HelloRetryRequest, a warning may stand anywhere.
        if kind == _HANDSHAKE:
            self._handshake += self._records[5:end]
        del self._records[:end]
        return True

    def _next_message(self) -> tuple[int, bytes] | None:
        """The next complete handshake message, its type and body (RFC 8446 section 4)."""
        if len(self._handshake) < 4:
            return None
        kind, end = self._handshake[0], 4 + int.from_bytes(self._handshake[1:4], "big")
        if len(self._handshake) < end:
            return None
        body = bytes(self._handshake[4:end])
        del self._handshake[:end]
        return kind, body

    def _read(self, kind: int, body: bytes) -> None:
        if kind == _SERVER_HELLO:
            self._server_hello(body)
        elif kind == _CERTIFICATE:
            self.seen = replace(self.seen, certificates=tuple(_certificates(body)))
        elif kind == _SERVER_KEY_EXCHANGE:
            self.seen = replace(self.seen, group=_group_of(body, self._suite))
        elif kind == _SERVER_HELLO_DONE:
            self._stop()

    def _server_hello(self, body: bytes) -> None:
        session_id = _vector(body, 34, 1)
        at = 35 + len(session_id)
        (self._suite,) = struct.unpack_from("!H", body, at)
        at += 3  # and the compression method
        extensions = dict(_extensions(_vector(body, at, 2))) if len(body) > at else {}
        if extensions.get(_SUPPORTED_VERSIONS) == _TLS_1_3.to_bytes(2, "big"):
            self._retried = self._retried or body[2:34] == _RETRY
            share = extensions.get(_KEY_SHARE, b"")
            self.seen = ServerHello(
                group=_group(int.from_bytes(share[:2], "big")) if len(share) >= 2 else None,
                hello_retry=self._retried,
            )
            if body[2:34] != _RETRY:
                self._stop()
            return
        self.seen = ServerHello(
            extended_master_secret=_EXTENDED_MASTER_SECRET in extensions,
            secure_renegotiation=_RENEGOTIATION_INFO in extensions,
            resumption=_resumption(session_id, ticket=_SESSION_TICKET in extensions),
        )


class _NonsenseError(Exception):
    """What came is no flight of a TLS server; the TLS library will say so."""


def _vector(octets: bytes, at: int, width: int) -> bytes:
    """The variable-length vector at *at*, whose length takes *width* octets (RFC 8446 3.4)."""
    start = at + width
    end = start + int.from_bytes(octets[at:start], "big")
    if len(octets) < end or len(octets) < start:
        raise _NonsenseError
    return octets[start:end]


def _extensions(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets):
        (kind,) = struct.unpack_from("!H", octets, at)
        content = _vector(octets, at + 2, 2)
        yield kind, content
        at += 4 + len(content)


def _certificates(body: bytes) -> Iterator[bytes]:
    """RFC 5246 section 7.4.2: a list of certificates, leaf first."""
    octets, at = _vector(body, 0, 3), 0
    while at < len(octets):
        certificate = _vector(octets, at, 3)
        yield certificate
        at += 3 + len(certificate)


def _resumption(session_id: bytes, *, ticket: bool) -> Resumption:
    if ticket:
        return Resumption.TICKET
    return Resumption.SESSION_ID if session_id else Resumption.NONE


def _group_of(body: bytes, suite: int) -> str | None:
    """The group of a ServerKeyExchange: RFC 5246 section 7.4.3, RFC 8422 section 5.4."""
    if suite in _FINITE_FIELD:
        return f"dhe-{int.from_bytes(_vector(body, 0, 2), 'big').bit_length()}"
    if body[0] != _NAMED_CURVE:
        return None
    return _group(int.from_bytes(body[1:3], "big"))


def _group(number: int) -> str:
    return GROUPS.get(number, f"0x{number:04x}")
