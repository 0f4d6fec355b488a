"""Which senders would, by their defaults, not complete the handshake that was recorded?

The crawler accepts what it can (``net.tls``), so a session that stands says little about a sender that
honours MTA-STS and verifies the certificate (RFC 8461 section 4.2).  This table says what some such
senders ask of TLS when nobody has configured them to ask for more or less, each fact with where it
can be read; and two functions hold a handshake against it.

``refusing``: they break the handshake off.  The version is the best that the host has, the absence of
RFC 5746 is a property of the host, and a prime or key that is too short is only known once the host has
chosen.  Our reading: a host answers an offer that contains what it chose from ours in the same way.

``unoffered_by``: they do not offer what was agreed on, so the host would have to choose something else.
Whether it can was not tried: most hosts can.  A group that joins a classical one with a post-quantum
one is passed over, for who speaks it speaks the classical one too.

Where a default is the distribution's choice, upstream's is taken.  OpenSSL's security level is 1 up to
version 3.1 and 2 since; Debian has had 2 all along.  Not in the table, for no row records it: the
signature algorithm of the key exchange (SHA-1 is refused from level 1 on).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from crawler.assessment.handshake import TLS_1_3, Handshake

T = TypeVar("T")

VERSIONS: Final = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", TLS_1_3)
"""Oldest first, by OpenSSL's names."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A default, and the document or source file in which it can be read."""

    value: T
    source: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sender:
    """What a sender asks of a handshake by its defaults."""

    name: str
    oldest: Fact[str]
    """Oldest version of TLS."""
    secure_renegotiation: Fact[bool]
    """The host must indicate RFC 5746."""
    prime_bits: Fact[int]
    """Shortest prime of a finite-field key exchange."""
    rsa_bits: Fact[int]
    """Shortest RSA key of a leaf."""
    suites: Fact[frozenset[str]]
    """Cipher suites offered for TLS 1.2 and below, of those that the crawler offers."""
    groups: Fact[frozenset[str]]
    """Groups offered for TLS 1.3 and for elliptic curves, post-quantum ones aside."""
    keys: Fact[frozenset[str]]
    """Kinds of keys that a leaf may have."""


# --- cipher suites and keys ----------------------------------------------------------------


def _suites(key_exchanges: Iterable[str], *bulk: Iterable[str]) -> frozenset[str]:
    """Every one of *bulk* behind every one of *key_exchanges*."""
    return frozenset(f"{kx}{each}" for kx in key_exchanges for some in bulk for each in some)


_ECDHE: Final = ("ECDHE-ECDSA-", "ECDHE-RSA-")
_DHE: Final = ("DHE-RSA-",)
_RSA: Final = ("",)  # OpenSSL names RSA key transport by saying nothing

_GCM: Final = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
_CHACHA: Final = ("CHACHA20-POLY1305",)
_CBC_SHA1: Final = ("AES128-SHA", "AES256-SHA")
_CBC_SHA2: Final = ("AES128-SHA256", "AES256-SHA256")
_CBC_SHA2_EC: Final = ("AES128-SHA256", "AES256-SHA384")

OPENSSL_SUITES: Final = (
    _suites(_ECDHE, _GCM, _CHACHA, _CBC_SHA2_EC, _CBC_SHA1)
    | _suites(_DHE, _GCM, _CHACHA, _CBC_SHA2, _CBC_SHA1)
    | _suites(_RSA, _GCM, _CBC_SHA2, _CBC_SHA1)
)
"""OpenSSL's DEFAULT, less what the crawler does not offer either (PSK, SRP, CCM, ARIA, Camellia)."""

PYTHON_SUITES: Final = _suites(_ECDHE, _GCM, _CHACHA, _CBC_SHA2_EC) | _suites(_DHE, _GCM, _CBC_SHA2)

_ELLIPTIC: Final = frozenset({"x25519", "secp256r1", "secp384r1"})
_OPENSSL_GROUPS: Final = _ELLIPTIC | {"secp521r1", "x448", "ffdhe2048", "ffdhe3072"}

_CLASSIC_KEYS: Final = frozenset({"RSA", "EC secp256r1", "EC secp384r1"})
_ALL_KEYS: Final = _CLASSIC_KEYS | {"RSA-PSS", "EC secp521r1", "Ed25519", "Ed448"}


# --- OpenSSL, which three of them use ------------------------------------------------------

_LEVELS: Final = MappingProxyType({1: 1024, 2: 2048})
"""Security level to the bits of RSA keys and primes: SSL_CTX_set_security_level(3)."""

_LEVEL_VERSION: Final = "OpenSSL 3.6.3, ssl/ssl_cert.c: TLS 1.1 and below at security level 0 only"
_LEVEL_BITS: Final = "OpenSSL 3.6.3, doc/man3/SSL_CTX_set_security_level.pod; "


