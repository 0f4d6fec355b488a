"""A small archive with hand-planted truth: two scans of the same few hundred domains.

``KINDS`` is a literal: each row is a kind of domain, how many of them each scan has, and what was
judged about them.  Tests compare the catalogue's answers with numbers added up by hand from this
table.  Nothing here is computed by a rule of the crawler; only its row classes and its schema are
used, so that the archive is shaped like a real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crawler import records
from crawler.snapshot.schema import schema_of
from crawler.vocabulary import Blame, DnsStatus, IoStatus, TxtKind

SCANS = ("2026-01-05", "2026-02-05")
STARTED = (datetime(2026, 1, 5, 6, 0, tzinfo=UTC), datetime(2026, 2, 5, 6, 0, tzinfo=UTC))

GOOGLE = ("aspmx.l.google.com", "alt1.aspmx.l.google.com")
MICROSOFT = ("contoso.mail.protection.outlook.com",)
OWN = ("mx.{domain}",)
OTHER = ("mx.hoster.example",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a host of a kind shows when one gets that far."""

    tls: str = "TLSv1.3"
    issuer: str = "CN=R10,O=Let's Encrypt,C=US"
    self_issued: bool = False
    days: float = 60.5
    """Until its certificate ends, from the moment it was seen."""
    status: int = 200
    content_type: str | None = "text/plain"
    location: str | None = None
    body: str = "version: STSv1"
    """In it and in the location ``{domain}`` stands for the domain."""
    banner: str = "220 mx.hosts.example ESMTP Postfix"
    ehlo: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of domain; ``{domain}`` in a name stands for the domain."""

    name: str
    count: tuple[int, int]
    """How many there are in the first and in the second scan."""
    tld: str = "com"
    ranked_from: int | None = None
    """Rank of the first of them; the others follow."""
    mx: tuple[str, ...] = GOOGLE
    null_mx: bool = False
    implicit_mx: bool = False
    alias: str | None = None
    """CNAME target of the policy host."""
    record_alias: str | None = None
    """CNAME target of the record's name."""
    ipv4: str = "192.0.2.1"
    """Of the policy host; ``{number}`` stands for the number of the domain."""
    ipv6: str | None = None
    policy_host: Shown = Shown()
    """What it shows; nothing where the planted outcome says that it was not reached."""
    mail_host: Shown = Shown()
    mail_ipv4: str | None = "198.51.100.1"
    """Of each MX host of an adopter."""
    mail_ipv6: str | None = None
    late: int = 0
    """How many of them answered the record question only at the second attempt."""
    judged: dict[str, Any] = field(default_factory=dict)
    """What the assessment says; the rest is as for a domain without a record."""


def _valid(
    mode: str, sender: str, hosts: tuple[int, int, int, int, int], **more: Any
) -> dict[str, Any]:
    """A valid record and policy; *hosts* is total, covered, passing, failing, unmeasured."""
    names = ("mx_total", "mx_covered", "mx_passing", "mx_failing", "mx_unmeasured")
    return {
        "record_outcome": "valid",
        "policy_outcome": "valid",
        "policy_lenient": True,
        "mode": mode,
        "max_age": 1209600,
        "sender_outcome": sender,
        "misconfigured": False,
        "tlsrpt_outcome": "valid",
        "dane_outcome": "none",
        **dict(zip(names, hosts, strict=True)),
        **more,
    }


def _failed(policy_outcome: str, *findings: str, **more: Any) -> dict[str, Any]:
    """A valid record whose policy cannot be had."""
    return {
        "record_outcome": "valid",
        "policy_outcome": policy_outcome,
        "mx_total": 2,
        "sender_outcome": "fail-open",
        "misconfigured": True,
        "dane_outcome": "none",
        "findings": (*findings, "rpt-missing"),
        **more,
    }


