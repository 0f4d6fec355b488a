"""What one domain's assessment rests on, gathered from the tables of one scan.

A value that is ``None`` was not asked (out of scope); a lookup that failed is present and its
status says so.  Only the last attempt of each target counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from crawler.records import (
    AddressLookup,
    MailVerdict,
    MxLookup,
    PolicyFetch,
    PolicyVerdict,
    TlsaLookup,
    TxtLookup,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HostEvidence:
    """One MX host: its lookups, and one verdict per address that was contacted.

    Domains with the same MX host share the object, and it is equal to itself only: so whether two
    domains have the same hosts is asked without comparing what is known of them.
    """

    host: str
    addresses: AddressLookup | None = None
    tlsa: TlsaLookup | None = None
    verdicts: tuple[MailVerdict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvidence:
    """Everything known about one domain.

    ``hosts`` has one entry per distinct MX host, in the order of the MX lookup; for an implicit
    MX it is the domain itself.  A host beyond the cap has its entry without verdicts.
    """

    domain: str
    mail_in_scope: bool = True
    """The scan contacts the domain's MX hosts (``JUDGEMENT.md``), if it has any."""
    sts: TxtLookup | None = None
    tlsrpt: TxtLookup | None = None
    mx: MxLookup | None = None
    policy_addresses: AddressLookup | None = None
    fetches: tuple[tuple[PolicyFetch, PolicyVerdict], ...] = ()
    """Last attempt per address with its verdict, the address chosen first in front."""
    hosts: tuple[HostEvidence, ...] = ()
