"""Four scans, a month apart, of domains whose story a person wrote: what each is at each scan.

``STORIES`` is a literal; the numbers that tests expect are sums of its counts.  Everything judged
stands in a state as planted; nothing here asks a rule of the crawler.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crawler import records
from crawler.snapshot.schema import schema_of
from crawler.vocabulary import Blame, DnsStatus, IoStatus, TxtKind

DAYS = ("2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01")
"""The scans by their start: 31, 28 and 31 days apart."""

DAY = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a domain is at one scan; ``{domain}`` stands for it."""

    record: str = "valid"
    id: str = "1"
    policy: str = "valid"
    mode: str | None = "enforce"
    max_age: int | None = 100 * DAY
    mx: tuple[str, ...] = ("mx.{domain}",)
    patterns: tuple[str, ...] = ("mx.{domain}",)
    covered: int | None = 1
    verdict: str | None = "pass"
    """Of each MX host; None: they were not in the scan's scope."""
    sender: str = "protected"
    findings: tuple[str, ...] = ()
    alias: str | None = None
    """Where both names lead."""


ENFORCE = State()
TESTING = State(mode="testing", sender="testing")
OFF = State(mode="none", sender="off", id="2", max_age=DAY, patterns=(), covered=None)
ABSENT = State(
    record="absent", policy="not-fetched", mode=None, max_age=None, patterns=(), covered=None,
    sender="absent",
)  # fmt: skip
TLS = State(
    policy="tls", mode=None, max_age=None, patterns=(), covered=None, sender="fail-open",
    findings=("tls-any",),
)  # fmt: skip
UNMEASURED = replace(ABSENT, record="unmeasured", sender="unmeasured")
EXPIRED = replace(
    ENFORCE, verdict="certificate", sender="refused", findings=("mx-cert-any", "mx-all-bad")
)
NEW_MX = ("mx.new.example",)
UNCOVERED = {"covered": 0, "sender": "refused", "findings": ("mxm-all",)}
AT_POWERDMARC = "x-com._mta.mta-sts.tech"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """So many domains that go the same way; None: not on the list of that scan."""

    name: str
    count: int
    states: tuple[State | None, State | None, State | None, State | None]


def story(name: str, count: int, *states: State | None) -> Story:
    """One row of ``STORIES``."""
    first, second, third, fourth = states
    return Story(name=name, count=count, states=(first, second, third, fourth))


STORIES = (
    story("steady", 5, *[ENFORCE] * 4),
    story("graduate", 3, TESTING, TESTING, replace(ENFORCE, id="2"), replace(ENFORCE, id="2")),
    story("forever", 4, *[TESTING] * 4),
    # The id changes every time, the policy never.
    story("noisy", 2, *[replace(ENFORCE, id=f"{n}") for n in range(4)]),
    # Policy and MX move together, but the id stays: who waits for it goes on with the old policy.
    story(
        "stuck", 2, replace(ENFORCE, max_age=40 * DAY),
        *[replace(ENFORCE, max_age=40 * DAY, mx=NEW_MX, patterns=NEW_MX)] * 3,
    ),
    # The MX moves and the policy does not.
    story("moved", 3, ENFORCE, ENFORCE, *[replace(ENFORCE, mx=NEW_MX, **UNCOVERED)] * 2),
    # Everything is taken down at once, and the MX moves.
    story("abrupt", 2, ENFORCE, ENFORCE, *[replace(ABSENT, mx=NEW_MX)] * 2),
    # Taken down as the RFC says; too early; and without mode none.
    story("proper", 1, replace(ENFORCE, max_age=20 * DAY), OFF, OFF, ABSENT),
    story("hasty", 1, replace(ENFORCE, max_age=365 * DAY), OFF, ABSENT, ABSENT),
    story("tested", 1, replace(TESTING, max_age=365 * DAY), ABSENT, ABSENT, ABSENT),
    story("lapsed", 1, replace(ENFORCE, max_age=10 * DAY), TLS, ABSENT, ABSENT),
    story("never", 1, TLS, ABSENT, ABSENT, ABSENT),
    # Faults that end, begin, come back into sight.
    story("healed", 2, TLS, TLS, ENFORCE, ENFORCE),
    story("relapse", 2, ENFORCE, TLS, TLS, ENFORCE),
    story("worse", 1, ENFORCE, ENFORCE, TLS, TLS),
    story(
        "hidden", 1, ENFORCE,
        replace(ENFORCE, id="2", patterns=("mx.typo.example",), **UNCOVERED),
        replace(TLS, id="2"),
        replace(ENFORCE, id="2", patterns=("mx.typo.example",), **UNCOVERED),
    ),
    story("expired", 1, ENFORCE, EXPIRED, ENFORCE, ENFORCE),
    # Coming and going.
    story("newcomer", 2, ABSENT, ABSENT, TESTING, TESTING),
    story("joiner", 1, None, None, ENFORCE, ENFORCE),
    story("leaver", 2, ENFORCE, ENFORCE, None, None),
    story("blind", 1, ENFORCE, UNMEASURED, ENFORCE, ENFORCE),
    # Customers of a policy hoster: switched off there; gone, but for an alias into nothing, so that
    # the MX hosts are no longer in scope; gone for good.
    story(
        "customer", 2, replace(ENFORCE, alias=AT_POWERDMARC),
        *[replace(OFF, alias=AT_POWERDMARC)] * 3,
    ),
    story(
        "dangling", 1, replace(ENFORCE, alias=AT_POWERDMARC),
        *[replace(ABSENT, alias=AT_POWERDMARC, verdict=None)] * 3,
    ),
    story("left", 1, replace(ENFORCE, alias=AT_POWERDMARC), *[ENFORCE] * 3),
    story("outsider", 10, *[ABSENT] * 4),
)  # fmt: skip