KINDS = (
    # -- no record: 270 then 260
    Kind(name="absent", count=(200, 190), ranked_from=101, late=7),
    Kind(name="asks-reports", count=(10, 10), tld="se", mx=OWN, judged={"tlsrpt_outcome": "valid"}),
    Kind(name="silent", count=(60, 60), tld="se", mx=OTHER),
    # -- record unmeasured: 12 then 8
    Kind(
        name="servfail",
        count=(12, 8),
        judged={
            "record_outcome": "unmeasured",
            "tlsrpt_outcome": "unmeasured",
            "sender_outcome": "unmeasured",
            "misconfigured": None,
            "findings": ("txt-dns-error",),
        },
    ),
    # -- right
    Kind(
        name="protected",
        count=(30, 40),
        ranked_from=1,
        alias="x._mta.mta-sts.tech",
        judged=_valid("enforce", "protected", (2, 2, 2, 0, 0)),
    ),
    Kind(
        name="dane",
        count=(8, 8),
        tld="se",
        mx=OWN,
        judged=_valid(
            "enforce", "protected", (1, 1, 1, 0, 0), dane_outcome="match", max_age=31557600
        ),
    ),
    Kind(
        name="testing",
        count=(20, 15),
        tld="org",
        mx=MICROSOFT,
        record_alias="x._mta-sts.uriports.com",
        judged=_valid(
            "testing",
            "testing",
            (1, 1, 1, 0, 0),
            max_age=86400,
            tlsrpt_outcome="absent",
            findings=("rpt-missing",),
        ),
    ),
    Kind(
        name="off",
        count=(4, 4),
        tld="org",
        ipv4="95.111.215.165",
        judged=_valid(
            "none",
            "off",
            (2, 0, 0, 0, 0),
            max_age=86400,
            mx_covered=None,
            mx_passing=None,
            mx_failing=None,
            mx_unmeasured=None,
            findings=("pol-none",),
        ),
    ),
    Kind(
        name="no-mail",
        count=(1, 1),
        mx=("",),
        null_mx=True,
        judged=_valid("enforce", "no-mail", (0, 0, 0, 0, 0), findings=("no-mail",)),
    ),
    # -- misconfigured
    Kind(
        name="degraded",
        count=(5, 5),
        judged=_valid(
            "enforce",
            "degraded",
            (2, 1, 1, 1, 0),
            misconfigured=True,
            findings=("mxm-some", "mxm-3ld"),
        ),
    ),
    Kind(
        name="expired",
        count=(3, 2),
        mx=("old.{domain}",),
        judged=_valid(
            "enforce",
            "refused",
            (1, 1, 0, 1, 0),
            misconfigured=True,
            dane_outcome="mismatch",
            findings=("mx-cert-any", "mx-cert-expired", "mx-all-bad", "dane-mismatch"),
        ),
    ),
    Kind(
        name="double",
        count=(2, 2),
        judged=_valid(
            "enforce",
            "fail-open",
            (2, 2, 2, 0, 0),
            record_outcome="multiple",
            misconfigured=True,
            findings=("txt-multi",),
        ),
    ),
    Kind(
        name="bad-id",
        count=(3, 3),
        judged=_valid(
            "testing",
            "fail-open",
            (2, 2, 2, 0, 0),
            record_outcome="syntax",
            misconfigured=True,
            findings=("txt-bad-id",),
        ),
    ),
    Kind(name="no-host", count=(1, 1), judged=_failed("dns", "ph-no-address")),
    Kind(name="closed", count=(2, 2), judged=_failed("tcp", "tcp-refused")),
    Kind(name="wrong-name", count=(15, 10), judged=_failed("tls", "tls-any", "tls-name")),
    Kind(
        name="missing-file",
        count=(6, 6),
        alias="x.github.io",
        judged=_failed("http", "http-any", "http-404"),
    ),
    Kind(
        name="blank-line",
        count=(2, 2),
        judged=_failed("syntax", "pol-any", "pol-ws", policy_lenient=True),
    ),
    Kind(
        name="no-version",
        count=(2, 2),
        judged=_failed("syntax", "pol-any", "pol-version", policy_lenient=False),
    ),
    # -- refused, though nothing is misconfigured in the study's sense
    Kind(
        name="plaintext",
        count=(2, 2),
        mx=("plain.{domain}",),
        judged=_valid("enforce", "refused", (1, 1, 0, 1, 0), findings=("mx-no-starttls",)),
    ),
    # -- not fully measured
    Kind(
        name="resolver-fails",
        count=(3, 3),
        judged=_failed(
            "unmeasured", "ph-dns-error", misconfigured=False, sender_outcome="unmeasured"
        ),
    ),
    Kind(
        name="greylisted",
        count=(4, 4),
        mx=("grey.{domain}",),
        judged=_valid("enforce", "unmeasured", (1, 1, 0, 0, 1), findings=("mx-unknown",)),
    ),
)

