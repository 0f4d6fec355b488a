"""The domains of a small mail provider in three scans: what was found, and what was seen.

``DOMAINS`` is a literal with the history of each domain written down by hand; the tests say what is
to be made of it.  Some of what strangers wrote into records, policies and certificates is hostile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crawler import records
from crawler.snapshot.schema import schema_of
from crawler.vocabulary import Blame, DnsStatus, IoStatus, Stage, TxtKind

FIRST, SECOND, THIRD = SCANS = ("2026-01-05", "2026-02-05", "2026-03-05")

SCRIPT = b"<script>alert(1)</script>"

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One MX host at one address."""

    name: str
    outcome: str = "pass"
    problems: Ids = ()
    names: Ids = ()
    """dNSNames of its certificate; its own name unless given."""
    tlsa: tuple[bytes, ...] = ()
    dane: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One domain: the findings of each scan, None where its list lacks it, and what was seen."""

    domain: str
    findings: tuple[Ids | None, Ids | None, Ids | None]
    sender: str = "protected"
    judged: dict[str, Any] = field(default_factory=dict)
    """Judged columns that are not those of a valid policy in mode enforce."""
    record: tuple[tuple[bytes, ...], ...] = ((b"v=STSv1; id=1;",),)
    reports: tuple[tuple[bytes, ...], ...] = ((b"v=TLSRPTv1; rua=mailto:a@b.example",),)
    body: bytes | None = b"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 86400\n"
    http_status: int | None = 200
    location: str | None = None
    certificate_problems: Ids = ()
    hosts: tuple[Host, ...] = (Host(name="mx.example"),)
    record_status: DnsStatus = DnsStatus.NOERROR


NO_RECORD = {
    "record_outcome": "absent", "policy_outcome": "not-fetched", "mode": None, "max_age": None,
    "policy_mx": (), "mx_covered": None, "mx_passing": None, "mx_failing": None,
    "mx_unmeasured": None, "tlsrpt_outcome": "absent",
}  # fmt: skip
NO_POLICY = {
    "policy_outcome": "http", "mode": None, "max_age": None, "policy_mx": (), "mx_covered": None,
    "misconfigured": True,
}  # fmt: skip

RPT = ("rpt-missing",)
EXPIRED = ("mx-cert-any", "mx-cert-expired")

DOMAINS = (
    Planted(domain="good.example", findings=((), (), ())),
    Planted(
        domain="expired.example",
        findings=((), EXPIRED, EXPIRED),
        sender="refused",
        judged={"mx_passing": 0, "mx_failing": 1, "misconfigured": True},
        hosts=(Host(name="old.example", outcome="certificate", problems=("expired",)),),
    ),
    Planted(
        domain="flapping.example",
        findings=(RPT, (), RPT),
        judged={"tlsrpt_outcome": "absent"},
        reports=(),
    ),
    Planted(
        domain="passed-over.example",
        findings=(("http-3xx",), None, ("http-3xx",)),
        sender="fail-open",
        judged=NO_POLICY,
        body=b"",
        http_status=301,
        location="https://evil.example/\x1b[31m" + SCRIPT.decode(),
    ),
    Planted(
        domain="hostile.example",
        findings=(None, None, ("txt-bad-id", "not-in-the-catalogue", "pol-mode")),
        sender="fail-open",
        judged={"record_outcome": "syntax", "misconfigured": True},
        record=((b'v=STSv1; id="', b"\x1b]0;x\x07" + SCRIPT),),
        body=b"version: STSv1\nmode: " + SCRIPT + b"\x1b[2J\xff\nmx: mx.example\n",
        hosts=(Host(name="mx.example"),),
    ),
    Planted(
        domain="moved.example",
        findings=(None, None, ("mxm-some",)),
        sender="degraded",
        judged={
            "mx_total": 2,
            "mx_covered": 1,
            "mx_passing": 1,
            "mx_failing": 1,
            "policy_mx": ("*.example",),
            "misconfigured": True,
        },
        body=b"version: STSv1\r\nmode: enforce\r\nmx: *.example\r\nmax_age: 86400\r\n",
        hosts=(Host(name="mx.example"), Host(name="a.b.example")),
    ),
    Planted(
        domain="named.example",
        findings=((), (), ("mx-cert-name",)),
        sender="testing",
        judged={"mode": "testing", "mx_passing": 0, "mx_failing": 1, "misconfigured": True},
        hosts=(
            Host(
                name="wrong.example",
                outcome="certificate",
                problems=("name-mismatch",),
                names=tuple(f"x{number}.{SCRIPT.decode()}" for number in range(8)),
            ),
            Host(name="right.example"),
        ),
    ),
    Planted(
        domain="lost.example",
        findings=(RPT, (), ("txt-dns-error",)),
        sender="unmeasured",
        judged={**NO_RECORD, "record_outcome": "unmeasured", "misconfigured": None},
        record=(),
        record_status=DnsStatus.SERVFAIL,
    ),
    Planted(
        domain="xn--bcher-kva.example",
        findings=(RPT, RPT, RPT),
        judged={"tlsrpt_outcome": "absent"},
        reports=(),
    ),
    Planted(domain="-leading.example", findings=((), (), ("pol-none",)), sender="off"),
    Planted(domain="quiet.example", findings=((), (), ()), sender="absent", judged=NO_RECORD),
)

CATALOGUE = {
    # id: severity
    "mx-cert-any": "refused",
    "mx-cert-expired": "refused",
    "mx-cert-name": "refused",
    "mxm-some": "refused",
    "dane-mismatch": "refused",
    "http-3xx": "no-policy",
    "txt-bad-id": "no-policy",
    "pol-mode": "no-policy",
    "rpt-missing": "warning",
    "txt-dns-error": "unmeasured",
    "mx-unknown": "unmeasured",
    "pol-none": "note",
}


def write_customers(folder: Path, domains: Sequence[Planted] = DOMAINS) -> Path:
    """Write the three scans of *domains* under *folder* and return it."""
    for index in range(len(SCANS)):
        write_customer_scan(folder, index, domains)
    return folder


def write_customer_scan(
    folder: Path, index: int, domains: Sequence[Planted], **manifest: Any
) -> None:
    """Write scan number *index* of *domains*; *manifest* replaces what its manifest says."""
    scan = folder / f"scan={SCANS[index]}"
    rows: dict[type[Any], dict[Any, Any]] = {cls: {} for cls in records.TABLES}
    for planted in domains:
        told = planted.findings[index]
        for row in _rows(planted, index, told) if told is not None else ():
            rows[type(row)][_key(row)] = row
    for id_, severity in CATALOGUE.items():
        rows[records.CatalogueEntry][id_] = _entry(index, id_, severity)
    tables = {
        cls.table: _write(scan / cls.table, cls, list(rows[cls].values())) for cls in records.TABLES
    }
    stated = {
        "scan_id": SCANS[index],
        "state": "sealed",
        "started_at": _started(index).isoformat(),
        "list": {"names": ["customers.csv"], "combined_sha256": "0" * 64, "accepted": 11},
        "scope": "adopters",
        "rules_version": "1",
        "vantage": {"name": "test bench"},
        "trust_store": {"name": "lab roots", "sha256": "1" * 64},
        "tables": tables,
        **manifest,
    }
    (scan / "manifest.json").write_text(json.dumps(stated), "utf-8")


def _started(index: int) -> datetime:
    return datetime.fromisoformat(SCANS[index]).replace(tzinfo=UTC)


def _key(row: Any) -> Any:
    """Hosts are shared by domains, but each is contacted once."""
    key = getattr(row, "primary_key", ("domain",))
    return tuple(getattr(row, name) for name in key)


def _write(folder: Path, cls: type[Any], rows: Sequence[Any]) -> dict[str, Any]:
    folder.mkdir(parents=True)
    path = folder / "part-0000.parquet"
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=schema_of(cls))
    pq.write_table(table, path, compression="zstd")
    return {"parts": [{"path": f"{folder.name}/{path.name}", "size": path.stat().st_size}]}


def _rows(planted: Planted, index: int, told: Ids) -> Iterator[Any]:
    scan_id, domain = SCANS[index], planted.domain
    yield records.Domain(
        scan_id=scan_id, domain=domain, list="customers", tld=domain.rpartition(".")[2]
    )
    yield records.Assessment(
        **{
            "scan_id": scan_id,
            "domain": domain,
            "record_outcome": "valid",
            "policy_outcome": "valid",
            "mode": "enforce",
            "max_age": 86400,
            "policy_mx": ("mx.example",),
            "mx_total": len(planted.hosts),
            "mx_covered": len(planted.hosts),
            "mx_passing": len(planted.hosts),
            "mx_failing": 0,
            "mx_unmeasured": 0,
            "misconfigured": False,
            "sender_outcome": planted.sender,
            "tlsrpt_outcome": "valid",
            "dane_outcome": "none",
            "rules_version": "1",
            **planted.judged,
            "findings": told,
        }
    )
    yield from _lookups(planted, index)
    yield from _fetch(planted, index)
    for number, host in enumerate(planted.hosts, 1):
        yield from _host(host, index, f"192.0.2.{number}")


def _lookups(planted: Planted, index: int) -> Iterator[Any]:
    domain = planted.domain
    sts, reports = f"_mta-sts.{domain}", f"_smtp._tls.{domain}"
    yield records.TxtLookup(
        **_lookup(index, planted.record_status),
        domain=domain, kind=TxtKind.MTA_STS, qname=sts, records=planted.record,
    )  # fmt: skip
    status = DnsStatus.NOERROR if planted.reports else DnsStatus.NXDOMAIN
    yield records.TxtLookup(
        **_lookup(index, status),
        domain=domain, kind=TxtKind.TLS_RPT, qname=reports, records=planted.reports,
    )  # fmt: skip
    hosts = tuple(
        records.MxHost(preference=10 * number, host=host.name)
        for number, host in enumerate(planted.hosts, 1)
    )
    yield records.MxLookup(**_lookup(index), domain=domain, hosts=hosts)
    for host in (f"mta-sts.{domain}", *(host.name for host in planted.hosts)):
        yield records.AddressLookup(
            **_lookup(index),
            host=host,
            status_ipv4=DnsStatus.NOERROR,
            status_ipv6=DnsStatus.NO_ANSWER,
            ipv4=("192.0.2.1",),
        )


def _lookup(index: int, status: DnsStatus = DnsStatus.NOERROR) -> dict[str, Any]:
    failed = status is DnsStatus.SERVFAIL
    return {
        "scan_id": SCANS[index],
        "attempt": 1,
        "started_at": _started(index),
        "elapsed_ms": 3.0,
        "status": status,
        "blame": Blame.RESOLVER if failed else None,
    }


def _fetch(planted: Planted, index: int) -> Iterator[Any]:
    if planted.http_status is None:
        return
    key = {"scan_id": SCANS[index], "domain": planted.domain, "attempt": 1}
    host = f"mta-sts.{planted.domain}"
    certificate = _certificate(index, (host,))
    yield certificate
    yield records.PolicyFetch(
        **key,
        started_at=_started(index),
        elapsed_ms=9.0,
        status=IoStatus.SUCCESS,
        host=host,
        address="192.0.2.1",
        tls_version="TLSv1.3",
        chain=(certificate.sha256,),
        http_status=planted.http_status,
        location=planted.location,
        body=planted.body,
    )
    yield records.PolicyVerdict(
        **key,
        host=host,
        address="192.0.2.1",
        outcome=planted.judged.get("policy_outcome", "valid"),
        certificate_problems=planted.certificate_problems,
    )


def _host(host: Host, index: int, address: str) -> Iterator[Any]:
    key = {"scan_id": SCANS[index], "host": host.name, "address": address, "attempt": 1}
    certificate = _certificate(index, host.names or (host.name,))
    yield certificate
    yield records.StarttlsSession(
        **key,
        started_at=_started(index),
        elapsed_ms=80.0,
        status=IoStatus.SUCCESS,
        stage=Stage.QUIT,
        tls_version="TLSv1.3",
        chain=(certificate.sha256,),
        starttls_offered=host.outcome != "no-starttls",
    )
    yield records.MailVerdict(
        **key, outcome=host.outcome, certificate_problems=host.problems, dane=host.dane
    )
    if host.tlsa:
        yield records.TlsaLookup(
            **_lookup(index),
            host=host.name,
            qname=f"_25._tcp.{host.name}",
            records=tuple(
                records.Tlsa(usage=3, selector=1, matching_type=1, data=data) for data in host.tlsa
            ),
        )


def _certificate(index: int, names: Ids) -> records.Certificate:
    der = "\n".join(names).encode()
    return records.Certificate(
        scan_id=SCANS[index],
        sha256=sha256(der).hexdigest(),
        der=der,
        names=names,
        issuer="CN=Lab",
        not_before=_started(0) - timedelta(days=30),
        not_after=_started(0) + timedelta(days=20),
    )


def _entry(index: int, id_: str, severity: str) -> records.CatalogueEntry:
    return records.CatalogueEntry(
        scan_id=SCANS[index],
        id=id_,
        severity=severity,
        sentence=f"What {id_} is.",
        fix=f"Repair {id_}.",
        section="RFC 8461 section 3",
        rules_version="1",
    )
