"""Which problems of a certificate chain are told by one finding.

Policy Hosts and MX hosts are held to the same rules (RFC 8461 sections 3.3 and 4.2), so their
findings divide the problems in the same way.
"""

from __future__ import annotations

from typing import Final

from crawler.vocabulary import CertificateProblem

NAME: Final = frozenset({CertificateProblem.NAME_MISMATCH, CertificateProblem.NO_SAN})
"""No DNS-ID of the leaf is the host's name; a CN never counts."""

OTHER: Final = frozenset(CertificateProblem) - {
    *NAME,
    CertificateProblem.SELF_SIGNED,
    CertificateProblem.UNKNOWN_ISSUER,
    CertificateProblem.EXPIRED,
    CertificateProblem.NOT_YET_VALID,
    CertificateProblem.MISSING_INTERMEDIATE,
}
"""Problems without a finding of their own: all that are not named here, so that one which joins
the vocabulary is told at once."""
