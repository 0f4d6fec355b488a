"""The certificate authorities of the lab: a trusted root, an untrusted one, and every bad leaf.

Keys and signatures are derived from the seed and the name (P-256, RFC 6979), and every date is
relative to the ``now`` of the world, so that a world made twice presents the same certificates
and a TLSA record can be written before its host has said a word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from crawler.lab.scenario import Certificate

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DAY: Final = timedelta(days=1)
_YEAR: Final = timedelta(days=365)

_VALIDITY: Final = {
    # Days before and after now; 90 days in all, as the largest issuer has it.
    Certificate.EXPIRED: (-120, -30),
    Certificate.EXPIRED_WRONG_NAME: (-120, -30),
    Certificate.NOT_YET_VALID: (30, 120),
}
_USUAL_VALIDITY: Final = (-30, 60)
_OVERLONG: Final = 24
"""Certificates of an overlong chain; real ones have 2 to 5, readers stop at 10 to 20."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a TLS server loads: its key, and the chain as presented, leaf first."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]

    def pem(self) -> bytes:
        """Key and chain in one PEM file."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return key + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in self.chain)


def spki_sha256(certificate: x509.Certificate) -> str:
    """The certificate association data of selector 1, matching type 1 (RFC 6698 section 2.1)."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def _names(kind: Certificate, host: str) -> tuple[str, ...]:
    """The dNSNames that a certificate of *kind* carries for *host*."""
    parent = host.partition(".")[2]
    match kind:
        case Certificate.WILDCARD:
            return (f"*.{parent}",)
        case Certificate.PARENT:
            return (parent, f"www.{parent}")
        case Certificate.WRONG_NAME | Certificate.EXPIRED_WRONG_NAME:
            return ("shared.webhost.lab", "www.webhost.lab")
        case Certificate.SHALLOW_WILDCARD:
            return (f"*.{parent.partition('.')[2]}",)
        case Certificate.CN_ONLY:
            return ()
        case _:
            return (host,)


class Authority:
    """Issues every certificate of one world."""

    def __init__(self, *, seed: int, now: datetime) -> None:
        self._seed = seed
        # Whole hours, so that two worlds made in the same hour are the same.
        self._now = now.replace(minute=0, second=0, microsecond=0)
        self.root = self._ca("Lab Root", None)
        self.intermediate = self._ca("Lab Intermediate", self.root)
        self.constrained = self._ca(
            "Lab Constrained Intermediate", self.root, permitted=("elsewhere.lab",)
        )
        self.unknown = self._ca("Nobody's Root", None)
        self.intermediate_spki = spki_sha256(self.intermediate.certificate)
        # Not a method decorator: that would keep every world alive.
        self.leaf = lru_cache(maxsize=16384)(self._leaf)

    def roots_pem(self) -> bytes:
        """The trust store of a scan of this world."""
        return self.root.certificate.public_bytes(serialization.Encoding.PEM)

    def key(self, label: str) -> ec.EllipticCurvePrivateKey:
        """The P-256 key that belongs to *label* in this world."""
        digest = hashlib.sha512(f"{self._seed}/{label}".encode()).digest()
        return ec.derive_private_key(
            int.from_bytes(digest, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1()
        )

    def _ca(self, name: str, parent: Issuer | None, *, permitted: Sequence[str] = ()) -> Issuer:
        key = self.key(f"ca/{name}")
        builder = (
            self._builder(name, parent.certificate.subject if parent else _subject(name), key)
            .not_valid_before(self._now - 2 * _YEAR)
            .not_valid_after(self._now + 8 * _YEAR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_CA_USAGE, critical=True)
        )
        if permitted:
            subtrees = [x509.DNSName(p) for p in permitted]
            builder = builder.add_extension(x509.NameConstraints(subtrees, None), critical=True)
        signer = parent.key if parent else key
        return Issuer(_signed(builder, signer, signer.public_key()), key)

    def _builder(
        self, name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        serial = hashlib.sha256(f"{self._seed}/serial/{name}/{issuer}".encode()).digest()
        return (
            x509.CertificateBuilder()
            .subject_name(_subject(name))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(int.from_bytes(serial[:15], "big") + 1)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )

    def _leaf(self, host: str, kind: Certificate) -> Leaf:
        """The chain of *kind* that *host* presents."""
        key = self.key(f"leaf/{host}")
        issuer, rest = self._issuer(kind)
        start, end = _VALIDITY.get(kind, _USUAL_VALIDITY)
        usage = (
            ExtendedKeyUsageOID.CLIENT_AUTH
            if kind is Certificate.CLIENT_ONLY
            else ExtendedKeyUsageOID.SERVER_AUTH
        )
        builder = (
            self._builder(host, issuer.certificate.subject if issuer else _subject(host), key)
            .not_valid_before(self._now + start * _DAY)
            .not_valid_after(self._now + end * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_LEAF_USAGE, critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_AIA, critical=False)
        )
        if names := _names(kind, host):
            san = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
            builder = builder.add_extension(san, critical=False)
        signer = issuer.key if issuer else key
        return Leaf(key, (_signed(builder, signer, signer.public_key()), *rest))

    def _issuer(self, kind: Certificate) -> tuple[Issuer | None, tuple[x509.Certificate, ...]]:
        """Who signs a leaf of *kind* (None: itself), and what is presented after it."""
        match kind:
            case Certificate.SELF_SIGNED:
                return None, ()
            case Certificate.UNTRUSTED:
                return self.unknown, (self.unknown.certificate,)
            case Certificate.NAME_CONSTRAINED:
                return self.constrained, (self.constrained.certificate,)
            case Certificate.NO_INTERMEDIATE:
                return self.intermediate, ()
            case Certificate.OVERLONG:
                more = (
                    self._ca(f"Lab Filler {n}", self.root).certificate for n in range(_OVERLONG)
                )
                return self.intermediate, (self.intermediate.certificate, *more)
            case _:
                return self.intermediate, (self.intermediate.certificate,)


def _subject(name: str) -> x509.Name:
    # ub-common-name is 64 (RFC 5280 appendix A.1); nobody reads the CN of a longer host name.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _signed(
    builder: x509.CertificateBuilder,
    signer: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.Certificate:
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return builder.add_extension(identifier, critical=False).sign(
        signer, hashes.SHA256(), ecdsa_deterministic=True
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


_CA_USAGE: Final = _usage(ca=True)
_LEAF_USAGE: Final = _usage(ca=False)
_AIA: Final = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.lab/intermediate.cer"),
        )
    ]
)
"""Where a client that fetches missing intermediates would look; nothing listens there."""
