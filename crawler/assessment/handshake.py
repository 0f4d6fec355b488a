"""What a handshake agreed on, as one value, and what is weak in it whoever the client.

The facts are those that a row records of a conversation, and the key of the leaf that it showed.
RFC 8461 asks for TLS 1.2 and a certificate that passes; what is told here lies beside that: RFC 9325
(sections 3.5, 4.1 and 4.5) says what TLS 1.2 should not be used with.  Which senders would not have it
is left to ``senders``, whether there is a handshake at all to ``sessions``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from crawler.protocol import path
from crawler.records import Conversation
from crawler.vocabulary import TlsWeakness

DH_BITS: Final = 2048
"""RFC 9325 section 4.5: the shortest prime for a finite-field key exchange."""

TLS_1_3: Final = "TLSv1.3"

# OpenSSL's names.  TLS 1.3 knows no key exchange that is not ephemeral (RFC 8446 section 2); in 1.2
# and below the name says it, and one without a key exchange in front is RSA key transport.
_EPHEMERAL: Final = ("TLS_", "ECDHE-", "DHE-", "EDH-")

_PRIME: Final = re.compile(r"(?:dhe-|ffdhe)([0-9]{1,6})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What was agreed on; a field that is ``None`` is not known or does not exist in that version."""

    version: str | None
    cipher: str | None
    group: str | None
    secure_renegotiation: bool | None
    key: str | None
    """Of the leaf, as in ``records.Certificate``."""

    @property
    def prime_bits(self) -> int | None:
        """Length of the prime of a finite-field key exchange."""
        found = _PRIME.fullmatch(self.group or "")
        return None if found is None else int(found[1])


def handshake_of(row: Conversation, chain: Sequence[bytes]) -> Handshake:
    """The handshake of *row*, which stands; *chain* is what it presented, DER, leaf first."""
    return Handshake(
        version=row.tls_version,
        cipher=row.cipher,
        group=row.tls_group,
        secure_renegotiation=row.tls_secure_renegotiation,
        key=path.link(chain[0]).facts.key if chain else None,
    )


@lru_cache(maxsize=4_096)  # the handshakes of most hosts are a few dozen
def weaknesses(handshake: Handshake) -> tuple[TlsWeakness, ...]:
    """What is weak in it, in the order of the vocabulary; what is not known is not weak."""
    cipher, bits = handshake.cipher, handshake.prime_bits
    found = {
        TlsWeakness.NO_FORWARD_SECRECY: cipher is not None and not cipher.startswith(_EPHEMERAL),
        TlsWeakness.SHORT_DH_PRIME: bits is not None and bits < DH_BITS,
        TlsWeakness.NO_SECURE_RENEGOTIATION: handshake.secure_renegotiation is False,
    }
    return tuple(weakness for weakness in TlsWeakness if found[weakness])
