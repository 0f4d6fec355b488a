"""A zoo of certificates: one animal per way to be right or wrong, each with its verdict beside it.

Keys are derived from labels and signatures are deterministic (RFC 6979), so the zoo is the same
in every run; RSA keys, which cannot be derived, are generated once per run.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from crawler.vocabulary import CertificateProblem as P

NOW: Final = datetime(2025, 6, 1, 12, tzinfo=UTC)
HOST: Final = "mx.example.com"
DAY: Final = timedelta(days=1)

_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@cache
def key(label: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key that belongs to *label*."""
    digest = hashlib.sha512(label.encode()).digest()
    return ec.derive_private_key(
        int.from_bytes(digest, "big") % (_P256_ORDER - 1) + 1, ec.SECP256R1()
    )


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key of the run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


RSA_512: Final = b"""-----BEGIN PRIVATE KEY-----
MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8wggE7AgEAAkEA83vZ6w0ToyXmp4c/
I1Bzjz+m67nupRkhzvDMWIoV159A44SgF5onuPtGhTBwF2k4n07tBZgiSS3cVSkU
ZiRDuwIDAQABAkEAhlPBuceRGeUDB1G6J4Vu+4ymTk5ZtoPS/xQh6Ibl3fpOlgDd
cVvoMXCxtxTowcGf9zgHkORrlWRu0a6k4XmF4QIhAPz2sDQpjP9auM/ZRg2UYP0f
9I4WLQlXQzBmtIyk37EtAiEA9mgIexg2fxRrKvgcWHBSrZJFnp/OXJe9fzmN1O5I
SYcCIHrNKvb3oNop6YQFXyuid38KL0d23oAlW5m4kjegpnM1AiEAoUTzkAUH3eJy
RZw/iQ5yvlFGqYv0FxvlFXiIwHz36M8CIFoz4uLtr3sEfHHK7GMiTz6HOkwgZ6Xu
jZt8Y6qZpxig
-----END PRIVATE KEY-----
"""
"""Made for this test and used nowhere else: the library no longer makes such keys."""


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True, eq=False)
class Ca:
    """A certificate that issues others, and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return der(self.certificate)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(*certificates: bytes) -> bytes:
    return b"".join(
        x509.load_der_x509_certificate(c).public_bytes(serialization.Encoding.PEM)
        for c in certificates
    )


def certificate(
    subject: str,
    *,
    issuer: Ca | None,
    subject_key: Key,
    issuer_name: str | None = None,
    start: timedelta = -30 * DAY,
    end: timedelta = 60 * DAY,
    ca: bool | None = False,
    pathlen: int | None = None,
    san: Sequence[x509.GeneralName] | None = None,
    eku: Sequence[x509.ObjectIdentifier] | None = (ExtendedKeyUsageOID.SERVER_AUTH,),
    key_usage: x509.KeyUsage | None = None,
    aia: bool = True,
    rsa_padding: padding.PSS | None = None,
    serial: int = 0,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> x509.Certificate:
    """One certificate; without *issuer* it signs itself."""
    signer = issuer.key if issuer else subject_key
    by = name(issuer_name) if issuer_name is not None else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(by or (issuer.certificate.subject if issuer else name(subject)))
        .public_key(subject_key.public_key())
        .serial_number(
            serial or int.from_bytes(hashlib.sha256(subject.encode()).digest()[:8], "big") + 1
        )
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = list(extra)
    if ca is not None:
        extensions.append((x509.BasicConstraints(ca=ca, path_length=pathlen), True))
    if ca:
        extensions.append((key_usage or usage(signs_certificates=True), True))
    elif key_usage is not None:
        extensions.append((key_usage, True))
    if san is not None:
        extensions.append((x509.SubjectAlternativeName(san), not subject))
    if eku is not None and not ca:
        extensions.append((x509.ExtendedKeyUsage(eku), False))
    if aia and issuer:
        extensions.append((AIA, False))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    options: dict[str, Any] = {}
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        options["ecdsa_deterministic"] = True
    if rsa_padding is not None:
        options["rsa_padding"] = rsa_padding
    hashed = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, hashed, **options)


def plain(subject: str, issuer: Ca | None, *, names: Sequence[str] = ()) -> Ca:
    """A certificate with as few extensions as RFC 5280 section 6.1 lets pass."""
    own = key(subject)
    signer = issuer.key if issuer else own
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.certificate.subject if issuer else name(subject))
        .public_key(own.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
    )
    if issuer is None:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), False)
    else:
        san = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
        builder = builder.add_extension(san, False)
    return Ca(builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True), own)


AIA: Final = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.example.com/issuer.cer"),
        )
    ]
)


def authority(label: str, issuer: Ca | None = None, **options: Any) -> Ca:
    """A CA; its key is that of its label unless ``subject_key`` says otherwise."""
    options.setdefault("subject_key", key(label))
    years: dict[str, Any] = {"start": -2 * 365 * DAY, "end": 8 * 365 * DAY, "ca": True} | options
    return Ca(certificate(label, issuer=issuer, **years), options["subject_key"])


ROOT: Final = authority("Zoo Root")
SECOND_ROOT: Final = authority("Zoo Second Root")
ROOTS: Final = pem(ROOT.der, SECOND_ROOT.der)
MIDDLE: Final = authority("Zoo Intermediate", ROOT)
STRANGER: Final = authority("Stranger's Root")
STRANGE_MIDDLE: Final = authority("Stranger's Intermediate", STRANGER)
OTHER: Final = authority("Unrelated CA")


def leaf(
    names: str | Sequence[str] | None = HOST, *, issuer: Ca | None = MIDDLE, **options: Any
) -> bytes:
    """A leaf for *names* (None: no subjectAltName), good in every other way."""
    options.setdefault("subject_key", key("leaf"))
    if names is not None:
        listed = [names] if isinstance(names, str) else names
        options.setdefault("san", [raw_dns_name(n) for n in listed])
    return der(certificate(options.pop("subject", HOST), issuer=issuer, **options))


def raw_dns_name(text: str) -> x509.DNSName:
    """A dNSName with no check of its form."""
    return x509.DNSName._init_without_validation(text)


def resigned(octets: bytes, old: bytes, new: bytes, signer: Ca = MIDDLE) -> bytes:
    """The certificate with *old* octets replaced by *new* (of the same length), signed again."""
    assert len(old) == len(new)
    assert octets.count(old) >= 1
    parsed = x509.load_der_x509_certificate(octets)
    tbs = parsed.tbs_certificate_bytes.replace(old, new)
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    signature = signer.key.sign(tbs, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return sequence(tbs + bytes.fromhex("300a06082a8648ce3d040302") + element(3, b"\0" + signature))


def with_sha1(octets: bytes, signer: rsa.RSAPrivateKey) -> bytes:
    """The certificate, signed with SHA-1, which the library no longer does for certificates."""
    sha256, sha1 = (bytes.fromhex(f"300d06092a864886f70d0101{n}0500") for n in ("0b", "05"))
    tbs = x509.load_der_x509_certificate(octets).tbs_certificate_bytes.replace(sha256, sha1)
    signature = signer.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    return sequence(tbs + sha1 + element(3, b"\0" + signature))


def element(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 128:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def sequence(value: bytes) -> bytes:
    return element(0x30, value)


@dataclass(frozen=True, kw_only=True)
class Animal:
    """A presented chain and what is to be said of it for ``HOST`` at ``NOW``."""

    chain: tuple[bytes, ...]
    problems: tuple[P, ...] = ()
    code: int | None = 0
    """OpenSSL's."""
    depth: int | None = None
    webpki: bool | None = False
    """Whether the stricter verifier lets it pass; None where its versions differ."""


