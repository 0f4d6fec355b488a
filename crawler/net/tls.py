"""What does a host present in a TLS handshake, whatever a careful client would make of it?

The handshake accepts all it can (TLS 1.0 up, any key size, legacy renegotiation, any certificate)
and keeps what was shown; a verdict comes later and elsewhere, from the stored chain
(``protocol.certificate``).  A client that verifies would learn only the first fault, and nothing
of the rest.  Two things are never offered: anonymous suites, in which there is no certificate to
measure, and NULL suites, in which there is no encryption.

The chain is also kept when the handshake fails after it was sent (RFC 8446 section 4.4.2), so it
is read off while the handshake is going on, by ``MeasuringContext``: an ``ssl.SSLContext`` that
reports to the ``Watch`` of the task that shakes hands.  The same hook bounds what is read and
names the peer's alert (IANA *TLS Alerts*).
"""

from __future__ import annotations

import re
import ssl
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from crawler.net.failure import Failure, PeerFault, is_eof
from crawler.vocabulary import IoStatus, Stage

CIPHERS: Final = "DEFAULT:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"
"""OpenSSL's cipher list for TLS 1.2 and below; level 0 also admits small keys and SHA-1."""

VERIFY_FLAGS: Final = ssl.VerifyFlags.VERIFY_X509_TRUSTED_FIRST
"""Pinned, because the default differs between Python 3.12 and 3.13."""

_LEGACY_SERVER_CONNECT: Final = 0x4
"""SSL_OP_LEGACY_SERVER_CONNECT: talk to servers without RFC 5746; ``ssl`` names it from 3.12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFacts:
    """What a handshake showed.  Names and meanings are those of ``records.Conversation``, save
    that the chain is the certificates themselves, leaf first, DER.
    """

    tls_version: str | None = None
    cipher: str | None = None
    tls_alert: str | None = None
    chain: tuple[bytes, ...] = ()


class Watch:
    """What is seen of one handshake, and the limits it is held to.

    *certificates* and *certificate_bytes* cap the chain, *octets* what is read inside TLS.
    """

    __slots__ = (
        "_certificate_bytes",
        "_certificates",
        "_octets",
        "_stopped",
        "ended",
        "facts",
        "heard",
        "received",
    )

    def __init__(self, *, certificates: int, certificate_bytes: int, octets: int) -> None:
        self._certificates = certificates
        self._certificate_bytes = certificate_bytes
        self._octets = octets
        self._stopped: PeerFault | None = None
        self.facts = TlsFacts()
        self.heard = False
        """The peer has sent an octet in answer to our ClientHello."""
        self.received = 0
        """Octets read inside TLS."""
        self.ended = False
        """The peer has closed the connection."""

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

    # Called by the TLS object.

    def see_chain(self, chain: Sequence[bytes]) -> None:
        """The peer's certificates have arrived."""
        kept, size = [], 0
        for certificate in chain[: self._certificates]:
            size += len(certificate)
            if size > self._certificate_bytes:
                break
            kept.append(certificate)
        self.facts = replace(self.facts, chain=tuple(kept))
        if len(kept) < len(chain):
            raise PeerFault(
                IoStatus.CHAIN_TOO_LARGE,
                f"{len(chain)} certificates, {sum(map(len, chain))} octets",
            )

    def see_agreement(self, version: str | None, cipher: str | None) -> None:
        """The handshake is complete on our side."""
        self.facts = replace(self.facts, tls_version=version, cipher=cipher)

    def see_error(self, error: ssl.SSLError) -> None:
        """OpenSSL gave up."""
        self.ended = self.ended or is_eof(error)
        if (name := alert_name(error)) is not None:
            self.facts = replace(self.facts, tls_alert=name)

    def before_read(self) -> None:
        """More is about to be read."""
        if self._stopped is not None:
            raise self._stopped

    def see_data(self, octets: int) -> None:
        """So many octets were read inside TLS; none means that the peer has finished."""
        self.received += octets
        self.ended = self.ended or octets == 0
        if self.received > self._octets:
            raise PeerFault(IoStatus.RESPONSE_TOO_LARGE, f"more than {self._octets} octets")