SENTENCES = {
    "txt-multi": ("no-policy", "More than one record stands at _mta-sts.", "Keep exactly one."),
    "txt-bad-id": ("no-policy", "The record's id has characters that are not allowed.", "Use letters and digits."),
    "tls-any": ("no-policy", "The policy host's TLS does not pass.", "Repair its certificate."),
    "tls-name": ("no-policy", "The policy host's certificate is for another name.", "Get one for mta-sts.<domain>."),
    "http-404": ("no-policy", "The policy file is not there.", "Put it at /.well-known/mta-sts.txt."),
    "mxm-some": ("refused", "Some MX hosts are not in the policy.", "List every MX host."),
    "mx-cert-expired": ("refused", "An MX host's certificate has expired.", "Renew it."),
    "rpt-missing": ("warning", "Nobody is asked for reports.", "Publish a TLSRPT record."),
}  # fmt: skip
"""The findings catalogue: deliberately not all ids, as an older scan's may lack some."""


def write_archive(
    folder: Path,
    kinds: Sequence[Kind] = KINDS,
    *,
    sealed: bool = True,
    closed_world: bool = False,
) -> Path:
    """Write both scans of *kinds* under *folder* and return it."""
    for index in range(len(SCANS)):
        write_scan(folder, index, kinds, sealed=sealed, closed_world=closed_world)
    return folder


def write_scan(
    folder: Path,
    index: int,
    kinds: Sequence[Kind],
    *,
    sealed: bool = True,
    closed_world: bool = False,
) -> Path:
    """Write scan number *index*; without *sealed*, no manifest."""
    scan = folder / f"scan={SCANS[index]}"
    rows: dict[type[Any], list[Any]] = {cls: [] for cls in records.TABLES}
    for kind in kinds:
        for number in range(kind.count[index]):
            _plant(rows, index, kind, number)
    rows[records.MailVerdict] = list(
        {(r.host, r.address): r for r in rows[records.MailVerdict]}.values()
    )
    shown = {host: kind.mail_host for kind in kinds for host in _hosts_of(kind, index)}
    for verdict in rows[records.MailVerdict]:
        session = _session(verdict, index, shown[verdict.host])
        rows[records.StarttlsSession].append(session)
        rows[records.Certificate].extend(_certificate(index, session.chain, shown[verdict.host]))
    rows[records.AddressLookup] = list({r.host: r for r in rows[records.AddressLookup]}.values())
    rows[records.Certificate] = list({r.sha256: r for r in rows[records.Certificate]}.values())
    rows[records.CatalogueEntry] = [_entry(index, *entry) for entry in SENTENCES.items()]
    tables = {cls.table: _write(scan / cls.table, cls, rows[cls]) for cls in records.TABLES}
    if sealed:
        _seal(scan, index, tables, closed_world=closed_world)
    return scan


