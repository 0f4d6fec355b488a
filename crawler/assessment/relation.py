"""How an MX host that no pattern covers is related to the patterns of the policy.

The matching itself is RFC 8461 section 4.1 and lives in ``protocol.mx_match``; this is the
diagnosis that a domain's owner needs once it failed: a forgotten subdomain, another TLD, a slip
of the keyboard, the other half of the same operator, or a different operator altogether.  The
classes are those of the 2025 study (doi 10.1145/3730567.3732916).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from crawler.protocol.names import is_at_or_below

Registrable = Callable[[str], str | None]
"""A name's registrable domain by a public suffix list; ``None`` for a public suffix itself."""

TYPO_DISTANCE: Final = 3
"""Edits up to which two registrable domains count as one misspelt: the 2025 study's threshold."""

POLICY_LABEL: Final = "mta-sts"
"""The label of the Policy Host (RFC 8461 section 3.3), which is never the name of an MX host."""

FAMILIES: Final = (
    ("google.com", "googlemail.com"),  # aspmx.l.google.com beside aspmx2.googlemail.com
    ("mail.protection.outlook.com", "mx.microsoft"),  # the newer names are for DNSSEC and DANE
)
"""Pairs of suffixes under which one operator names the MX hosts of one customer."""


class Relation(StrEnum):
    """The closest thing that an uncovered host has in common with any pattern, closest first."""

    SAME_DOMAIN = "same-domain"
    OTHER_SUFFIX = "other-suffix"
    TYPO = "typo"
    UNRELATED = "unrelated"


def relation(host: str, patterns: Sequence[str], registrable: Registrable) -> Relation:
    """The closest relation of *host* to any of *patterns*; all in normal form."""
    own = registrable(host) or host
    theirs = {registrable(name) or name for name in map(base, patterns)}
    if own in theirs:
        return Relation.SAME_DOMAIN
    if own.partition(".")[0] in {name.partition(".")[0] for name in theirs}:
        return Relation.OTHER_SUFFIX
    if any(within_edits(own, name, TYPO_DISTANCE) for name in theirs):
        return Relation.TYPO
    return Relation.UNRELATED


def base(pattern: str) -> str:
    """A pattern without its wildcard label."""
    return pattern.removeprefix("*.")


def wrong_depth(pattern: str, host: str) -> bool:
    """Whether *host* would be covered if ``*`` stood for no label, or for more than one.

    RFC 8461 section 4.1: it stands for exactly one.
    """
    if not pattern.startswith("*."):
        return False
    above = base(pattern)
    return is_at_or_below(host, above) and host.count(".") != above.count(".") + 1


def other_family(pattern: str, host: str) -> bool:
    """Whether *host* and *pattern* are in the two MX families of one operator."""
    named = base(pattern)
    return any(
        (is_at_or_below(named, one) and is_at_or_below(host, other))
        or (is_at_or_below(named, other) and is_at_or_below(host, one))
        for one, other in FAMILIES
    )


def names_policy_host(pattern: str) -> bool:
    """Whether a pattern contains the Policy Host's label, the commonest mix-up of the two names."""
    return POLICY_LABEL in pattern.split(".")


def within_edits(one: str, other: str, limit: int) -> bool:
    """Whether the Levenshtein distance of two names is at most *limit*."""
    if abs(len(one) - len(other)) > limit:
        return False
    row = list(range(len(other) + 1))
    for i, character in enumerate(one, 1):
        last, row = row, [i]
        for j, against in enumerate(other, 1):
            row.append(min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (character != against)))
        if min(row) > limit:
            return False
    return row[-1] <= limit
