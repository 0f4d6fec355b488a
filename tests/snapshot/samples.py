"""Rows that the snapshot's tests write: one of each table, with the awkward values in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from crawler.records import (
    AddressLookup,
    Assessment,
    CatalogueEntry,
    Certificate,
    Domain,
    Header,
    MailVerdict,
    MxHost,
    MxLookup,
    PolicyFetch,
    PolicyVerdict,
    StarttlsSession,
    Tlsa,
    TlsaLookup,
    TxtLookup,
)
from crawler.snapshot.manifest import Facts
from crawler.vocabulary import (
    CertificateProblem,
    DaneOutcome,
    DnsStatus,
    IoStatus,
    MailOutcome,
    PolicyOutcome,
    RecordOutcome,
    SenderOutcome,
    Severity,
    Stage,
    TlsRptOutcome,
    TxtKind,
)

SCAN = "s1"
THEN = datetime(2026, 11, 24, 4, 5, 6, 789, tzinfo=UTC)
_ATTEMPT: Mapping[str, Any] = {"scan_id": SCAN, "attempt": 1, "started_at": THEN, "elapsed_ms": 1.5}


def txt(domain: str = "example.com", attempt: int = 1) -> TxtLookup:
    return TxtLookup(
        **{**_ATTEMPT, "attempt": attempt},
        domain=domain,
        kind=TxtKind.MTA_STS,
        qname=f"_mta-sts.{domain}",
        status=DnsStatus.NOERROR,
        records=((b"v=STSv1; ", b"id=\x00\xff;"), (b"",), ()),
    )


def mx(domain: str = "example.com") -> MxLookup:
    return MxLookup(
        **_ATTEMPT,
        domain=domain,
        status=DnsStatus.NOERROR,
        hosts=(MxHost(preference=10, host="mx1.example.com"), MxHost(preference=20, host="")),
    )


def certificate(number: int = 0) -> Certificate:
    return Certificate(scan_id=SCAN, sha256=f"{number:064x}", der=bytes([number % 256]) * 100)


def assessment(domain: str = "example.com", rules_version: str = "1") -> Assessment:
    return Assessment(
        scan_id=SCAN,
        domain=domain,
        record_outcome=RecordOutcome.ABSENT,
        policy_outcome=PolicyOutcome.NOT_FETCHED,
        sender_outcome=SenderOutcome.ABSENT,
        tlsrpt_outcome=TlsRptOutcome.ABSENT,
        findings=("no-mail",),
        rules_version=rules_version,
    )


ONE_OF_EACH: tuple[Any, ...] = (
    Domain(scan_id=SCAN, domain="example.com", list="l", tld="com", tags=("a", "b"), original="É"),
    txt(),
    mx(),
    AddressLookup(
        **_ATTEMPT,
        host="mx1.example.com",
        status=DnsStatus.NOERROR,
        status_ipv4=DnsStatus.NOERROR,
        status_ipv6=DnsStatus.NO_ANSWER,
        ipv4=("192.0.2.1",),
    ),
    TlsaLookup(
        **_ATTEMPT,
        host="mx1.example.com",
        qname="_25._tcp.mx1.example.com",
        status=DnsStatus.NOERROR,
        records=(Tlsa(usage=3, selector=1, matching_type=1, data=b"\x00" * 32),),
    ),
    PolicyFetch(
        **_ATTEMPT,
        host="mta-sts.example.com",
        domain="example.com",
        address="192.0.2.1",
        status=IoStatus.SUCCESS,
        stage=Stage.HTTP_BODY,
        headers=(Header(name="server", value=b"\xff"),),
        body=b"\x00\x1a<\xff",
        content_type="text/\x00plain",
    ),
    StarttlsSession(
        **_ATTEMPT,
        host="mx1.example.com",
        address="192.0.2.1",
        status=IoStatus.IO_TIMEOUT,
        banner=b"220 \x1b[31m\x00",
        ehlo=(b"250-x", b""),
    ),
    certificate(),
    PolicyVerdict(
        scan_id=SCAN,
        domain="example.com",
        host="mta-sts.example.com",
        address="192.0.2.1",
        attempt=1,
        outcome=PolicyOutcome.TLS,
        certificate_problems=(CertificateProblem.EXPIRED, CertificateProblem.NO_SAN),
    ),
    MailVerdict(
        scan_id=SCAN,
        host="mx1.example.com",
        address="192.0.2.1",
        attempt=1,
        outcome=MailOutcome.PASS,
        dane=DaneOutcome.NONE,
    ),
    assessment(),
    CatalogueEntry(
        scan_id=SCAN,
        id="no-mail",
        severity=Severity.WARNING,
        sentence="s",
        fix="f",
        section="RFC 7505",
        rules_version="1",
    ),
)


def facts(**other: Any) -> Facts:
    """Facts for a manifest of a scan of nothing in particular."""
    given: dict[str, Any] = {
        "scan_id": SCAN,
        "started_at": THEN,
        "ended_at": THEN,
        "software_version": "0",
        "configuration": {"dns": {"attempts": 3}},
        "scope": "adopters",
        "list": {"names": ["l"]},
        "seed": "1",
        "resolvers": ("127.0.0.1:53",),
        "resolver_health": (),
        "vantage": {"name": "v"},
        "public_suffix_list": "2026",
        "trust_store": {"name": "n", "sha256": "0"},
        "openssl": {"ssl": "3"},
        "rules_version": "1",
    }
    return Facts(**{**given, **other})