def _write(folder: Path, cls: type[Any], rows: Sequence[Any], *, parts: int = 2) -> dict[str, Any]:
    """The rows in *parts* files, the second possibly empty."""
    folder.mkdir(parents=True)
    listed = []
    for part in range(parts):
        path = folder / f"part-{part:04}.parquet"
        mine = [asdict(row) for row in rows[part::parts]]
        pq.write_table(pa.Table.from_pylist(mine, schema=schema_of(cls)), path, compression="zstd")
        digest = sha256(path.read_bytes()).hexdigest()
        facts = {"size": path.stat().st_size, "sha256": digest, "rows": len(mine)}
        listed.append({"path": f"{folder.name}/{path.name}", **facts})
    return {"rows": len(rows), "parts": listed}


def _seal(scan: Path, index: int, tables: dict[str, Any], *, closed_world: bool) -> None:
    manifest = {
        "scan_id": SCANS[index],
        "schema_version": "1.0",
        "revision": 1,
        "state": "sealed",
        "started_at": STARTED[index].isoformat(),
        "ended_at": STARTED[index].replace(hour=9).isoformat(),
        "software_version": "0.1.0",
        "list": {
            "names": ["planted.csv"],
            "sha256": ["0" * 64],
            "combined_sha256": "0" * 64,
            "sizes": [4711],
            "accepted": tables["domains"]["rows"],
            "duplicates": 1,
            "rejected": {"bad-character": 2},
            "examples": {"bad-character": ["a b.example"]},
            "shards": 1,
            "shard_rows": [tables["domains"]["rows"]],
        },
        "seed": "planted",
        "scope": "adopters",
        "sample_rate": 0.0,
        "both_families": False,
        "closed_world": closed_world,
        "resolvers": ["127.0.0.1:5353"],
        "vantage": {"name": "test bench", "resolver_checks": []},
        "configuration": {"politeness": {"mx_hosts": 5}, "retry": {"rounds": 1, "delay": 300.0}},
        "public_suffix_list": "2026-01-01",
        "trust_store": {"name": "lab roots", "sha256": "1" * 64},
        "openssl": {"measuring": "OpenSSL 3.5.0", "judging": "OpenSSL 3.5.1", "python": "3.11.2"},
        "rules_version": "1",
        "files": [],
        "tables": tables,
    }
    (scan / "manifest.json").write_text(json.dumps(manifest), "utf-8")


def _plant(rows: dict[type[Any], list[Any]], index: int, kind: Kind, number: int) -> None:
    domain = f"{kind.name}-{number}.{kind.tld}"
    scan_id = SCANS[index]
    hosts = tuple(
        records.MxHost(preference=10 * place, host=host.replace("{domain}", domain))
        for place, host in enumerate(kind.mx, 1)
    )
    rows[records.Domain].append(
        records.Domain(
            scan_id=scan_id,
            domain=domain,
            rank=None if kind.ranked_from is None else kind.ranked_from + number,
            list="planted",
            tld=kind.tld,
            public_suffix=kind.tld,
            registrable_domain=domain,
        )
    )
    rows[records.TxtLookup].extend(_txt(index, kind, domain, late=number < kind.late))
    rows[records.MxLookup].append(
        records.MxLookup(
            **_lookup(index, DnsStatus.NO_ANSWER if kind.implicit_mx else DnsStatus.NOERROR),
            domain=domain,
            hosts=hosts,
            null_mx=kind.null_mx,
            implicit_mx=kind.implicit_mx,
        )
    )
    assessment = records.Assessment(
        **{
            "scan_id": scan_id,
            "domain": domain,
            "record_outcome": "absent",
            "policy_outcome": "not-fetched",
            "misconfigured": False,
            "sender_outcome": "absent",
            "tlsrpt_outcome": "absent",
            "rules_version": "1",
            **({"record_id": RECORD_ID} if kind.judged.get("record_outcome") == "valid" else {}),
            **({"policy_mx": _covering(kind, domain)} if kind.judged.get("mode") else {}),
            **kind.judged,
        }
    )
    rows[records.Assessment].append(assessment)
    if assessment.record_outcome in ("valid", "multiple", "syntax"):
        rows[records.AddressLookup].append(_policy_host(index, kind, domain))
        rows[records.AddressLookup].extend(_mail_host(index, kind, h.host) for h in hosts if h.host)
        for fetch in _fetches(index, kind, domain):
            rows[records.PolicyFetch].append(fetch)
            rows[records.Certificate].extend(_certificate(index, fetch.chain, kind.policy_host))
        rows[records.MailVerdict].extend(_mail(scan_id, kind, hosts))


