"""What does a host present in a TLS handshake, whatever a careful client would make of it?

The handshake accepts all it can (TLS 1.0 up, any key size, legacy renegotiation, any certificate)
and keeps what was shown; a verdict comes later and elsewhere, from the stored chain
(``protocol.certificate``).  A client that verifies would learn only the first fault, and nothing
of the rest.  Two things are never offered: anonymous suites, in which there is no certificate to
measure, and NULL suites, in which there is no encryption.

The binding is pyOpenSSL over memory buffers.  Beside ``ssl`` it has the whole presented chain in
its interface on every Python, also after a handshake that failed (RFC 8446 section 4.4.2), and its
OpenSSL comes with the ``cryptography`` wheel, the same on every machine and newer than most
systems'.  It is also cheaper: 0.86 ms of CPU for a handshake under trio where ``ssl`` with trio's
stream takes 1.30 (P-256 chain, 2 shared cores, CPython 3.11; 0.70 and 1.05 in a bare loop).
What the library does not tell is read from the flight itself (``protocol.tls_hello``).

Key exchange groups are OpenSSL's own choice, with a post-quantum one among them: a list without it
would save a tenth of the handshake, and leave one question of today unanswered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import accumulate
from types import MappingProxyType
from typing import Final

import trio
from OpenSSL import SSL, crypto

from crawler.net.failure import Failure, PeerFault, reason_of
from crawler.net.wire import READ_BYTES, Wire
from crawler.protocol.tls_hello import MOST_OCTETS, HelloReader
from crawler.vocabulary import IoStatus, Resumption, Stage

CIPHERS: Final = b"DEFAULT:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
"""OpenSSL's cipher list for TLS 1.2 and below; level 0 also admits small keys and SHA-1."""

OPTIONS: Final = SSL.OP_LEGACY_SERVER_CONNECT | SSL.OP_NO_RENEGOTIATION
"""Servers without RFC 5746 are spoken to, and nobody is let begin anew."""

LIGHT_DHE: Final = 2048
"""Bits of a finite-field prime, which the peer chooses, up to which a handshake takes milliseconds.
OpenSSL goes along with 10,000, for which it takes a second, so what is longer has a thread of its own
and holds up no other conversation."""

LABORIOUS: Final = 4
"""Such threads at once; what else needs threads has its own."""

OVERHEAD: Final = 4
"""What is read from the network, beside one flight, is at the most so many times what may be read
inside TLS.  Tickets, key updates and empty records hold nothing and have no end of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What a handshake showed.  Names and meanings are those of ``records.Conversation``, save
    that the chain is the certificates themselves, leaf first, DER.
    """

    tls_version: str | None = None
    cipher: str | None = None
    tls_group: str | None = None
    tls_hello_retry: bool | None = None
    tls_extended_master_secret: bool | None = None
    tls_secure_renegotiation: bool | None = None
    tls_resumption: Resumption | None = None
    tls_alert: str | None = None
    tls_ms: float | None = None
    chain: tuple[bytes, ...] = ()


NO_TLS: Final = TlsFacts()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsLimits:
    """Caps on the chain, and on the octets read inside TLS."""

    certificates: int
    certificate_bytes: int
    octets: int


class TlsClient:
    """Client settings for measuring; made once, for building them costs as much as a handshake.

    *alpn*: protocols to offer (RFC 7301); none leaves the extension out, as senders do.
    """

    def __init__(self, *, alpn: Sequence[bytes] = ()) -> None:
        self.context: Final = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self.context.set_verify(SSL.VERIFY_NONE)
        self.context.set_min_proto_version(SSL.TLS1_VERSION)
        self.context.set_cipher_list(CIPHERS)
        self.context.set_options(OPTIONS)
        self.context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self._threads = trio.CapacityLimiter(LABORIOUS)
        if alpn:
            self.context.set_alpn_protos(list(alpn))

    def wrap(self, wire: Wire, host: str, limits: TlsLimits) -> TlsStream:
        """A TLS connection over *wire*, not yet begun; *host* goes into SNI (RFC 6066)."""
        tls = SSL.Connection(self.context, None)
        tls.set_connect_state()
        if not _is_address(host):  # RFC 6066 section 3: "literal addresses are not permitted"
            tls.set_tlsext_host_name(host.encode("ascii"))
        return TlsStream(wire, tls, limits, self._threads)


