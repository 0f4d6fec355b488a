"""How common each scenario is, and what the years do to it.

Shares are conditional on adoption and follow the 2025 study (doi 10.1145/3730567.3732916) to the order
of magnitude; what nobody has published has a small share by guess.  Adoption itself is not
realistic: 0.08 % of all domains would leave a demonstration with nothing to show, so about 12 %
adopt here, more among the popular and under .org, as in the study.
"""

from __future__ import annotations

from typing import Final

RARE: Final = 0.02
"""Per cent of adopters, for a scenario of which no prevalence is published."""

ADOPTERS: Final[dict[str, float]] = {
    # Per cent of adopters, roughly: the sum need not be 100.
    "own-enforce": 8.0,
    "own-testing": 10.0,
    "operator-enforce": 8.0,
    "operator-testing": 9.0,
    "managed-enforce": 12.0,
    "managed-testing": 10.0,
    "managed-own-mx": 2.0,
    "mode-none": 1.5,
    "two-mx-wildcard": 1.5,
    "implicit-mx": 0.2,
    "line-feeds-only": 2.0,
    "charset-parameter": 0.5,
    "wildcard-certificates": 1.0,
    "greylisting": 0.3,
    # The record: 0.5 % bad, most of them by their id.
    "txt-id-hyphen": 0.3,
    "txt-no-id": 0.1,
    "txt-version-case": 0.05,
    "txt-version-quotes": 0.03,
    "txt-multi": 0.01,
    "txt-bad-ext": 0.01,
    "txt-unrelated": 0.2,
    "txt-multistring": 0.1,
    "txt-cname-dangling": 0.3,
    # Fetching the policy: 25 % fail, nearly all of them by the name in the certificate.
    "ph-no-address": 0.1,
    "ph-cname-nx": 0.1,
    "ph-orphan": 0.2,
    "tcp-refused": 0.2,
    "tcp-timeout": 0.05,
    "tcp-reset": 0.05,
    "tls-name-parent": 14.0,
    "tls-name-other": 4.0,
    "tls-alert": 0.3,
    "tls-alert-managed": 0.6,
    "tls-self-signed": 0.6,
    "tls-expired": 0.6,
    "tls-untrusted": 0.1,
    "tls-chain-incomplete": 0.2,
    "http-404": 0.6,
    "http-301": 0.1,
    "http-403": 0.1,
    "http-500": 0.05,
    "http-ctype-html": 0.3,
    # The policy file: 0.2 % bad, two thirds by an mx line; blank lines by guess.
    "pol-mx-mail-address": 0.06,
    "pol-mx-trailing-dot": 0.05,
    "pol-mx-missing": 0.03,
    "pol-blank-lines": 0.05,
    "pol-max-age-short": 1.0,
    # Patterns against MX hosts: 3 %, half of it another domain, a quarter the Policy Host.
    "mxm-stale": 0.8,
    "mxm-stale-own": 0.7,
    "mxm-policyhost": 0.9,
    "mxm-3ld": 0.2,
    "mxm-typo": 0.09,
    "mxm-tld": 0.02,
    "mxm-some": 0.1,
    "mxm-backup-elsewhere": 0.2,
    "mxm-family-google": 0.1,
    "mxm-family-microsoft": 0.1,
    "mxm-extra": 1.0,
    # MX certificates: 2 to 5 %, by the name, self-signed, expired, in this order.
    "mx-cert-name": 1.2,
    "mx-operator-name": 0.3,
    "mx-cert-self": 0.6,
    "mx-cert-expired": 0.4,
    "mx-some-bad": 0.3,
    "mx-no-starttls": 0.1,
    "mx-operator-plain": 0.05,
    # Hosts that do not talk to a scanner.
    "mx-refused": 0.3,
    "mx-timeout": 0.05,
    "mx-421": 0.2,
    "mx-554": 0.3,
    # DANE beside MTA-STS: no share is published.
    "dane-match": 2.0,
    "dane-insecure": 0.1,
    "dane-conflict": 0.05,
}