def _constrained(**kinds: Any) -> Ca:
    constraint = x509.NameConstraints(
        permitted_subtrees=kinds.get("permitted"), excluded_subtrees=kinds.get("excluded")
    )
    return authority("Zoo Constrained", ROOT, extra=[(constraint, True)])


def _under(ca: Ca, *, names: str = HOST, **options: Any) -> tuple[bytes, ...]:
    return leaf(names, issuer=ca, **options), ca.der


def _weird(year: bytes) -> bytes:
    """A good leaf whose notAfter is *year*, month 13."""
    good = leaf(end=36500 * DAY)  # beyond 2049, so GeneralizedTime
    end = (NOW + 36500 * DAY).strftime("%Y%m%d%H%M%SZ").encode()
    return resigned(good, end, year + b"13" + end[6:])


@cache
def zoo() -> dict[str, Animal]:
    """Every animal by its name."""
    m = MIDDLE.der
    good = leaf()
    from_stranger = leaf(issuer=STRANGER, aia=False)
    crossed = authority("Zoo Cross", SECOND_ROOT, end=-1 * DAY)
    crossed_now = Ca(
        certificate(
            "Zoo Cross", issuer=ROOT, subject_key=key("Zoo Cross"), ca=True, end=900 * DAY, serial=7
        ),
        key("Zoo Cross"),
    )
    no_ca = authority("Not A CA", ROOT, ca=False, eku=None)
    no_sign = authority("No CertSign", ROOT, key_usage=usage(signs_certificates=False))
    short = authority("Zoo Short", ROOT, pathlen=0)
    too_deep = authority("Zoo Too Deep", short)
    client_ca = authority(
        "Zoo Client CA",
        ROOT,
        extra=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)],
    )
    namesake = authority("Zoo Intermediate", OTHER, subject_key=key("namesake"))
    old_middle = authority("Zoo Old Intermediate", ROOT, end=-1 * DAY)
    small_rsa = serialization.load_pem_private_key(
        RSA_512, None, unsafe_skip_rsa_key_validation=True
    )
    ed = ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
    pss_ca = authority("Zoo RSA", ROOT, subject_key=rsa_key(2048))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    critical = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0")
    ip = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
    uri = x509.UniformResourceIdentifier(f"https://{HOST}/")
    san_oid = bytes.fromhex("0603551d11")
    return {
        # Good ones.
        "good": Animal(chain=(good, m), webpki=True),
        "good with its root": Animal(chain=(good, m, ROOT.der), webpki=True),
        "duplicated": Animal(chain=(good, good, m, m), webpki=True),
        "wrong order": Animal(chain=(good, ROOT.der, m), webpki=True),
        "unrelated certificates": Animal(chain=(good, OTHER.der, m, STRANGER.der), webpki=True),
        "cross-signed, one expired": Animal(
            chain=(leaf(issuer=crossed), crossed.der, crossed_now.der), webpki=True
        ),
        "wildcard": Animal(chain=(leaf("*.example.com"), m), webpki=True),
        "upper case": Animal(chain=(leaf("MX.Example.COM"), m), webpki=True),
        "many names": Animal(chain=(leaf(["a.test", HOST, "b.test"]), m), webpki=True),
        "EKU absent": Animal(chain=(leaf(eku=None), m), webpki=True),
        "EKU server and client": Animal(
            chain=(
                leaf(eku=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
                m,
            ),
            webpki=True,
        ),
        "CA:TRUE leaf": Animal(chain=(leaf(ca=True, key_usage=usage(signs_certificates=False)), m)),
        "Ed25519": Animal(chain=(leaf(subject_key=ed), m), webpki=True),
        "RSA-PSS": Animal(chain=(leaf(issuer=pss_ca, rsa_padding=pss), pss_ca.der), webpki=True),
        "empty subject": Animal(chain=(leaf(subject=""), m), webpki=True),
        "non-ASCII subject": Animal(chain=(leaf(subject="Bücher \x00 ‮"), m), webpki=True),
        "negative serial": Animal(
            chain=(resigned(leaf(serial=0x1122334455667788), b"\x11\x22", b"\x91\x22"), m)
        ),
        "name permitted": Animal(
            chain=_under(_constrained(permitted=[x509.DNSName("example.com")])), webpki=True
        ),
        # Dates.
        "expired": Animal(
            chain=(leaf(start=-90 * DAY, end=-1 * DAY), m), problems=(P.EXPIRED,), code=10, depth=0
        ),
        "not yet valid": Animal(
            chain=(leaf(start=DAY), m), problems=(P.NOT_YET_VALID,), code=9, depth=0
        ),
        "expired intermediate": Animal(
            chain=_under(old_middle), problems=(P.EXPIRED,), code=10, depth=1
        ),
        "expired, wrong name": Animal(
            chain=(leaf("other.test", start=-90 * DAY, end=-1 * DAY), m),
            problems=(P.EXPIRED, P.NAME_MISMATCH),
            code=10,
            depth=0,
        ),
        "expired, unknown issuer": Animal(
            chain=(leaf(issuer=STRANGER, start=-90 * DAY, end=-1 * DAY), STRANGER.der),
            problems=(P.EXPIRED, P.UNKNOWN_ISSUER),
            code=19,
            depth=1,
        ),
        "expired, self-signed, wrong name": Animal(
            chain=(leaf("other.test", issuer=None, start=-90 * DAY, end=-1 * DAY),),
            problems=(P.EXPIRED, P.NAME_MISMATCH, P.SELF_SIGNED),
            code=18,
            depth=0,
        ),
        # Trust.
        "self-signed": Animal(
            chain=(leaf(issuer=None),), problems=(P.SELF_SIGNED,), code=18, depth=0
        ),
        "self-signed CA": Animal(
            chain=(leaf(issuer=None, ca=True),),
            problems=(P.SELF_SIGNED, P.WRONG_PURPOSE),
            code=18,
            depth=0,
        ),
        "self-signed, with others": Animal(
            chain=(leaf(issuer=None), m, ROOT.der), problems=(P.SELF_SIGNED,), code=18, depth=0
        ),
        "unknown issuer, root presented": Animal(
            chain=(leaf(issuer=STRANGER), STRANGER.der),
            problems=(P.UNKNOWN_ISSUER,),
            code=19,
            depth=1,
        ),
        "unknown issuer, alone": Animal(
            chain=(from_stranger,), problems=(P.UNKNOWN_ISSUER,), code=20, depth=0
        ),
        "unknown issuer, no root": Animal(
            chain=(
                leaf(issuer=STRANGE_MIDDLE),
                authority("Stranger's Intermediate", STRANGER, aia=False).der,
            ),
            problems=(P.UNKNOWN_ISSUER,),
            code=20,
            depth=1,
        ),
        "missing intermediate": Animal(
            chain=(good,), problems=(P.MISSING_INTERMEDIATE,), code=20, depth=0
        ),
        "missing intermediate, others instead": Animal(
            chain=(good, ROOT.der, OTHER.der), problems=(P.MISSING_INTERMEDIATE,), code=20, depth=0
        ),
        "signed by a namesake": Animal(
            chain=(
                der(
                    certificate(
                        HOST,
                        issuer=namesake,
                        subject_key=key("leaf"),
                        san=[x509.DNSName(HOST)],
                        extra=[],
                        aia=False,
                    )
                ),
                namesake.der,
            ),
            problems=(P.MISSING_INTERMEDIATE,),
            code=20,
            depth=1,
        ),
        "signed by a namesake of a root": Animal(
            chain=(leaf(issuer=authority("Zoo Root", subject_key=key("impostor"))),),
            problems=(P.UNKNOWN_ISSUER,),
            code=20,
            depth=0,
        ),
        "broken signature": Animal(
            chain=(good[:-1] + bytes([good[-1] ^ 1]), m),
            problems=(P.UNKNOWN_ISSUER,),
            code=7,
            depth=0,
        ),
        # Names.
        "name mismatch": Animal(chain=(leaf("www.example.com"), m), problems=(P.NAME_MISMATCH,)),
        "CN only": Animal(chain=(leaf(None), m), problems=(P.NO_SAN,)),
        "CN right, SAN wrong": Animal(chain=(leaf("other.test"), m), problems=(P.NAME_MISMATCH,)),
        "wildcard too shallow": Animal(chain=(leaf("*.com"), m), problems=(P.NAME_MISMATCH,)),
        "wildcard too deep": Animal(
            chain=(leaf("*.mx.example.com"), m), problems=(P.NAME_MISMATCH,)
        ),
        "wildcard alone": Animal(chain=(leaf("*"), m), problems=(P.NAME_MISMATCH,)),
        "wildcard in part": Animal(chain=(leaf("m*.example.com"), m), problems=(P.NAME_MISMATCH,)),
        "two wildcards": Animal(chain=(leaf("*.*.com"), m), problems=(P.NAME_MISMATCH,)),
        "IP SAN only": Animal(chain=(leaf(None, san=[ip]), m), problems=(P.NAME_MISMATCH,)),
        "URI SAN only": Animal(chain=(leaf(None, san=[uri]), m), problems=(P.NAME_MISMATCH,)),
        "trailing dot": Animal(chain=(leaf(f"{HOST}."), m), problems=(P.NAME_MISMATCH,)),
        "NUL in the name": Animal(
            chain=(leaf(f"{HOST}\0.evil.test"), m), problems=(P.NAME_MISMATCH,)
        ),
        "name not permitted": Animal(
            chain=_under(_constrained(permitted=[x509.DNSName("elsewhere.test")])),
            problems=(P.NAME_CONSTRAINT,),
            code=47,
            depth=0,
        ),
        "name excluded": Animal(
            chain=_under(_constrained(excluded=[x509.DNSName("example.com")])),
            problems=(P.NAME_CONSTRAINT,),
            code=48,
            depth=0,
        ),
        "name not permitted, expired": Animal(
            chain=_under(
                _constrained(permitted=[x509.DNSName("elsewhere.test")]),
                start=-90 * DAY,
                end=-1 * DAY,
            ),
            problems=(P.EXPIRED, P.NAME_CONSTRAINT),
            code=10,
            depth=0,
        ),
        # Purpose.
        "EKU clientAuth only": Animal(
            chain=(leaf(eku=[ExtendedKeyUsageOID.CLIENT_AUTH]), m),
            problems=(P.WRONG_PURPOSE,),
            code=26,
            depth=0,
        ),
        "EKU any only": Animal(
            chain=(leaf(eku=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), m),
            problems=(P.WRONG_PURPOSE,),
            code=26,
            depth=0,
        ),
        "EKU of the intermediate": Animal(
            chain=_under(client_ca), problems=(P.WRONG_PURPOSE,), code=26, depth=1
        ),
        "key usage not for TLS": Animal(
            chain=(leaf(key_usage=usage(signs_certificates=True)), m),
            problems=(P.WRONG_PURPOSE,),
            code=26,
            depth=0,
        ),
        "intermediate without CA flag": Animal(
            chain=_under(no_ca), problems=(P.WRONG_PURPOSE,), code=79, depth=1
        ),
        "intermediate without keyCertSign": Animal(
            chain=_under(no_sign), problems=(P.WRONG_PURPOSE,), code=79, depth=1
        ),
        "path too long": Animal(
            chain=(leaf(issuer=too_deep), too_deep.der, short.der),
            problems=(P.OTHER,),
            code=25,
            depth=2,
        ),
        "unknown critical extension": Animal(
            chain=(leaf(extra=[(critical, True)]), m), problems=(P.OTHER,), code=34, depth=0
        ),
        # Strength.
        "SHA-1": Animal(
            chain=(with_sha1(leaf(issuer=pss_ca), rsa_key(2048)), pss_ca.der),
            problems=(P.WEAK_SIGNATURE,),
        ),
        "RSA 1024": Animal(
            chain=(leaf(subject_key=rsa_key(1024)), m), problems=(P.WEAK_KEY,), webpki=None
        ),
        "RSA 512": Animal(
            chain=(leaf(subject_key=small_rsa), m), problems=(P.WEAK_KEY,), webpki=None
        ),
        "RSA 1024, self-signed with SHA-1": Animal(
            chain=(with_sha1(leaf(issuer=None, subject_key=rsa_key(1024)), rsa_key(1024)),),
            problems=(P.SELF_SIGNED, P.WEAK_KEY),
            code=18,
            depth=0,
        ),
        # What cannot be read.
        "nothing": Animal(chain=(b"",), problems=(P.MALFORMED,), code=None),
        "not DER": Animal(
            chain=(b"-----BEGIN CERTIFICATE-----", m), problems=(P.MALFORMED,), code=None
        ),
        "truncated": Animal(chain=(good[:-20], m), problems=(P.MALFORMED,), code=None),
        "truncated intermediate": Animal(
            chain=(good, m[:-20]), problems=(P.MISSING_INTERMEDIATE, P.MALFORMED), code=20, depth=0
        ),
        "malformed SAN": Animal(
            # The GeneralNames become a SET, which they are not.
            chain=(_broken_san(good, san_oid), m),
            problems=(P.MALFORMED,),
            code=20,  # OpenSSL takes no issuer for what it cannot read
            depth=0,
        ),
        "month 13": Animal(chain=(_weird(b"2050"), m), problems=(P.MALFORMED,), code=14, depth=0),
        "year 9999": Animal(
            chain=(leaf(end=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - NOW), m), webpki=True
        ),
    }


def _broken_san(octets: bytes, oid: bytes) -> bytes:
    """The leaf with a subjectAltName that is not a sequence of names."""
    start = octets.index(oid) + len(oid)
    value = octets[start : start + 4]  # OCTET STRING, its length, SEQUENCE, its length
    assert value[0] == 0x04
    assert value[2] == 0x30
    return resigned(octets, oid + value, oid + value[:2] + b"\x31" + value[3:])


def pathological(count: int) -> tuple[bytes, ...]:
    """x509-limbo's ``pathological-chain-same-subject-same-key``: a leaf below *count* CAs that
    have one name and one key, so that each may be the issuer of each and none leads anywhere.
    """
    same = [
        authority(
            "Same",
            Ca(OTHER.certificate, key("Same")),
            issuer_name="Same",
            subject_key=key("Same"),
            serial=n + 1,
        )
        for n in range(count)
    ]
    return (leaf(issuer=same[0]), *(ca.der for ca in same))