def _is_address(host: str) -> bool:
    """An MX record may wrongly hold an address in place of a name."""
    if not host[-1:].isdigit() and ":" not in host:
        return False
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class TlsStream:
    """One TLS connection, what was seen of it, and the limits it is held to.

    Raises ``SSL.Error`` for what OpenSSL finds wrong, ``PeerFault`` for what exceeds a limit or is
    cut off in the handshake, and what the wire raises.
    """

    __slots__ = (
        "_hello",
        "_limits",
        "_stopped",
        "_taken",
        "_threads",
        "_tls",
        "_wire",
        "ended",
        "facts",
        "heard",
        "received",
    )

    def __init__(
        self, wire: Wire, tls: SSL.Connection, limits: TlsLimits, threads: trio.CapacityLimiter
    ) -> None:
        self._wire = wire
        self._tls = tls
        self._limits = limits
        self._threads = threads
        self._hello = HelloReader()
        self._stopped: PeerFault | None = None
        self._taken = 0
        self.facts = NO_TLS
        self.heard = False
        """The peer has sent an octet in answer to our ClientHello."""
        self.received = 0
        """Octets read inside TLS."""
        self.ended = False
        """The peer has closed the connection."""

    async def do_handshake(self) -> None:
        """Shake hands; ``facts`` then tell of it, also when it fails."""
        began, alert, agreed = trio.current_time(), None, False
        try:
            await self._shake_hands()
            agreed = True
        except SSL.Error as error:
            alert = alert_name(error)
            raise
        finally:
            seen, presented = self._hello.seen, self._presented()
            self.facts = TlsFacts(
                tls_version=self._tls.get_protocol_version_name() if agreed else None,
                cipher=self._tls.get_cipher_name() if agreed else None,
                tls_group=seen.group,
                tls_hello_retry=seen.hello_retry,
                tls_extended_master_secret=seen.extended_master_secret,
                tls_secure_renegotiation=seen.secure_renegotiation,
                tls_resumption=seen.resumption,
                tls_alert=alert,
                tls_ms=(trio.current_time() - began) * 1000 if agreed else None,
                chain=self._capped(presented),
            )
        if len(self.facts.chain) < len(presented):
            text = f"{len(presented)} certificates, {sum(map(len, presented))} octets"
            raise PeerFault(IoStatus.CHAIN_TOO_LARGE, text)

    @property
    def _laborious(self) -> bool:
        """The peer may have chosen a key exchange that takes the processor long.

        Where its flight is too long to be read, which a peer can see to, the worst is assumed.
        """
        name, _, bits = (self._hello.seen.group or "").partition("-")
        return self._hello.lost or (name == "dhe" and int(bits) > LIGHT_DHE)

    async def _shake_hands(self) -> None:
        while True:
            try:
                if self._laborious:
                    await trio.to_thread.run_sync(self._tls.do_handshake, limiter=self._threads)
                else:
                    self._tls.do_handshake()
            except SSL.WantReadError:
                await self._flush()
                if not await self._fill():
                    text = "the connection was closed during the handshake"
                    raise PeerFault(IoStatus.CONNECTION_CLOSED, text) from None
                continue
            except SSL.Error:
                with suppress(OSError):
                    await self._flush()  # our alert, which says why
                raise
            # What is left to send in TLS 1.3, our Finished, goes with the first octets inside.
            return

    async def send_all(self, data: bytes) -> None:
        """Send *data* inside TLS."""
        if data:
            self._tls.send(data)
            await self._flush()

    async def receive_some(self) -> bytes:
        """What has come inside TLS; nothing when the peer has finished."""
        while True:
            if self._stopped is not None:
                raise self._stopped
            try:
                data: bytes = self._tls.recv(READ_BYTES)
            except SSL.WantReadError:
                await self._flush()  # an answer to a message of TLS itself, such as a KeyUpdate
                if not await self._fill():
                    return b""
                continue
            except SSL.ZeroReturnError:
                self.ended = True
                return b""
            except SSL.Error as error:
                self.facts = replace(self.facts, tls_alert=alert_name(error))
                raise
            self.received += len(data)
            if self.received > self._limits.octets:
                text = f"more than {self._limits.octets} octets"
                raise PeerFault(IoStatus.RESPONSE_TOO_LARGE, text)
            return data

    def close(self) -> None:
        """Close the connection.  No close_notify: nobody waits for it, and the peer has our QUIT
        or "Connection: close".
        """
        self._wire.close()

    def stop(self, fault: PeerFault) -> None:
        """Enough has been read: the next read raises *fault*."""
        self._stopped = fault

    def place(self, failure: Failure, *, spoke_first: bool) -> Failure:
        """Where *failure* belongs, given what was seen of the handshake.

        *spoke_first*: the peer has spoken before TLS, as in SMTP.
        """
        # In TLS 1.3 the client is done before the server has judged it (RFC 8446 section 4.6.2,
        # "certificate_required"), so an alert in place of the first protected octet is the
        # server's answer to the handshake.
        if self.facts.tls_alert is not None and self.received == 0:
            return replace(failure, status=IoStatus.HANDSHAKE_ERROR, stage=Stage.TLS)
        # Who accepts connections and drops them has not been seen to speak TLS.
        closed = failure.status is IoStatus.CONNECTION_CLOSED and failure.stage is Stage.TLS
        if closed and not self.heard and not spoke_first:
            return replace(failure, stage=Stage.CONNECT)
        return failure

    # Octets between OpenSSL and the network.

    async def _flush(self) -> None:
        """Send what OpenSSL wants sent."""
        try:
            data = self._tls.bio_read(READ_BYTES)
        except SSL.WantReadError:
            return
        await self._wire.send_all(data)

    async def _fill(self) -> bool:
        """Give OpenSSL what comes next; false when the peer has closed the connection."""
        data = await self._wire.receive_some()
        if not data:
            self.ended = True
            return False
        self.heard = True
        self._taken += len(data)
        if self._taken > (cap := MOST_OCTETS + OVERHEAD * self._limits.octets):
            raise PeerFault(IoStatus.RESPONSE_TOO_LARGE, f"more than {cap} octets of TLS")
        self._hello.feed(data)
        self._tls.bio_write(data)
        return True

    # What is kept.

    def _presented(self) -> Sequence[bytes]:
        """The certificates that the peer has sent, leaf first; none before they have come."""
        # In the clear they are seen as they came, also where OpenSSL cannot read one of them.
        return self._hello.seen.certificates or [
            crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
            for certificate in self._tls.get_peer_cert_chain() or ()
        ]

    def _capped(self, presented: Sequence[bytes]) -> tuple[bytes, ...]:
        """As much of the chain as its caps allow."""
        sizes = accumulate(map(len, presented))
        within = sum(size <= self._limits.certificate_bytes for size in sizes)
        return tuple(presented[: min(within, self._limits.certificates)])