SEVERITIES = {"tls-any": "no-policy", "mxm-all": "refused", "mx-cert-any": "refused"}

Rows = dict[type[Any], list[Any]]


def write_stories(folder: Path, stories: Sequence[Story] = STORIES) -> Path:
    """Write the four scans under *folder* and return it."""
    for index in range(len(DAYS)):
        rows: Rows = {cls: [] for cls in records.TABLES}
        for told in stories:
            state = told.states[index]
            if state is not None:
                for number in range(told.count):
                    _plant(rows, index, f"{told.name}-{number}.example", state)
        rows[records.MailVerdict] = list({r.host: r for r in rows[records.MailVerdict]}.values())
        rows[records.CatalogueEntry] = list(_catalogue(index))
        _write(folder / f"scan={DAYS[index]}", index, rows)
    return folder


def _plant(rows: Rows, index: int, domain: str, state: State) -> None:
    scan_id = DAYS[index]
    mx, patterns = (
        tuple(name.replace("{domain}", domain) for name in names)
        for names in (state.mx, state.patterns)
    )
    chain = (state.alias,) if state.alias else ()
    rows[records.Domain].append(
        records.Domain(scan_id=scan_id, domain=domain, list="stories", tld="example")
    )
    gone = state.record == "absent"
    rows[records.TxtLookup].append(
        records.TxtLookup(
            **_lookup(index, DnsStatus.NXDOMAIN if gone else DnsStatus.NOERROR),
            domain=domain,
            kind=TxtKind.MTA_STS,
            qname=f"_mta-sts.{domain}",
            cname_chain=chain,
        )
    )
    rows[records.MxLookup].append(
        records.MxLookup(
            **_lookup(index, DnsStatus.NOERROR),
            domain=domain,
            hosts=tuple(records.MxHost(preference=10, host=host) for host in mx),
        )
    )
    if not gone or state.alias:
        rows[records.AddressLookup].append(
            records.AddressLookup(
                **_lookup(index, DnsStatus.NOERROR),
                host=f"mta-sts.{domain}",
                status_ipv4=DnsStatus.NOERROR,
                status_ipv6=DnsStatus.NO_ANSWER,
                ipv4=("192.0.2.1",),
                cname_chain=chain,
            )
        )
    if state.policy in ("valid", "tls"):
        rows[records.PolicyFetch].append(_fetch(index, domain, state, patterns))
    if state.verdict is not None:
        rows[records.MailVerdict].extend(
            records.MailVerdict(
                scan_id=scan_id, host=host, address="192.0.2.2", attempt=1,
                outcome=state.verdict, dane="none",
            )
            for host in mx
        )  # fmt: skip
    rows[records.Assessment].append(
        records.Assessment(
            scan_id=scan_id,
            domain=domain,
            record_outcome=state.record,
            record_id=state.id if state.record == "valid" else None,
            policy_outcome=state.policy,
            mode=state.mode,
            max_age=state.max_age,
            policy_mx=patterns,
            mx_total=len(mx),
            mx_covered=state.covered,
            misconfigured=None if state.record == "unmeasured" else bool(state.findings),
            sender_outcome=state.sender,
            tlsrpt_outcome="absent",
            findings=state.findings,
            rules_version="1",
        )
    )


def _fetch(index: int, domain: str, state: State, patterns: tuple[str, ...]) -> records.PolicyFetch:
    """The policy of *state*, or the alert of a policy host without a certificate."""
    body = f"mode: {state.mode}, mx: {patterns}".encode()
    shown: Mapping[str, Any] = (
        {"status": IoStatus.HANDSHAKE_ERROR, "blame": Blame.TARGET}
        if state.policy == "tls"
        else {
            "status": IoStatus.SUCCESS,
            "http_status": 200,
            "tls_version": "TLSv1.3",
            "body": body,
            "body_sha256": sha256(body).hexdigest(),
        }
    )
    return records.PolicyFetch(
        scan_id=DAYS[index],
        attempt=1,
        started_at=_start(index),
        elapsed_ms=1.0,
        host=f"mta-sts.{domain}",
        address="192.0.2.1",
        domain=domain,
        **shown,
    )


def _lookup(index: int, status: DnsStatus) -> dict[str, Any]:
    return {
        "scan_id": DAYS[index],
        "attempt": 1,
        "started_at": _start(index),
        "elapsed_ms": 1.0,
        "status": status,
    }


def _start(index: int) -> datetime:
    return datetime.fromisoformat(DAYS[index]).replace(tzinfo=UTC)


def _catalogue(index: int) -> Iterable[records.CatalogueEntry]:
    for id_, severity in SEVERITIES.items():
        yield records.CatalogueEntry(
            scan_id=DAYS[index], id=id_, severity=severity, sentence="It is so.",
            fix="Change it.", section="RFC 8461 §3", rules_version="1",
        )  # fmt: skip


def _write(scan: Path, index: int, rows: Rows) -> None:
    tables = {}
    for cls, mine in rows.items():
        path = scan / cls.table / "part-0.parquet"
        path.parent.mkdir(parents=True)
        table = pa.Table.from_pylist([asdict(row) for row in mine], schema=schema_of(cls))
        pq.write_table(table, path)
        part = {
            "path": f"{cls.table}/{path.name}",
            "size": path.stat().st_size,
            "sha256": sha256(path.read_bytes()).hexdigest(),
            "rows": len(mine),
        }
        tables[cls.table] = {"rows": len(mine), "parts": [part]}
    manifest = {
        "scan_id": DAYS[index],
        "schema_version": "1.0",
        "state": "sealed",
        "started_at": _start(index).isoformat(),
        "tables": tables,
    }
    (scan / "manifest.json").write_text(json.dumps(manifest), "utf-8")