def _lookup(
    index: int, status: DnsStatus, attempt: int = 1, blame: Blame | None = None
) -> dict[str, Any]:
    return {
        "scan_id": SCANS[index],
        "attempt": attempt,
        "started_at": STARTED[index],
        "elapsed_ms": 3.0,
        "status": status,
        "blame": blame,
        "resolver": "127.0.0.1:5353",
    }


def _txt(index: int, kind: Kind, domain: str, *, late: bool) -> Iterable[records.TxtLookup]:
    failed = kind.judged.get("record_outcome") == "unmeasured"
    for question in TxtKind:
        names: dict[str, Any] = {"domain": domain, "kind": question, "qname": f"_mta-sts.{domain}"}
        if failed or (late and question is TxtKind.MTA_STS):
            lost = _lookup(index, DnsStatus.TIMEOUT, 1, Blame.RESOLVER)
            yield records.TxtLookup(**lost, **names)
        if failed:
            yield records.TxtLookup(
                **_lookup(index, DnsStatus.SERVFAIL, 2, Blame.RESOLVER), **names
            )
            continue
        alias = (kind.record_alias,) if kind.record_alias and question is TxtKind.MTA_STS else ()
        attempt = 2 if late and question is TxtKind.MTA_STS else 1
        yield records.TxtLookup(
            **_lookup(index, DnsStatus.NOERROR, attempt), **names, cname_chain=alias
        )


def _policy_host(index: int, kind: Kind, domain: str) -> records.AddressLookup:
    status = DnsStatus.NXDOMAIN if kind.name == "no-host" else DnsStatus.NOERROR
    return records.AddressLookup(
        **_lookup(index, status),
        host=f"mta-sts.{domain}",
        status_ipv4=status,
        status_ipv6=DnsStatus.NOERROR if kind.ipv6 else DnsStatus.NO_ANSWER,
        ipv4=()
        if status is DnsStatus.NXDOMAIN
        else (kind.ipv4.replace("{number}", _number(domain)),),
        ipv6=(kind.ipv6,) if kind.ipv6 else (),
        cname_chain=(kind.alias,) if kind.alias else (),
    )


MAIL = {
    # kind: the outcome of its host's addresses, and the certificate's problems
    "expired": (("certificate", ("expired", "name-mismatch")), ("certificate", ("expired",))),
    "plaintext": (("no-starttls", ()),),
    "greylisted": (("unmeasured", ()),),
}


def _mail(
    scan_id: str, kind: Kind, hosts: Sequence[records.MxHost]
) -> Iterable[records.MailVerdict]:
    for host in hosts:
        for number, (outcome, problems) in enumerate(MAIL.get(kind.name, (("pass", ()),)), 1):
            if host.host:
                yield records.MailVerdict(
                    scan_id=scan_id,
                    host=host.host,
                    address=f"192.0.2.{number}",
                    attempt=1,
                    outcome=outcome,
                    certificate_problems=problems,
                    dane="none",
                )