OUTSIDE: Final[dict[str, float]] = {
    # Per cent of the domains that do not adopt.
    "outside-operator": 72.0,
    "outside-own": 14.0,
    "outside-no-starttls": 2.0,
    "outside-self-signed": 2.0,
    "outside-dane": 1.0,
    "outside-null-mx": 4.0,
    "outside-implicit-mx": 3.0,
    "outside-nxdomain": 1.5,
    "reports-only": 0.5,
}

AGEING: Final[dict[str, tuple[tuple[float, str], ...]]] = {
    # Adopting, and testing that turns into enforcing.
    "outside-own": ((0.004, "own-testing"),),
    "outside-operator": ((0.002, "operator-testing"), (0.002, "managed-testing")),
    "reports-only": ((0.05, "own-testing"),),
    "own-testing": ((0.08, "own-enforce"), (0.005, "mxm-3ld-testing"), (0.005, "outside-own")),
    "operator-testing": ((0.08, "operator-enforce"), (0.005, "outside-operator")),
    "managed-testing": ((0.08, "managed-enforce"), (0.01, "txt-cname-dangling")),
    # What works goes stale: MX hosts move (with the policy or without), renewal stops,
    # customers leave a provider, who drops their names or empties their file.
    "own-enforce": (
        (0.01, "operator-enforce"),
        (0.01, "mxm-stale-own"),
        (0.01, "tls-expired"),
        (0.005, "mx-cert-expired"),
        (0.003, "mode-none"),
    ),
    "operator-enforce": ((0.01, "mxm-stale"), (0.005, "tls-expired")),
    "managed-enforce": (
        (0.005, "txt-cname-dangling"),
        (0.005, "pol-empty-managed"),
        (0.005, "mxm-stale"),
    ),
    "mode-none": ((0.2, "outside-own"),),
    "txt-cname-dangling": ((0.1, "outside-operator"),),
    # Repairs; 10 % followed a notification in the study, expiry heals faster.
    "tls-expired": ((0.4, "own-enforce"),),
    "tls-name-parent": ((0.03, "own-enforce"),),
    "tls-name-other": ((0.03, "own-enforce"),),
    "http-404": ((0.05, "own-enforce"),),
    "txt-id-hyphen": ((0.1, "own-enforce"),),
    "mxm-policyhost": ((0.1, "own-enforce"),),
    "mxm-stale": ((0.1, "operator-enforce"),),
    "mxm-stale-own": ((0.1, "operator-enforce"),),
    "mx-cert-expired": ((0.4, "own-enforce"),),
    "mx-cert-self": ((0.05, "own-enforce"),),
}
"""What a scenario may turn into in one epoch of some months: probability and successor."""

ID_NOISE: Final = 0.03
"""Chance that the id of a record changes in an epoch though nothing else does."""

REPORTS_SHARE: Final = 0.7
"""Adopters that also publish TLSRPT: 52 to 75 % by TLD in the study."""

TLDS: Final[dict[str, tuple[float, float, float]]] = {
    # Share of the list; adoption relative to the mean, the first four as published; share signed.
    "com": (50.0, 0.9, 0.05),
    "net": (8.0, 1.2, 0.06),
    "org": (10.0, 1.5, 0.06),
    "se": (8.0, 1.0, 0.6),
    "de": (7.0, 1.0, 0.05),
    "nl": (5.0, 1.2, 0.6),
    "co.uk": (4.0, 0.9, 0.04),
    "io": (4.0, 1.3, 0.03),
    "ch": (2.0, 1.1, 0.5),
    "pl": (2.0, 0.6, 0.1),
}


def adoption(rank_share: float) -> float:
    """The chance that a domain adopts; *rank_share* is 0 for the first of the list, 1 for the last.

    12 % on average, three times as common at the top as at the bottom, as in the study.
    """
    return 0.08 + 0.16 * (1 - rank_share) ** 3