_watch: ContextVar[Watch] = ContextVar("_watch")


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """The handshakes of this task report to *watch* inside this block."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


if sys.version_info >= (3, 13):

    def _presented(tls: ssl.SSLObject) -> Sequence[bytes]:
        """The certificates that the peer has sent, leaf first; none before they have come."""
        return tls.get_unverified_chain()

else:  # the same function, before it was made public
    from _ssl import ENCODING_DER  # type: ignore[attr-defined,unused-ignore]

    def _presented(tls: ssl.SSLObject) -> Sequence[bytes]:
        """The certificates that the peer has sent, leaf first; none before they have come."""
        inner: Any = tls._sslobj  # type: ignore[attr-defined,unused-ignore]
        return [c.public_bytes(ENCODING_DER) for c in inner.get_unverified_chain() or ()]


class _WatchedObject(ssl.SSLObject):
    """A TLS client that tells its watch what it sees."""

    incoming: ssl.MemoryBIO
    watch: Watch

    def do_handshake(self) -> None:
        """Go on with the handshake, as far as what has come allows."""
        watch = self.watch
        watch.heard = watch.heard or self.incoming.pending > 0
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLWantReadError):
                watch.see_error(error)
            self._look_at_chain()
            raise
        self._look_at_chain()
        cipher = self.cipher()
        watch.see_agreement(self.version(), cipher[0] if cipher else None)

    def _look_at_chain(self) -> None:
        if self.watch.heard and not self.watch.facts.chain and (chain := _presented(self)):
            self.watch.see_chain(chain)

    # The signature is that of ssl.SSLObject.
    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002
        """Read from inside TLS."""
        self.watch.before_read()
        try:
            data: Any = super().read(len, buffer)
        except ssl.SSLError as error:
            if not isinstance(error, ssl.SSLWantReadError):
                self.watch.see_error(error)
            raise
        self.watch.see_data(data if isinstance(data, int) else memoryview(data).nbytes)
        return data


class MeasuringContext(ssl.SSLContext):
    """Client settings for measuring; made once, for building one costs as much as a handshake.

    Used inside ``watching``; without it, a handshake is our mistake and raises ``LookupError``.
    """

    sslobject_class = _WatchedObject

    def __new__(cls, *, alpn: Sequence[str] = ()) -> MeasuringContext:
        """*alpn*: protocols to offer (RFC 7301); none leaves the extension out, as senders do."""
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # RFC 8461 sections 3.3 and 4.2: a CN is never a match.  Nothing is matched here, but a
        # context that would do so must not lie about.
        context.hostname_checks_common_name = False
        context.verify_flags = VERIFY_FLAGS
        with warnings.catch_warnings():
            # Python warns of TLS 1.0, which is what is to be measured.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers(CIPHERS)
        context.options |= _LEGACY_SERVER_CONNECT | ssl.OP_NO_RENEGOTIATION
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection that reports to the watch of this task."""
        tls = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(tls, _WatchedObject)
        tls.incoming, tls.watch = incoming, _watch.get()
        return tls


# OpenSSL names a received alert by its reason: SSLV3_ALERT_HANDSHAKE_FAILURE,
# TLSV1_ALERT_UNKNOWN_CA, TLSV13_ALERT_CERTIFICATE_REQUIRED, TLSV1_UNRECOGNIZED_NAME.  All other
# reasons are about what we found ourselves.
_ALERT_REASON: Final = re.compile(r"(?:SSLV3_ALERT_|TLSV1_ALERT_|TLSV13_ALERT_|TLSV1_)(\w+)")

# Where IANA's name is not OpenSSL's in lower case (RFC 8446 section 6.2 and appendix B.2).
_IANA_NAME: Final = MappingProxyType(
    {
        "decryption_failed": "decryption_failed_RESERVED",
        "decompression_failure": "decompression_failure_RESERVED",
        "no_certificate": "no_certificate_RESERVED",
        "export_restriction": "export_restriction_RESERVED",
        "no_renegotiation": "no_renegotiation_RESERVED",
        "certificate_unobtainable": "certificate_unobtainable_RESERVED",
        "bad_certificate_hash_value": "bad_certificate_hash_value_RESERVED",
        "user_cancelled": "user_canceled",
    }
)


def alert_name(error: ssl.SSLError) -> str | None:
    """The IANA name of the alert that the peer sent, if that is what *error* reports."""
    match = _ALERT_REASON.fullmatch(error.reason or _reason_in(error))
    if match is None:
        return None
    name = match[1].lower()
    return _IANA_NAME.get(name, name)


def _reason_in(error: ssl.SSLError) -> str:
    """The reason for which Python knows no constant, from OpenSSL's sentence for it."""
    sentence = re.match(r"\[\w+\] ([\w ]+) \(", str(error.strerror))
    return sentence[1].replace(" ", "_").upper() if sentence else ""