def _session(verdict: records.MailVerdict, index: int, shown: Shown) -> records.StarttlsSession:
    failed = verdict.outcome == "unmeasured"
    secured = verdict.outcome in ("pass", "certificate")
    return records.StarttlsSession(
        scan_id=verdict.scan_id,
        attempt=1,
        started_at=STARTED[index],
        elapsed_ms=80.0,
        status=IoStatus.IO_TIMEOUT if failed else IoStatus.SUCCESS,
        blame=Blame.TARGET if failed else None,
        host=verdict.host,
        address=verdict.address,
        banner=None if failed else f"{shown.banner}\r\n".encode("latin-1"),
        ehlo=() if failed else tuple(line.encode() for line in shown.ehlo),
        starttls_offered=None if failed else verdict.outcome != "no-starttls",
        tls_version=shown.tls if secured else None,
        chain=(_digest(verdict.host, shown),) if secured else (),
    )


RECORD_ID = "20240101000000"


def _digest(*what: object) -> str:
    return sha256(repr(what).encode()).hexdigest()


def _number(domain: str) -> str:
    """Which of its kind a domain is."""
    return domain.partition(".")[0].rpartition("-")[2]


def _hosts_of(kind: Kind, index: int) -> Iterable[str]:
    for number in range(kind.count[index]):
        for host in kind.mx:
            yield host.replace("{domain}", f"{kind.name}-{number}.{kind.tld}")


def _covering(kind: Kind, domain: str) -> tuple[str, ...]:
    """As many of the MX hosts as the plan says are covered, the first of them."""
    covered = kind.judged.get("mx_covered")
    return tuple(host.replace("{domain}", domain) for host in kind.mx)[:covered]


def _mail_host(index: int, kind: Kind, host: str) -> records.AddressLookup:
    return records.AddressLookup(
        **_lookup(index, DnsStatus.NOERROR),
        host=host,
        status_ipv4=DnsStatus.NOERROR if kind.mail_ipv4 else DnsStatus.NO_ANSWER,
        status_ipv6=DnsStatus.NOERROR if kind.mail_ipv6 else DnsStatus.NO_ANSWER,
        ipv4=(kind.mail_ipv4,) if kind.mail_ipv4 else (),
        ipv6=(kind.mail_ipv6,) if kind.mail_ipv6 else (),
    )


def _fetches(index: int, kind: Kind, domain: str) -> Iterable[records.PolicyFetch]:
    """One fetch where the policy host has an address; nothing of it but a refusal for tcp."""
    outcome, shown = kind.judged["policy_outcome"], kind.policy_host
    if outcome in ("dns", "unmeasured"):
        return
    common: dict[str, Any] = {
        "scan_id": SCANS[index],
        "attempt": 1,
        "started_at": STARTED[index],
        "elapsed_ms": 90.0,
        "host": f"mta-sts.{domain}",
        "address": kind.ipv4.replace("{number}", _number(domain)),
        "domain": domain,
    }
    if outcome == "tcp":
        yield records.PolicyFetch(**common, status=IoStatus.CONNECTION_REFUSED, blame=Blame.TARGET)
        return
    body = shown.body.replace("{domain}", domain).encode()
    yield records.PolicyFetch(
        **common,
        status=IoStatus.SUCCESS,
        http_status=shown.status,
        content_type=shown.content_type,
        location=shown.location and shown.location.replace("{domain}", domain),
        tls_version=shown.tls,
        chain=(_digest(domain, shown),),
        body=body,
        body_sha256=sha256(body).hexdigest(),
    )


def _certificate(index: int, chain: Sequence[str], shown: Shown) -> Iterable[records.Certificate]:
    for digest in chain[:1]:
        yield records.Certificate(
            scan_id=SCANS[index],
            sha256=digest,
            der=b"",
            issuer=shown.issuer,
            not_after=STARTED[index] + timedelta(days=shown.days),
            self_issued=shown.self_issued,
        )


def _entry(index: int, id_: str, text: tuple[str, str, str]) -> records.CatalogueEntry:
    severity, sentence, fix = text
    return records.CatalogueEntry(
        scan_id=SCANS[index],
        id=id_,
        severity=severity,
        sentence=sentence,
        fix=fix,
        section="RFC 8461 §3",
        rules_version="1",
    )