ALERTS: Final = (
    "close_notify",
    "unexpected_message",
    "bad_record_mac",
    "decryption_failed_RESERVED",
    "record_overflow",
    "decompression_failure_RESERVED",
    "handshake_failure",
    "no_certificate_RESERVED",
    "bad_certificate",
    "unsupported_certificate",
    "certificate_revoked",
    "certificate_expired",
    "certificate_unknown",
    "illegal_parameter",
    "unknown_ca",
    "access_denied",
    "decode_error",
    "decrypt_error",
    "export_restriction_RESERVED",
    "protocol_version",
    "insufficient_security",
    "internal_error",
    "inappropriate_fallback",
    "user_canceled",
    "no_renegotiation_RESERVED",
    "missing_extension",
    "unsupported_extension",
    "certificate_unobtainable_RESERVED",
    "unrecognized_name",
    "bad_certificate_status_response",
    "bad_certificate_hash_value_RESERVED",
    "unknown_psk_identity",
    "certificate_required",
    "no_application_protocol",
)
"""IANA *TLS Alerts*."""

# OpenSSL names a received alert by its reason, and the words before the name change from version to
# version: "sslv3 alert handshake failure", "ssl/tls alert ...", "tls alert ...", "tlsv13 alert
# certificate required", "tlsv1 unrecognized name".  A reason without them is our own finding, even
# where it has the same name.
_REASON: Final = re.compile(r"(?:ssl|tls)\S* (?:alert )?(.+)")

_BY_REASON: Final = MappingProxyType(
    {name.removesuffix("_RESERVED").replace("_", " "): name for name in ALERTS}
    | {"user cancelled": "user_canceled"}
)


def alert_name(error: SSL.Error) -> str | None:
    """The IANA name of the alert that the peer sent, if that is what *error* reports."""
    match = _REASON.fullmatch(reason_of(error))
    return None if match is None else _BY_REASON.get(match[1])