def _with_openssl(
    name: str, *, level: Fact[int], legacy: str, suites: Fact[frozenset[str]], groups: str
) -> Sender:
    """A sender that leaves its limits to OpenSSL 3.0 or later, at this security level.

    *legacy* says where it might have set ``SSL_OP_LEGACY_SERVER_CONNECT``, and does not.
    """
    bits = Fact(_LEVELS[level.value], _LEVEL_BITS + level.source)
    return Sender(
        name=name,
        oldest=Fact("TLSv1.2", f"{_LEVEL_VERSION}; {level.source}"),
        secure_renegotiation=Fact(True, f"OpenSSL 3.0.0, CHANGES.md; {legacy}"),
        prime_bits=bits,
        rsa_bits=bits,
        suites=suites,
        groups=Fact(_OPENSSL_GROUPS, groups),
        keys=Fact(_ALL_KEYS, "OpenSSL 3.6.3, ssl/t1_lib.c: default signature algorithms"),
    )


# --- the table -----------------------------------------------------------------------------

_BORINGSSL: Final = Sender(
    # Stands for senders on BoringSSL with nothing changed, as at Google.  Of Gmail itself its
    # operator says that it still delivers over TLS 1.0, 1.1 and 3DES (Workspace help, 9795993).
    name="boringssl",
    oldest=Fact(
        "TLSv1.2",
        "BoringSSL since 2025, ssl/ssl_versions.cc: set_min_version (1.0 in Android 14's)",
    ),
    secure_renegotiation=Fact(
        False, "BoringSSL in Android 14.0.0 r45, ssl/extensions.cc: ext_ri_parse_serverhello"
    ),
    prime_bits=Fact(0, "BoringSSL 66da97b, ssl/ssl_cipher.cc: no finite-field suite"),
    rsa_bits=Fact(0, "no limit found in BoringSSL's ssl/"),
    suites=Fact(
        _suites(_ECDHE, _GCM, _CHACHA, _CBC_SHA1) | _suites(_RSA, _GCM, _CBC_SHA1),
        "BoringSSL 66da97b, ssl/ssl_cipher.cc: kCiphers less ssl_cipher_is_deprecated",
    ),
    groups=Fact(_ELLIPTIC, "BoringSSL in Android 14.0.0 r45, ssl/extensions.cc: kDefaultGroups"),
    keys=Fact(
        _CLASSIC_KEYS,
        "BoringSSL 0370de7, ssl/extensions.cc: kVerifySignatureAlgorithms; ssl/ssl_cert.cc: "
        "ssl_check_leaf_certificate",
    ),
)

_EXIM_GNUTLS: Final = Sender(
    name="exim-gnutls",
    oldest=Fact(
        "TLSv1",
        "Exim 4.100.1, src/tls-gnu.c: priority NORMAL; GnuTLS 3.8.13, lib/priority.c: "
        "stream_protocol_priority",
    ),
    secure_renegotiation=Fact(
        False, "GnuTLS 3.8.13, lib/priority.c: SR_PARTIAL; doc/cha-gtls-app.texi"
    ),
    prime_bits=Fact(1024, "Exim 4.100.1, doc/spec.txt: tls_dh_min_bits"),
    rsa_bits=Fact(1024, "GnuTLS 3.8.13, lib/priority.c: NORMAL has GNUTLS_PROFILE_LOW"),
    suites=Fact(
        _suites(_ECDHE, _GCM, _CHACHA, _CBC_SHA1)
        | _suites(_DHE, _GCM, _CHACHA, _CBC_SHA1)
        | _suites(_RSA, _GCM, _CBC_SHA1),
        "GnuTLS 3.8.13, lib/priority.c: cipher, MAC and key exchange lists of NORMAL",
    ),
    groups=Fact(
        _OPENSSL_GROUPS | {"ffdhe4096", "ffdhe6144", "ffdhe8192"},
        "GnuTLS 3.8.13, lib/priority.c: _supported_groups_normal",
    ),
    keys=Fact(_ALL_KEYS, "GnuTLS 3.8.13, lib/priority.c: _sign_priority_default"),
)

MAIL_SENDERS: Final[tuple[Sender, ...]] = (
    # At the level "secure", which the MTA-STS policy servers for Postfix ask for.
    _with_openssl(
        "postfix",
        level=Fact(
            1, "Postfix 3.7.11 and 3.10.13, src/tls/tls_client.c: level 1 where the peer must match"
        ),
        legacy="Postfix 3.10.13, src/tls/tls_misc.c: tls_bug_bits, tls_ssl_options empty",
        suites=Fact(OPENSSL_SUITES, "Postfix 3.10.13, mail_params.h: tls_medium_cipherlist"),
        groups="Postfix 3.10.13, mail_params.h: tls_eecdh_auto_curves, tls_ffdhe_auto_groups",
    ),
    _with_openssl(
        "exim-openssl",
        level=Fact(
            2, "OpenSSL 3.2.0, CHANGES.md: the default; Exim 4.100.1 sets none (src/tls-openssl.c)"
        ),
        legacy="Exim 4.100.1, src/tls-openssl.c: options other than its own are cleared",
        suites=Fact(OPENSSL_SUITES, "Exim 4.100.1, doc/spec.txt: tls_require_ciphers unset"),
        groups="OpenSSL 3.6.3, ssl/t1_lib.c: TLS_DEFAULT_GROUP_LIST",
    ),
    _EXIM_GNUTLS,
    _BORINGSSL,
)
"""What delivers mail."""

