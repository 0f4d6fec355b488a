"""Scans of one list from three vantages, and what each of them saw: written by hand.

``TARGETS`` is a literal; the numbers that tests expect are sums of its counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crawler import records
from crawler.snapshot.schema import schema_of
from crawler.vocabulary import Blame, DnsStatus, IoStatus, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one vantage saw of a domain; ``{domain}`` stands for it."""

    record: str = "valid"
    id: str | None = "1"
    policy: str = "valid"
    mode: str | None = "enforce"
    body: str | None = "the policy"
    over_ipv6: str | None = None
    """The policy at another address, when that was asked too."""
    policy_blame: Blame | None = None
    mail: str = "pass"
    """Of its only MX host."""
    mail_blame: Blame | None = None
    address: str = "198.51.100.1"
    """Of that host."""
    exists: bool = True
    """DNS has MX records of the domain and addresses of its host; else neither name exists."""
    sender: str = "protected"


FINE = Sight()
BOTH = replace(FINE, over_ipv6="another policy")
ABSENT = replace(
    FINE, record="absent", id=None, policy="not-fetched", mode=None, body=None, sender="absent"
)
NO_DNS = replace(ABSENT, record="unmeasured", sender="unmeasured")
BLOCKED = replace(
    FINE, policy="tcp", mode=None, body=None, policy_blame=Blame.NETWORK, sender="fail-open"
)
NO_MAIL = replace(FINE, mail="unmeasured", mail_blame=Blame.NETWORK, sender="unmeasured")
OURS = replace(FINE, mail="unmeasured", mail_blame=Blame.VANTAGE, sender="unmeasured")

VANTAGES = ("Boston", "Tokyo", "Vienna")

Targets = tuple[tuple[str, int, tuple[Sight, Sight, Sight]], ...]

