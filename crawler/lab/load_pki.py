"""The certificates of the load world: one root, one intermediate, good leaves for many names.

Those of ``pki`` are made to be judged; these are made to be presented by a fast server a few
thousand times a second, in P-256 or in RSA-2048.  Nothing is wrong with any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

KeyKind = Literal["p256", "rsa2048"]
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY: Final = timedelta(days=1)
_CA_DAYS: Final = (-700, 3000)
_LEAF_DAYS: Final = (-30, 60)
"""Days before and after now; 90 in all, as the largest issuer has it."""

_PEM: Final = serialization.Encoding.PEM


class LoadAuthority:
    """Issues every certificate of one load world.  *now* is when it is used."""

    def __init__(self, kind: KeyKind, now: datetime) -> None:
        self._kind: Final = kind
        self._now = now.replace(minute=0, second=0, microsecond=0)
        self._root_key, self._key = self._new_key(), self._new_key()
        self._root = self._ca("Load Root", "Load Root", self._root_key)
        self._intermediate = self._ca("Load Intermediate", "Load Root", self._key)

    @property
    def roots_pem(self) -> bytes:
        """The trust store of a scan of this world."""
        return self._root.public_bytes(_PEM)

    def leaf(self, names: Sequence[str]) -> tuple[x509.Certificate, ...]:
        """The chain for *names*, as presented: leaf first, without the root."""
        builder = (
            self._builder(names[0], "Load Intermediate", self.leaf_key, _LEAF_DAYS)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(_AIA, critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
            .add_extension(_authority_of(self._key), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()), self._intermediate

    def leaf_pem(self, names: Sequence[str]) -> bytes:
        """The key and the chain for *names* in one PEM file, as a server loads them."""
        key = self.leaf_key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + b"".join(certificate.public_bytes(_PEM) for certificate in self.leaf(names))

    @cached_property
    def leaf_key(self) -> PrivateKey:
        """The key of all leaves: making hundreds of RSA keys takes minutes, and no client sees
        the difference.
        """
        return self._new_key()

    def _new_key(self) -> PrivateKey:
        if self._kind == "rsa2048":
            return rsa.generate_private_key(65537, 2048)
        return ec.generate_private_key(ec.SECP256R1())

    def _ca(self, name: str, issuer: str, key: PrivateKey) -> x509.Certificate:
        return (
            self._builder(name, issuer, key, _CA_DAYS)
            .add_extension(_usage(ca=True), critical=True)
            .add_extension(_authority_of(self._root_key), critical=False)
            .sign(self._root_key, hashes.SHA256())
        )

    def _builder(
        self, name: str, issuer: str, key: PrivateKey, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        """What a CA's certificate and a leaf have in common; who has CA days is a CA."""
        ca = days == _CA_DAYS
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now + days[0] * _DAY)
            .not_valid_after(self._now + days[1] * _DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )


def _name(text: str) -> x509.Name:
    # ub-common-name is 64 (RFC 5280 appendix A.1).
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _authority_of(key: PrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


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


_AIA: Final = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.load/intermediate.cer"),
        )
    ]
)
"""Where a client that fetches missing intermediates would look; nothing listens there."""
