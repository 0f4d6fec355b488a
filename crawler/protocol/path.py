"""Is there a certification path from a presented chain to these trust anchors?  OpenSSL's answer.

RFC 5280 section 6, as the library that most senders use reads it, at a given time, with every
setting pinned so that no version of Python or OpenSSL changes the verdict:

- no ``X509_STRICT`` (which Python switches on from 3.13) and no security level: OpenSSL's
  defaults, so what senders see.  Weak keys and signatures are ``chain``'s own rule.
- ``PARTIAL_CHAIN`` only where the caller asks for it: without it an anchor must be self-signed,
  as all of Mozilla's are; with it any given certificate may end the path.
- no policy, no revocation, no CRL; at most OpenSSL's default depth.
- no purpose, because pyOpenSSL cannot set one: ``Link.misused`` is that rule.

What the answer means for a host is left to ``chain`` (Web PKI) and ``tlsa`` (DANE).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, TypeVar

from cryptography import x509
from OpenSSL import crypto

from crawler.protocol import certificate, der

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which pyOpenSSL does not name

V_OK: Final = 0
V_ERR_INVALID_PURPOSE: Final = 26

# X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN,
# UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNABLE_TO_VERIFY_LEAF_SIGNATURE: what was built does not end
# at an anchor.  They come before any other check, and the certificate named is its last.
_BUILDING: Final = frozenset({2, 18, 19, 20, 21})

T = TypeVar("T")

_KEY_USAGE: Final = bytes([0x55, 0x1D, 0x0F])  # 2.5.29.15
_EXTENDED_KEY_USAGE: Final = bytes([0x55, 0x1D, 0x25])  # 2.5.29.37
_AUTHORITY_INFO_ACCESS: Final = bytes.fromhex("2b06010505070101")  # 1.3.6.1.5.5.7.1.1
_CA_ISSUERS: Final = bytes.fromhex("2b06010505073002")  # 1.3.6.1.5.5.7.48.2
_URI: Final = 0x86  # GeneralName: uniformResourceIdentifier [6]
_SERVER: Final = frozenset(
    {
        bytes.fromhex("2b06010505070301"),  # 1.3.6.1.5.5.7.3.1 serverAuth
        bytes.fromhex("2b0601040182370a0303"),  # Microsoft's and Netscape's "server gated
        bytes.fromhex("6086480186f8420401"),  # crypto", which OpenSSL takes for the same
    }
)
# digitalSignature, keyEncipherment, keyAgreement: bits 0, 2 and 4, the first being the highest.
_TLS_USAGE: Final = 0b10101000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Link:
    """One certificate of a chain, read in the three ways that judging needs."""

    octets: bytes
    openssl: crypto.X509 | None
    """None: OpenSSL cannot read it, so a sender's handshake fails over it."""
    parsed: x509.Certificate | None
    outline: der.Outline | None
    facts: certificate.CertificateFacts

    @property
    def flawed(self) -> bool:
        """Some part of it cannot be read."""
        if self.parsed is None or self.facts.parse_error is not None:
            return True
        try:
            with certificate.unwarned():
                tuple(self.parsed.extensions)
        except (*certificate.UNREADABLE, x509.DuplicateExtension):
            return True
        return False

    @property
    def has_ca_issuers_url(self) -> bool:
        """It says where its issuer's certificate is to be had (RFC 5280 section 4.2.2.1)."""
        return self._spared(_ca_issuers_url, default=False)

    @property
    def misused(self) -> bool:
        """It is not meant for TLS servers, as OpenSSL's purpose ``sslserver`` reads it."""
        return self._spared(_excludes_servers, default=False)

    @property
    def misused_as_leaf(self) -> bool:
        """The same for the leaf, whose key must also be good for handshakes."""
        return self.misused or self._spared(_excludes_handshakes, default=False)

    def begins_after(self, at: datetime) -> bool:
        """Not yet valid at *at*: a validity runs "from notBefore through notAfter, inclusive"
        (RFC 5280 section 4.1.2.5).  A date that cannot be read rules nothing out.
        """
        return self.facts.not_before is not None and at < self.facts.not_before

    def ended_before(self, at: datetime) -> bool:
        """No longer valid at *at*."""
        return self.facts.not_after is not None and at > self.facts.not_after

    def _spared(self, read: Callable[[der.Outline], bool], *, default: bool) -> bool:
        """What an extension says; *default* when it cannot be read (OpenSSL complains of it)."""
        try:
            return default if self.outline is None else read(self.outline)
        except der.DerError:
            return default