TARGETS: Targets = (
    # name, how many, what Boston, Tokyo and Vienna see
    ("same", 4, (FINE, FINE, FINE)),
    # A host whose two addresses serve two texts serves the same two to everybody.
    ("two-texts", 1, (BOTH, BOTH, BOTH)),
    ("silent", 20, (ABSENT, ABSENT, ABSENT)),
    # Boston's resolver does not have the new record yet.
    ("new", 2, (ABSENT, FINE, FINE)),
    # A policy host that drops what comes from America.
    ("geo-blocked", 3, (BLOCKED, FINE, FINE)),
    # A mail host that drops what comes from Asia; one that Tokyo had no port for.
    ("mail-blocked", 2, (FINE, NO_MAIL, FINE)),
    ("portless", 1, (FINE, OURS, FINE)),
    # Another edge server, another policy; and the same, with the id.
    ("edge", 1, (FINE, FINE, replace(FINE, body="another policy"))),
    ("rolled-out", 1, (FINE, FINE, replace(FINE, id="2", body="another policy", mode="testing",
                                           sender="testing"))),
    # The nearest of two data centres.
    ("near", 4, (FINE, FINE, replace(FINE, address="198.51.100.2"))),
    # One vantage alone has an answer from DNS.
    ("lonely", 1, (NO_DNS, FINE, NO_DNS)),
    # Nobody gets in.
    ("shut", 1, (BLOCKED, BLOCKED, BLOCKED)),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One scan of an archive: who made it and when."""

    scan_id: str
    vantage: str | None = None
    day: str = "2026-01-01"
    list: str = "0" * 64
    scope: str = "adopters"
    rules: str = "1"


Rows = dict[type[Any], list[Any]]


def write_campaign(folder: Path, targets: Targets = TARGETS) -> Path:
    """A scan from each of the vantages, of the same list on three days."""
    for number, vantage in enumerate(VANTAGES):
        made = Made(scan_id=vantage.lower(), vantage=vantage, day=f"2026-01-0{number + 1}")
        rows: Rows = {cls: [] for cls in records.TABLES}
        for name, count, sights in targets:
            for n in range(count):
                _plant(rows, made, f"{name}-{n}.example", sights[number])
        write_scan(folder, made, rows)
    return folder


def write_empty(folder: Path, scans: Sequence[Made]) -> Path:
    """Scans in which nothing was measured."""
    for made in scans:
        write_scan(folder, made, {cls: [] for cls in records.TABLES})
    return folder


def _plant(rows: Rows, made: Made, domain: str, sight: Sight) -> None:
    start = datetime.fromisoformat(made.day).replace(tzinfo=UTC)
    observed: dict[str, Any] = {
        "scan_id": made.scan_id, "vantage": made.vantage, "attempt": 1, "started_at": start,
        "elapsed_ms": 1.0,
    }  # fmt: skip
    host = f"mx.{domain}"
    rows[records.Domain].append(
        records.Domain(scan_id=made.scan_id, domain=domain, list="planted", tld="example")
    )
    rows[records.MxLookup].append(
        records.MxLookup(
            **observed,
            status=DnsStatus.NOERROR if sight.exists else DnsStatus.NXDOMAIN,
            domain=domain,
            hosts=(records.MxHost(preference=10, host=host),) if sight.exists else (),
        )
    )
    if sight.policy != "not-fetched":
        _ask(rows, observed, domain, host, sight)
    rows[records.Assessment].append(
        records.Assessment(
            scan_id=made.scan_id,
            domain=domain,
            record_outcome=sight.record,
            record_id=sight.id,
            policy_outcome=sight.policy,
            mode=sight.mode,
            misconfigured=False,
            sender_outcome=sight.sender,
            tlsrpt_outcome="absent",
            dane_outcome="none",
            rules_version=made.rules,
        )
    )


def _ask(rows: Rows, observed: dict[str, Any], domain: str, host: str, sight: Sight) -> None:
    """The conversations about a domain with a record."""
    rows[records.AddressLookup].append(
        records.AddressLookup(
            **observed,
            status=DnsStatus.NOERROR if sight.exists else DnsStatus.NXDOMAIN,
            host=host,
            status_ipv4=DnsStatus.NOERROR if sight.exists else DnsStatus.NXDOMAIN,
            status_ipv6=DnsStatus.NO_ANSWER if sight.exists else DnsStatus.NXDOMAIN,
            ipv4=(sight.address,) if sight.exists else (),
        )
    )
    for address, body in (("192.0.2.1", sight.body), ("2001:db8::1", sight.over_ipv6)):
        if body is not None or address == "192.0.2.1":
            rows[records.PolicyFetch].append(
                records.PolicyFetch(
                    **observed,
                    **_ended(sight.policy_blame),
                    domain=domain,
                    host=f"mta-sts.{domain}",
                    address=address,
                    http_status=200 if body else None,
                    body_sha256=sha256(body.encode()).hexdigest() if body else None,
                )
            )
    rows[records.StarttlsSession].append(
        records.StarttlsSession(
            **observed,
            **_ended(sight.mail_blame),
            host=host,
            address=sight.address,
            chain=() if sight.mail_blame else (sha256(host.encode()).hexdigest(),),
        )
    )
    rows[records.MailVerdict].append(
        records.MailVerdict(
            scan_id=observed["scan_id"],
            host=host,
            address=sight.address,
            attempt=1,
            outcome=sight.mail,
            dane="none",
        )
    )


def _ended(blame: Blame | None) -> dict[str, Any]:
    if blame is None:
        return {"status": IoStatus.SUCCESS, "stage": Stage.QUIT}
    return {"status": IoStatus.CONNECTION_TIMEOUT, "blame": blame, "stage": Stage.CONNECT}


def write_scan(folder: Path, made: Made, rows: Rows) -> None:
    """The rows as a sealed scan."""
    scan, tables = folder / f"scan={made.scan_id}", {}
    for cls, mine in rows.items():
        path = scan / cls.table / "part-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(
            pa.Table.from_pylist([asdict(row) for row in mine], schema=schema_of(cls)), path
        )
        part = {"path": f"{cls.table}/{path.name}", "size": path.stat().st_size, "rows": len(mine)}
        tables[cls.table] = {"rows": len(mine), "parts": [part]}
    manifest = {
        "scan_id": made.scan_id,
        "schema_version": records.SCHEMA_VERSION,
        "state": "sealed",
        "started_at": f"{made.day}T00:00:00+00:00",
        "list": {"combined_sha256": made.list},
        "scope": made.scope,
        "rules_version": made.rules,
        **({} if made.vantage is None else {"vantage": {"name": made.vantage}}),
        "tables": tables,
    }
    (scan / "manifest.json").write_text(json.dumps(manifest), "utf-8")