POLICY_FETCHERS: Final[tuple[Sender, ...]] = (
    _with_openssl(
        "postfix-mta-sts-resolver",
        level=Fact(
            2, "CPython 3.13.5, Modules/_ssl.c, by way of aiohttp 3.14.3, aiohttp/connector.py"
        ),
        legacy="CPython 3.13.5, Modules/_ssl.c: options of a new context",
        suites=Fact(PYTHON_SUITES, "CPython 3.13.5, Modules/_ssl.c: PY_SSL_DEFAULT_CIPHER_STRING"),
        groups="OpenSSL 3.6.3, ssl/t1_lib.c: TLS_DEFAULT_GROUP_LIST",
    ),
    Sender(
        name="postfix-tlspol",
        oldest=Fact("TLSv1.2", "postfix-tlspol, internal/mta-sts.go; Go 1.24.4, crypto/tls"),
        secure_renegotiation=Fact(False, "Go 1.24.4, crypto/tls/handshake_client.go"),
        prime_bits=Fact(0, "Go 1.24.4, crypto/tls/cipher_suites.go: no finite-field suite"),
        rsa_bits=Fact(0, "no limit found in Go's crypto/tls"),
        suites=Fact(
            _suites(_ECDHE, _GCM, _CHACHA, _CBC_SHA1),
            "Go 1.24.4, crypto/tls/defaults.go: defaultCipherSuites",
        ),
        groups=Fact(
            _ELLIPTIC | {"secp521r1"}, "Go 1.24.4, crypto/tls/defaults.go: defaultCurvePreferences"
        ),
        keys=Fact(
            _CLASSIC_KEYS | {"EC secp521r1", "Ed25519"},
            "Go 1.24.4, crypto/tls/auth.go: signatureSchemesForCertificate",
        ),
    ),
    _BORINGSSL,
)
"""What fetches policies for those that deliver mail."""


# --- a handshake against the table ---------------------------------------------------------

_Condition = Callable[[Sender, Handshake], bool]


def _too_old(sender: Sender, seen: Handshake) -> bool:
    if seen.version not in VERSIONS:
        return False
    return VERSIONS.index(seen.version) < VERSIONS.index(sender.oldest.value)


def _insecure_renegotiation(sender: Sender, seen: Handshake) -> bool:
    return sender.secure_renegotiation.value and seen.secure_renegotiation is False


def _short_prime(sender: Sender, seen: Handshake) -> bool:
    return seen.prime_bits is not None and seen.prime_bits < sender.prime_bits.value


def _short_key(sender: Sender, seen: Handshake) -> bool:
    kind, _, size = (seen.key or "").partition(" ")
    return kind in ("RSA", "RSA-PSS") and size.isdecimal() and int(size) < sender.rsa_bits.value


def _other_suite(sender: Sender, seen: Handshake) -> bool:
    # Every sender of the table has the three suites of TLS 1.3 that the crawler offers.
    if seen.version == TLS_1_3 or seen.cipher is None:
        return False
    return seen.cipher not in sender.suites.value


def _other_group(sender: Sender, seen: Handshake) -> bool:
    # Below TLS 1.3 the prime of a finite-field suite is the host's, and only its length matters.
    if seen.group is None or "MLKEM" in seen.group:
        return False
    if seen.version != TLS_1_3 and seen.prime_bits is not None:
        return False
    return seen.group not in sender.groups.value


def _other_key(sender: Sender, seen: Handshake) -> bool:
    if seen.key is None:
        return False
    kind = seen.key if seen.key.startswith("EC ") else seen.key.partition(" ")[0]
    return kind not in sender.keys.value


_BREAK_OFF: Final[tuple[_Condition, ...]] = (
    _too_old,
    _insecure_renegotiation,
    _short_prime,
    _short_key,
)
_NOT_OFFERED: Final[tuple[_Condition, ...]] = (_other_suite, _other_group, _other_key)


@lru_cache(maxsize=8_192)  # twice, for two tables, the handshakes that there are
def refusing(seen: Handshake, senders: tuple[Sender, ...]) -> tuple[str, ...]:
    """Those of *senders* that would break *seen* off, in their order."""
    return _names(senders, seen, _BREAK_OFF)


@lru_cache(maxsize=8_192)
def unoffered_by(seen: Handshake, senders: tuple[Sender, ...]) -> tuple[str, ...]:
    """Those of *senders* that would not break *seen* off, but do not offer it, in their order."""
    broken_off = refusing(seen, senders)
    return tuple(n for n in _names(senders, seen, _NOT_OFFERED) if n not in broken_off)


def _names(
    senders: Sequence[Sender], seen: Handshake, conditions: Sequence[_Condition]
) -> tuple[str, ...]:
    return tuple(s.name for s in senders if any(holds(s, seen) for holds in conditions))
