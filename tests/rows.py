"""Rows with the columns that a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crawler.records import (
    AddressLookup,
    Domain,
    MxHost,
    MxLookup,
    PolicyFetch,
    StarttlsSession,
    TlsaLookup,
    TxtLookup,
)
from crawler.vocabulary import DnsStatus, IoStatus, TxtKind

SCAN_ID = "test"
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
_OBSERVED: dict[str, Any] = {
    "scan_id": SCAN_ID,
    "attempt": 1,
    "started_at": NOON,
    "elapsed_ms": 1.0,
}
STS = (b"v=STSv1; id=1;",)
TLSRPT = (b"v=TLSRPTv1; rua=mailto:r@example.com",)


def domain(name: str, **columns: Any) -> Domain:
    """One accepted line of a list."""
    facts: dict[str, Any] = {"scan_id": SCAN_ID, "list": "test", "tld": name.rpartition(".")[2]}
    return Domain(domain=name, **{**facts, **columns})


def txt(name: str, *records: tuple[bytes, ...], **columns: Any) -> TxtLookup:
    """An answer to ``_mta-sts``; without records it is NXDOMAIN."""
    status = DnsStatus.NOERROR if records else DnsStatus.NXDOMAIN
    kind = columns.get("kind", TxtKind.MTA_STS)
    facts = {**_OBSERVED, "status": status, "kind": kind, "qname": f"_mta-sts.{name}"}
    return TxtLookup(domain=name, records=records, **{**facts, **columns})


def mx(name: str, *hosts: tuple[int, str], **columns: Any) -> MxLookup:
    """An MX answer; without hosts it is NO_ANSWER, so the domain is its own implicit MX."""
    facts: dict[str, Any] = {
        **_OBSERVED,
        "status": DnsStatus.NOERROR if hosts else DnsStatus.NO_ANSWER,
        "hosts": tuple(MxHost(preference=p, host=h) for p, h in hosts),
        "implicit_mx": not hosts,
    }
    return MxLookup(domain=name, **{**facts, **columns})


def addresses(host: str, *found: str, **columns: Any) -> AddressLookup:
    """The addresses of a host; without any it is NXDOMAIN."""
    ipv4 = tuple(a for a in found if ":" not in a)
    ipv6 = tuple(a for a in found if ":" in a)
    none = DnsStatus.NO_ANSWER if found else DnsStatus.NXDOMAIN
    facts: dict[str, Any] = {
        **_OBSERVED,
        "status": DnsStatus.NOERROR if found else DnsStatus.NXDOMAIN,
        "status_ipv4": DnsStatus.NOERROR if ipv4 else none,
        "status_ipv6": DnsStatus.NOERROR if ipv6 else none,
        "ipv4": ipv4,
        "ipv6": ipv6,
    }
    return AddressLookup(host=host, **{**facts, **columns})


def tlsa(host: str, **columns: Any) -> TlsaLookup:
    """A TLSA answer, NXDOMAIN unless told otherwise."""
    facts = {**_OBSERVED, "status": DnsStatus.NXDOMAIN, "qname": f"_25._tcp.{host}"}
    return TlsaLookup(host=host, **{**facts, **columns})


def fetch(name: str, address: str, **columns: Any) -> PolicyFetch:
    """A policy fetch that succeeded."""
    facts = {**_OBSERVED, "status": IoStatus.SUCCESS, "host": f"mta-sts.{name}", "http_status": 200}
    return PolicyFetch(domain=name, address=address, **{**facts, **columns})


def session(host: str, address: str, **columns: Any) -> StarttlsSession:
    """A STARTTLS session that succeeded."""
    facts = {**_OBSERVED, "status": IoStatus.SUCCESS, "starttls_offered": True}
    return StarttlsSession(host=host, address=address, **{**facts, **columns})
