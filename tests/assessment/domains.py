"""A domain that does everything right, and the parts of it that a test may replace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from crawler.assessment.assess import assess
from crawler.assessment.evidence import DomainEvidence, HostEvidence
from crawler.records import Assessment, MailVerdict, PolicyFetch, PolicyVerdict, TlsaLookup
from crawler.vocabulary import (
    CertificateProblem,
    DaneOutcome,
    DnsStatus,
    MailOutcome,
    Mode,
    PolicyOutcome,
    TlsWeakness,
    TxtKind,
)
from tests import rows

DOMAIN = "example.com"
MX1, MX2 = "mx1.example.com", "mx2.example.com"
V4, V4_TOO, V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1"

Fetch = tuple[PolicyFetch, PolicyVerdict]


def registrable(name: str) -> str | None:
    """A suffix list of two rules: ``co.uk``, and every top-level domain."""
    labels = name.split(".")
    suffix = 2 if labels[-2:] == ["co", "uk"] else 1
    return ".".join(labels[-suffix - 1 :]) if len(labels) > suffix else None


def sts(*records: bytes, **columns: Any) -> Any:
    """An answer to ``_mta-sts``, every record one string."""
    return rows.txt(DOMAIN, *((record,) for record in records), **columns)


def tlsrpt(*records: bytes, **columns: Any) -> Any:
    """An answer to ``_smtp._tls``, every record one string."""
    return sts(*records, kind=TxtKind.TLS_RPT, qname=f"_smtp._tls.{DOMAIN}", **columns)


def dns_failed(lookup: Any, status: DnsStatus = DnsStatus.SERVFAIL, **columns: Any) -> Any:
    """The lookup with another ending."""
    return replace(lookup, status=status, **columns)


def fetched(
    *problems: str,
    outcome: PolicyOutcome = PolicyOutcome.VALID,
    chain: tuple[CertificateProblem, ...] = (),
    mode: Mode | None = Mode.ENFORCE,
    max_age: int = 2_592_000,
    mx: tuple[str, ...] = (MX1,),
    address: str = V4,
    lenient: bool | None = None,
    weaknesses: tuple[TlsWeakness, ...] = (),
    refusing: tuple[str, ...] = (),
    unoffered: tuple[str, ...] = (),
    **columns: Any,
) -> Fetch:
    """A policy fetch with its verdict: a good one; *problems* are those of the body."""
    valid = outcome is PolicyOutcome.VALID
    verdict = PolicyVerdict(
        scan_id=rows.SCAN_ID,
        domain=DOMAIN,
        host=f"mta-sts.{DOMAIN}",
        address=address,
        attempt=1,
        outcome=outcome,
        lenient=valid or (outcome is PolicyOutcome.SYNTAX and bool(lenient)),
        mode=mode if valid else None,
        max_age=max_age if valid else None,
        mx=mx if valid else (),
        problems=problems,
        certificate_problems=chain,
        tls_weaknesses=weaknesses,
        refusing_senders=refusing,
        unoffered_by=unoffered,
    )
    return rows.fetch(DOMAIN, address, **columns), verdict


def seen(
    host: str = MX1,
    address: str = V4,
    outcome: MailOutcome = MailOutcome.PASS,
    *problems: CertificateProblem,
    dane: DaneOutcome = DaneOutcome.NONE,
    dane_names: tuple[str, ...] = (),
    weaknesses: tuple[TlsWeakness, ...] = (),
    refusing: tuple[str, ...] = (),
    unoffered: tuple[str, ...] = (),
) -> MailVerdict:
    """A judged session: a good one."""
    return MailVerdict(
        scan_id=rows.SCAN_ID,
        host=host,
        address=address,
        attempt=1,
        outcome=outcome,
        dane=dane,
        dane_names=dane_names,
        certificate_problems=problems,
        tls_weaknesses=weaknesses,
        refusing_senders=refusing,
        unoffered_by=unoffered,
    )


def mx_host(
    host: str = MX1, *verdicts: MailVerdict, tlsa: TlsaLookup | None = None, **columns: Any
) -> HostEvidence:
    """An MX host that was looked up, with its sessions; without any it could not be measured."""
    return HostEvidence(
        host=host,
        addresses=rows.addresses(host, *(v.address for v in verdicts), **columns),
        tlsa=tlsa or rows.tlsa(host),
        verdicts=verdicts,
    )


def passing(*hosts: str) -> tuple[HostEvidence, ...]:
    """MX hosts that do everything right."""
    return tuple(mx_host(host, seen(host)) for host in hosts)


def domain(**parts: Any) -> DomainEvidence:
    """A domain with one MX host that does everything right, but for *parts*."""
    good: dict[str, Any] = {
        "sts": sts(b"v=STSv1; id=1;"),
        "tlsrpt": tlsrpt(b"v=TLSRPTv1; rua=mailto:r@example.com"),
        "mx": rows.mx(DOMAIN, (10, MX1)),
        "policy_addresses": rows.addresses(f"mta-sts.{DOMAIN}", V4),
        "fetches": (fetched(),),
        "hosts": passing(MX1),
    }
    return DomainEvidence(domain=DOMAIN, **(good | parts))


def served(*fetches: Fetch, **parts: Any) -> DomainEvidence:
    """The domain with these policy fetches, the chosen one first."""
    return domain(fetches=fetches, **parts)


def with_mx(*hosts: HostEvidence, **policy: Any) -> DomainEvidence:
    """The domain with these MX hosts, under a policy that names them unless it says otherwise."""
    columns = {"mx": tuple(host.host for host in hosts)} | policy
    records = [(10 * n, host.host) for n, host in enumerate(hosts, 1)]
    return domain(mx=rows.mx(DOMAIN, *records), hosts=hosts, fetches=(fetched(**columns),))


def quiet(**parts: Any) -> DomainEvidence:
    """A domain without any of it, whose MX hosts the scan leaves alone."""
    nothing: dict[str, Any] = {
        "sts": sts(),
        "tlsrpt": tlsrpt(),
        "policy_addresses": None,
        "fetches": (),
        "hosts": (HostEvidence(host=MX1),),
        "mail_in_scope": False,
    }
    return domain(**(nothing | parts))


def judged(evidence: DomainEvidence) -> Assessment:
    """The assessment."""
    return assess(evidence, registrable, scan_id=rows.SCAN_ID)