def _ca_issuers_url(outline: der.Outline) -> bool:
    extension = outline.extension(_AUTHORITY_INFO_ACCESS)
    if extension is None:
        return False
    for access in der.elements(der.only(extension, der.SEQUENCE)):
        method, *location = der.elements(access.value)
        if method.value == _CA_ISSUERS and location and location[0].tag == _URI:
            return location[0].value.lower().startswith((b"http://", b"https://"))
    return False


def _excludes_servers(outline: der.Outline) -> bool:
    # RFC 5280 section 4.2.1.12: absent, it restricts nothing.  As OpenSSL reads it, a CA's
    # extendedKeyUsage restricts what it issues, and anyExtendedKeyUsage alone does not do.
    extension = outline.extension(_EXTENDED_KEY_USAGE)
    if extension is None:
        return False
    return _SERVER.isdisjoint(u.value for u in der.elements(der.only(extension, der.SEQUENCE)))


def _excludes_handshakes(outline: der.Outline) -> bool:
    # RFC 5280 section 4.2.1.3.  The first octet counts the unused bits.
    extension = outline.extension(_KEY_USAGE)
    if extension is None:
        return False
    bits = der.only(extension, der.BIT_STRING)
    return not bits[1:2] or not bits[1] & _TLS_USAGE


@lru_cache(maxsize=8192)  # intermediates come again and again
def link(octets: bytes) -> Link:
    """Read one certificate.  Never raises: a way in which it cannot be read is None."""
    return Link(
        octets=octets,
        openssl=_or_none(lambda: crypto.load_certificate(crypto.FILETYPE_ASN1, octets)),
        parsed=_or_none(lambda: certificate.load(octets)),
        outline=_or_none(lambda: der.outline(octets)),
        facts=certificate.read(octets),
    )


def _or_none(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (crypto.Error, *certificate.UNREADABLE):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """OpenSSL's answer."""

    code: int
    """``X509_V_ERR`` code of the first failure; 0 when there is a path."""
    depth: int | None
    """Where it failed, 0 being the leaf; None when there is a path."""
    end: Link | None
    """When what was built does not end at an anchor: its last certificate, else None."""
    links: tuple[Link, ...]
    """The path, leaf first, anchor last; empty when there is none."""


def find(
    leaf: Link,
    presented: Iterable[Link],
    anchors: Iterable[Link],
    *,
    at: datetime | None,
    partial: bool = False,
) -> Path:
    """Look for a path from *leaf* over any of *presented*, in any order, to one of *anchors*.

    *at* is the time of judging, UTC; None ignores all dates.  *partial* lets anchors be anything,
    the leaf included.  *leaf* must be readable for OpenSSL; others that are not are passed over.
    """
    assert leaf.openssl is not None
    store = crypto.X509Store()
    if at is not None:
        store.set_time(at)  # first: it resets the flags
    store.set_flags(
        (_NO_CHECK_TIME if at is None else 0)
        | (crypto.X509StoreFlags.PARTIAL_CHAIN if partial else 0)
    )
    for anchor in anchors:
        if anchor.openssl is not None:
            store.add_cert(anchor.openssl)
    pool = [other.openssl for other in presented if other.openssl is not None]
    context = crypto.X509StoreContext(store, leaf.openssl, pool)
    try:
        chain = context.get_verified_chain()
    except crypto.X509StoreContextError as error:
        code, depth = error.errors[:2]
        end = _link_of(error.certificate) if code in _BUILDING else None
        return Path(code=code, depth=depth, end=end, links=())
    return Path(code=V_OK, depth=None, end=None, links=tuple(map(_link_of, chain)))


def _link_of(found: crypto.X509) -> Link:
    return link(crypto.dump_certificate(crypto.FILETYPE_ASN1, found))


def first_misused(issued: Sequence[Link]) -> int | None:
    """Depth of the first of these, leaf first and without the anchor, that is not for TLS servers."""
    for depth, each in enumerate(issued):
        if each.misused_as_leaf if depth == 0 else each.misused:
            return depth
    return None
